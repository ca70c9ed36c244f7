"""Example tensors for a graph's typed inputs: sizes for its symbols, seeded values of every dtype; runs nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gpux.tensors import TensorSpec

if TYPE_CHECKING:
    import numpy as np

NUMERIC = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
)  # fmt: skip
"""The dtypes that runtimes take from numpy and give back to it."""

STYLES = ("signed", "unit", "above")
"""Kinds of floating-point values: normal, between 0 and 1, between 1 and 2; a logarithm takes the last two only."""

MOST = 1 << 25
"""Elements of all inputs together: 128 MiB in single precision; more would prove nothing more."""

_SEED = 20261126
_TERM = r"(?:[A-Za-z_][\w.]*|[0-9]{1,6})"
_SUM = re.compile(rf"\s*{_TERM}(?:\s*[+*]\s*{_TERM})*\s*")


def symbols(specs: Sequence[TensorSpec]) -> tuple[str, ...]:
    """The free sizes of inputs: leading axes first, then the others, each in the order in which they appear.

    ``past + 1`` is made from ``past``; an unnamed size is one per axis, ``?0``, ``?1`` ….
    """
    found = [name for leading in (True, False) for spec in specs for name in _of(spec, leading=leading)]
    return tuple(dict.fromkeys(found))


def leading(spec: TensorSpec) -> str | None:
    """The symbol of a tensor's first axis, where that is free and one symbol alone."""
    if not spec.shape or _fixed(spec.shape[0]) is not None:
        return None
    names = _names(spec.shape[0], 0)
    alone = not isinstance(spec.shape[0], str) or spec.shape[0] == names[0]
    return names[0] if len(names) == 1 and alone else None


def shape(spec: TensorSpec, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A tensor's shape, given a size for every symbol."""
    return tuple(_size(dimension, axis, sizes) for axis, dimension in enumerate(spec.shape))


def elements(specs: Sequence[TensorSpec], sizes: Mapping[str, int]) -> int:
    """Elements of all inputs together."""
    total = 0
    for spec in specs:
        count = 1
        for size in shape(spec, sizes):
            count *= size
        total += count
    return total


def make(
    specs: Sequence[TensorSpec], sizes: Mapping[str, int], *, style: str = STYLES[0], seed: int = 0
) -> dict[str, np.ndarray]:
    """One array per input, the same for the same arguments.

    Integers are 0 and 1, for they may be indices; a mask is all ones.

    Args:
        specs: The inputs; their dtypes must be of :data:`NUMERIC`.
        sizes: A size for every one of :func:`symbols`.
        style: One of :data:`STYLES`.
        seed: Other values for another one.
    """
    import numpy as np

    random = np.random.default_rng([_SEED, seed])
    feeds = {}
    for spec in specs:
        wanted, dtype = shape(spec, sizes), np.dtype(spec.dtype)
        if dtype.kind != "f":
            ones = "mask" in spec.name.lower()
            values = np.ones(wanted) if ones else random.integers(0, 2, wanted)
        elif style == STYLES[0]:
            values = random.normal(0, 1, wanted)
        else:
            values = random.uniform(0, 1, wanted) + (style == STYLES[2])
        feeds[spec.name] = np.asarray(values).astype(dtype)
    return feeds


def _of(spec: TensorSpec, *, leading: bool) -> list[str]:
    return [
        name
        for axis, dimension in enumerate(spec.shape)
        if (axis == 0) == leading
        for name in _names(dimension, axis)
    ]


def _names(dimension: int | str | None, axis: int) -> list[str]:
    if _fixed(dimension) is not None:
        return []
    if not isinstance(dimension, str):
        return [f"?{axis}"]
    if not _SUM.fullmatch(dimension):
        return [dimension]
    return [term for term in re.findall(_TERM, dimension) if not term.isdigit()]


def _fixed(dimension: int | str | None) -> int | None:
    # An exporter's -1 means that it does not know.
    return dimension if isinstance(dimension, int) and 0 <= dimension < 1 << 62 else None


def _size(dimension: int | str | None, axis: int, sizes: Mapping[str, int]) -> int:
    if (fixed := _fixed(dimension)) is not None:
        return fixed
    if not isinstance(dimension, str):
        return sizes[f"?{axis}"]
    if not _SUM.fullmatch(dimension):
        return sizes[dimension]
    total = 0
    for product in dimension.split("+"):
        value = 1
        for term in product.split("*"):
            value *= int(term) if term.strip().isdigit() else sizes[term.strip()]
        total += value
    return total
