"""Whisper, pulled and proven, answers as transformers' pipeline does: short, long, in chunks, with segments and words."""

from __future__ import annotations

import json

import numpy as np
import pytest
import speech_reference
from references.speech_calls import CALLS, ENGLISH, MULTILINGUAL, SECONDS
from speech_reference import recording

import gpux
from gpux.errors import InvalidInput

CASES = [(name, call) for name, calls in CALLS.items() for call in calls]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return speech_reference.made(tmp_path_factory.getbasetemp() / "speech")


@pytest.fixture(scope="module")
def expected(reference):
    return json.loads((reference / "answers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def artifacts(reference):
    return {name: gpux.pull(str(reference / name)) for name in CALLS}


@pytest.fixture(scope="module")
def opened(artifacts):
    models = {name: gpux.load(artifact, provider="cpu") for name, artifact in artifacts.items()}
    yield models
    for model in models.values():
        model.close()


def plain(answer):
    """With lists for tuples, as JSON has them."""
    return json.loads(json.dumps(answer))


@pytest.mark.parametrize(("name", "call"), CASES)
def test_answers_equal_the_transformers_pipeline(opened, expected, name, call):
    wanted = expected[name][call]
    sounds = [recording(seconds) for seconds in SECONDS[call]]
    assert plain([opened[name](one, **CALLS[name][call]) for one in sounds]) == wanted


@pytest.mark.parametrize("call", ["plain", "words", "long words", "before", "chunks", "language"])
def test_recordings_together_are_answered_as_each_alone(opened, expected, call):
    asked = {**CALLS[MULTILINGUAL][call]}
    lengths = [*SECONDS[call], 1.3]
    wanted = plain([opened[MULTILINGUAL](recording(each), **asked) for each in lengths])
    assert plain(opened[MULTILINGUAL]([recording(each) for each in lengths], **asked)) == wanted
    assert wanted[: len(SECONDS[call])] == expected[MULTILINGUAL][call]


def test_the_answers_tell_calls_apart(expected):
    """Otherwise equal answers would prove nothing."""
    told = expected[MULTILINGUAL]
    assert told["plain"] != told["beams"]
    assert told["long"][0]["text"] != told["before"][0]["text"]
    assert told["silent"][0] == {"text": "", "chunks": []}
    assert told["prompt"] != told["segments"]
    assert told["chunks"][0]["chunks"] != told["long"][0]["chunks"]
    assert {chunk["timestamp"][1] > 2 for chunk in told["long words"][0]["chunks"]} == {True, False}


def test_the_proof_compares_what_is_heard_and_written(artifacts):
    for artifact in artifacts.values():
        assert artifact.task == "automatic-speech-recognition"
        assert [part.name for part in artifact.manifest.components] == ["encoder", "decoder"]
        certificate = artifact.certificate
        assert certificate.quality == "exact"
        assert {output.name: output.top1 for output in certificate.outputs} == {"prefill": 1.0, "decode": 1.0}


def test_long_recordings_need_no_timestamps_to_be_asked_for(opened, expected):
    assert opened[MULTILINGUAL](recording(5.2)) == {"text": expected[MULTILINGUAL]["long"][0]["text"]}


def test_a_bad_text_is_tried_again_at_the_next_temperature(opened):
    strict = {"temperature": [0.0, 0.8], "logprob_threshold": -0.01, "seed": 5}
    first = opened[ENGLISH](recording(1.3), **strict)
    assert first == opened[ENGLISH](recording(1.3), **strict)
    assert first != opened[ENGLISH](recording(1.3), **{**strict, "seed": 6})
    assert first != opened[ENGLISH](recording(1.3))
    lenient = {**strict, "logprob_threshold": -100.0}
    assert opened[ENGLISH](recording(1.3), **lenient) == opened[ENGLISH](recording(1.3))


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        (ENGLISH, {"language": "de"}, "knows one language"),
        (ENGLISH, {"task": "translate"}, "knows one language"),
        (MULTILINGUAL, {"language": "klingon"}, "does not know the language `klingon`"),
        (MULTILINGUAL, {"language": "spanish"}, "does not know the language `spanish`"),
        (MULTILINGUAL, {"task": "summarise"}, "does not know the task"),
        (MULTILINGUAL, {"return_timestamps": "char"}, "`return_timestamps` is 'char'"),
        (MULTILINGUAL, {"temperature": "hot"}, "`temperature` is 'hot'"),
        (MULTILINGUAL, {"no_speech_threshold": 0.5}, "needs `logprob_threshold`"),
        (MULTILINGUAL, {"prompt_condition_type": "all-segments"}, "are not given what came before"),
        (MULTILINGUAL, {"prompt": "the cat " * 40}, "leaves no room"),
        (MULTILINGUAL, {"prompt": "the <|de|> cat"}, "special token `<|de|>`"),
        (MULTILINGUAL, {"chunk_length_s": -1}, "`chunk_length_s` is -1"),
        (MULTILINGUAL, {"colour": 1}, "no parameter `colour`"),
    ],
)  # fmt: skip
def test_what_a_model_cannot_take_is_told(opened, name, asked, said):
    with pytest.raises(InvalidInput, match=said.replace("|", r"\|")) as raised:
        opened[name](recording(0.4), **asked)
    assert raised.value.hint


def test_recordings_that_are_none_are_told(opened):
    for bad, said in ((np.zeros(0, np.float32), "empty"), (np.full(800, np.nan, np.float32), "NaN")):
        with pytest.raises(InvalidInput, match=said):
            opened[ENGLISH]([recording(0.4), bad])


def test_silence_is_heard(opened):
    answer = opened[ENGLISH](np.zeros(16000, np.float32), return_timestamps=True)
    assert set(answer) == {"text", "chunks"}
