"""Answers over sound equal those of the transformers pipelines, alone and in lists of mixed lengths, in their shapes."""

from __future__ import annotations

import base64
import io
import json
import threading
import wave

import audio_reference
import numpy as np
import pytest
import soundfile
from audio_reference import SPEECH, WIDE, recordings, sound
from references.audio_calls import ASKED, SOUNDS, SPOKEN
from vision_tasks import open_task

import gpux
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.model import Model
from gpux.pipelines import audio_graph
from gpux.planning import Request

TASKS = {
    "wav2vec2-group": "audio-classification",
    "hubert-layer": "audio-classification",
    "wavlm-many": "audio-classification",
    "ast": "audio-classification",
    "ctc-group": "automatic-speech-recognition",
    "ctc-layer": "automatic-speech-recognition",
    "encoder": "audio-feature-extraction",
    "clap": "zero-shot-audio-classification",
}
CALLS = {
    "audio-classification": SOUNDS, "automatic-speech-recognition": SPOKEN, "zero-shot-audio-classification": ASKED,
}  # fmt: skip
CASES = [(name, call) for name, task in TASKS.items() for call in CALLS.get(task, ())]
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return audio_reference.made(tmp_path_factory.getbasetemp() / "audio")


@pytest.fixture(scope="module")
def expected(reference):
    """Model → call → what the pipeline answers to each recording."""
    return json.loads((reference / "answers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def vectors(reference):
    with np.load(reference / "vectors.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def opened(reference):
    """Every model, over the graph that the reference process exported."""
    models = {name: model(reference / name, task) for name, task in TASKS.items()}
    yield models
    for each in models.values():
        each.close()


def model(folder, task, **changes):
    pipeline = open_task(folder, task, folder / "model.onnx", **changes)
    session = pipeline.session
    return Model(pipeline.artifact, Request(), session.plan, session, pipeline, task=task, timings={})


def sounds(name):
    return recordings(WIDE if name == "clap" else SPEECH)


def same(found, wanted):
    """Equal in shape and text, numbers within the tolerance."""
    if isinstance(wanted, dict):
        assert set(found) == set(wanted)
        for key in wanted:
            same(found[key], wanted[key])
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for mine, theirs in zip(found, wanted, strict=True):
            same(mine, theirs)
    elif isinstance(wanted, str):
        assert found == wanted
    else:
        assert type(found) is float
        assert found == pytest.approx(wanted, abs=TOLERANCE)


@pytest.mark.parametrize(("name", "call"), CASES)
def test_answers_equal_the_transformers_pipeline(opened, expected, name, call):
    given = CALLS[TASKS[name]][call]
    wanted = expected[name][call]
    same(opened[name](sounds(name), **given), wanted)
    same(opened[name](sounds(name)[1], **given), wanted[1])
    same(list(opened[name].stream(iter(sounds(name)), window=2, **given)), wanted)


def test_the_recordings_tell_answers_apart(expected):
    """Otherwise equal answers would prove nothing."""
    assert len({answers[0]["label"] for answers in expected["ast"]["plain"]}) > 1
    for name in ("ctc-group", "ctc-layer"):
        assert len({answer["text"] for answer in expected[name]["plain"]}) == 5
        words = [chunk for answer in expected[name]["words"] for chunk in answer["chunks"]]
        assert len(words) > 10
        assert expected[name]["chunks"] != expected[name]["words"]
    texts = [answer["text"] for answer in expected["ctc-layer"]["plain"]]
    assert any(text != text.upper() for text in texts)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task == "audio-classification"])
def test_no_answer_depends_on_its_neighbours(opened, name):
    long = sound(6.0, SPEECH, 40)
    alone = opened[name](sounds(name)[2])
    together = opened[name]([long, sounds(name)[2], long[:9000]])[1]
    same(together, alone)
    scores = [{one["label"]: one["score"] for one in answer} for answer in (together, alone)]
    assert max(abs(scores[0][label] - scores[1][label]) for label in scores[0]) < 2e-6


def test_frames_of_recordings_and_their_mean(opened, vectors):
    encoder = opened["encoder"]
    wanted = [vectors[f"encoder/{index}"] for index in range(5)]
    found = encoder(sounds("encoder"), return_tensors=True)
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, theirs, atol=TOLERANCE)
    listed = encoder(sounds("encoder")[2])
    assert np.shape(listed) == wanted[2].shape
    means = np.concatenate([array.mean(axis=1) for array in wanted])
    np.testing.assert_allclose(encoder.encode(sounds("encoder")), means, atol=TOLERANCE)
    one = encoder.encode(sounds("encoder")[0], normalize=True, truncate_dim=8)
    np.testing.assert_allclose(one, means[0, :8] / np.linalg.norm(means[0, :8]), atol=TOLERANCE)
    assert encoder.encode([]).shape[0] == 0


