"""The source model in PyTorch behind the contract of an opened graph, so that a session and a task can run over it.

Imported only in the exporter's environment; knows no task and no store.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from gpux.errors import InvalidSetting, RunFailed, UnsupportedModel
from gpux.export import checkpoint
from gpux.export.torch_place import TorchPlace
from gpux.provider import Placement
from gpux.tensors import TensorSpec

_LENGTHS = (5, 7)  # of the two runs that show which axes follow those of the inputs
_SCALES = {"height": 32, "width": 32, "samples": 2_000}  # what is too small at such a length
_NONE: Mapping[str, str] = MappingProxyType({})


class TorchGraph:
    """One model in eager PyTorch, its weights in fp32; a :class:`gpux.provider.Opened`.

    Safe to run from several threads at once: a forward pass in inference mode changes nothing.

    Attributes:
        inputs: The inputs that the model's ``forward`` takes, of those that were asked for.
        outputs: The outputs that it gives, of those that were asked for, float32.
    """

    def __init__(
        self,
        model: Any,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        aliases: Mapping[str, str],
        place: TorchPlace,
    ) -> None:
        self._model = model
        self._place = place
        self._own = {spec.name: aliases.get(spec.name, spec.name) for spec in outputs}
        self._leaves = sum(1 for module in model.modules() if next(module.children(), None) is None)
        self.inputs = inputs
        self.outputs = outputs

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Arrays in by input name, float32 arrays out by output name (all outputs when ``None``).

        Raises:
            RunFailed: The model failed, has no such output, or is closed.
        """
        names = list(self._own) if outputs is None else list(outputs)
        unknown = [name for name in names if name not in self._own]
        if unknown or self._model is None:
            raise RunFailed(
                f"the model has no output `{unknown[0]}`" if unknown else "the model is closed",
                hint=f"it has {', '.join(self._own)}" if unknown else "open it again",
            )
        try:
            own = [self._own[name] for name in names]
            found = checkpoint.compute(self._model, feeds, own, place=self._place)
            return {name: found[self._own[name]] for name in names}
        except Exception as error:
            full = isinstance(error, torch.OutOfMemoryError)
            raise RunFailed(
                f"PyTorch failed while running: {checkpoint.first_line(error)}",
                hint="give smaller batches (--batch-size 1), or close other programs on the device"
                if full
                else "check the inputs' shapes against gpux show",
                provider="pytorch",
            ) from error

    def placement(self) -> Placement:
        """Everything on the one device; a node is a module without modules of its own."""
        place = self._place
        return Placement("pytorch", place.title, place.precision, {"PyTorch": self._leaves}, 1.0)

    def close(self) -> None:
        """Let go of the weights."""
        self._model = None


def open_torch(
    source: Path,
    *,
    auto: str | Sequence[str],
    outputs: Sequence[str],
    inputs: Sequence[TensorSpec],
    threads: int,
    device: str = "cpu",
    precision: str = "fp32",
    aliases: Mapping[str, str] = _NONE,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> TorchGraph:
    """Load the model that a graph was made from, as the certificate's reference was: eval mode, fp32, inference mode.

    Args:
        source: The model's directory, weights included.
        auto: The transformers auto class (:attr:`gpux.head.Head.auto`).
        outputs: Names of the outputs to give, as the graph has them; those that the model has are kept.
        inputs: The graph's inputs; those that the model's ``forward`` takes are kept.
        threads: PyTorch's intra-op threads, for the whole process.
        device: PyTorch's name for where it computes: ``cpu``, ``cuda:0``, ``mps:0``, ``xpu:0``.
        precision: ``fp32``, or ``fp16`` and ``bf16`` for PyTorch's autocast to it: weights stay as they are.
        aliases: Names that graphs give outputs → the model's own (:attr:`gpux.head.Head.aliases`).
        allow_pickle: Whether weights may be a pickle (loaded with ``weights_only``).
        trust_remote_code: Whether the checkpoint's own code may run.

    Raises:
        InvalidSetting: ``threads`` is below 1, PyTorch sees no such device, or cannot compute in that precision.
        UnsafeWeights: The weights are pickled, and that was not allowed.
        UnsupportedModel: transformers cannot load it, its head has no weights, or it has none of the inputs or outputs.
        RunFailed: It fails on five tokens.
    """
    if threads < 1:
        raise InvalidSetting(
            f"{threads} threads cannot run anything", hint="give a number from 1", threads=threads
        )
    place = TorchPlace.find(device, precision)
    torch.set_num_threads(threads)
    model = checkpoint.load(source, auto, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
    model = _moved(model, place)
    takes = inspect.signature(model.forward).parameters
    kept = tuple(spec for spec in inputs if spec.name in takes)
    if not kept:
        raise UnsupportedModel(
            f"{type(model).__name__} takes none of {', '.join(spec.name for spec in inputs)}",
            hint="try another --task",
            architecture=type(model).__name__,
        )
    return TorchGraph(model, kept, _outputs(model, kept, outputs, aliases, place), aliases, place)


def _moved(model: Any, place: TorchPlace) -> Any:
    try:
        return model.to(place.device)
    except Exception as error:
        raise RunFailed(
            f"PyTorch cannot put {type(model).__name__} on {place.title}: {checkpoint.first_line(error)}",
            hint="close other programs on the device, or compute on the cpu",
            provider="pytorch",
        ) from error


def _outputs(
    model: Any,
    inputs: tuple[TensorSpec, ...],
    outputs: Sequence[str],
    aliases: Mapping[str, str],
    place: TorchPlace,
) -> tuple[TensorSpec, ...]:
    """The outputs that the model has, typed by what two runs on one item give."""
    own = {name: aliases.get(name, name) for name in outputs}
    short, long = (_try(model, inputs, list(own.values()), length, place) for length in _LENGTHS)
    if not short:
        raise checkpoint.absent(model, list(own.values()))
    free = "sequence" if any("sequence" in spec.shape for spec in inputs) else "size"
    return tuple(
        TensorSpec(name, "float32", _shape(short[known].shape, long[known].shape, free))
        for name, known in own.items()
        if known in short
    )


def _try(
    model: Any, inputs: tuple[TensorSpec, ...], outputs: list[str], length: int, place: TorchPlace
) -> dict[str, np.ndarray]:
    feeds = {spec.name: np.zeros(_sizes(spec, length), spec.dtype) for spec in inputs}
    for name in {"attention_mask", "pixel_mask"} & set(feeds):
        feeds[name].fill(1)
    try:
        return checkpoint.compute(model, feeds, outputs, place=place)
    except Exception as error:
        raise RunFailed(
            f"{type(model).__name__} fails on inputs of length {length}: {checkpoint.first_line(error)}",
            hint="the checkpoint may be damaged: gpux pull --force",
            provider="pytorch",
        ) from error


def _sizes(spec: TensorSpec, length: int) -> tuple[int, ...]:
    """One item whose free axes have a length: axes of the graph that the model came with."""
    rest = (size if isinstance(size, int) else length * _SCALES.get(size or "", 1) for size in spec.shape[1:])
    return (1, *rest)


def _shape(short: tuple[int, ...], long: tuple[int, ...], free: str) -> tuple[int | str, ...]:
    rest = tuple(size if size == other else free for size, other in zip(short[1:], long[1:], strict=True))
    return ("batch", *rest) if short else ()
