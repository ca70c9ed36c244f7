"""A graph file and the sizes that the task will ask for → shapes for runtimes that compile for a range; knows no runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gpux.onnx_reader import OnnxError, read_graph
from gpux.tensors import TensorSpec


def ranges(
    graph: Path | bytes, dimensions: Mapping[str, tuple[int, int, int]]
) -> tuple[dict[str, tuple[int, ...]], ...]:
    """Smallest, usual and largest shape of every input, by name; nothing where one dimension's range is unknown.

    A graph whose inputs all have fixed shapes needs none and has none.
    """
    inputs = _inputs(graph)
    free = {dim for spec in inputs for dim in spec.shape if not isinstance(dim, int)}
    if not free or not all(dim is not None and dim in dimensions for dim in free):
        return ()
    return tuple(
        {
            spec.name: tuple(
                dim if isinstance(dim, int) else dimensions[str(dim)][which] for dim in spec.shape
            )
            for spec in inputs
        }
        for which in range(3)
    )


def fixed(graph: Path | bytes) -> bool:
    """Whether every input of a graph file has one shape only."""
    inputs = _inputs(graph)
    return bool(inputs) and all(isinstance(dim, int) for spec in inputs for dim in spec.shape)


def _inputs(graph: Path | bytes) -> tuple[TensorSpec, ...]:
    if isinstance(graph, bytes):
        return ()
    try:
        return read_graph(graph).inputs
    except (OnnxError, OSError):  # the runtime says better what is wrong with it
        return ()
