"""Linear layers that read the same numbers as one multiplication, and attention without reshapes around it.

Weights are put together while they are written, a tensor at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from gpux.export.generators.rewriting import (
    CONTRIB,
    Rewriting,
    attribute,
    only,
    permutes,
    producer,
    split_operands,
    taken,
    weights,
)


@dataclass(frozen=True, slots=True)
class Linear:
    """``x · W (+ b)``.

    Attributes:
        source: x, [batch, sequence, K].
        weight: W, [K, N], a constant.
        bias: b, [N], a constant.
        output: The result.
    """

    source: ir.Value
    weight: ir.Value
    bias: ir.Value | None
    output: ir.Value


def linear(value: ir.Value | None) -> Linear | None:
    """The linear layer that made a value, where one did."""
    if value is None:
        return None
    bias = None
    node = producer(value, "MatMul")
    if node is None:
        parts = split_operands(producer(value, "Add"), lambda one: producer(one, "MatMul") is not None)
        if parts is None or parts[1].const_value is None or len(parts[1].const_value.shape) != 1:
            return None
        node, bias = producer(parts[0], "MatMul"), parts[1]
        if not only(parts[0]):
            return None
    if node is None:
        return None
    source, weight = node.inputs
    if source is None or weight is None or weight.const_value is None or len(weight.const_value.shape) != 2:
        return None
    return Linear(source, weight, bias, value)


def fuse_products(rewriting: Rewriting) -> int:
    """``Gemm`` over rows that were put together before and are taken apart after → ``MatMul`` and ``Add`` as they are; how many."""
    count = 0
    for node in rewriting.nodes("Gemm"):
        weight = node.inputs[1]
        plain = attribute(node, "alpha", 1.0) == 1.0 and attribute(node, "beta", 1.0) == 1.0
        if weight is None or weight.const_value is None or attribute(node, "transA", 0) or not plain:
            continue
        before, after = producer(node.inputs[0], "Reshape"), _apart(node.outputs[0])
        whole = before.inputs[0] if before else None
        wraps = after is not None and whole is not None and _rank(whole) == 3
        matrix = _turned(rewriting, weight) if attribute(node, "transB", 0) else weight
        made = rewriting.put(node, "MatMul", [whole if wraps else node.inputs[0], matrix]).outputs[0]
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            made = rewriting.put(node, "Add", [made, node.inputs[2]]).outputs[0]
        old = after.outputs[0] if wraps and after is not None else node.outputs[0]
        rewriting.replace(old, made)
        count += 1
    rewriting.sweep()
    return count


def _apart(value: ir.Value) -> ir.Node | None:
    """The one reshape that gives a result its three axes."""
    users = [user for user, _ in value.uses()]
    alone = len(users) == 1 and users[0].op_type == "Reshape" and not value.is_graph_output()
    return users[0] if alone and _rank(users[0].outputs[0]) == 3 else None


def _rank(value: ir.Value) -> int | None:
    return None if value.shape is None else len(value.shape)


def _turned(rewriting: Rewriting, weight: ir.Value) -> ir.Value:
    tensor, name = weights(weight), f"{weight.name}.turned"
    if name in rewriting.graph.initializers:
        return rewriting.graph.initializers[name]
    lazy = ir.LazyTensor(
        lambda: ir.tensor(taken(tensor, lambda numbers: np.ascontiguousarray(numbers.T)), name=name),
        dtype=tensor.dtype,
        shape=ir.Shape(list(tensor.shape)[::-1]),
        name=name,
    )
    return rewriting.tensor(lazy)


def fuse_attention(rewriting: Rewriting) -> int:
    """Queries, keys and values of one multiplication, where the attention operator rotates; how many."""
    _unwrap(rewriting)
    count = 0
    for node in rewriting.nodes("GroupQueryAttention"):
        three = [linear(value) for value in node.inputs[:3]]
        found = [one for one in three if one is not None]
        before = found[0].output.producer() if found else None
        if len(found) < 3 or before is None or not _together(found):
            continue
        joined = _join(rewriting, found, before)
        node.replace_input_with(0, joined)
        node.replace_input_with(1, None)
        node.replace_input_with(2, None)
        count += 1
    rewriting.sweep()
    return count


def fuse_gates(rewriting: Rewriting) -> int:
    """``act(x · G) · (x · U)`` with one multiplication for both; how many."""
    count = 0
    for node in rewriting.nodes("Mul"):
        for gate, up in (node.inputs, tuple(reversed(node.inputs))):
            source = _activated(gate)
            found = [one for one in (linear(source), linear(up)) if one is not None]
            if len(found) == 2 and found[0].output is not found[1].output and _together(found, alone=False):
                _gate(rewriting, found)
                count += 1
                break
    rewriting.sweep()
    return count


def fuse_siblings(rewriting: Rewriting) -> int:
    """Queries, keys and values of one multiplication that are taken apart after it, where something stands before attention; how many.

    What they read is then rounded to 8 bits once where their weights are in blocks.
    """
    groups: dict[ir.Value, list[Linear]] = {}
    for node in rewriting.nodes("MatMul"):
        if (found := linear(_biased(node.outputs[0]))) and _attends(found.output):
            groups.setdefault(found.source, []).append(found)
    count = 0
    for siblings in groups.values():
        if len(siblings) == 3 and _together(siblings, alone=False):
            _gate(rewriting, siblings)
            count += 1
    rewriting.sweep()
    return count


def _biased(value: ir.Value) -> ir.Value:
    """The sum of a product with its bias, where it has one."""
    users = [user for user, _ in value.uses()]
    alone = len(users) == 1 and users[0].op_type == "Add" and linear(users[0].outputs[0]) is not None
    return users[0].outputs[0] if alone else value


def _attends(value: ir.Value, hops: int = 12) -> bool:
    """Whether a value comes to attention without another multiplication by weights between."""
    readers = [user for user, _ in value.uses()]
    if any(user.op_type == "GroupQueryAttention" for user in readers):
        return True
    inner = [user for user in readers if user.op_type not in {"MatMul", "FusedMatMul", "MoE"}]
    return hops > 0 and any(_attends(result, hops - 1) for user in inner for result in user.outputs)


def fuse_places(rewriting: Rewriting) -> int:
    """The places of the sequence that are wanted, taken along their own axis instead of through two transpositions."""
    count = 0
    for node in rewriting.nodes("Transpose"):
        taken_at = producer(node.inputs[0], "GatherND")
        before = producer(taken_at.inputs[0], "Transpose") if taken_at else None
        places = producer(taken_at.inputs[1], "Unsqueeze") if taken_at else None
        swaps = permutes(node, 1, 0, 2) and before is not None and permutes(before, 1, 0, 2)
        if (
            not swaps
            or before is None
            or places is None
            or taken_at is None
            or attribute(taken_at, "batch_dims", 0)
        ):
            continue
        made = rewriting.put(node, "Gather", [before.inputs[0], places.inputs[0]], {"axis": 1})
        rewriting.replace(node.outputs[0], made.outputs[0])
        count += 1
    rewriting.sweep()
    return count


def fuse_head(rewriting: Rewriting) -> int:
    """``x · Eᵀ`` over a table that is read as rows too: the operator turns it, so that nobody stores it twice."""
    count = 0
    for node in rewriting.nodes("MatMul"):
        turned = producer(node.inputs[1], "Transpose")
        table = turned.inputs[0] if turned else None
        if table is None or table.const_value is None or not permutes(turned, 1, 0):
            continue
        made = rewriting.put(
            node,
            "FusedMatMul",
            [node.inputs[0], table],
            {"transA": 0, "transB": 1, "alpha": 1.0},
            domain=CONTRIB,
        )
        rewriting.replace(node.outputs[0], made.outputs[0])
        count += 1
    rewriting.sweep()
    return count


def fuse_experts(rewriting: Rewriting) -> int:
    """Experts' weights in the order that their operator wants, put so while they are written; how many layers."""
    count = 0
    for node in rewriting.nodes("MoE"):
        outer = producer(node.inputs[2], "Reshape")
        turned = producer(outer.inputs[0], "Transpose") if outer else None
        inner = producer(turned.inputs[0], "Reshape") if turned else None
        weight = inner.inputs[0] if inner else None
        if weight is None or weight.const_value is None or not permutes(turned, 0, 2, 1, 3):
            continue
        node.replace_input_with(2, rewriting.tensor(_interleaved(weight)))
        count += 1
    rewriting.sweep()
    return count


