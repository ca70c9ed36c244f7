"""The null provider: zeros of the right shape, so that everything above a runtime can be tested without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gpux.errors import RunFailed
from gpux.onnx_reader import OnnxError, read_graph
from gpux.provider import Device, Opened, Options, Placement, Probe, Runtime, State
from gpux.tensors import TensorSpec


class Null:
    """Computes nothing, in every precision, everywhere; never chosen unless named."""

    name = "null"
    runtime = Runtime("gpux", "NullProvider")
    extra = ""
    rank = -1
    computes = False

    def probe(self) -> Probe:
        """Always works."""
        return Probe(self.name, State.WORKS, (Device("none", "null"),))

    def open(self, graph: Path, options: Options, /) -> Opened:
        """Read the graph's inputs and outputs, and nothing else of it."""
        try:
            summary = read_graph(graph)
        except (OnnxError, OSError) as error:
            raise RunFailed(
                f"`{graph.name}` is no ONNX graph: {error}", hint="gpux verify", path=graph
            ) from error
        return _Zeros(summary.inputs, summary.outputs, summary.nodes, options.precision)


class _Zeros:
    def __init__(
        self, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], nodes: int, precision: str
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._placement = Placement("null", "none", precision, {"NullProvider": nodes}, 1.0)

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        sizes: dict[str, int] = {}
        for spec in self.inputs:
            if spec.name in feeds:
                named = zip(spec.shape, feeds[spec.name].shape, strict=False)
                sizes.update({symbol: size for symbol, size in named if isinstance(symbol, str)})
        return {
            spec.name: np.zeros([_size(dim, sizes) for dim in spec.shape], spec.dtype)
            for spec in self.outputs
            if outputs is None or spec.name in outputs
        }

    def placement(self) -> Placement:
        return self._placement

    def close(self) -> None:
        """Nothing is held."""


def _size(dim: int | str | None, sizes: Mapping[str, int]) -> int:
    return dim if isinstance(dim, int) else sizes.get(dim or "", 1)


provider = Null()
