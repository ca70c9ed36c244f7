"""Graphs that come without a word about their task: pulled, proven against themselves, and run with tensors."""

from __future__ import annotations

import re

import numpy as np
import pytest
import small_graphs
from onnx import helper
from small_graphs import BFLOAT16, FLOAT, STRING, WEIGHT, node, value, write

import gpux
from gpux.errors import GpuxError, InvalidInput, ProofFailed, UnsupportedModel

X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture
def pulled(store, tmp_path):
    """Pull a graph that a function writes."""
    return lambda make, *args, **kwargs: gpux.pull(make(tmp_path / "graph.onnx", *args, **kwargs))


@pytest.fixture(scope="module")
def linear(store, tmp_path_factory):
    artifact = gpux.pull(small_graphs.linear(tmp_path_factory.mktemp("linear") / "linear.onnx"))
    with gpux.load(artifact, provider="cpu") as model:
        yield model


def test_rows_of_a_batch_are_held_to_single_rows(linear):
    certificate = linear.artifact.certificate
    assert (linear.task, certificate.quality, certificate.reference) == ("raw", "exact", "itself")
    assert certificate.probes == ("1×4 twice", "3×4 by rows", "2×4 by rows", "1×4 twice")
    assert [(one.name, one.top1) for one in certificate.outputs] == [("y", None)]


def test_tensors_in_tensors_out(linear):
    answers = linear([{"x": X}, X[:1], X.tolist()])
    assert [answer["y"].dtype for answer in answers] == [np.float32] * 3
    for answer, given in zip(answers, (X, X[:1], X), strict=True):
        np.testing.assert_allclose(answer["y"], given @ WEIGHT, rtol=1e-6)
    np.testing.assert_allclose(linear({"x": X}, outputs=["y"])["y"], X @ WEIGHT, rtol=1e-6)
    assert linear([]) == []
    assert len(list(linear.stream({"x": X} for _ in range(40)))) == 40


