"""A timm model's pictures come out as timm's transform for evaluation makes them, written down here with Pillow alone.

timm 1.0.31 itself, with torchvision 0.28, was found to give the same bits for every line of CONFIGURATIONS; neither can be
installed beside the CPU build of torch that the tests use.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from picture_models import PICTURES, model, picture
from PIL import Image, ImageOps

from gpux.errors import UnsupportedModel
from gpux.images.processor import ImageProcessor

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CONFIGURATIONS = [
    {},
    {
        "input_size": [3, 224, 224],
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    },
    {"input_size": [3, 50, 60], "crop_pct": 0.95},
    {"input_size": [3, 51, 51], "crop_pct": 1.0, "crop_mode": "squash"},
    {"input_size": [3, 51, 60], "crop_pct": 0.9, "crop_mode": "squash"},
    {"input_size": [3, 64, 64], "crop_pct": 1.0, "crop_mode": "border"},
    {"input_size": [3, 64, 70], "crop_pct": 0.8, "crop_mode": "border"},
    {"input_size": [3, 299, 299], "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.5] * 3},
    {"input_size": [3, 33, 47], "interpolation": "lanczos"},
    {"input_size": [3, 96, 96], "interpolation": "nearest"},
    {"input_size": [3, 97, 97], "interpolation": "box", "crop_pct": 0.5},
    {
        "input_size": [3, 64, 64],
        "test_input_size": [3, 96, 96],
        "test_crop_pct": 1.0,
        "fixed_input_size": False,
    },
]


def transformed(image, configuration):
    """Resize, centre crop with torchvision's rounding, normalise."""
    height, width = configuration.get("input_size", [3, 224, 224])[1:]
    share, mode = configuration.get("crop_pct", 0.875), configuration.get("crop_mode", "center")
    tall, wide = math.floor(height / share), math.floor(width / share)
    resample = Image.Resampling[configuration.get("interpolation", "bicubic").upper()]
    mean, deviation = configuration.get("mean", MEAN), configuration.get("std", DEVIATION)
    if mode == "squash":
        size = tall, wide
    elif mode == "center" and tall == wide:
        shorter = min(image.size)
        size = tuple(
            tall if edge == shorter else int(tall * edge / shorter) for edge in (image.height, image.width)
        )
    else:
        ratios = image.height / tall, image.width / wide
        ratio = max(ratios) if mode == "border" else min(ratios)
        size = round(image.height / ratio), round(image.width / ratio)
    image = image.resize(size[::-1], resample)
    beside, below = max(0, width - image.width), max(0, height - image.height)
    fill = tuple(round(255 * value) for value in mean) if mode == "border" else (0, 0, 0)
    around = (beside // 2, below // 2, beside - beside // 2, below - below // 2)
    image = ImageOps.expand(image, around, fill)
    top, left = round((image.height - height) / 2), round((image.width - width) / 2)
    image = image.crop((left, top, left + width, top + height))
    values = np.asarray(image).astype(np.float32).transpose(2, 0, 1) / np.float32(255)
    return (values - np.float32(mean)[:, None, None]) / np.float32(deviation)[:, None, None]


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_configurations(tmp_path, configuration):
    processor = ImageProcessor.read(
        model(tmp_path, config={"architecture": "resnet50", "pretrained_cfg": configuration})
    )
    assert processor.name == "TimmWrapperImageProcessor"
    for one in (*PICTURES, picture(91, 92), picture(1, 40)):
        found = processor.batch([processor.prepare(one)])
        assert list(found) == ["pixel_values"]
        assert processor.fixed == found["pixel_values"].shape[2:]
        np.testing.assert_array_equal(found["pixel_values"][0], transformed(one, configuration), strict=True)


def test_timm_wins_over_a_processor_file(tmp_path):
    made = model(
        tmp_path,
        config={"pretrained_cfg": {"input_size": [3, 32, 32]}},
        preprocessor_config={"image_processor_type": "ViTImageProcessor"},
    )
    assert ImageProcessor.read(made).fixed == (32, 32)


@pytest.mark.parametrize(
    "configuration",
    [
        {"input_size": [1, 28, 28]},
        {"input_size": [3, 0, 28]},
        {"input_size": [3, 10**9, 10**9]},
        {"input_size": 224},
        {"crop_pct": -1},
        {"crop_pct": 1e-7},
        {"crop_pct": "0.9"},
        {"crop_mode": "spiral"},
        {"interpolation": "random"},
        {"mean": [0.5]},
        {"std": [0.5, 0, 0.5]},
        {"std": [0.5, 1e-60, 0.5]},
    ],
    ids=str,
)
def test_configurations_out_of_range(tmp_path, configuration):
    with pytest.raises(UnsupportedModel, match=r"config\.json"):
        ImageProcessor.read(model(tmp_path, config={"pretrained_cfg": configuration}))
