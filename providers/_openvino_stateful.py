"""A decoder's graph with its keys and values inside of OpenVINO, in the form that its attention with a cache is fused from; knows no session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ._openvino_attention import Attention
from ._openvino_import import opset
from ._openvino_scores import attend, mask

BEAMS, SLOTS = "gpux.beams", "gpux.slots"
"""Inputs that the stateful form has besides: which row each row goes on from, and where in its row each slot's token stands."""


def stateful(
    model: Any,
    attentions: Sequence[Attention],
    pairs: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
) -> Any:
    """The graph with ``pairs`` as states: an attention's grow by what a run adds, others are written over.

    Args:
        model: As OpenVINO read it; it is changed.
        attentions: What was found in it.
        pairs: Input → output.
        shapes: Input → shape, of those that are written over.
    """
    import openvino
    import openvino.opset6 as states

    operators = opset()

    beams = operators.parameter([-1], openvino.Type.i32, BEAMS)
    slots = operators.parameter([-1, -1], openvino.Type.i64, SLOTS)
    for one, name in ((beams, BEAMS), (slots, SLOTS)):
        one.output(0).set_names({name})
    inputs = {one.output(0).get_any_name(): one for one in model.get_parameters()}
    results = {one.output(0).get_any_name(): one for one in model.get_results()}
    zero = operators.constant(np.int64(0))
    batch = operators.gather(operators.shape_of(beams, "i64"), operators.constant(np.array([0])), zero)
    assigned: list[Any] = []
    masks: dict[int, Any] = {}
    taken: set[str] = set()

    def read(name: str, shape: Sequence[int]) -> Any:
        """What the state holds, in the rows' order; whoever read the input reads it."""
        kind = inputs[name].get_output_element_type(0)
        sizes = operators.concat([batch, operators.constant(np.array(shape, np.int64))], 0)
        empty = operators.broadcast(operators.convert(zero, kind), sizes)
        open_ended = openvino.PartialShape([-1, *(size or -1 for size in shape)])
        state = states.read_value(empty, name, kind, open_ended)
        held = operators.gather(state, beams, zero)
        for consumer in inputs[name].output(0).get_target_inputs():
            consumer.replace_source_output(held.output(0))
        return held

    for one in attentions:
        names = [past.get_any_name() for past in one.past]
        taken.update(names)
        grown = []
        for name, fresh in zip(names, (one.key, one.value), strict=True):
            heads, size = (int(fresh.get_output_partial_shape(0)[axis].get_length()) for axis in (1, 3))
            whole = operators.concat([read(name, [heads, 0, size]), fresh], 2)
            assigned.append(states.assign(whole, name))
            grown.append(whole)
        if one.how.window not in masks:
            masks[one.how.window] = mask(one.query, one.before, slots, one.how.window)
        answer = attend(one.query, grown[0], grown[1], masks[one.how.window], one.how)
        for consumer in one.outputs[0].get_target_inputs():
            consumer.replace_source_output(answer.output(0))
    for name in pairs.keys() - taken:
        read(name, shapes[name][1:])
        assigned.append(states.assign(results[pairs[name]].input_value(0), name))
    left = [one for name, one in inputs.items() if name not in pairs]
    kept = [one for name, one in results.items() if name not in pairs.values()]
    return openvino.Model(kept, assigned, [*left, beams, slots], "decoder")
