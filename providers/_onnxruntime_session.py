"""An open ONNX Runtime session: arrays in, arrays out, and where the runtime put each node; knows no provider."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpux.errors import RunFailed
from gpux.provider import Placement
from gpux.tensors import TensorSpec

from ._onnxruntime_rows import OnnxRuntimeRows
from ._onnxruntime_trouble import Trouble, explain, first_line

_DTYPES = {
    "float": "float32", "double": "float64", "float16": "float16", "bfloat16": "bfloat16", "bool": "bool", "string": "str",
    "int8": "int8", "int16": "int16", "int32": "int32", "int64": "int64",
    "uint8": "uint8", "uint16": "uint16", "uint32": "uint32", "uint64": "uint64",
}  # fmt: skip


class OnnxRuntimeSession:
    """One ``InferenceSession``; ``run`` is safe from several threads (ONNX Runtime's own guarantee)."""

    def __init__(
        self, session: Any, name: str, native: str, device: str, precision: str, *, memory: str = "cpu"
    ) -> None:
        self._session = session
        self._memory = memory
        self._name = name
        self._native = native
        self._device = device
        self._precision = precision
        self.inputs = tuple(_spec(arg) for arg in session.get_inputs())
        self.outputs = tuple(_spec(arg) for arg in session.get_outputs())
        self._output_names = [spec.name for spec in self.outputs]

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run the graph once."""
        names = self._output_names if outputs is None else list(outputs)
        try:
            return dict(zip(names, self._session.run(names, feeds), strict=True))
        except Exception as error:
            raise failed(self._native, error, self._name) from error

    def bind(
        self,
        pairs: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        held: Mapping[str, np.ndarray],
        moving: bool = False,
    ) -> OnnxRuntimeRows:
        """Tensors that stay on the device between runs."""
        return OnnxRuntimeRows(
            self._session,
            self._memory,
            pairs=pairs,
            shapes=shapes,
            dtypes={spec.name: spec.dtype for spec in self.inputs},
            held=held,
            moving=moving,
            failed=lambda error: failed(self._native, error, self._name),
        )

    def placement(self) -> Placement:
        """Nodes by execution provider, as ONNX Runtime assigned them."""
        if not hasattr(self._session, "get_provider_graph_assignment_info"):
            raise RunFailed(
                "this version of onnxruntime does not tell where it puts nodes",
                hint="pip install --upgrade onnxruntime, or the distribution of it that is here, to 1.24 or newer",
                provider=self._name,
            )
        counts: dict[str, int] = {}
        left: set[str] = set()
        for subgraph in self._session.get_provider_graph_assignment_info():
            counts[subgraph.ep_name] = counts.get(subgraph.ep_name, 0) + len(subgraph.get_nodes())
            if subgraph.ep_name != self._native:
                left.update(node.op_type for node in subgraph.get_nodes())
        total = sum(counts.values())
        # A graph that folds to constants has no node left to place: nothing went elsewhere.
        share = counts.get(self._native, 0) / total if total else 1.0
        return Placement(self._name, self._device, self._precision, counts, share, tuple(sorted(left)))

    def close(self) -> None:
        """Let go of the runtime's memory."""
        self._session = None


def failed(native: str, error: Exception, name: str, extra: str = "") -> RunFailed:
    """The error for a run that the runtime gave up."""
    trouble = explain(str(error), native=native, extra=extra or name)
    if trouble is None:
        hint = "check the inputs' shapes against gpux show, or try another --provider"
        trouble = Trouble(first_line(error), hint)
    return RunFailed(f"{native} failed while running: {trouble.reason}", hint=trouble.hint, provider=name)


def _spec(arg: Any) -> TensorSpec:
    match = re.fullmatch(r"tensor\((\w+)\)", arg.type)
    dtype = _DTYPES.get(match[1], match[1]) if match else arg.type
    return TensorSpec(arg.name, dtype, tuple(arg.shape))
