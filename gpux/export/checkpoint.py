"""Loads a checkpoint in PyTorch, in full precision and with every weight that its class has, and computes outputs of it.

Imported only where a framework is: in the exporter's environment. Knows no graph and no task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from gpux.errors import UnsafeWeights, UnsupportedModel
from gpux.export.torch_place import CPU, TorchPlace


def load(source: Path, auto: str | Sequence[str], *, allow_pickle: bool, trust_remote_code: bool) -> Any:
    """The model of an auto class in fp32, ready for inference.

    Args:
        source: The model's directory, weights included.
        auto: The transformers auto class, or several, of which the first that knows the model is taken.
        allow_pickle: Whether weights may be a pickle (loaded with ``weights_only``).
        trust_remote_code: Whether the checkpoint's own code may run.

    Raises:
        UnsafeWeights: The weights are pickled, and that was not allowed.
        UnsupportedModel: transformers cannot load it, or the head has no weights.
    """
    try:
        with _pickles(allowed=allow_pickle):
            chosen = _auto_class(source, auto, trust_remote_code=trust_remote_code)
            model, report = chosen.from_pretrained(
                source,
                dtype=torch.float32,
                trust_remote_code=trust_remote_code,
                use_safetensors=None if allow_pickle else True,
                output_loading_info=True,
            )
    except UnsafeWeights:
        raise
    except OSError as error:
        if "safetensors" in str(error) and not allow_pickle:
            raise _unsafe() from error
        raise UnsupportedModel(
            f"the checkpoint cannot be loaded: {first_line(error)}", hint="gpux pull --force", path=source
        ) from error
    except MemoryError:
        raise
    except Exception as error:
        raise UnsupportedModel(
            f"transformers {version('transformers')} cannot load it: {first_line(error)}",
            hint="gpux exporter install transformers gets the newest toolchain",
            path=source,
        ) from error
    # An encoder's pooler may be missing, for nobody reads it; any other missing weight would be random numbers.
    missing = sorted(name for name in report["missing_keys"] if "pooler" not in name)
    if missing:
        raise UnsupportedModel(
            f"the checkpoint lacks weights of {type(model).__name__}: {', '.join(missing[:3])}"
            + (f" and {len(missing) - 3} more" if len(missing) > 3 else ""),
            hint="they would be random; pull a checkpoint that was trained for this task, or choose another --task",
            architecture=type(model).__name__,
        )
    model.config.use_cache = False
    return model.eval()


def _auto_class(source: Path, auto: str | Sequence[str], *, trust_remote_code: bool) -> Any:
    names = [auto] if isinstance(auto, str) else list(auto)
    classes = [getattr(transformers, name) for name in names]
    if len(classes) == 1:
        return classes[0]
    config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=trust_remote_code)
    return next((one for one in classes if type(config) in one._model_mapping), classes[0])  # noqa: SLF001


def compute(
    model: Any, feeds: Mapping[str, np.ndarray], outputs: Sequence[str], *, place: TorchPlace = CPU
) -> dict[str, np.ndarray]:
    """Those of the named outputs that the model has, float32, on arrays by argument name (whole numbers of any width).

    Args:
        model: The model, with its weights where ``place`` says.
        feeds: Argument name → array.
        outputs: Names of outputs.
        place: Where it computes, and in which precision.
    """
    tensors = {name: _tensor(array).to(place.device) for name, array in feeds.items()}
    with torch.inference_mode(), place.casting():
        result = model(**tensors)
    return {
        name: result[name].to("cpu", torch.float32).numpy()
        for name in outputs
        if result.get(name) is not None
    }


def absent(model: Any, outputs: Sequence[str]) -> UnsupportedModel:
    """The error for a model that has none of the outputs."""
    return UnsupportedModel(
        f"{type(model).__name__} returns none of {', '.join(outputs)}",
        hint="try another --task",
        architecture=type(model).__name__,
    )


def first_line(error: BaseException | None) -> str:
    """The first line of an error's text, at most 300 characters."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]


def _tensor(array: np.ndarray) -> Any:
    tensor = torch.from_numpy(np.require(array, requirements=("C", "W")))  # torch shares no other memory
    return tensor.long() if array.dtype.kind in "iu" else tensor


@contextmanager
def _pickles(*, allowed: bool) -> Iterator[None]:
    """Let nothing be unpickled: the files were looked over before, and no configuration talks its way round that."""
    before = torch.load
    if not allowed:
        torch.load = _refuse_pickle
    try:
        yield
    finally:
        torch.load = before


def _refuse_pickle(*_: Any, **__: Any) -> Any:
    raise _unsafe()


def _unsafe() -> UnsafeWeights:
    return UnsafeWeights(
        "the weights are pickled, which can run code when they are loaded",
        hint="use a revision with safetensors, or pass --allow-pickle if you trust the authors",
    )