def test_files_and_samples_are_items(linear, tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.testing.assert_allclose(linear(str(tmp_path / "x.npy"))["y"], X @ WEIGHT, rtol=1e-6)
    np.testing.assert_allclose(linear(tmp_path / "x.npy")["y"], X @ WEIGHT, rtol=1e-6)
    (sample,) = linear.pipeline.samples()
    assert np.shape(sample["x"]) == (1, 4)
    assert linear.pipeline.work([sample, {"x": X}]) == {"values": 12}
    np.testing.assert_array_equal(linear.pipeline.feeds([{"x": X}])[0]["x"], X)
    assert linear(sample)["y"].shape == (1, 3)


@pytest.mark.parametrize(
    ("item", "parameters", "said", "hint"),
    [
        ({"x": X.astype("float64")}, {}, "has `x` as float64", "the graph takes x: float32[batch, 4]"),
        ({"x": X[0]}, {}, "has `x` of shape [4]", "the graph takes x: float32[batch, 4]"),
        ({"x": X[:, :3]}, {}, "has `x` of shape [2, 3]", "the graph takes x: float32[batch, 4]"),
        ({"X": X}, {}, "has `X`, which the graph does not take, lacks `x`", "the graph takes x"),
        ("a text", {}, "neither tensors nor a file of them", "the graph takes x"),
        ({"x": [[1, 2, 3, np.nan]]}, {}, "infinite or none", "the graph takes x"),
        ({"x": X}, {"outputs": "Y"}, "no output `Y`", "it gives y"),
        ({"x": X}, {"outputs": []}, "`outputs` is []", "name some of y"),
        ({"x": X}, {"top_k": 1}, "no parameter `top_k`", "allow_nan, outputs"),
    ],
)
def test_what_does_not_fit_names_the_inputs_of_the_graph(linear, item, parameters, said, hint):
    with pytest.raises(InvalidInput, match=re.escape(said)) as caught:
        linear(item, **parameters)
    assert hint in caught.value.hint


def test_a_table_shows_types_and_the_first_numbers(linear):
    table = linear.pipeline.table(["x.npy"], linear([{"x": X}]))
    assert table.columns == ("input", "output", "type", "values")
    first = " ".join(f"{number:.4g}" for number in (X @ WEIGHT).ravel())
    assert table.rows == (("x.npy", "y", "float32[2, 3]", first),)


def test_numbers_that_are_none_pass_where_they_are_allowed(linear):
    assert np.isnan(linear({"x": [[np.nan, 0, 0, 0]]}, allow_nan=True)["y"]).all()


def test_a_graph_of_five_dtypes(pulled):
    artifact = pulled(small_graphs.dtypes)
    assert artifact.certificate.probes[0].endswith("twice")
    assert any(one.endswith("by rows") for one in artifact.certificate.probes)
    given = {
        "i": [[1, 2], [3, 4]],
        "b": [[True, False], [False, True]],
        "f": [[0.5, 0.5]] * 2,
        "h": [1, 2],
        "u": [3, 4],
    }
    with gpux.load(artifact, provider="cpu") as model:
        answer = model(given)
        some = model(given, outputs=["z"])
    np.testing.assert_array_equal(answer["y"], [[1, 0.5], [0.5, 4]])
    np.testing.assert_array_equal(answer["nb"], [[False, True], [True, False]])
    assert {name: array.dtype for name, array in answer.items()} == {
        "y": np.float32,
        "z": np.float64,
        "nb": np.bool_,
    }
    assert list(some) == ["z"]
    np.testing.assert_array_equal(some["z"], [4, 6])


@pytest.mark.parametrize(
    ("make", "arguments", "probes"),
    [
        # Positions end at 6, so that 8 is refused and 4 is the first that runs.
        (small_graphs.positions, {"longest": 6}, ("1×4 twice", "3×4 by rows", "1×2 twice", "2×4 by rows")),
        (small_graphs.folded, {"by": 6}, ("12 twice", "36 twice", "24 twice", "12 twice")),
        # Rows of a sequence may depend on each other; what is called a batch may not (below).
        (small_graphs.softmax, {"axis_name": "time"}, ("1×4 twice", "3×4 twice", "2×4 twice", "1×4 twice")),
        # A logarithm is finite for numbers between 0 and 1.
        (small_graphs.unary, {"operator": "Log"}, ("1×4 twice", "3×4 by rows", "2×4 by rows", "1×4 twice")),
        (small_graphs.unary, {"operator": "Neg", "shape": (2, 3)}, ("2×3 twice", "2×3 twice")),
    ],
)
def test_sizes_are_found_by_trying(pulled, make, arguments, probes):
    certificate = pulled(make, **arguments).certificate
    assert certificate.probes == probes
    assert certificate.quality == "exact"


def test_outputs_whose_size_hangs_on_the_numbers(pulled):
    def make(path):
        shape = ("n", 4)
        nodes = [node("NonZero", ["x"], ["where"]), node("Relu", ["x"], ["y"])]
        outputs = [value("where", small_graphs.INT64, 2, None), value("y", FLOAT, *shape)]
        return write(path, nodes, [value("x", FLOAT, *shape)], outputs)

    artifact = pulled(make)
    assert {one.name for one in artifact.certificate.outputs} == {"where", "y"}
    with gpux.load(artifact, provider="cpu") as model:
        np.testing.assert_array_equal(model({"x": [[0, 1, 0, 2]]})["where"], [[0, 0], [1, 3]])


def test_labels_as_text_beside_the_scores_are_left_out(pulled):
    def make(path):
        words = helper.make_tensor("words", STRING, [2], [b"a", b"b"])
        nodes = [
            node("ArgMax", ["x"], ["best"], axis=1, keepdims=0),
            node("Gather", ["words", "best"], ["label"]),
        ]
        outputs = [value("label", STRING, "n"), value("best", small_graphs.INT64, "n")]
        return write(path, nodes, [value("x", FLOAT, "n", 2)], outputs, [words])

    with gpux.load(pulled(make), provider="cpu") as model:
        assert list(model({"x": [[0, 1]]})) == ["best"]
        with pytest.raises(InvalidInput, match="no output `label` of numbers"):
            model({"x": [[0, 1]]}, outputs="label")


def _random(path):
    shape = ("n", 4)
    nodes = [node("RandomNormalLike", ["x"], ["r"]), node("Add", ["x", "r"], ["y"])]
    return write(path, nodes, [value("x", FLOAT, *shape)], [value("y", FLOAT, *shape)])


def _nothing(path):
    nodes = [node("Sub", ["x", "x"], ["zero"]), node("Div", ["zero", "zero"], ["y"])]
    return write(path, nodes, [value("x", FLOAT, "n")], [value("y", FLOAT, "n")])


@pytest.mark.parametrize(
    ("make", "arguments", "error", "said"),
    [
        (
            small_graphs.softmax,
            {"axis_name": "batch"},
            ProofFailed,
            "is not what the graph gives for its rows one by one",
        ),
        (_random, {}, ProofFailed, "differs between two runs of the same inputs"),
        (
            _nothing,
            {},
            ProofFailed,
            r"none of the sizes that were tried \(n=1, n=8.*: an output is not finite",
        ),
        (
            small_graphs.folded,
            {"by": 7919},
            ProofFailed,
            r"none of the sizes that were tried \(length=1, length=8",
        ),
        (small_graphs.unary, {"operator": "Identity", "kind": STRING}, UnsupportedModel, "takes `x` as str"),
        (
            small_graphs.unary,
            {"operator": "Identity", "kind": BFLOAT16},
            UnsupportedModel,
            "takes `x` as bfloat16",
        ),
        (
            small_graphs.unary,
            {"operator": "Neg", "shape": ("n", 1 << 40)},
            ProofFailed,
            "more than 33,554,432 elements",
        ),
    ],
)
def test_a_graph_that_contradicts_itself_is_not_stored(pulled, make, arguments, error, said):
    with pytest.raises(error, match=said) as caught:
        pulled(make, **arguments)
    assert caught.value.hint


def test_a_folder_with_one_graph_and_no_configuration(store, tmp_path):
    small_graphs.linear(tmp_path / "network.onnx")
    assert gpux.plan_pull(tmp_path).task == "raw"
    assert gpux.pull(tmp_path).task == "raw"
    small_graphs.linear(tmp_path / "other.onnx")
    with pytest.raises(UnsupportedModel, match=r"holds 2 graphs: network\.onnx, other\.onnx") as caught:
        gpux.pull(tmp_path)
    assert caught.value.hint.endswith("network.onnx")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(GpuxError, match=r"nothing in .* says which task it answers"):
        gpux.pull(tmp_path, force=True)


def test_external_data_outside_the_folder_is_refused(store, tmp_path):
    path = small_graphs.linear(tmp_path / "model" / "graph.onnx")
    import onnx

    model = onnx.load(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    (tmp_path / "secret").write_bytes(bytes(48))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(GpuxError, match=r"`\.\./secret`"):
        gpux.pull(path)


def test_any_stored_model_takes_tensors(minilm):
    with gpux.load(minilm, task="raw", provider="cpu") as model:
        assert model.task == "raw"
        (sample,) = model.pipeline.samples()
        assert set(sample) == {spec.name for spec in model.session.inputs}
        (answer,) = model([sample])
        assert all(array.shape[0] == np.shape(sample["input_ids"])[0] for array in answer.values())


def test_it_is_measured_like_any_model(linear):
    report = linear.benchmark(runs=3, warmup=1)
    assert report.identity.task == "raw"
