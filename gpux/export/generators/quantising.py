"""A decoder's graph in fp32 → the same with weights of 4 or 8 bits, a tensor at a time over mapped files.

Activations stay as they are; the runtime rounds them to 8 bits block by block while it multiplies (accuracy level 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from gpux.export.generators.blocks import Blocks, Scheme, count, quantise
from gpux.export.generators.rewriting import CONTRIB, Rewriting, attribute, only, taken, weights

_MULTIPLY = ("MatMul", "FusedMatMul", "Gemm", "MoE")
_LEVEL = 4  # int8 activations inside the multiplication
_LEAST = 2_048  # numbers: what is smaller costs nothing as it is


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which weights are written how.

    Attributes:
        linear: Of linear layers.
        head: Of the layer that scores the vocabulary, of the table of embeddings, and of the first and last layers.
    """

    linear: Scheme
    head: Scheme


_FULL = Scheme(8, searched=False)
_ENDS = 2  # layers at either end, whose errors all others carry on or nobody makes good
_LARGE = 400_000_000  # numbers: such models have some to spare, and their speed is that of reading them
_DEAR = 0.25  # of the weights: a head that is more would cost more speed than its 8 bits are worth

RECIPES = {
    "q4": Recipe(Scheme(4, symmetric=False), _FULL),
    "int8": Recipe(_FULL, _FULL),
}


@dataclass(frozen=True, slots=True)
class Quantised:
    """What was done to a graph.

    Attributes:
        layers: How many multiplications are by blocks.
        aliases: Constants that are others in another shape, and are to name the same bytes.
    """

    layers: int
    aliases: tuple[tuple[ir.Value, ir.Value], ...]


def quantise_graph(model: ir.Model, recipe: Recipe) -> Quantised:
    """Put the weights of a graph's linear layers and tables in blocks, in place; computed when they are written.

    Args:
        model: The fp32 graph, its weights mapped.
        recipe: How.
    """
    rewriting = Rewriting(model, "quantised")
    work = _Work(rewriting, recipe)
    for node in rewriting.nodes(*_MULTIPLY[:3]):
        work.linear(node)
    for node in rewriting.nodes("MoE"):
        work.experts(node)
    for node in rewriting.nodes("Gather"):
        work.table(node)
    rewriting.sweep()
    return Quantised(work.layers, tuple(work.aliases))


