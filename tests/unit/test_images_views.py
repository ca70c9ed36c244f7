"""What language models are shown of a picture is what transformers' own processors make of it, and so is the text's expansion."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tokenizers
import torch
import transformers as hf
from picture_models import model, picture
from transformers.vision_utils import (
    get_vision_interpolation_indices_and_weights,
    get_vision_position_ids,
    get_vision_window_index,
)

from gpux.errors import GpuxError, InvalidInput, UnsupportedModel
from gpux.images import views
from gpux.images.processor import ImageProcessor
from gpux.picture_grids import Tower
from gpux.text import placeholders

SIZES = ((48, 64), (90, 37), (33, 33), (64, 250))
WORDS = ["<unk>", "<image>", "<|image_pad|>", "<|video_pad|>", "what", "is", "this", "?"]
POINTS = [[32, 64], [64, 32], [64, 64], [96, 32]]
SQUARE = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}


def tokenizer(mark):
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    marks = [mark, "<|video_pad|>"]
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", additional_special_tokens=marks
    )


def llava(pad):
    images = hf.LlavaImageProcessorPil(**SQUARE, do_pad=pad)
    return (
        hf.LlavaProcessor(
            images,
            tokenizer("<image>"),
            patch_size=8,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
        ),
        {"model_type": "llava", "vision_config": {"patch_size": 8}},
    )


def llava_next(strategy):
    images = hf.LlavaNextImageProcessorPil(**SQUARE, image_grid_pinpoints=POINTS)
    return (
        hf.LlavaNextProcessor(
            images,
            tokenizer("<image>"),
            patch_size=8,
            vision_feature_select_strategy=strategy,
            num_additional_image_tokens=1,
        ),
        {"model_type": "llava_next", "vision_config": {"patch_size": 8}, "image_grid_pinpoints": POINTS},
    )


def qwen(kind):
    images = hf.Qwen2VLImageProcessorPil(
        patch_size=4, merge_size=2, size={"shortest_edge": 256, "longest_edge": 6000}
    )
    tower = {"patch_size": 4, "spatial_merge_size": 2, "window_size": 16, "num_position_embeddings": 64}
    made = object.__new__(hf.Qwen2_5_VLProcessor)
    made.image_processor, made.tokenizer, made.image_token = (
        images,
        tokenizer("<|image_pad|>"),
        "<|image_pad|>",
    )
    return made, {"model_type": kind, "vision_config": tower}


MADE = {
    "llava": lambda: llava(pad=False),
    "llava squared": lambda: llava(pad=True),
    "llava-next": lambda: llava_next("default"),
    "llava-next full": lambda: llava_next("full"),
    "qwen2-vl": lambda: qwen("qwen2_vl"),
    "qwen2.5-vl": lambda: qwen("qwen2_5_vl"),
    "qwen3-vl": lambda: qwen("qwen3_vl"),
}


@pytest.mark.parametrize("name", MADE)
def test_pixels_and_places(name, tmp_path):
    theirs, config = MADE[name]()
    own = json.loads(theirs.image_processor.to_json_string())
    extra = {
        key: getattr(theirs, key)
        for key in ("patch_size", "vision_feature_select_strategy", "num_additional_image_tokens")
        if hasattr(theirs, key)
    }
    ours = views.read(model(tmp_path, config=config, preprocessor_config=own, processor_config=extra))
    for height, width in SIZES:
        image = picture(height, width)
        view = ours.view(image)
        want = theirs.image_processor(image, return_tensors="np")
        pixels = want["pixel_values"][0] if name.startswith("llava-next") else want["pixel_values"]
        np.testing.assert_allclose(view.feeds["pixel_values"], pixels, atol=1e-5)
        replaced = theirs.replace_image_token(want, 0)
        assert replaced == theirs.image_token * view.places
        asked = f"{theirs.image_token} what is this ?"
        expanded = placeholders.expand(asked, theirs.image_token, [view.places])
        wanted = theirs.tokenizer(asked.replace(theirs.image_token, replaced))["input_ids"]
        assert theirs.tokenizer(expanded)["input_ids"] == wanted


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_what_a_tower_is_told_of_sizes(kind):
    tower = Tower.of(
        {"spatial_merge_size": 2, "patch_size": 4, "window_size": 16, "num_position_embeddings": 64}, kind
    )
    grids = [(1, 4, 10), (2, 6, 6), (1, 2, 2)]
    told, given = tower.feeds(grids), torch.tensor(grids)
    assert (told["position_ids"] == get_vision_position_ids(given, 2).numpy()).all()
    assert np.bincount(told["segments"]).tolist() == [40, 36, 36, 4]
    if kind == "qwen2_5_vl":
        index, begins = get_vision_window_index(given, 2, 16, 4)
        assert (told["window_index"] == index.numpy()).all()
        assert (np.bincount(told["window_segments"]) == np.diff(begins.numpy())).all()
    if kind == "qwen3_vl":
        taps, weights = get_vision_interpolation_indices_and_weights(given, 8, "bilinear", True, 2)
        assert (told["interp_indices"] == taps.numpy()).all()
        np.testing.assert_allclose(told["interp_weights"], weights.numpy(), atol=1e-6)


def test_tiles_are_joined_as_transformers_packs_them(tmp_path):
    theirs, config = llava_next("default")
    own = json.loads(theirs.image_processor.to_json_string())
    ours = views.read(model(tmp_path, config=config, preprocessor_config=own))
    vision = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "image_size": 32}
    text = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
        "vocab_size": 9,
    }
    whole = hf.LlavaNextModel(
        hf.LlavaNextConfig(
            vision_config={**vision, "patch_size": 8, "model_type": "clip_vision_model"},
            text_config={**text, "model_type": "llama"},
            image_grid_pinpoints=POINTS,
        )
    )
    for height, width in SIZES:
        view = ours.view(picture(height, width))
        seeded = np.random.default_rng(height)
        features = seeded.normal(size=(len(view.feeds["pixel_values"]), 16, 8)).astype(np.float32)
        newline = seeded.normal(size=8).astype(np.float32)
        joined = view.features({"image_features": features, "image_newline": newline}).embeds
        want, _ = whole.pack_image_features(
            [torch.from_numpy(features)],
            [[height, width]],
            "default",
            image_newline=torch.from_numpy(newline),
        )
        assert (joined == want[0].numpy()).all()


@pytest.mark.parametrize(
    ("text", "places", "said"),
    [
        ("what is this ?", [3], "no places for pictures"),
        ("<image> and <image>", [3], "2 places for pictures"),
        ("<image>", [], "no pictures"),
    ],
)
def test_marks_and_pictures_that_do_not_match(text, places, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        placeholders.expand(text, "<image>", places, position=4)
    assert caught.value.details["position"] == 4
    assert "<image>" in caught.value.hint


@pytest.mark.parametrize(
    "settings",
    [{}, {"do_align_long_axis": True}, {"do_thumbnail": False, "do_pad": False}, {"do_resize": False}],
)
def test_pages_are_laid_out_as_donut_does(tmp_path, settings):
    theirs = hf.DonutImageProcessorPil(size={"height": 64, "width": 48}, **settings)
    own = json.loads(theirs.to_json_string())
    ours = ImageProcessor.read(model(tmp_path, config={}, preprocessor_config=own))
    for height, width in SIZES:
        want = theirs(picture(height, width), return_tensors="np")["pixel_values"][0]
        np.testing.assert_allclose(ours.prepare(picture(height, width)).array, want, atol=1e-5)


def test_what_is_refused(tmp_path):
    theirs, config = qwen("qwen3_vl")
    own = json.loads(theirs.image_processor.to_json_string())
    ours = views.read(model(tmp_path, config=config, preprocessor_config=own))
    with pytest.raises(InvalidInput, match="too narrow"):
        ours.view(picture(2, 500))
    with pytest.raises(UnsupportedModel, match="idefics3"):
        views.read(model(tmp_path, config={"model_type": "idefics3"}))
    next_config = {"model_type": "llava_next", "vision_config": {"patch_size": 8}}
    for points in ([], [[32]], [[32, 33]], [[32 * 8192, 32]], "all"):
        wrong = {
            **SQUARE,
            "image_processor_type": "LlavaNextImageProcessor",
            "image_grid_pinpoints": points,
        }
        with pytest.raises(GpuxError, match="image_grid_pinpoints"):
            views.read(model(tmp_path, config=next_config, preprocessor_config=wrong))