def test_texts_and_recordings_are_embedded_in_one_space(opened, vectors):
    clap = opened["clap"]
    np.testing.assert_allclose(clap.encode(sounds("clap")), vectors["clap/heard"], atol=TOLERANCE)
    mixed = clap.encode([{"text": "a dog"}, sounds("clap")[1], {"text": "rain"}])
    wanted = [vectors["clap/read"][0], vectors["clap/heard"][1], vectors["clap/read"][1]]
    np.testing.assert_allclose(mixed, wanted, atol=TOLERANCE)


def test_labels_of_an_items_own(opened, expected):
    clap = opened["clap"]
    wide = sounds("clap")
    items = [
        {"audio": wide[0], "candidate_labels": ["a dog", "rain on a roof", "a car"]},
        wide[1],
        {"audio": wide[2], "candidate_labels": "a dog, rain on a roof, a car"},
    ]
    found = clap(items, candidate_labels=["bell"])
    same([found[0], found[2]], [expected["clap"]["plain"][0], expected["clap"]["plain"][2]])
    assert found[1] == [{"score": 1.0, "label": "bell"}]


def test_every_way_to_give_a_recording(opened, tmp_path):
    asr = opened["ctc-layer"]
    samples = (sound(1.0, SPEECH, 3) * 32767).astype(np.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, SPEECH, 0, "NONE", ""))
        writer.writeframes(samples.tobytes())
    path = tmp_path / "one.wav"
    path.write_bytes(file.getvalue())
    text = base64.b64encode(file.getvalue()).decode()
    ways = [
        path, str(path), file.getvalue(), text, f"data:audio/wav;base64,{text}", samples, samples / np.float32(32768),
        {"array": samples, "sampling_rate": SPEECH}, {"raw": (samples / 32768).tolist(), "sampling_rate": SPEECH},
    ]  # fmt: skip
    wanted = asr(path)
    assert wanted["text"]
    assert all(asr.pipeline.is_item(way) for way in ways)
    assert [asr(way) for way in ways] == asr(ways) == [wanted] * len(ways)


def test_any_rate_says_the_same(opened):
    classifier = opened["hubert-layer"]
    wide = sound(1.0, 48000, 3)
    band = opened["ast"].pipeline._graph.open({"array": wide, "sampling_rate": 48000}, position=0)
    same(classifier({"array": wide, "sampling_rate": 48000}), classifier(band))


def test_a_long_recording_is_cut_and_memory_is_bounded(opened):
    asr = opened["ctc-layer"]
    long = np.tile(sound(10.0, SPEECH, 5), 31)
    with pytest.raises(InvalidInput, match="lasts 310 s, and the model hears at most 300 s") as caught:
        asr(long)
    assert "chunk_length_s=30" in caught.value.hint
    answer = asr(long, chunk_length_s=20, return_timestamps="word")
    times = [chunk["timestamp"] for chunk in answer["chunks"]]
    assert times == sorted(times)
    assert 300 < times[-1][1] < 310
    with pytest.raises(InvalidInput, match="lasts 310 s"):
        opened["hubert-layer"](long)
    assert opened["ast"](long)  # hears its beginning, as the extractor says


def test_eight_threads_share_one_model(opened, expected):
    asr, wrong = opened["ctc-layer"], []

    def work():
        try:
            same(asr(sounds("ctc-layer"), return_timestamps="word"), expected["ctc-layer"]["words"])
        except AssertionError as error:
            wrong.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", TASKS)
def test_samples_work_and_tables(opened, name):
    run = opened[name]
    items = run.pipeline.samples()
    assert len(items) == 4
    json.dumps(items)
    answers = run(items)
    table = run.pipeline.table(items, answers)
    assert table.columns[0] == "recording"
    assert {row[0] for row in table.rows} - {""} == {f"recording {i}" for i in range(4)}
    assert run([]) == []
    assert dict(run.pipeline.describe())["sampling_rate"] == (48000 if name == "clap" else 16000)
    feeds = run.pipeline.feeds(items)
    counted = sum(len(feed.get("input_features", feed.get("input_values"))) for feed in feeds)
    assert counted == 4
    assert all(run.session.run(feed) for feed in feeds)
    if name != "clap":
        assert run.pipeline.work(items) == {"seconds": 14.0}
    assert run.pipeline.parse("a.wav") == "a.wav"


