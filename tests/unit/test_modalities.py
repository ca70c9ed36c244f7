"""What a model is given, from settings as published configurations have them."""

from __future__ import annotations

import pytest

from gpux.export.modalities import given, model_type

PUBLISHED = {
    "bert": ({"vocab_size": 30522, "max_position_embeddings": 512}, {}, {"text"}),
    "t5": ({"vocab_size": 32128, "relative_attention_num_buckets": 32}, {}, {"text"}),
    "vit": ({"image_size": 224, "patch_size": 16, "num_channels": 3}, {"image_mean": [0.5]}, {"image"}),
    "beit, whose vocabulary is of pieces of pictures": (
        {"vocab_size": 8192, "image_size": 224, "patch_size": 16}, {"size": 224}, {"image"},
    ),
    "vilt": ({"vocab_size": 30522, "max_position_embeddings": 40, "image_size": 384}, {}, {"image", "text"}),
    "clip": ({"text_config": {}, "vision_config": {"image_size": 224}}, {}, {"image", "text"}),
    "xclip": ({"text_config": {}, "vision_config": {"num_frames": 8}}, {}, {"video", "text"}),
    "videomae": ({"image_size": 224, "num_frames": 16}, {}, {"video"}),
    "wav2vec2": ({"vocab_size": 32, "conv_kernel": [10]}, {"sampling_rate": 16000}, {"audio"}),
    "clap": ({"text_config": {}, "audio_config": {}}, {"sampling_rate": 48000}, {"audio", "text"}),
    "timm": ({"architecture": "resnet18", "pretrained_cfg": {}}, {}, {"image"}),
    "nothing": ({}, {}, set()),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_what_a_model_is_given(name):
    config, processor, expected = PUBLISHED[name]
    assert given(config, processor) == expected


def test_a_configuration_of_timm_names_no_type():
    assert model_type({"pretrained_cfg": {}}) == "timm_wrapper"
    assert model_type({"model_type": "bert"}) == "bert"
    assert model_type({}) is None