def _interleaved(weight: ir.Value) -> ir.LazyTensor:
    tensor = weights(weight)
    name = f"{weight.name}.interleaved"

    def turn(numbers: np.ndarray) -> np.ndarray:
        experts, double, width = numbers.shape
        halves = numbers.reshape(experts, 2, double // 2, width)
        return np.ascontiguousarray(halves.transpose(0, 2, 1, 3)).reshape(numbers.shape)

    return ir.LazyTensor(
        lambda: ir.tensor(taken(tensor, turn), name=name), dtype=tensor.dtype, shape=tensor.shape, name=name
    )


def _unwrap(rewriting: Rewriting) -> None:
    """Take reshapes away that undo each other around the attention operator."""
    for node in rewriting.nodes("GroupQueryAttention"):
        for index in range(3):
            value = node.inputs[index]
            outer = producer(value, "Reshape")
            inner = producer(outer.inputs[0], "Reshape") if outer else None
            whole = inner.inputs[0] if inner else None
            if whole is not None and whole.shape is not None and len(whole.shape) == 3:
                node.replace_input_with(index, whole)
        result = node.outputs[0]
        for reader, _ in list(result.uses()):
            if reader.op_type != "Reshape":
                continue
            for further, _ in list(reader.outputs[0].uses()):
                shape = further.outputs[0].shape if further.op_type == "Reshape" else None
                if shape is not None and len(shape) == 3:
                    rewriting.replace(further.outputs[0], result)
    rewriting.sweep()


def _together(found: Sequence[Linear], *, alone: bool = True) -> bool:
    """Whether layers read the same value, are read once each where they must be, and all or none have a bias."""
    return (
        len({id(one.source) for one in found}) == 1
        and len({one.bias is None for one in found}) == 1
        and (not alone or all(only(one.output) for one in found))
        and len({weights(one.weight).shape[0] for one in found}) == 1
    )


def _join(rewriting: Rewriting, found: Sequence[Linear], before: ir.Node) -> ir.Value:
    weight = rewriting.tensor(_side_by_side([one.weight for one in found]))
    product = rewriting.put(before, "MatMul", [found[0].source, weight]).outputs[0]
    biases = [one.bias for one in found if one.bias is not None]
    if not biases:
        return product
    bias = rewriting.tensor(_side_by_side(biases))
    return rewriting.put(before, "Add", [product, bias]).outputs[0]


def _gate(rewriting: Rewriting, found: Sequence[Linear]) -> None:
    makers = {one.output.producer() for one in found}
    before = next(node for node in rewriting.graph if node in makers)
    joined = _join(rewriting, found, before)
    widths = [weights(one.weight).shape[1] for one in found]
    sizes = rewriting.numbers("split_" + "_".join(map(str, widths)), np.array(widths, np.int64))
    parts = rewriting.put(before, "Split", [joined, sizes], {"axis": -1}, outputs=len(found))
    for one, part in zip(found, parts.outputs, strict=True):
        rewriting.replace(one.output, part)


def _side_by_side(values: Sequence[ir.Value]) -> ir.LazyTensor:
    known = [weights(value) for value in values]
    first = known[0]
    name = "|".join(value.name or "" for value in values)
    width = sum(int(tensor.shape[-1]) for tensor in known)
    return ir.LazyTensor(
        lambda: ir.tensor(np.concatenate([tensor.numpy() for tensor in known], axis=-1), name=name),
        dtype=first.dtype,
        shape=ir.Shape([*first.shape[:-1], width]),
        name=name,
    )


def _activated(value: ir.Value | None) -> ir.Value | None:
    """What an activation was applied to."""
    node = producer(value, "Mul", "Gelu", "QuickGelu", "Swish", "Relu")
    if node is None:
        return None
    if node.op_type != "Mul":
        return node.inputs[0]
    parts = split_operands(node, lambda one: producer(one, "Sigmoid") is not None)
    inner = producer(parts[0], "Sigmoid") if parts else None
    return parts[1] if parts and inner and inner.inputs[0] is parts[1] else None
