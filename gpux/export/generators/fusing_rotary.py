"""Rotary positions inside the attention operator, or as one operator, in place of the dozen that they are traced to.

Knows attention as ``GroupQueryAttention`` over [batch, sequence, heads · head size].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from gpux.export.generators.rewriting import (
    CONTRIB,
    Rewriting,
    attribute,
    constant,
    permutes,
    producer,
    split_operands,
)

_TABLE_MOST = 64 << 20  # bytes of both tables: above, positions are computed in every run
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Turned:
    """A query or a key before its rotation.

    Attributes:
        source: What is rotated, [batch, sequence, heads, head size].
        cos: Cosines by position, [batch, sequence, rotated], each written twice.
        sin: Sines, likewise.
        interleaved: Whether pairs are neighbours, not halves.
    """

    source: ir.Value
    cos: ir.Value
    sin: ir.Value
    interleaved: bool


def fuse_rotary(rewriting: Rewriting, positions: int) -> int:
    """Let the attention operators rotate queries and keys; how many do afterwards.

    Args:
        rewriting: The graph.
        positions: How many positions the model has at most.
    """
    tables = _Tables(rewriting, positions)
    count = 0
    for node in rewriting.nodes("GroupQueryAttention"):
        if attribute(node, "do_rotary", 0):
            continue
        pair = [_turned(node.inputs[index]) for index in (0, 1)]
        query, key = pair
        if query is None or key is None or query.cos is not key.cos or query.sin is not key.sin:
            continue
        for index, turned in enumerate((query, key)):
            node.replace_input_with(index, _flat(rewriting, node, turned.source))
        if _rotates(node) and (table := tables.find(query)):
            _rotate_inside(node, query, table)
        else:
            for index in (0, 1):
                node.replace_input_with(index, tables.rotate(node, index, query))
        count += 1
    rewriting.sweep()
    return count


def _rotates(node: ir.Node) -> bool:
    """Whether the operator can: it takes heads of a multiple of 16 numbers."""
    past = node.inputs[3]
    size = None if past is None or past.shape is None else past.shape[3]
    return isinstance(size, int) and size % 16 == 0


def _rotate_inside(node: ir.Node, turned: _Turned, table: tuple[ir.Value, ir.Value, ir.Value]) -> None:
    wanted = 10
    if len(node.inputs) < wanted:
        node.resize_inputs(wanted)
    for index, value in zip((7, 8, 9), table, strict=True):
        node.replace_input_with(index, value)
    node.attributes["do_rotary"] = ir.AttrInt64("do_rotary", 1)
    node.attributes["rotary_interleaved"] = ir.AttrInt64("rotary_interleaved", int(turned.interleaved))


class _Tables:
    """Cosines and sines by position: constants where positions are all that they hang on."""

    def __init__(self, rewriting: Rewriting, positions: int) -> None:
        self._rewriting = rewriting
        self._positions = positions
        self._known: dict[tuple[ir.Value, ir.Value], tuple[ir.Value, ir.Value, ir.Value] | None] = {}
        self._computed: dict[tuple[ir.Value, ir.Value], tuple[ir.Value, ir.Value, ir.Value]] = {}

    def find(self, turned: _Turned) -> tuple[ir.Value, ir.Value, ir.Value] | None:
        """Cosines, sines [positions, half] and the graph's positions; ``None`` where there can be no table."""
        key = (turned.cos, turned.sin)
        if key not in self._known:
            self._known[key] = self._make(turned, len(self._known))
        return self._known[key]

    def rotate(self, node: ir.Node, index: int, turned: _Turned) -> ir.Value:
        """A query or key after its rotation by one operator, with tables of this run's positions only."""
        cos, sin, positions = self._of_run(turned)
        heads = attribute(node, "num_heads" if index == 0 else "kv_num_heads")
        made = self._rewriting.put(
            node,
            "RotaryEmbedding",
            [node.inputs[index], positions, cos, sin],
            {
                "num_heads": int(heads),  # type: ignore[call-overload]
                "rotary_embedding_dim": 2 * _width(turned.cos),
                "interleaved": int(turned.interleaved),
            },
            domain=CONTRIB,
        )
        return made.outputs[0]

    def _make(self, turned: _Turned, number: int) -> tuple[ir.Value, ir.Value, ir.Value] | None:
        inputs = {value.name: value for value in self._rewriting.graph.inputs}
        given = inputs.get("position_ids")
        half = _width(turned.cos)
        if given is None or self._positions * half * 8 > _TABLE_MOST:
            return None
        names: list[ir.Value] = []
        for kind, value in (("cos", turned.cos), ("sin", turned.sin)):
            table = _evaluate(value, given, self._positions)
            if table is None:
                return None
            own = table[:, ::2] if turned.interleaved else table[:, :half]
            twice = np.repeat(own, 2, axis=1) if turned.interleaved else np.concatenate([own, own], axis=1)
            if not np.array_equal(twice, table):
                return None
            names.append(self._rewriting.numbers(f"rotary_{kind}_{number}", np.ascontiguousarray(own)))
        return names[0], names[1], given

    def _of_run(self, turned: _Turned) -> tuple[ir.Value, ir.Value, ir.Value]:
        key = (turned.cos, turned.sin)
        if key not in self._computed:
            self._computed[key] = self._compute(turned)
        return self._computed[key]

    def _compute(self, turned: _Turned) -> tuple[ir.Value, ir.Value, ir.Value]:
        put, numbers = self._rewriting.put, self._rewriting.numbers
        half = _width(turned.cos)
        # Behind the last of what the tables are made of, and before whoever reads them.
        makers = {turned.cos.producer(), turned.sin.producer()}
        nodes = list(self._rewriting.graph)
        behind = nodes[max(index for index, node in enumerate(nodes) if node in makers) + 1]
        flat = []
        starts, ends = (
            numbers("rotary_start", np.array([0], np.int64)),
            numbers(f"rotary_half_{half}", np.array([half], np.int64)),
        )
        step = numbers("rotary_step", np.array([2 if turned.interleaved else 1], np.int64))
        stop = numbers("rotary_all", np.array([_LARGEST], np.int64)) if turned.interleaved else ends
        last = numbers("rotary_last", np.array([-1], np.int64))
        rows = numbers(f"rotary_rows_{half}", np.array([-1, half], np.int64))
        for value in (turned.cos, turned.sin):
            own = put(behind, "Slice", [value, starts, stop, last, step]).outputs[0]
            flat.append(put(behind, "Reshape", [own, rows]).outputs[0])
        ids = next(
            value for value in self._rewriting.graph.inputs if value.name in {"input_ids", "inputs_embeds"}
        )
        shape = put(behind, "Shape", [ids], {"start": 0, "end": 2}).outputs[0]
        size = put(behind, "ReduceProd", [shape], {"keepdims": 0}).outputs[0]
        zero, one = (
            numbers("rotary_zero", np.array(0, np.int64)),
            numbers("rotary_one", np.array(1, np.int64)),
        )
        count = put(behind, "Range", [zero, size, one]).outputs[0]
        return flat[0], flat[1], put(behind, "Reshape", [count, shape]).outputs[0]


