"""What rewrites of an ONNX graph are made of: following a value to what made it, reading constants, putting nodes in.

Knows no model and no operator's meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import onnx_ir as ir

CONTRIB = "com.microsoft"
Made = TypeVar("Made")
_SMALL = 4_096  # elements of a constant that is read to be understood


def producer(value: ir.Value | None, *operators: str) -> ir.Node | None:
    """The node that made a value, where it is one of these operators."""
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type in operators else None


def constant(value: ir.Value | None, *, most: int = _SMALL) -> np.ndarray | None:
    """The numbers of a constant, or ``None``: it is none, or has more than ``most`` elements."""
    if value is None:
        return None
    tensor = value.const_value
    if tensor is None:
        made = producer(value, "Constant")
        tensor = made.attributes["value"].as_tensor() if made and "value" in made.attributes else None
    if tensor is None or tensor.size > most or value.is_graph_input():
        return None
    found: np.ndarray = tensor.numpy()
    return found


def weights(value: ir.Value | None) -> ir.TensorProtocol:
    """The tensor of a constant.

    Raises:
        LookupError: It is none, which whoever asks has looked at before.
    """
    if value is None or value.const_value is None:
        raise LookupError("not a constant of the graph")
    return value.const_value


def scalar(value: ir.Value | None) -> float | None:
    """The number of a constant of one element."""
    found = constant(value, most=1)
    return None if found is None or found.size != 1 else float(found.reshape(()))


def split_operands(
    node: ir.Node | None, chosen: Callable[[ir.Value], bool]
) -> tuple[ir.Value, ir.Value] | None:
    """The operands of a node of two, the one that ``chosen`` holds for first; ``None`` where it holds for neither."""
    if node is None or len(node.inputs) != 2:
        return None
    left, right = node.inputs
    if left is None or right is None:
        return None
    if chosen(left):
        return left, right
    return (right, left) if chosen(right) else None


def attribute(node: ir.Node, name: str, default: object = None) -> object:
    """An attribute's value."""
    found = node.attributes.get(name)
    return default if found is None else found.value


def permutes(node: ir.Node | None, *axes: int) -> bool:
    """Whether a node is a ``Transpose`` by these axes."""
    return (
        node is not None and node.op_type == "Transpose" and tuple(attribute(node, "perm", ())) == axes  # type: ignore[arg-type]
    )


def only(value: ir.Value) -> bool:
    """Whether one node reads a value, and nobody outside the graph does."""
    return len(value.uses()) == 1 and not value.is_graph_output()


def taken(tensor: ir.TensorProtocol, make: Callable[[np.ndarray], Made]) -> Made:
    """What is made of a tensor's numbers; a mapped file is let go afterwards, for its pages count as long as it is mapped."""
    made = make(tensor.numpy())
    if isinstance(tensor, ir.ExternalTensor):
        tensor.release()
    return made


class Rewriting:
    """Changes to one graph; new nodes stand where the nodes stood that they replace, their names begin with a label."""

    def __init__(self, model: ir.Model, label: str) -> None:
        self.model = model
        self.graph = model.graph
        self._label = label
        self._count = 0
        model.opset_imports.setdefault(CONTRIB, 1)

    def nodes(self, *operators: str) -> list[ir.Node]:
        """The graph's nodes of these operators, as they stand now."""
        return [node for node in self.graph if node.op_type in operators]

    def put(
        self,
        before: ir.Node,
        operator: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, int | float | str | Sequence[int]] | None = None,
        *,
        domain: str = "",
        outputs: int | Sequence[ir.Value] = 1,
    ) -> ir.Node:
        """A new node before another; its outputs are named after it, unless values are given."""
        self._count += 1
        made = (
            [ir.Value(name=f"{self._label}_{self._count}_{index}") for index in range(outputs)]
            if isinstance(outputs, int)
            else list(outputs)
        )
        node = ir.Node(
            domain,
            operator,
            inputs,
            ir.convenience.convert_attributes(dict(attributes or {})),
            outputs=made,
            name=f"{self._label}_{self._count}_{operator}",
        )
        self.graph.insert_before(before, node)
        return node

    def numbers(self, name: str, array: np.ndarray) -> ir.Value:
        """A constant of the graph, made once for a name."""
        if name in self.graph.initializers:
            return self.graph.initializers[name]
        return self.tensor(ir.tensor(array, name=name))

    def tensor(self, tensor: ir.TensorProtocol) -> ir.Value:
        """A constant of the graph from a tensor, which may be lazy."""
        name = tensor.name or f"{self._label}_{len(self.graph.initializers)}"
        value = ir.Value(
            name=name,
            const_value=tensor,
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape(tensor.shape),
        )
        self.graph.initializers[name] = value
        return value

    def replace(self, old: ir.Value, new: ir.Value) -> None:
        """Let every reader of a value read another; an output of the graph keeps its name."""
        if new.type is None:
            new.type = old.type
        if new.shape is None:
            new.shape = old.shape
        if old.is_graph_output():
            name, old.name = old.name, f"{old.name}_before"
            new.name = name
            outputs = self.graph.outputs
            outputs[:] = [new if value is old else value for value in outputs]
        old.replace_all_uses_with(new)

    def sweep(self) -> None:
        """Remove what nobody reads any more."""
        from onnx_ir.passes.common import RemoveUnusedNodesPass

        RemoveUnusedNodesPass()(self.model)
