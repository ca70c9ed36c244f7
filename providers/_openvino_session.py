"""A graph that OpenVINO compiled: arrays in, arrays out, and what the runtime says of where and how it computes."""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpux.errors import RunFailed
from gpux.onnx_reader import GraphSummary
from gpux.provider import Placement
from gpux.tensors import TensorSpec

from ._openvino_placement import placement
from ._openvino_shapes import Sizes
from ._openvino_words import failed

_SHAPES = 16
"""Shapes for which compiled graphs are kept, where each has one of its own."""
_LIMITS = np.iinfo(np.int32)


class OpenVinoSession:
    """One compiled graph, or one per shape of its inputs; every run takes an idle request, so threads do not wait for another.

    Args:
        core: OpenVINO's ``Core``.
        model: The graph as OpenVINO read it.
        device: OpenVINO's name for the device.
        properties: What it is compiled with.
        fixed: Whether every shape of the inputs gets a compiled graph of its own.
        declared: What the file declares: OpenVINO forgets the names of dimensions.
    """

    def __init__(
        self,
        core: Any,
        model: Any,
        device: str,
        properties: Mapping[str, Any],
        *,
        fixed: bool,
        declared: GraphSummary | None = None,
    ) -> None:
        self._core, self._model, self._device, self._properties = core, model, device, dict(properties)
        names = {spec.name: spec for spec in (*declared.inputs, *declared.outputs)} if declared else {}
        self.inputs = tuple(_spec(port, names) for port in model.inputs)
        self.outputs = tuple(_spec(port, names) for port in model.outputs)
        self._names = [spec.name for spec in self.outputs]
        self._sizes = Sizes(self.inputs, self.outputs)
        self._takes = {spec.name for spec in self.inputs}
        self._wide = [spec.name for spec in self.inputs if spec.dtype in {"int64", "uint64", "uint32"}]
        for spec in (*self.inputs, *self.outputs):
            if spec.dtype in {"str", "string"}:  # its Python module frees what is not its own
                raise ValueError(f"`{spec.name}` is text, which only other providers take")
        self._lock = threading.Lock()
        self._compiled: Any = self._ready(model)
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._fixed = fixed
        self._shaped: OrderedDict[tuple[Any, ...], tuple[queue.SimpleQueue[Any], Any]] = OrderedDict()

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run the graph once."""
        names = self._names if outputs is None else list(outputs)
        self._check(feeds, names)
        try:
            idle, compiled = self._request(feeds)
            try:
                request = idle.get_nowait()
            except queue.Empty:
                request = compiled.create_infer_request()
            found = request.infer(dict(feeds), share_inputs=True)
        except Exception as error:
            raise failed(self._device, error) from error
        arrays = dict(zip(self._names, found.values(), strict=True))
        if stale := self._sizes.wrong(feeds, arrays):
            why = f"no memory for output `{stale}`, which came back as the last run had it"
            raise failed(self._device, MemoryError(why))
        idle.put(request)  # one that failed would go on failing, and is let go
        return {name: arrays[name] for name in names}

    def placement(self) -> Placement:
        """Nodes and precision of the compiled graph, as the runtime tells them."""
        return placement(self._compiled)

    def close(self) -> None:
        """Let go of the runtime's memory."""
        self._compiled = self._model = self._core = None
        self._idle = queue.SimpleQueue()
        self._shaped.clear()

    def _check(self, feeds: Mapping[str, np.ndarray], names: Sequence[str]) -> None:
        """What OpenVINO would answer wrongly without a word: an input that is left out keeps what the last run had in it."""
        why = None
        if self._core is None:
            why = "the session is closed"
        elif feeds.keys() != self._takes:
            why = f"it takes {', '.join(sorted(self._takes))}, and was given {', '.join(sorted(feeds)) or 'nothing'}"
        elif unknown := [name for name in names if name not in self._names]:
            why = f"the graph has no output `{unknown[0]}`"
        for name in () if why else self._wide:
            array = feeds[name]
            if array.size and not _LIMITS.min <= int(array.min()) <= int(array.max()) <= _LIMITS.max:
                why = f"it computes whole numbers in 32 bits, and `{name}` holds larger ones"
        if why:
            raise RunFailed(
                f"OpenVINO failed while running on {self._device}: {why}",
                hint="check the inputs against gpux show, or try another --provider",
                provider="openvino",
            )

    def _ready(self, model: Any) -> Any:
        return self._compile(model)

    def _compile(self, model: Any) -> Any:
        return self._core.compile_model(model, self._device, self._properties)

    def _request(self, feeds: Mapping[str, np.ndarray]) -> tuple[queue.SimpleQueue[Any], Any]:
        """Idle requests for these shapes, and what makes another."""
        if not self._fixed:
            return self._idle, self._compiled
        shapes = tuple((name, array.shape) for name, array in sorted(feeds.items()))
        with self._lock:
            entry = self._shaped.get(shapes)
            if entry is None:
                model = self._model.clone()
                model.reshape({name: list(shape) for name, shape in shapes})
                entry = self._shaped[shapes] = (queue.SimpleQueue(), self._compile(model))
                if len(self._shaped) > _SHAPES:
                    self._shaped.popitem(last=False)
            self._shaped.move_to_end(shapes)
            return entry


def _spec(port: Any, declared: Mapping[str, TensorSpec]) -> TensorSpec:
    name = port.get_any_name()
    if name in declared:
        return declared[name]
    shape = tuple(dim.get_length() if dim.is_static else None for dim in port.get_partial_shape())
    dtype = port.get_element_type()
    kind = "bfloat16" if dtype.get_type_name() == "bf16" else np.dtype(dtype.to_dtype()).name
    return TensorSpec(name, kind, shape)