def _turned(value: ir.Value | None) -> _Turned | None:
    """What the attention operator is given, before its rotation."""
    flat = producer(value, "Reshape")
    back = producer(flat.inputs[0], "Transpose") if flat else None
    if back is None or not permutes(back, 0, 2, 1, 3):
        return None
    found = _rotation(back.inputs[0])
    if found is None:
        return None
    source, cos, sin, interleaved = found
    there = producer(source, "Transpose")
    if there is None or not permutes(there, 0, 2, 1, 3) or there.inputs[0] is None:
        return None
    cos_rows, sin_rows = _without_heads(cos), _without_heads(sin)
    if cos_rows is None or sin_rows is None or not _width(cos_rows):
        return None
    return _Turned(there.inputs[0], cos_rows, sin_rows, interleaved)


def _rotation(value: ir.Value | None) -> tuple[ir.Value, ir.Value, ir.Value, bool] | None:
    """``x · cos + turn(x) · sin``, whole or of the first part of each head → x, cos, sin, whether interleaved."""
    joined = producer(value, "Concat")
    if joined is not None and len(joined.inputs) == 2 and attribute(joined, "axis") in {-1, 3}:
        inner = _rotation(joined.inputs[0])
        if inner is None:
            return None
        part, rest = _cut(inner[0]), _cut(joined.inputs[1])
        if part is None or rest is None or part[0] is not rest[0] or part[1] != 0 or rest[1] != part[2]:
            return None
        return part[0], *inner[1:]
    added = producer(value, "Add")
    parts = split_operands(added, lambda one: _halves_turned(one) is not None)
    if parts is None:
        return None
    turned = _halves_turned(parts[0])
    plain = split_operands(producer(parts[1], "Mul"), lambda one: turned is not None and one is turned[0])
    if turned is None or plain is None:
        return None
    return turned[0], plain[1], turned[1], False


