"""Small ONNX graphs with known answers, and an artifact around one, for the provider contract."""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gpux.artifact import (
    MANIFEST,
    Artifact,
    Certificate,
    Component,
    File,
    Manifest,
    OutputParity,
    Source,
    Variant,
    read,
)
from gpux.tensors import TensorSpec

RANDOM = np.random.default_rng(11)
W = RANDOM.normal(size=(6, 5)).astype(np.float32)
B = RANDOM.normal(size=5).astype(np.float32)


def expected(x):
    """The outputs of :func:`two_outputs`' graph, in double precision."""
    total = x.astype(np.float64) @ W + B
    return {"y": np.maximum(total, 0), "total": total}


def two_outputs(path):
    """Write ``total = x @ W + B``, ``y = relu(total)``: x float32 [rows, 6], both outputs float32 [rows, 5]."""
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["product"]),
        helper.make_node("Add", ["product", "B"], ["total"]),
        helper.make_node("Relu", ["total"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 5]) for name in ("y", "total")]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 6])
    weights = [numpy_helper.from_array(W, "W"), numpy_helper.from_array(B, "B")]
    graph = helper.make_graph(nodes, "two", [x], ends, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def artifact(directory) -> Artifact:
    """A stored model around that graph."""
    made = directory / "made"
    graph = two_outputs(_folder(made / "graphs/fp32") / "model.onnx")
    data = graph.read_bytes()
    certificate = Certificate(
        "exact",
        "pytorch fp32",
        "cpu",
        "onnxruntime",
        ("1x6",),
        (OutputParity("y", 0.0, 0.0, 1.0, explained=1.0),),
    )
    component = Component(
        "model",
        (TensorSpec("x", "float32", ("rows", 6)),),
        (TensorSpec("y", "float32", ("rows", 5)), TensorSpec("total", "float32", ("rows", 5))),
    )
    manifest = Manifest(
        schema=1,
        gpux="0.1.0",
        source=Source("file:two.onnx", "sha256:0", None, None, None),
        task="feature-extraction",
        architecture=None,
        parameters=None,
        components=(component,),
        variants=(Variant("fp32", {"model": "graphs/fp32/model.onnx"}, "ready", {}, certificate),),
        files=(File("graphs/fp32/model.onnx", len(data), hashlib.sha256(data).hexdigest()),),
    )
    text = manifest.to_json()
    (made / MANIFEST).write_bytes(text)
    return read(made.rename(directory / hashlib.sha256(text).hexdigest()))


def _folder(path):
    path.mkdir(parents=True)
    return path
