"""The ONNX reader against the onnx package, and against bytes that are none: it fails cleanly or not at all."""

from __future__ import annotations

import contextlib
import random
import time

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gpux.onnx_reader import OnnxError, read_graph


def small_model() -> onnx.ModelProto:
    """A graph with an If, weights of both kinds of storage, an unnamed dimension and a second operator domain."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 4])
    inner = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    weights = onnx.numpy_helper.from_array(np.arange(16, dtype=np.float32).reshape(4, 4), "w")
    axes = onnx.numpy_helper.from_array(np.array([0], dtype=np.int64), "axes")
    outside = TensorProto(
        name="big", data_type=TensorProto.FLOAT, dims=[10, 10], data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", "data/weights.bin"), ("offset", "0"), ("length", "400")):
        outside.external_data.add(key=key, value=value)
    branch = helper.make_graph([helper.make_node("Relu", ["m"], ["z"])], "then", [], [inner])
    other = helper.make_graph(
        [helper.make_node("Gelu", ["m"], ["z"], domain="com.microsoft")], "else", [], [inner]
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("If", ["flag"], ["y"], then_branch=branch, else_branch=other),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [x, flag, helper.make_tensor_value_info("w", TensorProto.FLOAT, [4, 4])],
        [y],
        [weights, axes, outside],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    )


BYTES = small_model().SerializeToString()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("onnx") / "model.onnx"


def test_it_reads_what_the_onnx_package_wrote(file):
    file.write_bytes(BYTES)
    summary = read_graph(file)
    assert [(s.name, s.dtype, s.shape) for s in summary.inputs] == [
        ("x", "float32", ("batch", 4)),
        ("flag", "bool", ()),
    ]
    assert [(s.name, s.dtype, s.shape) for s in summary.outputs] == [("y", "float32", (None, 4))]
    assert summary.nodes == 2
    assert summary.operators == {"MatMul", "If", "Relu", "com.microsoft::Gelu"}
    assert summary.external == {"data/weights.bin"}
    assert summary.parameters == 16 + 100
    assert summary.opset == 17


@pytest.mark.parametrize("dtype", [d for d in TensorProto.DataType.values() if d in range(1, 17)])
def test_types_have_the_names_that_the_onnx_package_gives_them(file, dtype):
    value = helper.make_tensor_value_info("x", dtype, [2])
    out = helper.make_tensor_value_info("y", dtype, [2])
    file.write_bytes(
        helper.make_model(
            helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [out])
        ).SerializeToString()
    )
    expected = str(helper.tensor_dtype_to_np_dtype(dtype)) if dtype != TensorProto.STRING else "str"
    assert read_graph(file).inputs[0].dtype == expected


def read(file, data: bytes) -> None:
    file.write_bytes(data)
    start = time.monotonic()
    with contextlib.suppress(OnnxError):
        read_graph(file)
    assert time.monotonic() - start < 2


def test_an_empty_file(file):
    file.write_bytes(b"")
    with pytest.raises(OnnxError, match="empty"):
        read_graph(file)


def test_every_prefix_of_a_model(file):
    for end in range(1, len(BYTES)):
        read(file, BYTES[:end])


def test_every_byte_flipped(file):
    rng = random.Random(0)
    for at in range(len(BYTES)):
        changed = bytearray(BYTES)
        changed[at] ^= 1 << rng.randrange(8)
        read(file, bytes(changed))


quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@quick
@given(st.binary(max_size=400))
def test_random_bytes(file, data):
    read(file, data)


@quick
@given(
    st.lists(
        st.tuples(st.integers(0, len(BYTES) - 1), st.binary(max_size=12), st.integers(0, 12)),
        min_size=1,
        max_size=6,
    )
)
def test_random_splices(file, cuts):
    data = bytearray(BYTES)
    for at, new, length in cuts:
        data[at : at + length] = new
    read(file, bytes(data))


def test_graphs_nested_without_end_are_refused(file):
    def field(number: int, content: bytes) -> bytes:
        size, length = len(content), b""
        while size > 0x7F:
            length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + content

    graph = b""
    for _ in range(2000):
        graph = field(1, field(5, field(6, graph)))  # node { attribute { g { … } } }
    file.write_bytes(field(7, graph))
    with pytest.raises(OnnxError, match="deep"):
        read_graph(file)


@pytest.mark.parametrize("dims", [[2**62] * 200, [-1], [2**62, 4, 0]])
@pytest.mark.parametrize("index", [0, 1])  # a float and an integer tensor
def test_sizes_that_no_machine_holds_are_refused(file, dims, index):
    model = small_model()
    model.graph.initializer[index].dims[:] = dims
    read(file, model.SerializeToString())
    with pytest.raises(OnnxError, match="than any machine holds"):
        read_graph(file)


def test_a_sum_that_no_machine_holds_is_refused(file):
    model = small_model()
    for index in (0, 2):
        model.graph.initializer[index].dims[:] = [2**62, 2]
    file.write_bytes(model.SerializeToString())
    with pytest.raises(OnnxError, match="more parameters than any machine holds"):
        read_graph(file)


def test_what_is_for_training_does_not_count(file):
    model = small_model()
    training = model.training_info.add()
    training.algorithm.CopyFrom(model.graph)
    training.initialization.initializer.append(model.graph.initializer[0])
    file.write_bytes(model.SerializeToString())
    assert read_graph(file).parameters == 16 + 100


def test_external_data_of_a_functions_default_attribute_is_told(file):
    model = small_model()
    function = model.functions.add(name="f", domain="own")
    default = function.attribute_proto.add(name="value", type=onnx.AttributeProto.TENSOR)
    default.t.CopyFrom(TensorProto(data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL))
    default.t.external_data.add(key="location", value="../../secret")
    file.write_bytes(model.SerializeToString())
    assert read_graph(file).external == {"data/weights.bin", "../../secret"}