def _halves_turned(value: ir.Value) -> tuple[ir.Value, ir.Value] | None:
    """``concat(-x[half:], x[:half]) · sin`` → x, sin."""
    parts = split_operands(producer(value, "Mul"), lambda one: producer(one, "Concat") is not None)
    joined = producer(parts[0], "Concat") if parts else None
    if parts is None or joined is None or len(joined.inputs) != 2 or attribute(joined, "axis") not in {-1, 3}:
        return None
    negated = producer(joined.inputs[0], "Neg")
    upper, lower = _cut(negated.inputs[0]) if negated else None, _cut(joined.inputs[1])
    if upper is None or lower is None or upper[0] is not lower[0] or lower[1] != 0 or upper[1] != lower[2]:
        return None
    return upper[0], parts[1]


def _cut(value: ir.Value | None) -> tuple[ir.Value, int, int] | None:
    """A piece of the last axis → of what, from where, to where."""
    node = producer(value, "Slice", "Split")
    if node is None or node.inputs[0] is None:
        return None
    if node.op_type == "Split":
        sizes = constant(node.inputs[1]) if len(node.inputs) > 1 else None
        if sizes is None or attribute(node, "axis", 0) not in {-1, 3}:
            return None
        edges = [0, *np.cumsum(sizes).tolist()]
        index = next(i for i, output in enumerate(node.outputs) if output is value)
        return node.inputs[0], edges[index], edges[index + 1]
    numbers = [constant(one) for one in node.inputs[1:]]
    if len(numbers) < 3 or any(one is None or one.size != 1 for one in numbers):
        return None
    start, end, axis, *step = (int(one.reshape(())) for one in numbers if one is not None)
    if axis not in {-1, 3} or step not in ([], [1]):
        return None
    return node.inputs[0], start, end


def _without_heads(value: ir.Value) -> ir.Value | None:
    """[batch, 1, sequence, width] → [batch, sequence, width], where that is what it was made of."""
    node = producer(value, "Unsqueeze")
    axes = constant(node.inputs[1]) if node else None
    if node is None or axes is None or axes.ravel().tolist() != [1]:
        return None
    return node.inputs[0]


def _width(cos: ir.Value) -> int:
    """Half of what is rotated of each head."""
    last = None if cos.shape is None else cos.shape[-1]
    return last // 2 if isinstance(last, int) else 0


def _flat(rewriting: Rewriting, node: ir.Node, source: ir.Value) -> ir.Value:
    """[batch, sequence, heads, size] → [batch, sequence, heads · size]; what was only just split is taken whole."""
    split = producer(source, "Reshape")
    whole = split.inputs[0] if split else None
    if whole is not None and whole.shape is not None and len(whole.shape) == 3:
        return whole
    return rewriting.put(
        node, "Reshape", [source, rewriting.numbers("heads_together", np.array([0, 0, -1], np.int64))]
    ).outputs[0]


def _evaluate(value: ir.Value, positions: ir.Value, count: int) -> np.ndarray | None:
    """A value at positions 0 to ``count``, [count, width]; ``None`` where more than positions decides it."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    nodes: list[ir.Node] = []
    constants: dict[str, np.ndarray] = {}

    def visit(wanted: ir.Value | None) -> bool:
        if wanted is None or wanted is positions:
            return True
        made = wanted.producer()
        if made is None:
            array = constant(wanted, most=1 << 20)
            if array is None or wanted.name is None:
                return False
            constants[wanted.name] = array
            return True
        if made in nodes:
            return True
        if made.domain or not all(visit(one) for one in made.inputs):
            return False
        nodes.append(made)
        return True

    if not visit(value):
        return None
    from onnx_ir import serde

    graph = onnx.helper.make_graph(
        [serde.serialize_node(node) for node in nodes],
        "positions",
        [onnx.helper.make_tensor_value_info(positions.name, onnx.TensorProto.INT64, [1, count])],
        [onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)])
    found = ReferenceEvaluator(model).run(None, {positions.name: np.arange(count)[None]})[0]
    return np.asarray(found[0], np.float32)
