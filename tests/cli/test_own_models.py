"""From an ONNX file on the disk to answers, with the real command: a bare graph, and a folder with gpux.yml."""

from __future__ import annotations

import json

import numpy as np
import pytest
import small_graphs
from command_line import run
from small_graphs import WEIGHT

X = np.arange(8, dtype=np.float32).reshape(2, 4)
AWAY = {"GPUX_PROVIDER": "cpu"}
TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "good": 1, "bad": 2}, "unk_token": "[UNK]"},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with graphs and tensors, and a store of its own."""
    folder = tmp_path_factory.mktemp("own")
    small_graphs.linear(folder / "linear.onnx")
    small_graphs.dtypes(folder / "dtypes.onnx")
    np.save(folder / "x.npy", X)
    given = {"i": np.int32([[1, 2]]), "b": np.array([[True, False]]), "f": np.float32([[0.5, 0.5]])}
    np.savez(folder / "five.npz", **given, h=np.float16([1]), u=np.uint8([3]))
    return folder


@pytest.fixture(scope="module")
def gpux_there(place):
    return lambda *words: run(*words, env={**AWAY, "GPUX_HOME": str(place / "home")})


def test_a_bare_graph_answers_tensors(gpux_there, place):
    pulled = gpux_there("pull", place / "linear.onnx", "--no-tune")
    assert pulled.code == 0, pulled.err
    assert "3×4 by rows" in pulled.out
    assert "gpux run linear inputs.npz" in pulled.err
    done = gpux_there("run", "linear", place / "x.npy", '{"x": [[1, 2, 3, 4]]}', "--json")
    assert done.code == 0, done.err
    first, second = (np.array(result["output"]["y"]) for result in done.record["results"])
    np.testing.assert_allclose(first, X @ WEIGHT, rtol=1e-6)
    np.testing.assert_allclose(second, [[1, 2, 3, 4]] @ WEIGHT, rtol=1e-6)
    assert done.record["task"] == "raw"


def test_five_dtypes_from_an_archive(gpux_there, place):
    done = gpux_there("run", place / "dtypes.onnx", place / "five.npz", "--json", "--param", "outputs=z")
    assert done.code == 0, done.err
    assert done.record["results"][0]["output"] == {"z": [4.0]}


def test_answers_go_to_an_archive_by_their_names(gpux_there, place, tmp_path):
    done = gpux_there("run", place / "dtypes.onnx", place / "five.npz", "--output", tmp_path / "out.npz")
    assert done.code == 0, done.err
    with np.load(tmp_path / "out.npz") as stored:
        assert {name: stored[name].dtype.name for name in stored.files} == {
            "y": "float32",
            "z": "float64",
            "nb": "bool",
        }
        np.testing.assert_array_equal(stored["y"], [[1, 0.5]])


def test_what_does_not_fit_is_a_sentence(gpux_there):
    done = gpux_there("run", "linear", '{"x": [[1, 2, 3]]}')
    assert done.code != 0
    assert "has `x` of shape [1, 3]" in done.err
    assert "the graph takes x: float32[batch, 4]" in done.err
    assert "Traceback" not in done.err


def test_init_build_run(gpux_there, place, tmp_path):
    small_graphs.text_classifier(tmp_path / "net.onnx", tokens=3, labels=2)
    (tmp_path / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    begun = gpux_there("init", tmp_path / "net.onnx", "--task", "text-classification")
    assert begun.code == 0, begun.err
    assert begun.out.strip() == str(tmp_path / "gpux.yml")
    text = (tmp_path / "gpux.yml").read_text()
    (tmp_path / "gpux.yml").write_text(f"{text}\nname: moods\nlabels: [good, bad]\n")
    built = gpux_there("build", tmp_path, "--no-tune", "--json")
    assert built.code == 0, built.err
    assert built.record["task"] == "text-classification"
    assert built.record["certificate"]["reference"] == "itself"
    done = gpux_there("run", "moods", "good good", "--json", "--param", "top_k=2")
    assert done.code == 0, done.err
    logits = 2 * np.sin(np.arange(6, dtype=np.float32)).reshape(3, 2)[1]
    wanted = dict(zip(["good", "bad"], np.exp(logits) / np.exp(logits).sum(), strict=True))
    found = {one["label"]: one["score"] for one in done.record["results"][0]["output"]}
    assert found == pytest.approx(wanted, abs=1e-6)
    assert gpux_there("init", tmp_path / "net.onnx").refused(2)[1].endswith("--force replaces it")


def test_a_mistake_names_file_line_and_key(gpux_there, tmp_path):
    small_graphs.linear(tmp_path / "model.onnx")
    (tmp_path / "gpux.yml").write_text("name: x\ntask: raw\nlables: [a]\n")
    message, hint = gpux_there("build", tmp_path).refused(2)
    assert message == f"{tmp_path / 'gpux.yml'}, line 3: unknown key `lables`"
    assert hint == "did you mean `labels`"
    assert gpux_there("build", tmp_path / "none").refused(2)[0].startswith("there is no gpux.yml in")


def test_a_benchmark_makes_its_own_inputs(gpux_there):
    done = gpux_there("run", "linear", "--benchmark", "--runs", "3", "--warmup", "1", "--format", "json")
    assert done.code == 0, done.err