def test_batches_mix_lengths_only_where_padding_is_not_heard(opened):
    items = [sound(seconds, SPEECH, 1) for seconds in (0.5, 1.0, 0.5, 2.0)]
    shapes = {
        name: [feed["input_values"].shape for feed in opened[name].pipeline.feeds(items)]
        for name in ("wav2vec2-group", "wavlm-many", "hubert-layer", "ast")
    }
    alike = [(2, 8000), (1, 16000), (1, 32000)]
    assert sorted(shapes["wav2vec2-group"]) == sorted(shapes["wavlm-many"]) == sorted(alike)
    assert shapes["hubert-layer"] == [(4, 32000)]
    assert shapes["ast"] == [(4, 128, 32)]


def test_no_batch_is_larger_than_the_plan_says(opened, reference):
    items = [sound(0.5, SPEECH)] * 11
    run = model(reference / "hubert-layer", "audio-classification", batch=2)
    assert [len(feed["input_values"]) for feed in run.pipeline.feeds(items)] == [2, 2, 2, 2, 2, 1]
    run.close()
    long = [sound(20.0, SPEECH), sound(20.0, SPEECH)]
    assert [len(f["input_values"]) for f in opened["hubert-layer"].pipeline.feeds(long)] == [1, 1]
    assert audio_graph.ROWS == 8
    assert [len(f["input_values"]) for f in opened["hubert-layer"].pipeline.feeds(items)] == [8, 3]