class _Held:
    """One quantised matrix, computed when its first tensor is written and forgotten with its last."""

    def __init__(self, weight: ir.TensorProtocol, *, turned: bool, scheme: Scheme) -> None:
        self._weight, self._turned, self.scheme = weight, turned, scheme
        self._made: Blocks | None = None
        self._left = 0
        *lead, width = [int(size) for size in weight.shape][:: -1 if turned else 1]
        self.lead, self.width = tuple(lead), width

    def tensors(
        self, name: str, kind: ir.DataType, flat: tuple[int, ...] | None = None
    ) -> list[ir.LazyTensor]:
        """What the operator is given: codes (in the shape ``flat``, if any), scales, and zero points where there are some."""
        blocks, bits = count(self.width, self.scheme), self.scheme.bits
        blob = self.scheme.block * bits // 8
        shape = (blocks, blob) if len(self.lead) == 1 else (blocks * blob,)  # experts have one axis less
        parts: list[tuple[str, ir.DataType, tuple[int, ...]]] = [
            ("packed", ir.DataType.UINT8, flat or (*self.lead, *shape)),
            ("scales", kind, (*self.lead, blocks)),
        ]
        if not self.scheme.symmetric:
            parts.append(("zeros", ir.DataType.UINT8, (*self.lead, -(-blocks * bits // 8))))
        self._left = len(parts)
        return [
            ir.LazyTensor(
                lambda part=part, dtype=dtype, shape=shape: ir.tensor(
                    self._part(part).astype(dtype.numpy(), copy=False).reshape(shape), name=f"{name}.{part}"
                ),
                dtype=dtype,
                shape=ir.Shape(shape),
                name=f"{name}.{part}",
            )
            for part, dtype, shape in parts
        ]

    def _part(self, part: str) -> np.ndarray:
        if self._made is None:
            self._made = taken(self._weight, self._quantised)
        found: np.ndarray = getattr(self._made, part)
        self._left -= 1
        if not self._left:
            self._made = None
        return found

    def _quantised(self, numbers: np.ndarray) -> Blocks:
        rows = numbers.T if self._turned else numbers.reshape(-1, self.width)
        return quantise(rows, self.scheme)


class _Work:
    """One graph's quantisation."""

    def __init__(self, rewriting: Rewriting, recipe: Recipe) -> None:
        self._rewriting, self._recipe = rewriting, recipe
        self._known: dict[ir.Value, list[ir.Value]] = {}
        self._schemes: dict[ir.Value, Scheme] = {}
        self._all, self._inner = _measure(rewriting)
        self.aliases: list[tuple[ir.Value, ir.Value]] = []
        self.layers = 0

    def linear(self, node: ir.Node) -> None:
        """A multiplication by a constant matrix → one by blocks; a bias that is added goes in."""
        weight = node.inputs[1]
        tensor = weight.const_value if weight is not None else None
        if (
            weight is None
            or tensor is None
            or len(tensor.shape) != 2
            or tensor.size < _LEAST
            or _routes(node)
        ):
            return
        by_rows = bool(attribute(node, "transB", 0))
        if attribute(node, "transA", 0) or attribute(node, "alpha", 1.0) != 1.0:
            return
        scheme = self._scheme(node, tensor.size)
        parts = self._parts(weight, turned=not by_rows, scheme=scheme)
        scheme = self._schemes[weight]
        rows, width = [int(size) for size in tensor.shape][:: 1 if by_rows else -1]
        result, bias = node.outputs[0], node.inputs[2] if len(node.inputs) > 2 else None
        added = _bias(result)
        if added is not None and bias is None:
            result, bias = added
        inputs = [node.inputs[0], parts[0], parts[1], parts[2] if len(parts) > 2 else None, None, bias]
        while inputs[-1] is None:
            inputs.pop()
        made = self._rewriting.put(
            node,
            "MatMulNBits",
            inputs,
            {
                "K": width,
                "N": rows,
                "bits": scheme.bits,
                "block_size": scheme.block,
                "accuracy_level": _LEVEL,
            },
            domain=CONTRIB,
        )
        self._rewriting.replace(result, made.outputs[0])
        self.layers += 1

    def experts(self, node: ir.Node) -> None:
        """Experts → experts in blocks, of which a run reads those that it was sent to."""
        pair = [node.inputs[index] for index in (2, 4)]
        matrices = [value for value in pair if value is not None and value.const_value is not None]
        scheme = self._recipe.linear
        if len(matrices) < 2 or any(int(weights(one).shape[-1]) % scheme.block for one in matrices):
            return
        inputs: list[ir.Value | None] = [*node.inputs[:2], *[None] * 11]
        for weight, place, zeros in zip(matrices, (2, 5), (11, 12), strict=True):
            inputs[place], inputs[place + 1], *rest = self._parts(weight, turned=False, scheme=scheme)
            inputs[zeros] = rest[0] if rest else None
        while inputs[-1] is None:
            inputs.pop()
        own = {name: attribute.value for name, attribute in node.attributes.items()}
        made = self._rewriting.put(
            node,
            "QMoE",
            inputs,
            {**own, "expert_weight_bits": scheme.bits, "block_size": scheme.block, "accuracy_level": _LEVEL},
            domain=CONTRIB,
        )
        self._rewriting.replace(node.outputs[0], made.outputs[0])
        self.layers += 1

    def table(self, node: ir.Node) -> None:
        """Rows of a table → rows of its blocks, which are stored once where it is multiplied by as well."""
        table = node.inputs[0]
        tensor = table.const_value if table is not None else None
        if table is None or tensor is None or len(tensor.shape) != 2 or attribute(node, "axis", 0) != 0:
            return
        width = int(tensor.shape[1])
        scheme = self._schemes.get(table, self._recipe.head)
        if width % scheme.block or tensor.size < _LEAST or not tensor.dtype.is_floating_point():
            return
        flat = (int(tensor.shape[0]), width * scheme.bits // 8)
        if table in self._known:
            packed, *rest = self._known[table]
            rows = ir.Value(
                name=f"{table.name}.rows", type=ir.TensorType(ir.DataType.UINT8), shape=ir.Shape(flat)
            )
            self.aliases.append((rows, packed))
        else:
            rows, *rest = self._parts(table, turned=False, scheme=scheme, flat=flat)
        made = self._rewriting.put(
            node,
            "GatherBlockQuantized",
            [rows, node.inputs[1], *rest],
            {
                "bits": scheme.bits,
                "block_size": scheme.block,
                "gather_axis": 0,
                "quantize_axis": 1,
            },
            domain=CONTRIB,
        )
        self._rewriting.replace(node.outputs[0], made.outputs[0])

    def _parts(
        self, weight: ir.Value, *, turned: bool, scheme: Scheme, flat: tuple[int, ...] | None = None
    ) -> list[ir.Value]:
        if weight not in self._known:
            tensor, name = weights(weight), weight.name or ""
            held = _Held(tensor, turned=turned, scheme=scheme)
            self._known[weight] = [
                self._rewriting.tensor(one) for one in held.tensors(name, tensor.dtype, flat)
            ]
            self._schemes[weight] = held.scheme
        return self._known[weight]

    def _scheme(self, node: ir.Node, size: int) -> Scheme:
        if _scores(node):
            return self._recipe.linear if size > _DEAR * self._all else self._recipe.head
        inner = node in self._inner or self._all > _LARGE
        return self._recipe.linear if inner else self._recipe.head


def _measure(rewriting: Rewriting) -> tuple[int, set[ir.Node]]:
    """How many numbers all matrices have, and the multiplications that lie between the first and the last layers."""
    total, layer, layers = 0, 0, {}
    for node in rewriting.graph:
        if node.op_type == "GroupQueryAttention":
            layer += 1
        weight = node.inputs[1].const_value if len(node.inputs) > 1 and node.inputs[1] is not None else None
        if (
            node.op_type in {"MatMul", "FusedMatMul", "Gemm"}
            and weight is not None
            and len(weight.shape) == 2
        ):
            total += weight.size
            layers[node] = layer
    inner = range(_ENDS, layer - _ENDS + 1) if layer > 4 * _ENDS else range(layer + 1)
    return total, {node for node, index in layers.items() if index in inner}


def _scores(node: ir.Node) -> bool:
    """Whether a layer gives the graph's scores, a few operators later at most."""
    value = node.outputs[0]
    for _ in range(8):
        if value.is_graph_output():
            return bool(value.name == "logits")
        if len(value.uses()) != 1:
            return False
        value = next(iter(value.uses()))[0].outputs[0]
    return False


def _routes(node: ir.Node) -> bool:
    """Whether a layer decides which experts are asked: few weights, and a wrong choice is no small error."""
    reached = set(node.outputs)
    for _ in range(8):
        users = {user for value in reached for user, _ in value.uses()}
        if any(user.op_type == "TopK" for user in users):
            return True
        users = {user for user in users if "Norm" not in user.op_type and user.op_type not in _MULTIPLY}
        reached = {value for user in users for value in user.outputs}
    return False


def _bias(value: ir.Value) -> tuple[ir.Value, ir.Value] | None:
    """What a layer's result becomes with its bias, and the bias."""
    if not only(value):
        return None
    node = next(iter(value.uses()))[0]
    if node.op_type != "Add":
        return None
    other = node.inputs[0] if node.inputs[1] is value else node.inputs[1]
    if other is None or other.const_value is None or len(other.const_value.shape) != 1:
        return None
    return node.outputs[0], other
