"""A decoder's graph in fp32 → the same in half precision: weights, activations and caches; scores come out in fp32.

Positions, powers and means stay in fp32 where they stand as operators of their own, for half precision has too few numbers for them.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from gpux.export.generators.rewriting import Rewriting, attribute, taken

_FULL = frozenset(
    {
        *("Cos", "Sin", "Pow", "ReduceMean", "ReduceSum", "Sqrt", "Reciprocal", "Exp", "Range"),
        *("TopK", "CumSum", "Clip", "Log", "QMoE", "MoE"),
    }
)
_WHOLE = frozenset({"Shape", "Size", "ArgMax", "NonZero", "Less", "Greater", "Equal", "Not", "And", "Or"})
_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
_GREATEST = float(np.finfo(np.float16).max)


def halve(model: ir.Model) -> None:
    """Rewrite a graph in place; weights are rounded when they are written."""
    rewriting = Rewriting(model, "halved")
    full = _in_full(rewriting)
    _constants(rewriting, full)
    given = {value for value in model.graph.inputs if value.dtype == _FLOAT}
    for value in given:
        value.dtype = _HALF
    kinds = dict.fromkeys(given, _HALF)
    for node in list(model.graph):
        _node(rewriting, node, full, kinds)
    for value in list(model.graph.outputs):
        if value.dtype != _FLOAT:
            continue
        if value.name == "logits":
            _scores(rewriting, value)
        else:
            value.dtype = _HALF
    rewriting.sweep()


def _in_full(rewriting: Rewriting) -> set[ir.Node]:
    """Nodes that compute in fp32: by what they are, or because they hang on whole numbers alone (positions)."""
    found: set[ir.Node] = set()
    plain: set[ir.Value] = {value for value in rewriting.graph.inputs if value.dtype != _FLOAT}
    for node in rewriting.graph:
        known = [value for value in node.inputs if value is not None and not _fixed(value)]
        if known and all(value in plain for value in known) and not _reads_table(node):
            plain.update(node.outputs)
            found.add(node)
        elif node.op_type in _FULL:
            found.add(node)
    return found


def _reads_table(node: ir.Node) -> bool:
    return node.op_type in {"Gather", "GatherBlockQuantized"} and _fixed(node.inputs[0])


def _fixed(value: ir.Value | None) -> bool:
    return value is not None and value.is_initializer() and not value.is_graph_input()


def _constants(rewriting: Rewriting, full: set[ir.Node]) -> None:
    for value in list(rewriting.graph.initializers.values()):
        tensor = value.const_value
        if tensor is None or tensor.dtype != _FLOAT:
            continue
        readers = {node for node, _ in value.uses()}
        if readers <= full:
            continue
        if readers & full:  # read in both precisions: once as it is, for those
            own = rewriting.tensor(
                ir.LazyTensor(
                    lambda tensor=tensor: tensor, dtype=_FLOAT, shape=tensor.shape, name=f"{value.name}.full"
                )
            )
            for node, index in list(value.uses()):
                if node in full:
                    node.replace_input_with(index, own)
        value.const_value = ir.LazyTensor(
            lambda tensor=tensor: ir.tensor(taken(tensor, _rounded), name=tensor.name),
            dtype=_HALF,
            shape=ir.Shape(tensor.shape),
            name=tensor.name,
        )
        value.dtype = _HALF


def _rounded(numbers: np.ndarray) -> np.ndarray:
    # A mask's smallest number would become minus infinity, of which differences are no numbers.
    halved: np.ndarray = np.clip(numbers, -_GREATEST, _GREATEST).astype(np.float16)
    return halved


def _node(
    rewriting: Rewriting, node: ir.Node, full: set[ir.Node], kinds: dict[ir.Value, ir.DataType]
) -> None:
    """Bring a node's inputs to its precision, and note the precision of what it gives."""
    wanted = _FLOAT if node in full else _HALF
    for index, value in enumerate(node.inputs):
        if value is not None and kinds.get(value, wanted) != wanted and node.op_type != "Cast":
            cast = rewriting.put(node, "Cast", [value], {"to": int(wanted)})
            node.replace_input_with(index, cast.outputs[0])
    if node.op_type == "Cast":
        if attribute(node, "to") == int(_FLOAT) and node not in full:
            node.attributes["to"] = ir.AttrInt64("to", int(_HALF))
        if attribute(node, "to") in {int(_FLOAT), int(_HALF)}:
            kinds[node.outputs[0]] = _FLOAT if attribute(node, "to") == int(_FLOAT) else _HALF
            node.outputs[0].dtype = kinds[node.outputs[0]]
        return
    if node.op_type == "ConstantOfShape" and _fills_float(node):
        kinds[node.outputs[0]] = _FLOAT
        return
    floats = any(
        kinds.get(value) or (_fixed(value) and value.dtype in {_FLOAT, _HALF})
        for value in node.inputs
        if value is not None
    )
    for output in node.outputs:
        if output.dtype == _FLOAT or (output.dtype is None and floats and node.op_type not in _WHOLE):
            kinds[output] = wanted
            if output.dtype is not None and not output.is_graph_output():
                output.dtype = wanted


def _fills_float(node: ir.Node) -> bool:
    filling = node.attributes.get("value")
    return filling is None or filling.as_tensor().dtype == _FLOAT


def _scores(rewriting: Rewriting, value: ir.Value) -> None:
    """Scores leave in fp32, under their own name."""
    last = list(rewriting.graph)[-1]
    shape = value.shape
    value.name = "logits_half"
    cast = ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(_FLOAT))], num_outputs=1)
    rewriting.graph.insert_after(last, cast)
    result = cast.outputs[0]
    result.name, result.type, result.shape = "logits", ir.TensorType(_FLOAT), shape
    value.dtype = _HALF
    rewriting.graph.outputs[:] = [result if one is value else one for one in rewriting.graph.outputs]