@pytest.mark.parametrize(
    ("name", "inputs", "parameters", "message"),
    [
        ("ast", "I like it", {}, "input 0 is a text that names no file"),
        ("ast", [sound(1.0, SPEECH), 5], {}, "input 1 is int, not a recording"),
        ("ast", {"text": "a"}, {}, "without one of `raw` and `array`"),
        ("ast", sound(1.0, SPEECH), {"top_k": 0}, "`top_k` is 0"),
        ("ast", sound(1.0, SPEECH), {"function_to_apply": "relu"}, "`function_to_apply` is 'relu'"),
        ("ast", sound(1.0, SPEECH), {"labels": 2}, "no parameter `labels`"),
        ("hubert-layer", [sound(1.0, SPEECH), np.ones(399, np.float32)], {}, "input 1 lasts 0.0249 s"),
        ("ctc-layer", sound(1.0, SPEECH), {"return_timestamps": True}, "`return_timestamps` is True"),
        ("ctc-layer", sound(1.0, SPEECH), {"return_timestamps": "line"}, "`return_timestamps` is 'line'"),
        ("ctc-layer", sound(1.0, SPEECH), {"chunk_length_s": "30"}, "`chunk_length_s` is '30'"),
        ("ctc-layer", sound(1.0, SPEECH), {"chunk_length_s": -1}, "`chunk_length_s` is -1"),
        ("ctc-layer", sound(1.0, SPEECH), {"chunk_length_s": float("nan")}, "`chunk_length_s` is nan"),
        ("ctc-layer", sound(1.0, SPEECH), {"chunk_length_s": 1, "stride_length_s": [1]}, "`stride_length_s` is"),
        ("ctc-layer", sound(1.0, SPEECH), {"chunk_length_s": 1, "stride_length_s": 0.5}, "no longer than"),
        ("ctc-layer", sound(1.0, SPEECH), {"chunk_length_s": 0.001}, "no longer than"),
        ("clap", sound(1.0, WIDE), {}, "input 0 has no labels"),
        ("clap", sound(1.0, WIDE), {"candidate_labels": []}, r"`candidate_labels` is \[\]"),
        ("clap", sound(1.0, WIDE), {"candidate_labels": [1]}, r"`candidate_labels` is \[1\]"),
        ("clap", sound(1.0, WIDE), {"candidate_labels": ["x" * 100]}, "has 12. tokens, and the model takes 62"),
        ("clap", {"audio": 5, "labels": ["a"]}, {"candidate_labels": "a"}, "unknown key `labels`"),
        ("clap", sound(1.0, WIDE), {"candidate_labels": "a", "hypothesis_template": "no"}, "no place for a label"),
    ],
)  # fmt: skip
def test_what_the_task_cannot_take_is_an_error_with_a_hint(opened, name, inputs, parameters, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        opened[name](inputs, **parameters)
    assert caught.value.hint


def test_encode_takes_no_prompt_of_recordings(opened):
    for name, given in (("encoder", {"prompt": "a"}), ("clap", {"prompt_name": "query"})):
        with pytest.raises(InvalidInput, match="prompt"):
            opened[name].encode(sound(1.0, SPEECH), **given)
    for keep in (0, 33, 1.5, True):
        with pytest.raises(InvalidInput, match="`truncate_dim`"):
            opened["encoder"].encode(sound(1.0, SPEECH), truncate_dim=keep)


@pytest.mark.parametrize(
    ("name", "file", "change", "message"),
    [
        ("ctc-group", "vocab.json", {}, "no `vocab.json`"),
        ("ctc-group", "vocab.json", {"a": "b"}, "`a` = 'b'"),
        ("ctc-group", "tokenizer_config.json", {"tokenizer_class": "WhisperTokenizer"}, "the tokenizer `WhisperTok"),
        ("ctc-group", "tokenizer_config.json", {"added_tokens_decoder": {"x": {"content": "a"}}}, "`x` = "),
        ("hubert-layer", "config.json", {"conv_kernel": [10], "conv_stride": []}, "`conv_stride` = "),
        ("hubert-layer", "config.json", {"conv_kernel": 5}, "`conv_kernel` = 5"),
        ("hubert-layer", "config.json", {"conv_kernel": [3], "conv_stride": [1, 2]}, "a list of 1 strides"),
        ("hubert-layer", "preprocessor_config.json", {"feature_extractor_type": "ASTFeatureExtractor"}, "takes `attention_mask`"),
        ("clap", "preprocessor_config.json", {"feature_extractor_type": "ASTFeatureExtractor"}, "takes `input_features`"),
    ],
)  # fmt: skip
def test_a_models_own_files_as_anybody_may_write_them(reference, tmp_path, name, file, change, message):
    for path in (reference / name).glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(UnsupportedModel, match=message):
        open_task(tmp_path, TASKS[name], reference / name / "model.onnx", {file: change})


def test_a_vocabulary_of_several_languages_and_added_tokens(reference, tmp_path):
    folder = reference / "ctc-group"
    letters = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    files = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    files["vocab.json"] = {"eng": letters, "fra": {token.lower(): index for token, index in letters.items()}}
    files["tokenizer_config.json"]["target_lang"] = "fra"
    files["tokenizer_config.json"]["added_tokens_decoder"] = {
        "25": {"content": "é"},
        "0": {"content": "never"},
    }
    pipeline = open_task(tmp_path, TASKS["ctc-group"], folder / "model.onnx", files)
    said = pipeline._speech._vocabulary.text(
        pipeline._speech._vocabulary.characters([5, 5, 0, 5, 25, 4, 6, 26])
    )
    assert said == "aaé b<unk>"
    pipeline.session.close()


def test_a_speech_model_is_pulled_and_read_back(opened, reference, store, tmp_path):
    """From a folder with its graph; checkpoints are converted by the matrix of docs/models.md."""
    folder = tmp_path / "speech"
    folder.mkdir()
    for path in (reference / "ctc-layer").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "said.flac"
    soundfile.write(path, sound(2.0, 22050, 2), 22050)
    with gpux.load(gpux.pull(str(folder))) as pulled:
        assert pulled.task == "automatic-speech-recognition"
        assert pulled(path) == opened["ctc-layer"](path)


def test_a_recording_that_fails_is_told_and_the_rest_goes_on(opened, expected, tmp_path):
    good = sounds("ctc-layer")
    items = [good[0], tmp_path / "gone.wav", good[1], np.zeros(0, np.float32), good[2]]
    found = list(opened["ctc-layer"].stream(iter(items), fail_fast=False))
    assert [type(one) is gpux.Failed for one in found] == [False, True, False, True, False]
    same([found[0], found[2], found[4]], expected["ctc-layer"]["plain"][:3])
    assert found[1].called("gone.wav").message == f"gone.wav (`{tmp_path / 'gone.wav'}`) is missing"
    assert found[3].error.message == "input 3 is an empty recording"
