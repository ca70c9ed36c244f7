"""The other ways to run the same generation: each gives the answers that transformers gives, alone and several at once."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import models
import onnx
import pytest
from references.writers import PROMPTS

import gpux
from gpux.errors import GpuxError
from gpux.export import toolchains

NAMES = ("llama", "gpt2", "bloom")
LENGTH = {"max_new_tokens": 12}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return models.tiny_writers(tmp_path_factory.getbasetemp() / "tiny-writers")


@pytest.fixture(scope="module")
def answers(folder):
    return json.loads((folder / "answers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def pulled(folder, name, store):
    return gpux.pull(str(folder / name))


@pytest.fixture(scope="module", params=["cpu", "openvino"])
def model(request, pulled):
    with gpux.load(pulled, provider=request.param) as opened:
        yield opened


def greedy(answers, name):
    return [one[0]["tokens"] for one in answers[name]["greedy"]]


def test_every_engine_writes_what_transformers_writes(model, answers, name):
    assert [list(one.tokens) for one in model.generate(PROMPTS, **LENGTH)] == greedy(answers, name)


def test_chats_at_once_are_answered_as_alone(model, answers, name):
    found: dict[int, list[int]] = {}

    def talk(place):
        tokens: list[int] = []
        for piece in model.emit(PROMPTS[place % len(PROMPTS)], **LENGTH):
            tokens += piece.tokens
        found[place] = tokens

    threads = [threading.Thread(target=talk, args=(place,)) for place in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    want = greedy(answers, name)
    assert found == {place: want[place % len(PROMPTS)] for place in range(5)}


def published(folder: Path, pulled, target: Path, file: str) -> Path:
    """A repository without weights, with the model's graph under a name and axes that the Hub's exporters write."""
    target.mkdir()
    for path in folder.iterdir():
        if path.suffix in {".json", ".jinja"}:
            shutil.copy(path, target)
    (target / "onnx").mkdir()
    graph = onnx.load(next(pulled.directory.glob("**/model.onnx")))
    for value in (*graph.graph.input, *graph.graph.output):
        if value.name.startswith(("past_key_values", "present")):
            dim = value.type.tensor_type.shape.dim[2]
            dim.dim_param = (
                "past_sequence_length" if value.name.startswith("past") else "total_sequence_length"
            )
    onnx.save(graph, target / "onnx" / file)
    return target


def test_a_published_decoder_is_proven_and_writes_the_same(folder, pulled, answers, name, tmp_path):
    file = "decoder_model_merged.onnx" if name == "gpt2" else "model.onnx"
    found = gpux.pull(str(published(folder / name, pulled, tmp_path / "published", file)))
    assert [variant.exporter for variant in found.manifest.variants] == ["ready"]
    assert found.certificate.quality == "exact"
    assert any(" and " in probe for probe in found.certificate.probes)  # rows of different lengths
    with gpux.load(found, provider="cpu") as opened:
        assert [list(one.tokens) for one in opened.generate(PROMPTS, **LENGTH)] == greedy(answers, name)


def test_a_model_that_writes_nothing_is_not_given_to_genai(store, minilm):
    with pytest.raises(GpuxError, match="models that write"):
        gpux.pull(minilm.reference, exporter="genai", force=True)


@pytest.mark.skipif(
    toolchains.find(toolchains.GENAI).python is None, reason="the genai toolchain is not installed here"
)
@pytest.mark.parametrize(("family", "covered"), [("llama", True), ("gpt2", False)])
def test_onnxruntime_genai_builds_what_it_covers_and_says_what_it_does_not(
    folder, answers, store, family, covered
):
    if not covered:
        with pytest.raises(GpuxError, match="does not know the family"):
            gpux.pull(str(folder / family), exporter="genai", force=True)
        return
    found = gpux.pull(str(folder / family), exporter="genai", force=True)
    assert found.certificate.quality == "exact"
    assert "GroupQueryAttention" in str(onnx.load(next(found.directory.glob("**/model.onnx"))).graph.node)
    for provider in ("cpu", "openvino"):
        with gpux.load(found, provider=provider) as opened:
            assert [list(one.tokens) for one in opened.generate(PROMPTS, **LENGTH)] == greedy(answers, family)
