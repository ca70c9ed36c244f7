"""Scores and answers of attention in OpenVINO's operators, in the form that it fuses; knows no graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._openvino_heads import count, whole
from ._openvino_import import opset

_NEVER = -65504.0
"""What is added to a score that may not count: fp16 holds it, and a row without any key stays finite."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How an attention makes scores.

    Attributes:
        scale: What they are multiplied by.
        window: Keys that a query sees at most, its own with them; all when -1.
        softcap: They are bent to stay below it; 0 is none.
        sink: float [heads]: a score that takes its share and gives nothing, if there is one.
    """

    scale: float
    window: int
    softcap: float
    sink: Any = None


def attend(query: Any, key: Any, value: Any, seen: Any, how: Scores) -> Any:
    """The answers, float [batch, sequence, heads * size], of keys and values that fewer heads may share."""
    heads = int(query.get_output_partial_shape(0)[1].get_length())
    fewer = int(key.get_output_partial_shape(0)[1].get_length())
    key, value = (_shared(one, heads // fewer) for one in (key, value))
    factor, seen = (
        opset().convert_like(one, query) for one in (opset().constant(np.float32(how.scale)), seen)
    )
    if how.softcap or how.sink is not None:
        scores = opset().matmul(query, key, transpose_a=False, transpose_b=True)
        weights = _weights(opset().multiply(scores, factor), seen, how)
        answer = opset().matmul(weights, value, transpose_a=False, transpose_b=False)
    else:
        answer = opset().scaled_dot_product_attention(query, key, value, seen, factor)
    turned = opset().transpose(answer, whole([0, 2, 1, 3]))
    return opset().reshape(turned, whole([0, 0, -1]), special_zero=True)


def mask(query: Any, before: Any, slots: Any, window: int) -> Any:
    """What is added to scores, float [batch, 1, sequence, slots]: 0 where a query sees a slot's key.

    Args:
        query: float [batch, heads, sequence, size].
        before: int64 [batch, 1].
        slots: int64 [batch or 1, slots]: where in its row each slot's token stands; below 0 where it holds none.
        window: As in :class:`Attention`.
    """
    queries = opset().unsqueeze(opset().add(count(query, 2), before), whole([1, 3]))
    keys = opset().unsqueeze(slots, whole([1, 2]))
    seen = opset().logical_and(opset().less_equal(keys, queries), opset().greater_equal(keys, whole(0)))
    if window > 0:
        seen = opset().logical_and(seen, opset().greater(keys, opset().subtract(queries, whole(window))))
    return opset().select(seen, opset().constant(np.float32(0)), opset().constant(np.float32(_NEVER)))


def _weights(scores: Any, seen: Any, how: Scores) -> Any:
    """Shares of each key, where OpenVINO has no attention of its own."""
    if how.softcap:
        cap = opset().convert_like(opset().constant(np.float32(how.softcap)), scores)
        scores = opset().multiply(opset().tanh(opset().divide(scores, cap)), cap)
    scores = opset().add(scores, seen)
    if how.sink is None:
        return opset().softmax(scores, -1)
    sizes = opset().concat(
        [opset().slice(opset().shape_of(scores), whole([0]), whole([3]), whole([1])), whole([1])], 0
    )
    sinks = opset().broadcast(opset().reshape(how.sink, whole([1, -1, 1, 1]), special_zero=False), sizes)
    shares = opset().softmax(opset().concat([scores, sinks], 3), -1)
    return opset().slice(shares, whole([0]), whole([-1]), whole([1]), whole([3]))


def _shared(few: Any, times: int) -> Any:
    """Each head as often as queries share it, in the shape of nodes that OpenVINO knows to be no copy."""
    if times == 1:
        return few
    shape = few.get_output_partial_shape(0)
    heads, size = int(shape[1].get_length()), int(shape[3].get_length())
    apart = opset().unsqueeze(few, whole([2]))
    wide = opset().broadcast(apart, whole([1, 1, times, 1, 1]), broadcast_spec="BIDIRECTIONAL")
    return opset().reshape(wide, whole([0, heads * times, -1, size]), special_zero=True)
