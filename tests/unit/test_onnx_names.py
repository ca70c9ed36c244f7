"""Other names for a graph's inputs and outputs: checked by onnx itself, and by what the runtime computes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import small_graphs
from decoder_graphs import decoder
from small_graphs import FLOAT, WEIGHT, constant, node, value, write

from gpux.onnx_names import rename
from gpux.onnx_reader import OnnxError, read_graph

X = np.arange(8, dtype=np.float32).reshape(2, 4)


def run(path, feeds):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, feeds), strict=True))


def test_a_renamed_graph_computes_the_same(tmp_path):
    source = small_graphs.linear(tmp_path / "a.onnx")
    rename(source, tmp_path / "b.onnx", inputs={"x": "pixel_values"}, outputs={"y": "logits"})
    summary = read_graph(tmp_path / "b.onnx")
    assert [str(spec) for spec in summary.inputs] == ["pixel_values: float32[batch, 4]"]
    assert [str(spec) for spec in summary.outputs] == ["logits: float32[batch, 3]"]
    assert (summary.nodes, summary.parameters, summary.opset) == (3, 12, 17)
    np.testing.assert_allclose(run(tmp_path / "b.onnx", {"pixel_values": X})["logits"], X @ WEIGHT, rtol=1e-6)


def test_one_of_several_is_renamed_and_the_others_stay(tmp_path):
    source = small_graphs.dtypes(tmp_path / "a.onnx")
    rename(source, tmp_path / "b.onnx", inputs={"b": "where"}, outputs={"nb": "not where"})
    summary = read_graph(tmp_path / "b.onnx")
    assert [spec.name for spec in summary.inputs] == ["i", "where", "f", "h", "u"]
    assert [spec.name for spec in summary.outputs] == ["y", "z", "not where"]


def test_an_input_that_several_nodes_and_a_branch_read(tmp_path):
    branch = onnx.helper.make_graph(
        [node("Add", ["x", "x"], ["twice"])], "then", [], [value("twice", FLOAT, "n")]
    )
    other = onnx.helper.make_graph(
        [node("Identity", ["x"], ["same"])], "else", [], [value("same", FLOAT, "n")]
    )
    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["positive"]),
        node("If", ["positive"], ["y"], then_branch=branch, else_branch=other),
    ]
    source = write(
        tmp_path / "a.onnx",
        nodes,
        [value("x", FLOAT, "n")],
        [value("y", FLOAT, "n")],
        [constant("zero", np.float32(0))],
    )
    rename(source, tmp_path / "b.onnx", inputs={"x": "given"}, outputs={"y": "x2"})
    for given, wanted in ((np.float32([1, 2]), [2, 4]), (np.float32([-1, -2]), [-1, -2])):
        np.testing.assert_array_equal(run(tmp_path / "b.onnx", {"given": given})["x2"], wanted)


def test_an_input_that_is_an_output_too(tmp_path):
    source = write(
        tmp_path / "a.onnx", [node("Neg", ["x"], ["y"])], [value("x", FLOAT, 2)], [value("y", FLOAT, 2)]
    )
    rename(source, tmp_path / "b.onnx", inputs={"x": "in"}, outputs={"y": "out"})
    np.testing.assert_array_equal(run(tmp_path / "b.onnx", {"in": np.float32([1, 2])})["out"], [-1, -2])


@pytest.mark.parametrize("taken", ["w", "y", "x"])
def test_a_name_that_is_taken_is_refused(tmp_path, taken):
    source = small_graphs.linear(tmp_path / "a.onnx")
    names = (
        {"inputs": {}, "outputs": {"y": taken}} if taken == "x" else {"inputs": {"x": taken}, "outputs": {}}
    )
    with pytest.raises(OnnxError, match=f"cannot become `{taken}`"):
        rename(source, tmp_path / "b.onnx", **names)
    assert not (tmp_path / "b.onnx").exists()


@pytest.mark.parametrize("cut", [1, 7, 40, 100])
def test_a_damaged_file_is_refused_or_copied_but_never_read_past_its_end(tmp_path, cut):
    source = small_graphs.linear(tmp_path / "a.onnx")
    source.write_bytes(source.read_bytes()[:-cut])
    with pytest.raises(OnnxError):
        rename(source, tmp_path / "b.onnx", inputs={"x": "z"}, outputs={})


def test_two_graphs_in_one_file_are_refused(tmp_path):
    source = small_graphs.linear(tmp_path / "a.onnx")
    source.write_bytes(source.read_bytes() * 2)
    with pytest.raises(OnnxError, match="2 graphs"):
        rename(source, tmp_path / "b.onnx", inputs={"x": "z"}, outputs={})


def test_axes_get_other_names_and_sizes_and_everything_else_stays(tmp_path):
    source = decoder(tmp_path / "a.onnx", packed=True, rotary="half")
    cache = ("batch", "heads", "past_sequence_length", None)
    rename(
        source,
        tmp_path / "b.onnx",
        inputs={"past_key_values.0.key": "keys"},
        outputs={},
        axes={"past_key_values.0.key": cache, "present.0.value": (2, 300, 70_000, "size")},
    )
    onnx.checker.check_model(onnx.load(tmp_path / "b.onnx"))
    before, after = read_graph(source), read_graph(tmp_path / "b.onnx")
    told = {spec.name: spec for spec in (*after.inputs, *after.outputs)}
    assert (told["keys"].shape, told["keys"].dtype) == (cache, "float32")
    assert told["present.0.value"].shape == (2, 300, 70_000, "size")
    same = [spec for spec in (*before.inputs, *before.outputs) if spec.name in told]
    assert sum(told[spec.name] == spec for spec in same) == len(same) - 1
    assert after.operators == before.operators | {"Identity"}
