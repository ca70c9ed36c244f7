"""What the processor makes of a picture is what transformers' own processor makes of it, to the bit, for every class."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import transformers
from picture_models import PICTURES, SIZES, model, picture

from gpux.errors import InvalidInput, UnsupportedModel
from gpux.images import classes
from gpux.images.processor import LARGEST, ImageProcessor

SETTINGS = [
    # class, what a model's file says: shapes that the Hub has, today's and older ones
    ("ViTImageProcessor", {"size": 96, "image_mean": 0.5, "image_std": 0.25}),
    ("ViTImageProcessor", {"size": {"shortest_edge": 64}, "do_center_crop": True, "crop_size": 63}),
    ("ViTImageProcessor", {"size": [50, 70], "resample": 1, "do_normalize": False}),
    ("ViTImageProcessor", {"size": {"max_height": 50, "max_width": 90}, "resample": 0}),
    ("ViTImageProcessor", {"size": {"shortest_edge": 50, "longest_edge": 70}, "resample": 4}),
    ("ViTImageProcessor", {"do_resize": False, "do_center_crop": True, "crop_size": [41, 66]}),
    ("ViTImageProcessor", {"do_resize": False, "do_rescale": False}),
    ("ViTImageProcessor", {"rescale_factor": 1 / 127.5, "size": {"height": 32, "width": 33}}),
    ("ViTImageProcessor", {"do_normalize": None, "image_mean": None, "image_std": None, "crop_size": None}),
    ("CLIPImageProcessor", {"do_resize": None, "size": None, "resample": None, "default_to_square": None}),
    ("PoolFormerImageProcessor", {"crop_pct": None, "do_rescale": None}),
    ("YolosImageProcessor", {"size": None, "pad_size": None}),
    ("VivitImageProcessor", {"size": None, "image_mean": None, "offset": None}),
    ("CLIPImageProcessor", {"size": 60, "crop_size": 56}),
    ("CLIPImageProcessor", {"use_square_size": True, "do_center_crop": False}),
    ("SiglipImageProcessor", {"size": 48}),
    ("BitImageProcessor", {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}),
    ("ConvNextImageProcessor", {"size": 56, "crop_pct": 0.95}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 224}}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 400}, "resample": 2}),
    ("PoolFormerImageProcessor", {"size": {"height": 60, "width": 60}, "crop_size": 60}),
    (
        "PoolFormerImageProcessor",
        {"size": {"height": 60, "width": 80}, "crop_size": [60, 80], "crop_pct": 0.95},
    ),
    ("LevitImageProcessor", {"size": {"height": 50, "width": 60}, "crop_size": 50}),
    (
        "EfficientNetImageProcessor",
        {"rescale_offset": True, "rescale_factor": 1 / 127.5, "include_top": False},
    ),
    (
        "EfficientNetImageProcessor",
        {"size": 64, "do_center_crop": True, "crop_size": 60, "do_normalize": False},
    ),
    ("DPTImageProcessor", {"size": 140, "keep_aspect_ratio": True, "ensure_multiple_of": 14}),
    ("DPTImageProcessor", {"size": {"height": 100, "width": 150}, "ensure_multiple_of": 32, "resample": 2}),
    ("DPTImageProcessor", {"size": 100, "do_pad": True, "size_divisor": 14}),
    ("PromptDepthAnythingImageProcessor", {"keep_aspect_ratio": True, "do_pad": True, "size_divisor": 14}),
    ("DetrImageProcessor", {"size": 100, "max_size": 160}),
    ("DetrImageProcessor", {"size": {"shortest_edge": 90, "longest_edge": 120}, "do_pad": False}),
    ("DetrImageProcessor", {"size": {"shortest_edge": 90, "longest_edge": 120}, "pad_size": 130}),
    ("DetrImageProcessor", {"size": {"height": 64, "width": 80}, "pad_and_return_pixel_mask": False}),
    ("DetrImageProcessor", {"size": {"max_height": 64, "max_width": 80}}),
    ("YolosImageProcessor", {"size": {"shortest_edge": 64, "longest_edge": 130}}),
    ("YolosImageProcessor", {"size": {"height": 64, "width": 80}}),
    ("RTDetrImageProcessor", {"size": {"height": 96, "width": 64}, "do_normalize": True}),
    ("RTDetrImageProcessor", {"size": {"shortest_edge": 64, "longest_edge": 70}, "do_pad": True}),
    ("MaskFormerImageProcessor", {"size": 64, "max_size": 200, "size_divisibility": 32}),
    ("MaskFormerImageProcessor", {"size": {"height": 50, "width": 60}, "size_divisor": 0}),
    ("Mask2FormerImageProcessor", {"size": {"shortest_edge": 70, "longest_edge": 90}, "pad_size": 224}),
    ("Mask2FormerImageProcessor", {"size": {"height": 50, "width": 60}, "size_divisor": 16}),
    ("SegformerImageProcessor", {"size": 128, "do_reduce_labels": True, "reduce_labels": True}),
    (
        "MobileViTImageProcessor",
        {"size": {"shortest_edge": 60}, "crop_size": 50, "do_flip_channel_order": False},
    ),
    ("GLPNImageProcessor", {"size_divisor": 16, "resample": 3}),
    ("Swin2SRImageProcessor", {"pad_size": 16}),
    ("Swin2SRImageProcessor", {"do_pad": False}),
    ("ViltImageProcessor", {"size": {"shortest_edge": 64}, "size_divisor": 16}),
    ("BridgeTowerImageProcessor", {"size": 96, "size_divisor": 32, "do_center_crop": False}),
    ("TextNetImageProcessor", {"size": {"shortest_edge": 50}, "size_divisor": 8, "do_center_crop": True}),
    ("PerceiverImageProcessor", {"size": 32, "crop_size": 40}),
    ("OwlViTImageProcessor", {"size": [64, 64], "rescale": True}),
    ("VivitImageProcessor", {"size": {"shortest_edge": 64}, "crop_size": 60, "offset": False}),
    ("VideoMAEImageProcessor", {"size": {"shortest_edge": 64}, "crop_size": {"height": 60, "width": 60}}),
]
IN_PIECES = {"LlavaNextImageProcessor", "Qwen2VLImageProcessor"}
"""Classes that cut a picture into tiles or patches: ``test_images_views.py`` holds those."""
TORCHVISION_ALONE = {"DINOv3ViTImageProcessor"}
"""Classes that transformers has for torchvision only, which cannot be installed beside the CPU build of torch."""
PADDED = ["DetrImageProcessor", "YolosImageProcessor", "Mask2FormerImageProcessor", "ViltImageProcessor"]


def theirs(name, settings, pictures):
    made = getattr(transformers, f"{name}Pil", None) or getattr(transformers, name)
    given = (
        [[one] for one in pictures] if name in {"VideoMAEImageProcessor", "VivitImageProcessor"} else pictures
    )
    found = made.from_dict(dict(settings))(given, return_tensors="np")
    values = np.asarray(found["pixel_values"])
    return {**found, "pixel_values": values.reshape(len(pictures), *values.shape[-3:])}


def ours(folder, name, settings):
    return ImageProcessor.read(model(folder, preprocessor_config={"image_processor_type": name, **settings}))


def same(found, expected):
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert found[key].shape == value.shape
        assert found[key].dtype == (np.int64 if key == "pixel_mask" else np.float32)
        np.testing.assert_array_equal(found[key], value.astype(found[key].dtype), strict=True)


@pytest.mark.parametrize(
    ("name", "settings"),
    [*((name, {}) for name in classes.CLASSES if name not in TORCHVISION_ALONE | IN_PIECES), *SETTINGS],
    ids=lambda value: value.removesuffix("ImageProcessor") if isinstance(value, str) else str(value)[:40],
)
def test_every_class_and_shape_of_its_file(tmp_path, name, settings):
    processor = ours(tmp_path, name, settings)
    assert processor.name == name
    for one in PICTURES:
        prepared = processor.prepare(one)
        assert prepared.original == (one.height, one.width)
        found = processor.batch([prepared])
        same(found, theirs(name, settings, [one]))
        height, width = found["pixel_values"].shape[2:]
        assert processor.fixed in {None, (height, width)}
        if not settings.get("pad_size") and "crop_size" not in settings:
            assert height % processor.divisor == width % processor.divisor == 0


def test_fixed_is_known_where_every_picture_comes_out_alike(tmp_path):
    for name, kind in classes.CLASSES.items():
        processor = ours(tmp_path, name, {})
        shapes = {processor.prepare(one).array.shape[1:] for one in (PICTURES[0], PICTURES[4])}
        assert (processor.fixed is not None) == (len(shapes) == 1), (name, kind.rule, shapes)


@pytest.mark.parametrize("name", PADDED)
def test_pictures_of_several_sizes_are_padded_and_masked(tmp_path, name):
    size = {"size": {"shortest_edge": 64}} if name.startswith("Vilt") else {}
    settings = size or {"size": {"shortest_edge": 64, "longest_edge": 96}}
    processor = ours(tmp_path, name, settings)
    assert processor.padded
    assert processor.masked
    pictures = list(PICTURES[:3])
    same(processor.batch([processor.prepare(one) for one in pictures]), theirs(name, settings, pictures))


@pytest.mark.parametrize(("resample", "mode"), [(2, "bilinear"), (3, "bicubic")])
def test_floats_are_resized_as_torchvision_does(tmp_path, resample, mode):
    """By torch's antialiased interpolation, which is what torchvision's resize of floats calls."""
    settings = {"size": {"height": 60, "width": 72}, "resample": resample}
    processor = ours(tmp_path, "DINOv3ViTImageProcessor", settings)
    mean, deviation = (torch.tensor(one)[:, None, None] for one in classes.IMAGENET)
    for one in PICTURES:
        floats = torch.from_numpy(np.array(one)).permute(2, 0, 1)[None] * (1 / 255)
        resized = torch.nn.functional.interpolate(floats, (60, 72), mode=mode, antialias=True)
        expected = ((resized[0] - mean) / deviation).numpy()
        found = processor.prepare(one)
        assert found.array.dtype == np.float32
        assert found.resized == processor.fixed == (60, 72)
        np.testing.assert_allclose(found.array, expected, atol=2e-5)


def test_pictures_of_several_sizes_are_refused_where_the_model_does_not_pad(tmp_path):
    processor = ours(tmp_path, "GLPNImageProcessor", {})
    assert not processor.padded
    with pytest.raises(InvalidInput, match="several sizes"):
        processor.batch([processor.prepare(picture(64, 64)), processor.prepare(picture(96, 64))])
    padded = ours(tmp_path, "DetrImageProcessor", {"do_resize": False, "pad_size": 50})
    with pytest.raises(InvalidInput, match="larger than 50×50"):
        padded.batch([padded.prepare(picture(51, 20))])


def test_equal_sizes_are_one_batch(tmp_path):
    processor = ours(tmp_path, "ViTImageProcessor", {})
    pictures = list(PICTURES)
    same(
        processor.batch([processor.prepare(one) for one in pictures]),
        theirs("ViTImageProcessor", {}, pictures),
    )


def test_a_strip_of_one_pixel(tmp_path):
    for name in ("ViTImageProcessor", "CLIPImageProcessor", "DetrImageProcessor", "ConvNextImageProcessor"):
        strip = picture(120, 1)
        same(
            ours(tmp_path, name, {}).batch([ours(tmp_path, name, {}).prepare(strip)]),
            theirs(name, {}, [strip]),
        )
    with pytest.raises(InvalidInput, match="input 4, 1×120 pixels, is too small or too narrow"):
        ours(tmp_path, "GLPNImageProcessor", {}).prepare(picture(120, 1), position=4)
    with pytest.raises(InvalidInput, match="1×2000 pixels, would become 224×448000"):
        ours(tmp_path, "CLIPImageProcessor", {}).prepare(picture(2000, 1))
    assert LARGEST < 224 * 448000


def test_large_pictures_are_looked_up_in_pieces(tmp_path):
    """More pixels than are looked up at once, so that rows of several pieces meet."""
    tall = picture(1001, 700)
    for settings in ({"do_resize": False}, {"do_resize": False, "do_rescale": False}):
        same(
            ours(tmp_path, "ViTImageProcessor", settings).batch(
                [ours(tmp_path, "ViTImageProcessor", settings).prepare(tall)]
            ),
            theirs("ViTImageProcessor", settings, [tall]),
        )


def test_threads_prepare_what_one_does(tmp_path):
    processor = ours(tmp_path, "CLIPImageProcessor", {})
    alone = [processor.prepare(one).array for one in PICTURES]
    with ThreadPoolExecutor(4) as pool:
        for found in [pool.map(processor.prepare, PICTURES) for _ in range(3)]:
            for one, expected in zip(found, alone, strict=True):
                assert np.array_equal(one.array, expected)


def test_padding_is_not_the_picture(tmp_path):
    processor = ours(tmp_path, "Swin2SRImageProcessor", {})
    prepared = processor.prepare(picture(37, 53))
    assert prepared.array.shape == (3, 40, 56)
    assert prepared.resized == prepared.original == (37, 53)
    assert SIZES[2] == (37, 53)


NAMES = [
    ({"image_processor_type": "ViTImageProcessorFast"}, {}, "ViTImageProcessor"),
    ({"image_processor_type": "DetrImageProcessorPil"}, {}, "DetrImageProcessor"),
    ({"feature_extractor_type": "BeitFeatureExtractor"}, {}, "BeitImageProcessor"),
    ({"feature_extractor_type": "CLIPFeatureExtractor"}, {"model_type": "xclip"}, "CLIPImageProcessor"),
    ({"image_processor_type": "SwinImageProcessor"}, {"model_type": "swin"}, "ViTImageProcessor"),
    ({"size": 224}, {"model_type": "resnet"}, "ConvNextImageProcessor"),
    ({"size": 224}, {"model_type": "dinov2"}, "BitImageProcessor"),
]


@pytest.mark.parametrize(("settings", "configuration", "name"), NAMES)
def test_the_class_is_found_by_its_names_or_the_model_type(tmp_path, settings, configuration, name):
    made = model(tmp_path, preprocessor_config=settings, config=configuration)
    assert ImageProcessor.read(made).name == name


def test_a_nested_processor_wins_over_a_file_of_its_own(tmp_path):
    nested = {"image_processor": {"image_processor_type": "CLIPImageProcessor", "crop_size": 50}}
    own = {"image_processor_type": "ViTImageProcessor", "size": 40}
    found = ImageProcessor.read(model(tmp_path, processor_config=nested, preprocessor_config=own))
    assert (found.name, found.fixed) == ("CLIPImageProcessor", (50, 50))
    older = {"processor_class": "CLIPProcessor"}
    found = ImageProcessor.read(model(tmp_path, processor_config=older, preprocessor_config=own))
    assert (found.name, found.fixed) == ("ViTImageProcessor", (40, 40))


def test_models_without_a_known_processor(tmp_path):
    with pytest.raises(UnsupportedModel, match="does not say how pictures are prepared") as caught:
        ImageProcessor.read(model(tmp_path, config={"model_type": "vit"}))
    assert "preprocessor_config.json" in caught.value.hint
    fuyu = {"image_processor_type": "FuyuImageProcessor"}
    with pytest.raises(UnsupportedModel, match="prepared by `FuyuImageProcessor`"):
        ImageProcessor.read(model(tmp_path, preprocessor_config=fuyu))
    with pytest.raises(UnsupportedModel, match="models of type `unheard`"):
        ImageProcessor.read(
            model(tmp_path, preprocessor_config={"size": 3}, config={"model_type": "unheard"})
        )


HOSTILE = [
    {"size": -1},
    {"size": 0},
    {"size": 10**9},
    {"size": 1e400},
    {"size": "224"},
    {"size": True},
    {"size": 22.5},
    {"size": [224]},
    {"size": [1, 2, 3]},
    {"size": [224, "x"]},
    {"size": {"height": 224}},
    {"size": {"height": 224, "width": -224}},
    {"size": {"height": 224, "width": 10**9}},
    {"size": {"height": 224, "width": {}}},
    {"size": {"longest_edge": 224}},
    {"size": {"min_pixels": 1, "max_pixels": 2}},
    {"crop_size": 10**9, "do_center_crop": True},
    {"crop_size": {"shortest_edge": 3}, "do_center_crop": True},
    {"do_center_crop": True},
    {"size": None},
    {"resample": None},
    {"image_mean": None},
    {"rescale_factor": None},
    {"do_resize": "yes"},
    {"do_pad": True, "pad_size": 10**9},
    {"resample": 6},
    {"resample": -1},
    {"resample": "bicubic"},
    {"rescale_factor": "1/255"},
    {"rescale_factor": float("nan")},
    {"rescale_factor": 1e300},
    {"image_std": 0},
    {"image_std": [1, 0, 1]},
    {"image_std": 1e-60},
    {"image_std": float("nan")},
    {"image_std": [1, 1]},
    {"image_mean": ["0", 0, 0]},
    {"image_mean": float("inf")},
    {"image_mean": 10**400},
    {"image_mean": {"r": 1}},
    {"image_processor_type": 3},
    {"image_processor_type": "ConvNextImageProcessor", "size": 200, "crop_pct": 0},
    {"image_processor_type": "ConvNextImageProcessor", "size": 200, "crop_pct": 1e-9},
    {"image_processor_type": "ConvNextImageProcessor", "size": {"height": 1, "width": 1}},
    {"image_processor_type": "DPTImageProcessor", "ensure_multiple_of": 0},
    {"image_processor_type": "DPTImageProcessor", "ensure_multiple_of": 10**9},
    {"image_processor_type": "DPTImageProcessor", "do_pad": True, "size_divisor": 10**9},
    {"image_processor_type": "GLPNImageProcessor", "size_divisor": 0},
    {"image_processor_type": "DetrImageProcessor", "size": 800, "max_size": 10**10},
    {"image_processor_type": "Swin2SRImageProcessor", "size_divisor": 10**8},
]


@pytest.mark.parametrize("settings", HOSTILE, ids=lambda settings: str(settings)[:60])
def test_settings_out_of_range(tmp_path, settings):
    made = model(tmp_path, preprocessor_config={"image_processor_type": "ViTImageProcessor", **settings})
    with pytest.raises(UnsupportedModel) as caught:
        ImageProcessor.read(made)
    assert "preprocessor_config.json" in caught.value.message
    assert "gpux pull" in caught.value.hint
