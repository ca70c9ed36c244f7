"""Encoder-decoders give PyTorch's scores in batches of unequal rows, and transformers' own answers."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import models
import numpy as np
import pytest
from references import corpus

import gpux
from gpux.artifact import Artifact, File, Manifest, Source
from gpux.binding import Bindable
from gpux.discovery import discover
from gpux.errors import InvalidInput, RunFailed
from gpux.generation.beams import search
from gpux.generation.encoder_decoder import EncoderDecoder, text_feeds
from gpux.generation.settings import GenerationSettings
from gpux.provider import Options, find
from gpux.text.tokens import Tokenizer

FAMILIES = ("t5", "bart", "marian", "m2m100")
SOURCES = ([17, 5, 99, 23, 42, 8, 61, 2], [31, 4, 2], [77, 12, 90, 33, 2])
TEXTS = ["The house is wonderful.", "glacier", "How do I reset my password?"]
STEPS = 9
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("encoder-decoders") / "made"
    models.run("tiny_encoder_decoders.py", directory)
    return directory


@pytest.fixture(scope="module")
def answers(tiny):
    return json.loads((tiny / "answers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def scores(tiny):
    with np.load(tiny / "scores.npz") as found:
        return dict(found)


@pytest.fixture
def opened(tiny, answers):
    made = []

    def opening(family: str) -> tuple[EncoderDecoder, dict]:
        provider, config = find("cpu", discover()), answers[family]["config"]
        parts = [
            Bindable(provider.open(tiny / family / f"{part}.onnx", Options(threads=1)))
            for part in ("encoder", "decoder")
        ]
        made.append(EncoderDecoder(*parts, limit=64, start=config["decoder_start_token_id"]))
        return made[-1], config

    yield opening
    for decoder in made:
        decoder.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_of_a_batch_are_those_of_pytorch(family, opened, scores):
    decoder, _ = opened(family)
    told, expected = scores[f"{family}/told"], scores[f"{family}/logits"]
    found = [decoder.prefill(SOURCES), *(decoder.step(tokens) for tokens in told[:, 1:].T)]
    assert np.abs(expected).max() > 1
    assert np.abs(np.stack(found, 1) - expected).max() < TOLERANCE
    assert decoder.lengths == [STEPS] * len(SOURCES)


@pytest.mark.parametrize("family", ["t5", "m2m100"])
def test_answers_that_begin_with_several_tokens_differ_in_length(family, opened, scores):
    """Positions and T5's distances are counted from each row's own length."""
    decoder, _ = opened(family)
    told, expected = scores[f"{family}/told"], scores[f"{family}/logits"]
    lengths = np.array([3, 5, 1])
    decoder.begin(text_feeds(SOURCES))
    rows = np.arange(len(SOURCES))
    found = [decoder.prefill([row[:length] for row, length in zip(told.tolist(), lengths, strict=True)])]
    found += [decoder.step(told[rows, lengths + step]) for step in range(3)]
    wanted = [expected[rows, lengths + step - 1] for step in range(4)]
    assert np.abs(np.stack(found) - np.stack(wanted)).max() < TOLERANCE


def test_one_row_takes_several_tokens_and_forgets_them(opened, scores):
    decoder, _ = opened("t5")
    told, expected = scores["t5/told"], scores["t5/logits"]
    decoder.begin(text_feeds(SOURCES[:1]))
    decoder.prefill([told[0, :2].tolist()])
    decoder.extend([9, 9, 9])
    decoder.rewind(2)
    assert np.abs(decoder.extend(told[0, 2:6].tolist()) - expected[0, 2:6]).max() < TOLERANCE


def test_rows_that_move_take_what_they_read_along(opened, scores):
    decoder, _ = opened("bart")
    told, expected = scores["bart/told"], scores["bart/logits"]
    decoder.prefill(SOURCES)
    decoder.step(told[:, 1])
    decoder.pick([2, 0])
    decoder.pick([1, 1, 0])
    order = [0, 0, 2]
    assert np.abs(decoder.step(told[order, 2]) - expected[order, 2]).max() < TOLERANCE
    decoder.begin(text_feeds(SOURCES[1:]))
    with pytest.raises(RunFailed, match="3 answers cannot begin over a batch of 2"):
        decoder.prefill([[2], [2], [2]])
    assert np.abs(decoder.prefill(told[1:, :1].tolist()) - expected[1:, 0]).max() < TOLERANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_transformers(family, opened, answers):
    decoder, config = opened(family)
    settings = replace(
        GenerationSettings(), max_new_tokens=STEPS, eos_token_ids=(config["eos_token_id"],), top_k=0
    )
    start = [[config["decoder_start_token_id"]]] * len(SOURCES)
    many = replace(settings, num_beams=3, num_return_sequences=2, length_penalty=0.7)
    for wanted, how in (("greedy", settings), ("beams", many)):
        decoder.begin(text_feeds(SOURCES))
        found = search(decoder, start, how)
        assert [list(beam.tokens) for beams in found for beam in beams] == answers[family][wanted]


def test_vocabularies_beside_sentencepiece_are_converted(tiny, answers, tmp_path):
    """Ids are those of transformers for every kind of text; a piece without a number is unknown."""
    for name, unknown in (("marian", 1), ("m2m100", 3)):
        folder = tmp_path / name
        shutil.copytree(tiny / f"{name}-repository", folder)
        tokenizer = Tokenizer(stored(folder), max_length=None)
        most = json.loads((folder / "config.json").read_bytes())["vocab_size"]
        marks = ("", ">>deu<< ") if name == "marian" else ("", "")
        texts = [mark + text for mark in marks for text in corpus.texts()]
        found = [[i if i < most else unknown for i in one.ids] for one in tokenizer(texts)]
        wrong = [i for i, (a, b) in enumerate(zip(found, answers[name]["ids"], strict=True)) if a != b]
        assert len(texts) > 300
        assert not [(texts[i], found[i], answers[name]["ids"][i]) for i in wrong][:3], (name, len(wrong))
    ids = [[0, 5, 9, 33, 12], [7, 60, answers["marian"]["vocabulary"] - 4, 2, 0]]
    marian = Tokenizer(stored(tmp_path / "marian"), max_length=None).backend
    assert [marian.decode(row, skip_special_tokens=True) for row in ids] == answers["marian"]["decoded"]


def stored(folder: Path) -> Artifact:
    shutil.copyfile(folder / "made/tokenizer.json", folder / "tokenizer.json")
    files = tuple(
        File(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
        if path.is_file()
    )
    source = Source(f"file:{folder}", "sha256:0", None, None, None)
    return Artifact(folder, "0" * 64, Manifest(1, "0", source, "translation", None, None, (), (), files))


@pytest.fixture(scope="module")
def t5(tiny, store) -> gpux.Artifact:
    return gpux.pull(str(tiny / "t5-repository"))


def test_t5_does_what_its_own_settings_say(t5, answers):
    assert t5.task == "text2text-generation"
    assert t5.manifest.variants[0].certificate.quality == "exact"
    assert {each.name for each in t5.manifest.components} == {"encoder", "decoder"}
    with gpux.load(t5.reference, provider="cpu") as model:
        found = model(TEXTS, max_new_tokens=7)
        assert [each["generated_text"] for each in found] == answers["t5"]["plain"]
        assert model(TEXTS[0], max_new_tokens=7) == [{"generated_text": answers["t5"]["plain"][0]}]
        assert "".join(model.emit(TEXTS[1], max_new_tokens=7)) == answers["t5"]["plain"][1]
        with pytest.raises(InvalidInput, match="takes no parameter"):
            model(TEXTS[0], tgt_lang="de")
    with gpux.load(t5.reference, provider="cpu", task="summarization") as model:
        assert [each["summary_text"] for each in model(TEXTS)] == answers["t5"]["summaries"]
        assert list(model.pipeline.emit(TEXTS[1])) == answers["t5"]["summaries"][1:2]  # beams are told whole
    with gpux.load(t5.reference, provider="cpu", task="translation") as model:
        german = model(TEXTS, src_lang="en", tgt_lang="de")
        assert [each["translation_text"] for each in german] == answers["t5"]["german"]
        french = model(TEXTS, src_lang="en", tgt_lang="fr", max_new_tokens=5)
        assert [each["translation_text"] for each in french] == answers["t5"]["french"]


def test_languages_are_tokens(tiny, answers, store):
    artifact = gpux.pull(str(tiny / "m2m100-repository"))
    assert artifact.task == "translation"
    with gpux.load(artifact.reference, provider="cpu") as model:
        for source, target in (("en", "de"), ("fr", "en")):
            found = model(TEXTS, src_lang=source, tgt_lang=target, max_new_tokens=6)
            wanted = [
                text.removeprefix(f"__{target}__").replace("__nl__", "").replace("__lv__", "").strip()
                for text in answers["m2m100"][f"{source}-{target}"]
            ]
            assert [each["translation_text"] for each in found] == wanted
        with pytest.raises(InvalidInput, match="none was asked for"):
            model(TEXTS[0])
        with pytest.raises(InvalidInput, match="no language `xx`"):
            model(TEXTS[0], tgt_lang="xx")
        with pytest.raises(InvalidInput, match="no language `eng`"):
            model(TEXTS[0], src_lang="eng", tgt_lang="de")
        with pytest.raises(InvalidInput, match="the model reads 64"):
            model("word " * 70, tgt_lang="de")
        assert model("word " * 70, tgt_lang="de", max_new_tokens=2, truncate=True)
