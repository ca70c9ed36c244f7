"""``com.microsoft::GatherBlockQuantized`` in OpenVINO's operators: rows of a quantised table, which are numbers only once they are taken.

The operator is specified in ONNX Runtime's ``docs/ContribOperators.md``; OpenVINO's own translation (2026.4) gives no type.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._openvino_heads import is_given, whole
from ._openvino_import import opset

OPERATOR = "GatherBlockQuantized"
_BYTE, _NIBBLE = 8, 4


def gather(node: Any) -> list[Any]:
    """What OpenVINO's ONNX frontend calls for the operator, with blocks along the rows."""
    inputs = [node.get_input(at) for at in range(node.get_input_size())]
    table, indices, scales = inputs[:3]
    bits, block = int(node.get_attribute("bits", _NIBBLE)), int(node.get_attribute("block_size", 128))
    wide = len(table.get_partial_shape())
    along = int(node.get_attribute("quantize_axis", 1)) % wide
    packed = table.get_element_type().get_type_name() == "u8"
    if int(node.get_attribute("gather_axis", 0)) or along != wide - 1 or wide != 2:
        raise ValueError(f"{OPERATOR} along other axes than rows is not translated")
    halves = packed and bits == _NIBBLE
    zero: Any = opset().constant(np.float32(1 << (bits - 1) if packed else 0))
    if is_given(inputs, 3):
        taken = _taken(inputs[3], indices, halves=halves)
        blocks = int(scales.get_partial_shape()[1].get_length())
        zero = opset().unsqueeze(_cut(taken, blocks), whole([-1]))
    numbers = _taken(table, indices, halves=halves)
    apart = opset().reshape(numbers, _sizes(indices, [-1, block]), special_zero=False)
    factor = opset().unsqueeze(opset().gather(scales, indices, whole(0)), whole([-1]))
    real = opset().multiply(opset().subtract(apart, zero), opset().convert(factor, "f32"))
    flat = opset().reshape(real, _sizes(indices, [-1]), special_zero=False)
    return [opset().convert_like(flat, scales).output(0)]


def _taken(table: Any, indices: Any, *, halves: bool) -> Any:
    """Rows of a table as float32, two numbers from each byte where it holds halves, the low one first."""
    rows = opset().gather(table, indices, whole(0))
    if not halves:
        return opset().convert(rows, "f32")
    numbers = opset().convert(rows, "f32")
    high = opset().floor(opset().divide(numbers, opset().constant(np.float32(16))))
    low = opset().subtract(numbers, opset().multiply(high, opset().constant(np.float32(16))))
    both = opset().concat([opset().unsqueeze(part, whole([-1])) for part in (low, high)], -1)
    return opset().reshape(both, _sizes(indices, [-1]), special_zero=False)


def _cut(numbers: Any, size: int) -> Any:
    """The first so many of the last axis: a byte may hold one half too many."""
    return opset().slice(numbers, whole([0]), whole([size]), whole([1]), whole([-1]))


def _sizes(indices: Any, last: list[int]) -> Any:
    return opset().concat([opset().shape_of(indices), whole(last)], 0)
