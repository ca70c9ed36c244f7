"""``com.microsoft::GroupQueryAttention`` in OpenVINO's own every row of a batch by its own length; knows no session.

OpenVINO's own translation (2026.4) takes the first row's length for all of them, and leaves ``softcap`` out:
``src/common/transformations/src/transformations/op_conversions/group_query_attention_decomposition.cpp``.
The operator is specified in ONNX Runtime's ``docs/ContribOperators.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._openvino_heads import count, is_given, rotated, split, whole
from ._openvino_import import opset
from ._openvino_scores import Scores, attend, mask

OPERATOR, DOMAIN = "GroupQueryAttention", "com.microsoft"
_UNKNOWN = {10: "attention_bias", 12: "k_scale", 13: "v_scale"}
"""Optional inputs that are not translated."""


@dataclass(frozen=True, slots=True)
class Attention:
    """One attention of a graph, as it was read.

    Attributes:
        query: float [batch, heads, sequence, size].
        key: float [batch, key heads, sequence, size], without what is remembered.
        value: As ``key``.
        before: int64 [batch, 1]: tokens of each row before this run.
        past: The inputs that hold what is remembered, keys then values.
        how: How scores are made.
        outputs: Answer, keys and values, as the rest of the graph reads them.
    """

    query: Any
    key: Any
    value: Any
    before: Any
    past: tuple[Any, Any]
    how: Scores
    outputs: tuple[Any, Any, Any]


def converter(found: list[Attention]) -> Callable[[Any], list[Any]]:
    """What OpenVINO's ONNX frontend calls for each attention: it is translated with past and present of one size, and noted."""

    def convert(node: Any) -> list[Any]:
        inputs = [node.get_input(at) for at in range(node.get_input_size())]
        if unknown := [name for at, name in _UNKNOWN.items() if is_given(inputs, at)]:
            raise ValueError(f"{OPERATOR} with `{unknown[0]}` is not translated")
        heads, fewer = (int(node.get_attribute(name)) for name in ("num_heads", "kv_num_heads"))
        query, key, value = split(inputs[:3], heads, fewer, inputs[3])
        size = int(query.get_output_partial_shape(0)[3].get_length())
        before = _before(query, inputs[5], inputs[6])
        if int(node.get_attribute("do_rotary", 0)):
            turned = bool(int(node.get_attribute("rotary_interleaved", 0)))
            at = inputs[9] if is_given(inputs, 9) else opset().add(count(query, 2), before)
            query, key = (rotated(one, at, inputs[7], inputs[8], interleaved=turned) for one in (query, key))
        how = Scores(
            scale=float(node.get_attribute("scale", 0.0)) or size**-0.5,
            window=int(node.get_attribute("local_window_size", -1)),
            softcap=float(node.get_attribute("softcap", 0.0)),
            sink=inputs[11] if is_given(inputs, 11) else None,
        )
        past = (inputs[3], inputs[4])
        kept = [_written(old, new, before) for old, new in zip(past, (key, value), strict=True)]
        slots = opset().unsqueeze(count(kept[0], 2), whole([0]))
        seen = mask(query, before, slots, how.window)
        answer = attend(query, kept[0], kept[1], seen, how).output(0)
        outputs = (answer, kept[0].output(0), kept[1].output(0))
        found.append(Attention(query, key, value, before, past, how, outputs))
        return list(outputs)

    return convert


def _before(query: Any, last: Any, total: Any) -> Any:
    """Tokens of each row before this run: none where the longest row is this run's whole sequence (a first prompt)."""
    sequence = opset().gather(opset().shape_of(query), whole([2]), whole(0))
    length = opset().add(
        opset().convert(opset().reshape(last, whole([-1, 1]), special_zero=False), "i64"), whole(1)
    )
    first = opset().equal(
        opset().reshape(opset().convert(total, "i64"), whole([1]), special_zero=False), sequence
    )
    return opset().select(first, opset().multiply(length, whole(0)), opset().subtract(length, sequence))


def _written(past: Any, fresh: Any, before: Any) -> Any:
    """The buffer, as long as the longest row, with this run's tokens at each row's own place."""
    sequence = opset().gather(opset().shape_of(fresh), whole([2]), whole(0))
    at = opset().subtract(opset().unsqueeze(count(past, 2), whole([0])), before)
    inside = opset().logical_and(opset().greater_equal(at, whole(0)), opset().less(at, sequence))
    taken = opset().minimum(opset().maximum(at, whole(0)), opset().subtract(sequence, whole(1)))
    rows = opset().gather(fresh, taken, whole(2), 1)
    return opset().select(opset().unsqueeze(inside, whole([1, 3])), rows, past)
