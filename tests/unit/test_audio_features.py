"""Features equal those of the transformers extractors, made in a process of their own, to 1e-4 on every setting."""

from __future__ import annotations

import json

import audio_reference
import numpy as np
import pytest
from audio_reference import FEATURES, sound

from gpux.artifact import Artifact, File, Manifest, Source
from gpux.audio import clap, features, mel
from gpux.errors import InvalidInput, UnsupportedModel

PARTS = {
    "raw": ("input_values", "attention_mask"), "spectrum": ("input_values",), "whisper": ("input_features",),
    "clap": ("input_features", "is_longer"),
}  # fmt: skip
CASES = [(name, index) for name, (_, lengths) in FEATURES.items() for index in range(len(lengths))]
LONG = 3  # the one of clap-fusion-repeatpad whose parts transformers takes at random


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    directory = audio_reference.made(tmp_path_factory.getbasetemp() / "audio")
    with np.load(directory / "vectors.npz") as stored:
        return directory, dict(stored)


def artifact(folder, **files):
    """An artifact of JSON files, whose names are given without their ending."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    listed = tuple(File(f"{name}.json", 0, "") for name in files)
    source = Source("file:/model", "sha256:0", None, None, None)
    return Artifact(
        folder, "0" * 64, Manifest(1, "0", source, "audio-classification", None, None, (), (), listed)
    )


def extractor(directory, name, folder):
    settings = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
    return features.read(artifact(folder, preprocessor_config=settings))


@pytest.mark.parametrize(("name", "index"), CASES)
def test_features_equal_transformers(reference, tmp_path, name, index):
    directory, expected = reference
    made = extractor(directory, name, tmp_path)
    rate, lengths = FEATURES[name]
    assert made.rate == rate
    found = made.batch([made.prepare(sound(lengths[index], rate, 9))])
    kind = name.split("-")[0]
    assert tuple(found) == made.makes == PARTS[kind]
    for part, array in found.items():
        wanted = expected.get(f"{name}/{index}/{part}")
        if (
            part == "attention_mask"
        ):  # transformers gives it where the model wants it, the graph takes it where it has it
            assert array.all()
            assert array.dtype == np.int64
            continue
        assert array.shape == wanted.shape
        if (name, index, part) != ("clap-fusion-repeatpad", LONG, "input_features"):
            np.testing.assert_allclose(array, wanted, atol=1e-4)


def test_the_whole_in_small_and_three_parts_of_a_long_recording(reference, tmp_path):
    directory, expected = reference
    name = "clap-fusion-repeatpad"
    made = extractor(directory, name, tmp_path)
    rate, lengths = FEATURES[name]
    parts = made.prepare(sound(lengths[LONG], rate, 9)).array
    wanted, whole = expected[f"{name}/{LONG}/input_features"][0], expected[f"{name}/{LONG}/whole"]
    np.testing.assert_allclose(parts[0], wanted[0], atol=1e-4)
    # 401 places to begin at: 134, 134 and 133 of them; each part begins in the middle of its own.
    for part, start in zip(parts[1:], (67, 134 + 67, 268 + 66), strict=True):
        np.testing.assert_allclose(part, whole[start : start + 1001], atol=1e-4)


def test_a_long_recording_is_heard_in_its_middle(reference, tmp_path):
    directory, _ = reference
    made = extractor(directory, "clap-rand_trunc-repeatpad", tmp_path)
    wave = sound(12.0, 48000, 9)
    longer = made.prepare(wave)
    np.testing.assert_array_equal(longer.array, made.prepare(wave[48000:-48000]).array)
    assert longer.longer


def test_a_batch_is_its_rows(reference, tmp_path):
    directory, _ = reference
    for name in ("raw", "spectrum-small", "clap-low"):
        folder = tmp_path / name
        folder.mkdir()
        made = extractor(directory, name, folder)
        rows = [made.prepare(sound(seconds, made.rate)) for seconds in (0.3, 0.9, 0.5)]
        together = made.batch(rows)
        for index, row in enumerate(rows):
            for part, array in made.batch([row]).items():
                mine = together[part][index]
                np.testing.assert_array_equal(mine[: len(array[0])], array[0])
                assert not mine[len(array[0]) :].any()  # padding and its mask


def test_silence_has_features(reference, tmp_path):
    directory, _ = reference
    for name in FEATURES:
        folder = tmp_path / name
        folder.mkdir()
        made = extractor(directory, name, folder)
        assert np.isfinite(made.prepare(np.zeros(made.rate, np.float32)).array).all()


def test_too_short_for_a_frame(reference, tmp_path):
    made = extractor(reference[0], "spectrum", tmp_path)
    made.prepare(np.ones(400, np.float32))
    with pytest.raises(InvalidInput, match=r"input 2 lasts 0\.0249 s, and the model needs 0\.0250 s"):
        made.prepare(np.ones(399, np.float32), position=2)


def test_filters_that_have_a_published_figure():
    """1,000 Hz is 1,000 mels on the scale of HTK, and 15 on Slaney's."""
    for scale, mels in (("htk", 999.9855), ("kaldi", 999.9907), ("slaney", 15.0)):
        bank = mel.filters(bins=2001, mels=1, low=1000, high=4000, rate=8000, scale=scale)
        assert bank[:501].max() == 0 < bank[502, 0]
        assert mel._mels(np.array([1000.0]), scale)[0] == pytest.approx(mels, abs=1e-3)


