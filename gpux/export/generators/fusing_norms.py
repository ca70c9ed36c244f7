"""Root-mean-square norms, and the additions before norms, as one operator each; exact but for the order of additions."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from gpux.export.generators.rewriting import (
    CONTRIB,
    Rewriting,
    attribute,
    constant,
    producer,
    scalar,
    split_operands,
)


def fuse_norms(rewriting: Rewriting) -> int:
    """``x / sqrt(mean(x²) + ε) · w`` → ``SimplifiedLayerNormalization``; how many there were."""
    count = 0
    for node in rewriting.nodes("Mul"):
        found = _normed(node)
        if found is None:
            continue
        source, scale, epsilon = found
        weight = _weight(rewriting, scale)
        if weight is None:
            continue
        made = rewriting.put(
            node,
            "SimplifiedLayerNormalization",
            [source, weight],
            {"axis": -1, "epsilon": epsilon, "stash_type": 1},
        )
        rewriting.replace(node.outputs[0], made.outputs[0])
        count += 1
    rewriting.sweep()
    return count


def fuse_skips(rewriting: Rewriting) -> int:
    """A norm of a sum → ``Skip(Simplified)LayerNormalization``, which gives the sum too; how many there were."""
    count = 0
    for node in rewriting.nodes("SimplifiedLayerNormalization", "LayerNormalization"):
        added = producer(node.inputs[0], "Add")
        if added is None or not _alike(added, node) or attribute(node, "axis", -1) not in {-1, 2}:
            continue
        simple = node.op_type == "SimplifiedLayerNormalization"
        operator = "SkipSimplifiedLayerNormalization" if simple else "SkipLayerNormalization"
        made = rewriting.put(
            added,
            operator,
            [*added.inputs, *node.inputs[1:]],
            {"epsilon": float(attribute(node, "epsilon", 1e-5))},  # type: ignore[arg-type]
            domain=CONTRIB,
            outputs=4,
        )
        rewriting.replace(node.outputs[0], made.outputs[0])
        rewriting.replace(added.outputs[0], made.outputs[3])
        for unused in made.outputs[1:3]:
            unused.name = ""
        count += 1
    rewriting.sweep()
    return count


def _normed(node: ir.Node) -> tuple[ir.Value, ir.Value, float] | None:
    """What a multiplication norms, by which weight, with which ε."""
    parts = split_operands(node, lambda value: _whitened(value) is not None)
    if parts is None:
        return None
    found = _whitened(parts[0])
    return None if found is None else (found[0], parts[1], found[1])


def _whitened(value: ir.Value) -> tuple[ir.Value, float] | None:
    """``x · rsqrt(mean(x²) + ε)`` → x and ε."""
    parts = split_operands(producer(value, "Mul", "Div"), lambda operand: _spread(operand) is not None)
    if parts is None:
        return None
    found = _spread(parts[0])
    if found is None:
        return None
    divides = producer(value, "Div") is not None
    inverse = producer(parts[0], "Reciprocal", "Div") is not None
    return (parts[1], found[1]) if found[0] is parts[1] and divides != inverse else None


def _spread(value: ir.Value) -> tuple[ir.Value, float] | None:
    """``1 / sqrt(mean(x²) + ε)``, or its root alone → x and ε."""
    node = producer(value, "Reciprocal", "Sqrt", "Div")
    if node is not None and node.op_type == "Div":
        node = producer(node.inputs[1], "Sqrt") if scalar(node.inputs[0]) == 1.0 else None
    elif node is not None and node.op_type == "Reciprocal":
        node = producer(node.inputs[0], "Sqrt")
    parts = split_operands(
        producer(node.inputs[0], "Add") if node else None, lambda operand: scalar(operand) is not None
    )
    if parts is None:
        return None
    mean = producer(parts[1], "ReduceMean")
    if mean is None or attribute(mean, "keepdims", 1) != 1 or not _last(mean):
        return None
    square = producer(mean.inputs[0], "Pow", "Mul")
    if square is None or square.inputs[0] is None:
        return None
    twice = (
        scalar(square.inputs[1]) == 2.0 if square.op_type == "Pow" else square.inputs[0] is square.inputs[1]
    )
    epsilon = scalar(parts[0])
    return (square.inputs[0], float(epsilon)) if twice and epsilon is not None else None


def _last(mean: ir.Node) -> bool:
    axes: Any = constant(mean.inputs[1]) if len(mean.inputs) > 1 else attribute(mean, "axes")
    if axes is None:
        return False
    shape = mean.inputs[0].shape if mean.inputs[0] is not None else None
    return list(np.ravel(axes)) in ([-1], [len(shape) - 1] if shape is not None else [-1])


def _weight(rewriting: Rewriting, scale: ir.Value) -> ir.Value | None:
    """A vector of weights; Gemma's ``1 + w`` is computed now."""
    if scale.const_value is not None and len(scale.const_value.shape) == 1:
        return scale
    parts = split_operands(producer(scale, "Add"), lambda operand: scalar(operand) is not None)
    if parts is None or parts[1].const_value is None or len(parts[1].const_value.shape) != 1:
        return None
    array = parts[1].const_value.numpy()
    plus = np.asarray(scalar(parts[0]), array.dtype)
    return rewriting.numbers(f"{parts[1].name}_plus", array + plus)


def _alike(added: ir.Node, node: ir.Node) -> bool:
    """Whether both summands have the sum's own shape, three axes: the operator does not broadcast."""
    shapes = [value.shape if value is not None else None for value in added.inputs]
    width = node.inputs[1].shape if node.inputs[1] is not None else None
    if any(shape is None or len(shape) != 3 for shape in shapes) or width is None:
        return False
    if any(value is None or value.const_value is not None for value in added.inputs):
        return False
    left, right = shapes
    return left == right and left is not None and left[-1] == width[-1]
