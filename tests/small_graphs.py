"""ONNX files of a few nodes, made with onnx.helper: what a person exports by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF, DOUBLE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE
INT32, INT64, UINT8, BOOL = TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8, TensorProto.BOOL
STRING, BFLOAT16 = TensorProto.STRING, TensorProto.BFLOAT16

WEIGHT = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)

node = helper.make_node


def value(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def write(path: Path, nodes, inputs, outputs, constants=()) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def linear(path: Path, *, batch="batch", given="x", gives="y") -> Path:
    """``y = x @ WEIGHT``, four numbers in, three out."""
    nodes = [node("MatMul", [given, "w"], [gives])]
    return write(
        path, nodes, [value(given, FLOAT, batch, 4)], [value(gives, FLOAT, batch, 3)], [constant("w", WEIGHT)]
    )


def dtypes(path: Path) -> Path:
    """Five inputs of five types: ``y = where(b, i, f)``, ``z = h + u`` in double precision, ``nb = not b``."""
    nodes = [
        node("Cast", ["i"], ["fi"], to=FLOAT),
        node("Where", ["b", "fi", "f"], ["y"]),
        node("Cast", ["h"], ["hd"], to=DOUBLE),
        node("Cast", ["u"], ["ud"], to=DOUBLE),
        node("Add", ["hd", "ud"], ["z"]),
        node("Not", ["b"], ["nb"]),
    ]
    both = ("n", "m")
    inputs = [
        value("i", INT32, *both), value("b", BOOL, *both), value("f", FLOAT, *both), value("h", HALF, "n"),
        value("u", UINT8, "n"),
    ]  # fmt: skip
    outputs = [value("y", FLOAT, *both), value("z", DOUBLE, "n"), value("nb", BOOL, *both)]
    return write(path, nodes, inputs, outputs)


def softmax(path: Path, axis_name: str) -> Path:
    """A softmax over its first axis: its rows depend on each other."""
    shape = (axis_name, 4)
    nodes = [node("Softmax", ["x"], ["y"], axis=0)]
    return write(path, nodes, [value("x", FLOAT, *shape)], [value("y", FLOAT, *shape)])


def unary(path: Path, operator: str, *, kind=FLOAT, shape=("n", 4)) -> Path:
    """One operator, as it stands."""
    return write(path, [node(operator, ["x"], ["y"])], [value("x", kind, *shape)], [value("y", kind, *shape)])


def folded(path: Path, *, by: int) -> Path:
    """A vector whose length must be a multiple."""
    nodes = [node("Reshape", ["x", "to"], ["y"])]
    to = constant("to", np.array([-1, by], np.int64))
    return write(path, nodes, [value("x", FLOAT, "length")], [value("y", FLOAT, "rows", by)], [to])


def positions(path: Path, *, longest: int) -> Path:
    """Token vectors plus a table of positions, so that a longer sequence is refused."""
    table = constant("table", np.linspace(-1, 1, longest * 3, dtype=np.float32).reshape(longest, 3))
    nodes = [
        node("Shape", ["ids"], ["shape"]),
        node("Gather", ["shape", "one"], ["length"]),
        node("Range", ["zero", "length", "one"], ["places"]),
        node("Gather", ["table", "places"], ["where"]),
        node("Gather", ["table", "ids"], ["what"]),
        node("Add", ["what", "where"], ["y"]),
    ]
    whole = [constant("one", np.array(1, np.int64)), constant("zero", np.array(0, np.int64))]
    shape = ("batch", "sequence")
    return write(path, nodes, [value("ids", INT64, *shape)], [value("y", FLOAT, *shape, 3)], [table, *whole])


def text_classifier(path: Path, *, tokens: int, labels: int, gives: str = "logits") -> Path:
    """Scores that are the sum of each text's token vectors; the mask leaves padding out."""
    table = np.sin(np.arange(tokens * labels, dtype=np.float32)).reshape(tokens, labels)
    nodes = [
        node("Gather", ["table", "input_ids"], ["vectors"]),
        node("Cast", ["attention_mask"], ["mask"], to=FLOAT),
        node("Unsqueeze", ["mask", "last"], ["mask3"]),
        node("Mul", ["vectors", "mask3"], ["kept"]),
        node("ReduceSum", ["kept", "middle"], [gives], keepdims=0),
    ]
    constants = [
        constant("table", table),
        constant("last", np.array([2], np.int64)),
        constant("middle", np.array([1], np.int64)),
    ]
    inputs = [value(name, INT64, "batch", "sequence") for name in ("input_ids", "attention_mask")]
    return write(path, nodes, inputs, [value(gives, FLOAT, "batch", labels)], constants)


def sound_classifier(path: Path) -> Path:
    """Two scores that are a recording's mean magnitude, and one less that."""
    nodes = [
        node("Abs", ["wave"], ["loud"]),
        node("ReduceMean", ["loud"], ["mean"], axes=[1], keepdims=1),
        node("Sub", ["one", "mean"], ["rest"]),
        node("Concat", ["mean", "rest"], ["out"], axis=1),
    ]
    inputs, outputs = [value("wave", FLOAT, "batch", "samples")], [value("out", FLOAT, "batch", 2)]
    return write(path, nodes, inputs, outputs, [constant("one", np.float32(1))])


def image_classifier(path: Path, *, side: int, given: str = "data", gives: str = "prob") -> Path:
    """Scores that are the means of the three channels."""
    nodes = [node("ReduceMean", [given], [gives], axes=[2, 3], keepdims=0)]
    return write(
        path, nodes, [value(given, FLOAT, "batch", 3, side, side)], [value(gives, FLOAT, "batch", 3)]
    )
