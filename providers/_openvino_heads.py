"""Queries, keys and values of an ONNX Runtime attention, apart by heads and turned by position, in OpenVINO's opset()."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._openvino_import import opset

_SWAP = [0, 2, 1, 3]


def split(inputs: Sequence[Any], heads: int, fewer: int, past: Any) -> list[Any]:
    """Queries, keys and values: each float [batch, heads or fewer, sequence, size].

    Args:
        inputs: Each [batch, sequence, heads * size]; or all three side by side in the first, and two that are not given.
        heads: Heads of the queries.
        fewer: Heads of keys and values.
        past: [batch, fewer, capacity, size], which tells the size where the others do not.
    """
    size = _static(past, 3) or _static(inputs[0], 2) // (heads if is_given(inputs, 1) else heads + 2 * fewer)
    if is_given(inputs, 1):
        return [_apart(one, number, size) for one, number in zip(inputs, (heads, fewer, fewer), strict=True)]
    packed = _turned(inputs[0], heads + 2 * fewer, size)
    parts = opset().variadic_split(packed, whole(1), whole([heads, fewer, fewer]))
    return [opset().reshape(one, whole([0, 0, 0, 0]), special_zero=True) for one in parts.outputs()]


def rotated(one: Any, at: Any, cosines: Any, sines: Any, *, interleaved: bool) -> Any:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864) on the first ``2 * cosines.shape[1]`` of each head's sizes.

    Args:
        one: float [batch, heads, sequence, size].
        at: int64 [batch, sequence].
        cosines: float [positions, half].
        sines: As ``cosines``.
        interleaved: Whether pairs stand side by side; else the first half is paired with the second.
    """
    size = int(one.get_output_partial_shape(0)[3].get_length())
    half = int(cosines.get_partial_shape()[1].get_length())
    cosine, sine = (
        opset().unsqueeze(opset().gather(table, at, whole(0)), whole([1])) for table in (cosines, sines)
    )
    step = 2 if interleaved else 1
    stop = 2 * half if interleaved else half
    first = opset().slice(one, whole([0]), whole([stop]), whole([step]), whole([3]))
    second = opset().slice(
        one, whole([1 if interleaved else half]), whole([2 * half]), whole([step]), whole([3])
    )
    pairs = [
        opset().subtract(opset().multiply(first, cosine), opset().multiply(second, sine)),
        opset().add(opset().multiply(second, cosine), opset().multiply(first, sine)),
    ]
    if interleaved:
        beside = opset().concat([opset().unsqueeze(part, whole([4])) for part in pairs], 4)
        pairs = [opset().reshape(beside, whole([0, 0, 0, -1]), special_zero=True)]
    if size > 2 * half:
        pairs.append(opset().slice(one, whole([2 * half]), whole([size]), whole([1]), whole([3])))
    return opset().concat(pairs, 3)


def count(of: Any, axis: int) -> Any:
    """The numbers from 0 of an axis, int64 [its size]."""
    size = opset().gather(opset().shape_of(of), whole(axis), whole(0))
    return opset().range(whole(0), size, whole(1), "i64")


def is_given(inputs: Sequence[Any], at: int) -> bool:
    """Whether an operator's optional input is there."""
    return at < len(inputs) and "Null" not in inputs[at].get_node().get_type_name()


def whole(value: Any) -> Any:
    """A constant of int64."""
    return opset().constant(np.asarray(value, np.int64))


def _apart(flat: Any, heads: int, size: int) -> Any:
    """[batch, sequence, heads * size] → [batch, heads, sequence, size], from where the graph itself had it so."""
    made = flat.get_node()
    swapped = made.input_value(0).get_node() if made.get_type_name() == "Reshape" else None
    if swapped is not None and swapped.get_type_name() == "Transpose":
        shape, order = swapped.get_input_partial_shape(0), swapped.input_value(1).get_node()
        same = len(shape) == len(_SWAP) and shape[3].is_static and shape[3].get_length() == size
        if same and order.get_type_name() == "Constant" and order.get_data().tolist() == _SWAP:
            return opset().reshape(swapped.input_value(0), whole([0, heads, -1, size]), special_zero=True)
    return _turned(flat, heads, size)


def _turned(flat: Any, heads: int, size: int) -> Any:
    return opset().transpose(
        opset().reshape(flat, whole([0, 0, heads, size]), special_zero=True), whole(_SWAP)
    )


def _static(output: Any, axis: int) -> int:
    """The size of an axis, 0 where the graph leaves it open."""
    shape = output.get_partial_shape()
    known = shape.rank.is_static and shape[axis].is_static
    return int(shape[axis].get_length()) if known else 0
