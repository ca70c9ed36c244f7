"""Pooling and the layers after it equal sentence-transformers' and torch's own, on random arrays."""

from __future__ import annotations

import json

import models
import numpy as np
import pytest

from gpux.pipelines import layers, pooling, safetensors

TEXTS, LENGTH, HIDDEN, PROMPT = 40, 23, 16, 3


@pytest.fixture(scope="module")
def arrays():
    source = np.random.default_rng(5)
    tokens = source.standard_normal((TEXTS, LENGTH, HIDDEN)).astype(np.float32)
    lengths = source.integers(PROMPT + 1, LENGTH + 1, TEXTS)
    lengths[:2] = PROMPT + 1, LENGTH
    return tokens, lengths


@pytest.mark.parametrize("left", [False, True], ids=["padded right", "padded left"])
def test_every_mode_equals_sentence_transformers(arrays, left, tmp_path):
    tokens, lengths = arrays
    spans = [(LENGTH - n, LENGTH) if left else (0, n) for n in lengths]
    mask = np.array([[start <= i < stop for i in range(LENGTH)] for start, stop in spans], dtype=np.int64)
    np.savez(tmp_path / "in.npz", tokens=tokens, mask=mask, prompt=PROMPT)
    models.run("pooling.py", tmp_path / "in.npz", tmp_path / "out.npz")
    expected = dict(np.load(tmp_path / "out.npz"))
    assert len(expected) == 2 * len(pooling.MODES)
    for name, wanted in expected.items():
        mode, _, excluded = name.partition(" ")
        skip = PROMPT if excluded else 0
        found = [
            pooling.pool(tokens[i, start:stop], (mode,), skip=skip) for i, (start, stop) in enumerate(spans)
        ]
        assert found[0].dtype == np.float32
        np.testing.assert_allclose(found, wanted, atol=1e-5, err_msg=name)


def test_modes_are_joined_in_order():
    tokens = np.arange(12, dtype=np.float32).reshape(3, 4)
    joined = pooling.pool(tokens, ("lasttoken", "cls"))
    np.testing.assert_array_equal(joined, [8, 9, 10, 11, 0, 1, 2, 3])


def test_a_prompt_that_fills_the_text_leaves_zeros():
    np.testing.assert_array_equal(
        pooling.pool(np.ones((3, 4), np.float32), ("max", "mean"), skip=3), np.zeros(8)
    )


def test_both_spellings_of_the_configuration_are_read():
    assert pooling.modes({"pooling_mode": "cls"}) == ("cls",)
    assert pooling.modes({"pooling_mode": ["mean", "max"]}) == ("mean", "max")
    old = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True, "pooling_mode_max_tokens": False}
    assert pooling.modes(old) == ("cls", "mean")


@pytest.mark.parametrize(
    "config",
    [{}, {"items": [1]}, {"pooling_mode": 5}, {"pooling_mode": [["x"]]}, {"pooling_mode": "median"},
     {"pooling_mode": {"mean": 1}}, {"pooling_mode_mean_tokens": False}, {"pooling_mode_mean_tokens": "no"}],
)  # fmt: skip
def test_a_configuration_without_a_known_mode_is_no_mean(config):
    with pytest.raises(ValueError, match=r"[Pp]ooling"):
        pooling.modes(config)


def test_unit_length_of_one_and_of_many_agree_and_zeros_stay():
    vectors = np.random.default_rng(1).standard_normal((5, 8)).astype(np.float32)
    vectors[2] = 0
    expected = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    np.testing.assert_allclose(layers.unit(vectors), expected, atol=1e-6)
    for i in range(5):
        np.testing.assert_allclose(layers.unit(vectors[i : i + 1])[0], expected[i], atol=1e-6)
        np.testing.assert_allclose(layers.unit(vectors[i]), expected[i], atol=1e-6)


def test_safetensors_are_read_as_the_format_says(tmp_path):
    weight = np.arange(6, dtype="<f4").reshape(2, 3)
    half = np.array([1.5, -2], dtype="<f2")
    header = {
        "__metadata__": {"format": "pt"},
        "weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "half": {"dtype": "F16", "shape": [2], "data_offsets": [24, 28]},
        "brain": {"dtype": "BF16", "shape": [1], "data_offsets": [28, 30]},
    }
    text = json.dumps(header).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + weight.tobytes() + half.tobytes() + b"\xc0\x3f")
    found = safetensors.read(file)
    np.testing.assert_array_equal(found["weight"], weight)
    np.testing.assert_array_equal(found["half"], [1.5, -2])
    np.testing.assert_array_equal(found["brain"], [1.5])
    assert all(tensor.dtype == np.float32 for tensor in found.values())


@pytest.mark.parametrize("damage", [b"", b"\x00" * 4, b"\xff" * 8 + b"{}", (2).to_bytes(8, "little") + b"[]"])
def test_a_damaged_weight_file_is_a_value_error(tmp_path, damage):
    file = tmp_path / "model.safetensors"
    file.write_bytes(damage)
    with pytest.raises(ValueError):  # noqa: PT011 - the json module's own messages are among them
        safetensors.read(file)