def test_where_a_model_says_which(tmp_path):
    nested = {"feature_extractor": {"feature_extractor_type": "ASTFeatureExtractor", "max_length": 64}}
    made = features.read(artifact(tmp_path, processor_config=nested))
    assert (made.name, made.frames) == ("ASTFeatureExtractor", 64)
    old = artifact(tmp_path, preprocessor_config={"sampling_rate": 8000}, config={"model_type": "hubert"})
    assert (features.read(old).name, features.read(old).rate) == ("Wav2Vec2FeatureExtractor", 8000)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no feature extractor for sound"),
        ({"config": {"model_type": "wav2vec2"}}, "no feature extractor for sound"),
        (
            {"preprocessor_config": {"feature_extractor_type": "EncodecFeatureExtractor"}},
            "the feature extractor `EncodecFeatureExtractor`",
        ),
        ({"preprocessor_config": {"feature_extractor_type": 5}}, "`feature_extractor_type` = 5"),
        ({"preprocessor_config": []}, "a list where an object belongs"),
        *(
            ({"preprocessor_config": {"feature_extractor_type": kind, key: value}}, f"`{key}` = ")
            for kind, key, value in (
                ("Wav2Vec2FeatureExtractor", "sampling_rate", 0),
                ("Wav2Vec2FeatureExtractor", "sampling_rate", "16000"),
                ("Wav2Vec2FeatureExtractor", "padding_value", "nan"),
                ("Wav2Vec2FeatureExtractor", "do_normalize", 1),
                ("ASTFeatureExtractor", "std", 0),
                ("ASTFeatureExtractor", "num_mel_bins", -1),
                ("ASTFeatureExtractor", "max_length", 1e12),
                ("ASTFeatureExtractor", "num_mel_bins", 10**8),
                ("ClapFeatureExtractor", "truncation", "middle"),
                ("ClapFeatureExtractor", "padding", "mirror"),
                ("ClapFeatureExtractor", "feature_size", 32),
                ("ClapFeatureExtractor", "fft_window_size", 10**9),
                ("WhisperFeatureExtractor", "hop_length", 0),
                ("WhisperFeatureExtractor", "chunk_length", 10**8),
            )
        ),
    ],
)
def test_settings_that_are_none_are_refused_by_name(tmp_path, files, message):
    with pytest.raises(UnsupportedModel, match=message) as caught:
        features.read(artifact(tmp_path, **files))
    assert caught.value.hint


def test_every_part_begins_in_its_own_third():
    decibels = np.arange(30, dtype=np.float32)[:, None]
    small, *parts = clap.fused(decibels, 29)
    assert [int(part[0, 0]) for part in parts] == [
        0,
        1,
        0,
    ]  # two places for three parts: the last begins with the first
    assert small.shape == (29, 1)
