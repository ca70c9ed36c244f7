"""A decoder's graph with its keys and values inside of OpenVINO, in the form that its attention with a cache is fused from; knows no session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._openvino_attention import Attention
from ._openvino_heads import whole
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

    states = _States(model)
    masks: dict[int, Any] = {}
    grown: set[str] = set()
    for one in attentions:
        names = [past.get_any_name() for past in one.past]
        grown.update(names)
        key, value = map(states.appended, names, (one.key, one.value))
        if one.how.window not in masks:
            masks[one.how.window] = mask(one.query, one.before, states.slots, one.how.window)
        answer = attend(one.query, key, value, masks[one.how.window], one.how)
        _redirect(one.outputs[0], answer.output(0))
    for name in pairs.keys() - grown:
        states.read(name, shapes[name][1:])
        states.write(name, _node(states.results[pairs[name]].input_value(0)))
    left = [one for name, one in states.inputs.items() if name not in pairs]
    kept = [one for name, one in states.results.items() if name not in pairs.values()]
    return openvino.Model(kept, states.written, [*left, states.beams, states.slots], "decoder")


class _States:
    """A graph's inputs on their way to become states."""

    def __init__(self, model: Any) -> None:
        import openvino

        self.beams = opset().parameter([-1], openvino.Type.i32, BEAMS)
        self.slots = opset().parameter([-1, -1], openvino.Type.i64, SLOTS)
        for one, name in ((self.beams, BEAMS), (self.slots, SLOTS)):
            one.output(0).set_names({name})
        self.inputs = {one.output(0).get_any_name(): one for one in model.get_parameters()}
        self.results = {one.output(0).get_any_name(): one for one in model.get_results()}
        self.written: list[Any] = []

    def appended(self, name: str, fresh: Any) -> Any:
        """What a state holds, with this run's [batch, heads, sequence, size] behind it."""
        heads, size = (int(fresh.get_output_partial_shape(0)[axis].get_length()) for axis in (1, 3))
        both = opset().concat([self.read(name, [heads, 0, size]), fresh], 2)
        self.write(name, both)
        return both

    def read(self, name: str, shape: Sequence[int]) -> Any:
        """What a state holds, in the rows' order; whoever read the input reads it. Zeros of [batch, *shape] at first."""
        import openvino
        import openvino.opset6 as states

        kind = self.inputs[name].get_output_element_type(0)
        batch = opset().gather(opset().shape_of(self.beams, "i64"), whole([0]), whole(0))
        sizes = opset().concat([batch, whole(list(shape))], 0)
        empty = opset().broadcast(opset().convert(whole(0), kind), sizes)
        open_ended = openvino.PartialShape([-1, *(size or -1 for size in shape)])
        state = states.read_value(empty, name, kind, open_ended)
        held = opset().gather(state, self.beams, whole(0))
        _redirect(self.inputs[name].output(0), held.output(0))
        return held

    def write(self, name: str, value: Any) -> None:
        """Keep a value in a state until the next run."""
        import openvino.opset6 as states

        self.written.append(states.assign(value, name))


def _node(output: Any) -> Any:
    """An output as a node that has no other."""
    node = output.get_node()
    return node if node.get_output_size() == 1 else opset().convert(output, output.get_element_type())


def _redirect(old: Any, new: Any) -> None:
    for consumer in old.get_target_inputs():
        consumer.replace_source_output(new)
