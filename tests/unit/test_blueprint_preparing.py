"""What a gpux.yml says of labels and preprocessing, in the words of the files that tasks read."""

from __future__ import annotations

import json

import pytest

from gpux.blueprint import preparing, reading
from gpux.errors import InvalidBlueprint

# https://docs.pytorch.org/vision/stable/models.html and openai/CLIP's own clip.py
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def made(text, folder=None, **kwargs):
    written = reading.parse(text.encode())
    return {
        path: json.loads(content)
        for path, content in preparing.files(written, (folder or {}).get, **kwargs).items()
    }


def pictures(text, **kwargs):
    return made(f"preprocessing: {text}", **kwargs)["preprocessor_config.json"]


def edges(height, width):
    return {"height": height, "width": width}


@pytest.mark.parametrize(
    ("text", "pixels", "wanted"),
    [
        ("imagenet", None, {"size": {"shortest_edge": 256}, "crop_size": edges(224, 224), "resample": 2, **IMAGENET}),
        ("clip", None, {"size": {"shortest_edge": 224}, "crop_size": edges(224, 224), "resample": 3, **CLIP}),
        ("half", None, {"size": edges(224, 224), "do_center_crop": False, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
        ("imagenet", (299, 299), {"size": {"shortest_edge": 342}, "crop_size": edges(299, 299)}),
        ("inception", (299, 320), {"size": edges(299, 320), "do_center_crop": False}),
        ("{name: imagenet, size: 384}", None, {"size": {"shortest_edge": 384}, "crop_size": edges(384, 384)}),
        ("{name: imagenet, size: [300, 200]}", None, {"size": edges(300, 200), "do_center_crop": False}),
        ("{name: imagenet, crop: false}", None, {"size": {"shortest_edge": 256}, "do_center_crop": False}),
        ("{name: imagenet, crop: 192}", None, {"size": {"shortest_edge": 256}, "crop_size": edges(192, 192)}),
        ("{name: clip, resample: lanczos}", None, {"resample": 1, **CLIP}),
        ("{size: 64}", None, {"size": {"shortest_edge": 64}, "crop_size": edges(64, 64), "do_normalize": False}),
        ("{mean: [0.5]}", (28, 28), {"size": edges(28, 28), "image_mean": [0.5], "image_std": [1.0], "do_normalize": True}),
        ("{std: [2, 2, 2]}", None, {"do_resize": False, "image_mean": [0.0] * 3, "image_std": [2.0] * 3}),
        ("{name: half, scale: 1}", None, {"rescale_factor": 1}),
        ("imagenet", None, {"rescale_factor": 1 / 255, "do_rescale": True, "do_convert_rgb": True}),
    ],
)  # fmt: skip
def test_settings_of_pictures(text, pixels, wanted):
    found = pictures(text, pixels=pixels)
    assert {key: found.get(key) for key in wanted} == wanted
    assert found["image_processor_type"] == "CLIPImageProcessor"


@pytest.mark.parametrize("text", ["{name: imagenet, mean: [1]}", "{mean: [1, 2, 3], std: [1]}"])
def test_a_mean_without_a_deviation_for_every_channel(text):
    with pytest.raises(InvalidBlueprint, match="line 1: `mean` has"):
        pictures(text)


def test_settings_of_sound():
    found = made("preprocessing: {sampling_rate: 8000, normalize: false}")["preprocessor_config.json"]
    assert (found["sampling_rate"], found["do_normalize"]) == (8000, False)
    assert found["feature_extractor_type"] == "Wav2Vec2FeatureExtractor"
    assert made("preprocessing: {normalize: true}")["preprocessor_config.json"]["sampling_rate"] == 16_000


@pytest.mark.parametrize(
    ("text", "files", "wanted"),
    [
        ("labels: [a, b]", {}, {"0": "a", "1": "b"}),
        ("labels: {3: c, 1: b}", {}, {"1": "b", "3": "c"}),
        ("labels: l.txt", {"l.txt": b"\xef\xbb\xbfa\r\n b c \n\n"}, {"0": "a", "1": "b c"}),
        ("labels: l.json", {"l.json": b'["a", "b"]'}, {"0": "a", "1": "b"}),
        ("labels: d/l.json", {"d/l.json": b'{"1": "b"}'}, {"1": "b"}),
    ],
)
def test_labels(text, files, wanted):
    assert made(text, files)["config.json"]["id2label"] == wanted


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("l.json", b"{", "holds no labels"),
        ("l.json", b'{"a": "b"}', "holds no labels"),
        ("l.json", b'{"-1": "b"}', "holds no labels"),
        ("l.json", b'"a"', "neither a list nor a table"),
        ("l.txt", b"\xff", "holds no labels"),
        ("l.json", b"[" * 100_000, "holds no labels"),
        ("l.csv", b"a", "neither .txt nor .json"),
        ("l.txt", None, "is not in the folder"),
    ],
)
def test_labels_that_are_none(name, content, said):
    with pytest.raises(InvalidBlueprint, match=rf"line 2: `{name}`.*{said}"):
        made(f"task: raw\nlabels: {name}", {name: content} if content is not None else {})


def test_what_lies_in_the_folder_stays_where_the_file_says_nothing():
    folder = {
        "config.json": b'{"id2label": {"0": "old"}, "problem_type": "multi_label_classification"}',
        "preprocessor_config.json": b'{"do_flip": true, "image_mean": [9]}',
    }
    found = made("labels: [new]\npreprocessing: imagenet", folder)
    assert found["config.json"]["id2label"] == {"0": "new"}
    assert found["config.json"]["problem_type"] == "multi_label_classification"
    assert found["preprocessor_config.json"]["do_flip"] is True
    assert found["preprocessor_config.json"]["image_mean"] == IMAGENET["image_mean"]
    with pytest.raises(InvalidBlueprint, match=r"`config\.json` is no JSON"):
        made("labels: [new]", {"config.json": b"["})


@pytest.mark.parametrize(
    ("tokenizer", "size", "pad"),
    [
        ({"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"id": 5, "content": "<pad>"}]}, 6, 5),
        ({"model": {"vocab": [["<pad>", 0.0], ["a", -1.5]]}}, 2, 0),
        ({"model": {"vocab": {"a": 0, "[PAD]": 1}}, "padding": {"pad_id": 0}}, 2, 0),
        ({"model": {"vocab": {"a": "x"}}, "added_tokens": "none"}, None, None),
    ],
)
def test_the_vocabulary_is_read_from_the_tokenizer(tokenizer, size, pad):
    folder = {"t.json": json.dumps(tokenizer).encode()}
    found = made("preprocessing: {tokenizer: t.json, max_length: 9}", folder)
    assert found["tokenizer.json"] == tokenizer
    assert found["tokenizer_config.json"] == {"model_max_length": 9}
    assert found["config.json"].get("vocab_size") == size
    assert found["config.json"].get("pad_token_id") == pad
    assert found["config.json"]["max_position_embeddings"] == 9


def test_a_file_that_says_nothing_makes_nothing():
    assert made("task: raw") == {}
