"""A model that writes, in eager PyTorch with transformers' own cache, behind the contract of an opened graph whose cache grows.

Imported only in the exporter's environment; knows no loop and no task.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from gpux.errors import InvalidSetting, RunFailed, UnsupportedModel
from gpux.export import checkpoint
from gpux.export.torch_place import TorchPlace
from gpux.provider import Placement
from gpux.tensors import TensorSpec

_TAKEN = (
    TensorSpec("input_ids", "int64", ("batch", "sequence")),
    TensorSpec("attention_mask", "int64", ("batch", "total")),
    TensorSpec("position_ids", "int64", ("batch", "sequence")),
    TensorSpec("logits_to_keep", "int64", ("kept",)),
)
# One pair stands for the whole cache, which never leaves PyTorch; its sizes are nobody's business.
_PAST = tuple(
    TensorSpec(f"past_key_values.0.{part}", "float32", ("batch", 1, "past", 1)) for part in ("key", "value")
)
_LOGITS = TensorSpec("logits", "float32", ("batch", "kept", "vocabulary"))


class TorchWriter:
    """One causal model; a :class:`gpux.provider.Opened` that binds.

    Attributes:
        inputs: Those of a decoder's graph that the model's ``forward`` takes, and a cache that grows.
        outputs: The scores.
    """

    def __init__(self, model: Any, place: TorchPlace) -> None:
        takes = inspect.signature(model.forward).parameters
        self._model, self._place = model, place
        # What transformers called `past_key_values` until 5.24.
        self._cached = "cache" if "cache" in takes else "past_key_values"
        self._leaves = sum(1 for module in model.modules() if next(module.children(), None) is None)
        self.inputs = (*(spec for spec in _TAKEN if spec.name in takes), *_PAST)
        self.outputs = (_LOGITS,)

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Scores without a cache."""
        del outputs
        return self.compute({name: array for name, array in feeds.items() if name in self._names()}, None)

    def bind(
        self,
        pairs: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        held: Mapping[str, np.ndarray],
        moving: bool = False,
    ) -> TorchBound:
        """A cache of transformers' own."""
        del pairs, shapes, held, moving
        return TorchBound(self)

    def compute(self, feeds: Mapping[str, np.ndarray], cache: Any) -> dict[str, np.ndarray]:
        """Scores, with what was read before in the cache.

        Raises:
            RunFailed: The model failed, or is closed.
        """
        if self._model is None:
            raise RunFailed("the model is closed", hint="open it again")
        tensors = {
            name: torch.from_numpy(np.require(array, requirements=("C", "W"))).to(self._place.device)
            for name, array in feeds.items()
        }
        try:
            with torch.inference_mode(), self._place.casting():
                found = self._model(**tensors, **{self._cached: cache}, use_cache=cache is not None)
            return {"logits": found.logits.to("cpu", torch.float32).numpy()}
        except Exception as error:
            raise RunFailed(
                f"PyTorch failed while running: {checkpoint.first_line(error)}",
                hint="give a shorter prompt, or close other programs",
                provider="pytorch",
            ) from error

    def placement(self) -> Placement:
        """Everything on the one device; a node is a module without modules of its own."""
        place = self._place
        return Placement("pytorch", place.title, place.precision, {"PyTorch": self._leaves}, 1.0)

    def close(self) -> None:
        """Let go of the weights."""
        self._model = None

    def cache(self) -> Any:
        """An empty one, of the layers' own kinds."""
        return DynamicCache(config=self._model.config.get_text_config(decoder=True))

    def _names(self) -> set[str]:
        return {spec.name for spec in self.inputs} - {spec.name for spec in _PAST}


class TorchBound:
    """A model and what it has read; a :class:`gpux.provider.Bound`."""

    def __init__(self, writer: TorchWriter) -> None:
        self._writer = writer
        self._cache = writer.cache()

    def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Read more tokens."""
        del outputs
        return self._writer.compute(feeds, self._cache)

    def grow(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Forget what is behind the new length; the cache makes room by itself."""
        self._cache.crop(next(iter(shapes.values()))[2])

    def pick(self, rows: Sequence[int], *, held: bool = True) -> None:
        """Put rows in this order."""
        del held
        self._cache.batch_select_indices(torch.tensor(list(rows)))

    def close(self) -> None:
        """Let go of what was read."""
        self._cache = None


def open_writer(
    source: Path,
    *,
    auto: str | Sequence[str],
    threads: int,
    device: str = "cpu",
    precision: str = "fp32",
) -> TorchWriter:
    """Load a causal model as the certificate's reference was: eval mode, fp32.

    Args:
        source: The model's directory, weights included.
        auto: The transformers auto class (:attr:`gpux.head.Head.auto`).
        threads: PyTorch's intra-op threads, for the whole process.
        device: PyTorch's name for where it computes.
        precision: ``fp32``, or ``fp16`` and ``bf16`` for PyTorch's autocast.

    Raises:
        InvalidSetting: ``threads`` is below 1, PyTorch sees no such device, or cannot compute in that precision.
        UnsupportedModel: transformers cannot load it, or it reads a source besides what it writes.
    """
    if threads < 1:
        raise InvalidSetting(
            f"{threads} threads cannot run anything", hint="give a number from 1", threads=threads
        )
    place = TorchPlace.find(device, precision)
    torch.set_num_threads(threads)
    model = checkpoint.load(source, auto, allow_pickle=False, trust_remote_code=False)
    if model.config.is_encoder_decoder:
        raise UnsupportedModel(
            f"{type(model).__name__} reads a source besides what it writes, which is not measured in PyTorch",
            hint="leave mode=torch out",
            architecture=type(model).__name__,
        )
    return TorchWriter(model.to(place.device), place)
