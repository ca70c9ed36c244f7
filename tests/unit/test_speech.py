"""The parts that speech is written with equal those of transformers: texts of chunks, words, rules of times, spectrograms."""

from __future__ import annotations

import itertools
import json
import tracemalloc

import numpy as np
import pytest
import speech_reference
from references.speech_calls import MULTILINGUAL, SOUNDS
from speech_reference import recording

from gpux.artifact import Artifact, File, Manifest, Source
from gpux.audio.spectrogram import HELD
from gpux.audio.whisper import LogMel
from gpux.errors import InvalidInput
from gpux.generation.history import History
from gpux.generation.timestamps import Timestamps
from gpux.pipelines import speech_alignment
from gpux.pipelines.audio_chunks import Cut
from gpux.pipelines.speech_windows import cut
from gpux.text import speech_text, speech_tokens, spoken_languages
from gpux.text.speech_text import Heard
from gpux.text.speech_tokens import HEARD

SMALL = LogMel(rate=16000, mels=80, size=400, hop=160, samples=32000, padding=0.0)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return speech_reference.made(tmp_path_factory.getbasetemp() / "speech")


@pytest.fixture(scope="module")
def parts(reference):
    with np.load(reference / "parts.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def tokens(reference):
    folder = reference / MULTILINGUAL
    files = tuple(File(path.name, 0, "") for path in folder.glob("*.json"))
    source = Source("file:/model", "sha256:0", None, None, None)
    manifest = Manifest(1, "0", source, "automatic-speech-recognition", None, None, (), (), files)
    return speech_tokens.read(Artifact(folder, "0" * 64, manifest))


def test_texts_of_chunks_equal_transformers(reference, tokens):
    cases = json.loads((reference / "texts.json").read_text(encoding="utf-8"))
    told = set()
    for case in cases:
        heard = [
            Heard(piece["tokens"], piece["times"], tuple(piece["stride"]) if piece["stride"] else None)
            for piece in case["pieces"]
        ]
        for times in (None, True, "word"):
            for language in (None, True):
                found = speech_text.read(heard, tokens, times=times or False, language=bool(language))
                wanted = case["answers"][f"{times} {language}"]
                assert json.loads(json.dumps(found)) == wanted
                told.add(wanted[0])
    assert len(told) > 30


def test_times_of_words_equal_transformers(parts):
    frames = (91, 50, 100, 7, -10)
    for case, each in enumerate(frames):
        found = speech_alignment.times(parts[f"looks/{case}"], frames=each, width=7)
        np.testing.assert_allclose(found, parts[f"times/{case}"], atol=1e-6)
    assert speech_alignment.times(np.zeros((2, 0, 9), np.float32), frames=18, width=7).tolist() == [0.0]


def test_the_rules_of_times_equal_transformers(parts):
    rules = Timestamps(no_times=60, end=50, most=10)
    for answer, before, after in zip(parts["answers"], parts["before"], parts["after"], strict=True):
        history = History.of([1, 2, 3], vocabulary=100)
        for token in answer[answer >= 0]:
            history.add(int(token))
        scores = before.copy()
        rules(scores, history)
        np.testing.assert_array_equal(scores, after)


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("size", [97, 7001, 1 << 20])
def test_spectrograms_equal_transformers_however_the_samples_come(parts, name, size):
    samples = recording(SOUNDS[name])
    heard = SMALL.listen(samples[start : start + size] for start in range(0, len(samples), size))
    wanted = parts[f"mels/{name}"]
    assert heard.samples == len(samples)
    assert heard.frames == parts[f"frames/{name}"]
    np.testing.assert_allclose(heard.window(0, wanted.shape[1]), wanted, atol=1e-4)
    at = wanted.shape[1] // 3
    np.testing.assert_array_equal(heard.window(at, 20), heard.window(0, wanted.shape[1])[:, at : at + 20])
    assert not heard.window(wanted.shape[1], 5).any()
    heard.close()


def test_hours_are_heard_in_bounded_memory():
    """Three hours of it; sparse frames and few filters, so that it takes a second."""
    coarse = LogMel(rate=16000, mels=8, size=400, hop=1600, samples=480000, padding=0.0)
    block = np.sin(np.arange(1 << 18) * 0.1).astype(np.float32)
    hours = 3 * 3600 * 16000 // len(block)
    tracemalloc.start()
    heard = coarse.listen(block for _ in range(hours))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert heard.samples == hours * len(block)
    assert heard.frames == heard.samples // 1600
    assert peak < HELD + (24 << 20) < heard.samples * 4
    assert heard.window(heard.frames - 300, 300).shape == (8, 300)
    heard.close()


@pytest.mark.parametrize("sizes", [(1600,), (7, 100, 900), (5000,)])
def test_chunks_that_come_in_blocks_are_those_of_the_whole(sizes):
    cutting = Cut(length=500, left=100, right=50)
    for samples in (1, 99, 101, 500, 501, 1234, 1600):
        whole = np.arange(samples, dtype=np.float32)
        wanted = [(each.start, each.stop, each.left, each.right) for each in cutting.chunks(samples)]
        starts = np.cumsum((0, *sizes * (samples // min(sizes) + 1)))
        blocks = (whole[a:b] for a, b in itertools.pairwise(starts) if a < samples)
        found = [
            (int(one[0]), int(one[-1]) + 1, left, right) for one, left, right in cutting.streamed(blocks)
        ]
        assert found == wanted


def test_what_a_text_begins_with(tokens):
    known = tokens.languages
    start, transcribe, silent = tokens.start, tokens.tasks["transcribe"], tokens.no_times
    assert tokens.prefix(language=None, task=None, times=False) == [start, HEARD, transcribe, silent]
    assert tokens.prefix(language=None, task=None, times=True) == [start, HEARD, transcribe]
    assert tokens.prefix(language="German", task=None, times=True) == [start, known["de"], transcribe]
    translate = [start, known["fr"], tokens.tasks["translate"], silent]
    assert tokens.prefix(language="<|fr|>", task="translate", times=False) == translate
    with pytest.raises(InvalidInput, match="does not know") as raised:
        tokens.prefix(language="germann", task=None, times=True)
    assert raised.value.hint == "did you mean `german`"


def test_languages_by_code_name_and_token():
    assert [spoken_languages.code(one) for one in ("de", "German", "<|yue|>", "Mandarin", "klingon")] == [
        "de", "de", "yue", "zh", None,
    ]  # fmt: skip
    assert len(spoken_languages.NAMES) == 100


def test_segments_end_where_times_come_in_pairs():
    first = 100
    assert cut([101, 5, 6], first=first, size=3000) == ([(0, 3)], 3000)
    assert cut([101, 5, 120], first=first, size=3000) == ([(0, 3)], 3000)
    assert cut([101, 5, 120, 120, 6, 130], first=first, size=3000) == ([(0, 3), (3, 6)], 3000)
    assert cut([101, 5, 120, 120, 6, 130, 130], first=first, size=3000) == ([(0, 3), (3, 7)], 60)
    assert cut([], first=first, size=3000) == ([(0, 0)], 3000)
