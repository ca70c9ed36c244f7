"""Folders with a gpux.yml: built, proven, stored under their names, and run as it says."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import small_graphs
from small_graphs import WEIGHT

import gpux
from gpux.errors import GpuxError, InvalidBlueprint, UsageError

TOKENS = ["[PAD]", "[UNK]", "good", "bad", "film"]
TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None, "decoder": None,
    "added_tokens": [
        {"id": n, "content": TOKENS[n], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for n in (0, 1)
    ],
    "model": {"type": "WordLevel", "vocab": {token: n for n, token in enumerate(TOKENS)}, "unk_token": "[UNK]"},
}  # fmt: skip
X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture
def folder(store, tmp_path):
    """A folder with a graph; a function writes its gpux.yml."""
    small_graphs.linear(tmp_path / "model.onnx")
    small_graphs.linear(tmp_path / "deep" / "q.onnx")

    def write(text):
        (tmp_path / "gpux.yml").write_text(text)
        return tmp_path

    return write


def test_names_variants_and_runtime_of_ones_own(folder, monkeypatch):
    directory = folder(
        "name: own-linear\nversion: 3\nmodel: {source: model.onnx, variants: {int8: deep/q.onnx}}\n"
        "inputs: {x: features}\noutputs: {y: scores}\nruntime: {provider: cpu, threads: 1, variant: int8}\nserving: {port: 8080}\n"
    )
    artifact = gpux.build(directory)
    assert artifact.reference == f"file:{directory}"
    assert [one.name for one in artifact.manifest.variants] == ["fp32", "int8"]
    assert [one.certificate.reference for one in artifact.manifest.variants] == ["itself", "onnx fp32"]
    kept = json.loads(artifact.path("gpux.json").read_bytes())
    assert (kept["version"], kept["serving"]["port"]) == ("3", 8080)
    with gpux.load("own-linear") as model:
        assert (model.plan.provider, model.plan.variant, model.plan.threads) == ("cpu", "int8", 1)
        np.testing.assert_allclose(model({"features": X})["scores"], X @ WEIGHT, rtol=1e-6)
    plan = gpux.plan("own-linear")
    assert (plan.provider, plan.variant, plan.threads) == ("cpu", "int8", 1)
    # Whoever says more at the time of loading is followed, then the environment.
    with gpux.load("own-linear", variant="fp32", threads=2) as model:
        assert (model.plan.variant, model.plan.threads) == ("fp32", 2)
    monkeypatch.setenv("GPUX_PROVIDER", "null")
    assert gpux.plan("own-linear").provider == "null"


def test_what_is_stored_is_not_built_again_until_something_changes(folder):
    directory = folder("name: built-once\nmodel: {source: model.onnx}\n")
    steps = []
    first = gpux.build(directory, progress=lambda event: steps.append(event.stage))
    assert "prove" in steps
    steps.clear()
    assert gpux.build(directory, progress=lambda event: steps.append(event.stage)).digest == first.digest
    assert "prove" not in steps
    folder("name: built-once\nmodel: {source: model.onnx}\noutputs: {y: z}\n")
    second = gpux.build(directory)
    assert second.digest != first.digest
    assert gpux.Store().get("built-once").digest == second.digest
    assert gpux.pull(directory).digest == second.digest  # a pull of the folder follows the file too


@pytest.fixture(scope="module")
def films(store, tmp_path_factory):
    directory = tmp_path_factory.mktemp("films")
    small_graphs.text_classifier(directory / "graph.onnx", tokens=len(TOKENS), labels=3, gives="out")
    (directory / "words.json").write_text(json.dumps(TOKENIZER))
    (directory / "labels.txt").write_text("bad\nmiddling\ngood\n")
    (directory / "gpux.yml").write_text(
        "name: films\ntask: text-classification\noutputs: {out: logits}\nlabels: labels.txt\n"
        "preprocessing: {tokenizer: words.json, max_length: 4}\n"
    )
    return gpux.build(directory)


def test_a_text_classifier_with_its_own_tokenizer(films):
    assert (films.task, films.certificate.reference, films.certificate.quality) == (
        "text-classification",
        "itself",
        "exact",
    )
    config = films.read_json("config.json")
    assert (config["vocab_size"], config["pad_token_id"]) == (len(TOKENS), 0)
    table = np.sin(np.arange(len(TOKENS) * 3, dtype=np.float32)).reshape(-1, 3)
    logits = np.stack([table[[2, 4]].sum(0), table[[3, 1, 3, 3]].sum(0)])
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    with gpux.load("films", provider="cpu") as model:
        answers = model(
            ["good film", "bad never bad bad bad"], top_k=None
        )  # the second is cut at four tokens
    names = ["bad", "middling", "good"]
    for answer, wanted in zip(answers, scores, strict=True):
        assert {one["label"] for one in answer} == set(names)
        for one in answer:
            assert one["score"] == pytest.approx(wanted[names.index(one["label"])], abs=1e-6)


def test_a_classifier_of_pictures(store, tmp_path):
    from PIL import Image

    small_graphs.image_classifier(tmp_path / "net.onnx", side=32)
    (tmp_path / "gpux.yml").write_text(
        "name: colours\ntask: image-classification\ninputs: {data: pixel_values}\noutputs: {prob: logits}\n"
        "labels: [red, green, blue]\npreprocessing: imagenet\n"
    )
    artifact = gpux.build(tmp_path)
    assert artifact.certificate.quality == "exact"
    picture = Image.new("RGB", (80, 60), (255, 0, 51))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    logits = (np.array([1, 0, 0.2]) - mean) / std  # the figures of ImageNet, as torchvision publishes them
    wanted = np.exp(logits) / np.exp(logits).sum()
    with gpux.load("colours", provider="cpu") as model:
        answer = model(picture)
        assert model.pipeline.describe()["size"] == [32, 32]  # the graph's own, in place of 224
    assert [one["label"] for one in answer] == ["red", "blue", "green"]
    np.testing.assert_allclose([one["score"] for one in answer], np.sort(wanted)[::-1], atol=1e-6)


def test_a_classifier_of_sound(store, tmp_path):
    small_graphs.sound_classifier(tmp_path / "net.onnx")
    (tmp_path / "gpux.yml").write_text(
        "name: loudness\ntask: audio-classification\ninputs: {wave: input_values}\noutputs: {out: logits}\n"
        "labels: [loud, quiet]\npreprocessing: {sampling_rate: 8000, normalize: false}\n"
    )
    planned = gpux.plan_pull(tmp_path)
    assert (planned.task, planned.variants, planned.routes) == ("audio-classification", ("fp32",), ("ready",))
    assert gpux.build(tmp_path).certificate.quality == "exact"
    wave = np.full(4000, 0.25, np.float32)
    with gpux.load("loudness", provider="cpu") as model:
        answer = model({"array": wave, "sampling_rate": 8000})
    wanted = np.exp([0.25, 0.75]) / np.exp([0.25, 0.75]).sum()
    assert {one["label"]: one["score"] for one in answer} == pytest.approx(
        {"loud": wanted[0], "quiet": wanted[1]}, abs=1e-6
    )


WRONG = [
    # text, line, what is said, hint
    ("task: rwa\n", 1, "GPUX has no task `rwa`", "did you mean `raw`"),
    ("model: {source: model.onx}\n", 1, "`model.onx` is not an ONNX file of this folder", "did you mean `model.onnx`"),
    ("model: {source: ../model.onnx}\n", 1, "not an ONNX file of this folder", "did you mean"),
    ("task: raw\n", 0, "the folder holds 2 ONNX files (deep/q.onnx, model.onnx)", "model: {source: deep/q.onnx}"),
    ("model: {source: model.onnx}\ninputs: {X: a}\n", 2, "the graph has no input `X`", "it can be x"),
    ("model: {source: model.onnx}\noutputs:\n  yy: a\n", 3, "the graph has no output `yy`", "did you mean `y`"),
    ("model: {source: model.onnx}\ninputs: {x: w}\n", 2, "`x` cannot become `w`", "take other names"),
    ("model: {source: model.onnx}\nlabels: [a]\n", 2, "the task raw reads no labels", "leave them out"),
    ("model: {source: model.onnx}\npreprocessing: clip\n", 2, "prepares pictures (`name`), and the task raw", "leave it out"),
    ("model: {source: model.onnx}\nruntime:\n  variant: int8\n", 3, "`model` has fp32", "name one"),
    ("model: {source: model.onnx}\nruntime:\n  provider: cpuu\n", 3, "no provider `cpuu`", "did you mean `cpu`"),
    (
        "model: {source: model.onnx}\nruntime:\n  provider: cpu\n  options: {grpah: all}\n", 4,
        "provider `cpu` has no option `grpah`", "did you mean `graph`",
    ),
    ("name: a..b\nmodel: {source: model.onnx}\n", 1, "`name` is `a..b`", "write org/name"),
    (
        "model: {source: model.onnx}\ntask: text-classification\n", 0,
        "reads texts, and the folder has no tokenizer.json", "preprocessing: {tokenizer: PATH}",
    ),
    (
        "model: {source: model.onnx}\ntask: text-classification\npreprocessing: {tokenizer: t.json}\n", 0,
        "`model.onnx` takes `x`, and the task text-classification makes input_ids", "say which it is: inputs: {x: input_ids}",
    ),
    (
        "model: {source: model.onnx}\ntask: image-classification\ninputs: {x: pixel_values}\n", 0,
        "gives y, and the task image-classification reads `logits`", "say which it is: outputs: {y: logits}",
    ),
    (
        "model: {source: model.onnx}\ntask: image-classification\ninputs: {x: pixel_values}\noutputs: {y: logits}\nlabels: [a, b]\n",
        5, "`labels` has 2 names up to number 1, and `model.onnx` gives 3 scores", "one name for each",
    ),
    (
        "model: {source: model.onnx}\ntask: image-classification\nlabels: names.txt\n", 3, "`names.txt` is not in the folder",
        "seen from the folder",
    ),
    ("model: {source: model.onnx}\ntask: image-classification\nlabels: a.csv\n", 3, "neither .txt nor .json", "one name a line"),
    (
        "model: {source: model.onnx}\ntask: image-classification\npreprocessing: {tokenizer: t.json}\n", 3,
        "prepares texts (`tokenizer`), and the task image-classification takes image", "leave it out",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "said", "hint"), WRONG)
def test_a_file_that_contradicts_its_folder_is_told_with_its_line(folder, text, line, said, hint):
    directory = folder(text)
    with pytest.raises(InvalidBlueprint, match=re.escape(said)) as caught:
        gpux.build(directory)
    where = f"gpux.yml, line {line}: " if line else "gpux.yml: "
    assert where in caught.value.message
    assert hint in caught.value.hint


def test_files_that_are_none_of_what_they_must_be(folder):
    directory = folder(
        "model: {source: model.onnx}\ntask: text-classification\npreprocessing: {tokenizer: t.json}\n"
    )
    (directory / "t.json").write_text("{")
    with pytest.raises(InvalidBlueprint, match=r"line 2|`t\.json` is no JSON|takes `x`"):
        gpux.build(directory)
    folder("model: {source: model.onnx}\n")
    (directory / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(InvalidBlueprint, match=r"line 1: `model\.onnx` is no ONNX graph"):
        gpux.build(directory)


def test_another_task_than_the_files_own_is_refused(folder):
    directory = folder("task: raw\nmodel: {source: model.onnx}\n")
    with pytest.raises(
        UsageError, match="says that the model answers raw, and text-classification was asked"
    ):
        gpux.pull(directory, task="text-classification")


def test_a_settings_file_from_a_source_is_not_taken_for_a_blueprint(store, tmp_path):
    small_graphs.linear(tmp_path / "model.onnx")
    (tmp_path / "gpux.json").write_text('{"runtime": {"provider": "null"}}')
    assert gpux.plan(gpux.pull(tmp_path)).provider != "null"


def test_a_first_file_can_be_built_as_it_stands(store, tmp_path):
    graph = small_graphs.linear(tmp_path / "my model.onnx", given="input.1", gives="495")
    path = gpux.write_blueprint(graph)
    assert path == tmp_path / "gpux.yml"
    text = path.read_text()
    assert "float32[batch, 4]" in text
    artifact = gpux.build(tmp_path)
    with gpux.load(artifact, provider="cpu") as model:
        np.testing.assert_allclose(model({"input.1": X})["495"], X @ WEIGHT, rtol=1e-6)
    with pytest.raises(UsageError, match="is there already") as caught:
        gpux.write_blueprint(graph)
    assert "--force" in caught.value.hint
    gpux.write_blueprint(graph, force=True, task="image-classification")
    assert "\ntask: image-classification\n" in path.read_text()
    with pytest.raises(GpuxError, match="is no ONNX graph"):
        gpux.write_blueprint(tmp_path / "none.onnx")


def test_every_line_of_a_first_file_is_read_when_its_mark_is_taken_away(store, tmp_path):
    from gpux.blueprint import reading

    graph = small_graphs.linear(tmp_path / "model.onnx")
    lines = gpux.write_blueprint(graph).read_text().splitlines()
    keys = [line.removeprefix("# ") for line in lines if re.match(r"# ( *)[a-z_]+: ?[^A-Z]*$", line)]
    written = [line for line in lines if not line.startswith("#")]
    # Two forms of a key, what belongs under another key, and what pictures and sound have apart.
    others = (
        "labels: [",
        "preprocessing: imagenet",
        "  variants",
        "    int8",
        "  sampling_rate",
        "  normalize",
    )
    merged = "\n".join([*written, *(key for key in keys if not key.startswith(others))])
    said = reading.parse(merged.encode()).blueprint
    assert said.prepared.size == 256
    assert (said.runtime.threads, said.serving.port, said.name) == (2, 8000, "my-model")
