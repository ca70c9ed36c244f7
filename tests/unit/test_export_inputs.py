"""What a model is given follows from its own files, whoever wrote them; probes have the shapes that follow from that."""

from __future__ import annotations

import numpy as np
import pytest

from gpux.export import probes
from gpux.export.inputs import Inputs, Pixels, Sound, Tokens, describe

PICTURES = {
    "a square": ({"size": {"height": 224, "width": 224}}, (224, 224), False, 1),
    "an old square": ({"size": 384}, (384, 384), False, 1),
    "a crop": (
        {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}},
        (224, 224),
        False,
        1,
    ),
    "an old crop": ({"size": 256, "do_center_crop": True, "crop_size": 224}, (224, 224), False, 1),
    "a share that is cropped": ({"size": {"shortest_edge": 288}, "crop_pct": 0.875}, (288, 288), False, 1),
    "a detector": ({"size": {"shortest_edge": 800, "longest_edge": 1333}, "do_pad": True}, None, True, 1),
    "proportions kept": (
        {"size": {"height": 518, "width": 518}, "keep_aspect_ratio": True, "ensure_multiple_of": 14},
        None,
        True,
        14,
    ),
    "a square that is a multiple": (
        {"size": {"height": 384, "width": 384}, "size_divisor": 32},
        (384, 384),
        False,
        32,
    ),
    "a square that becomes one": (
        {"size": {"height": 380, "width": 500}, "size_divisor": 32},
        (384, 512),
        False,
        32,
    ),
    "sides padded to multiples": ({"size": {"shortest_edge": 384}, "size_divisor": 32}, None, True, 32),
    "an upscaler": ({"do_pad": True, "pad_size": 8, "do_rescale": True}, None, True, 8),
    "padded, never resized": ({"do_resize": False, "do_pad": True, "size_divisor": 8}, None, True, 8),
}


@pytest.mark.parametrize("name", PICTURES)
def test_sizes_of_pictures(name):
    processor, size, free, divisor = PICTURES[name]
    found = describe(("image",), {"num_channels": 3}, processor, {"pixel_values": ()}).pixels
    assert (found.free, found.divisor) == (free, divisor)
    if size:
        assert (found.height, found.width) == size
    for feeds in [
        *probes.make(Inputs(("pixel_values",), pixels=found)),
        probes.traced(Inputs(("pixel_values",), pixels=found)),
    ]:
        height, width = feeds["pixel_values"].shape[-2:]
        assert height % divisor == width % divisor == 0


def test_a_graph_knows_its_own_sizes_better():
    shape = ("batch", 1, 28, "width")
    found = describe(("image",), {}, {"size": 32}, {"pixel_values": shape}).pixels
    assert (found.channels, found.height, found.width, found.free) == (1, 28, 32, False)


@pytest.mark.parametrize(
    "size", [-1, 0, "x", None, True, 10**12, [], {"height": "x", "width": 3}, {"shortest_edge": -4}]
)
def test_a_hostile_size_is_no_size(size):
    found = describe(
        ("image",), {"image_size": size}, {"size": size, "size_divisor": size}, {"pixel_values": ()}
    ).pixels
    assert 0 < found.height <= 2 * 4096
    assert 0 < found.width <= 2 * 4096


def test_sound_is_waves_or_features():
    waves = describe(
        ("audio",),
        {"conv_kernel": [10, 3]},
        {"return_attention_mask": True},
        {"input_values": (), "attention_mask": ()},
    )
    assert waves.names == ("input_values", "attention_mask")
    assert waves.sound == Sound((16_000,), free=True)
    unmasked = describe(("audio",), {"conv_kernel": [10, 3]}, {}, {"input_values": (), "attention_mask": ()})
    assert unmasked.names == ("input_values",)
    ast = describe(("audio",), {"num_mel_bins": 128, "max_length": 1024}, {}, {"input_values": ()})
    assert ast.sound == Sound((1024, 128), free=False)
    clap = describe(
        ("text", "audio"), {"audio_config": {"num_mel_bins": 64}}, {"nb_max_samples": 480_000, "hop_length": 480},
        {"input_ids": (), "input_features": (), "is_longer": ()}, outputs=["logits_per_audio"],
    )  # fmt: skip
    assert clap.sound == Sound((1, 1001, 64), free=False)
    assert clap.apart
    whisper = describe(
        ("audio",), {"num_mel_bins": 80, "max_source_positions": 1500}, {}, {"input_features": ()}
    )
    assert whisper.sound == Sound((80, 3000), free=False)


def test_pairs_have_a_batch_each_where_they_are_apart():
    tokens, pixels = Tokens(50, 1, 20, 1), Pixels(3, 8, 8)
    apart = Inputs(("input_ids", "attention_mask", "pixel_values"), tokens, pixels, apart=True)
    rows = [(len(feeds["input_ids"]), len(feeds["pixel_values"])) for feeds in probes.make(apart)]
    assert any(texts != pictures for texts, pictures in rows)
    assert probes.axes(apart)["input_ids"][0] == "texts"
    assert probes.axes(apart)["pixel_values"] == {0: "images"}
    together = Inputs(apart.names, tokens, pixels)
    assert all(len(feeds["input_ids"]) == len(feeds["pixel_values"]) for feeds in probes.make(together))
    assert probes.axes(together)["pixel_values"][0] == probes.axes(together)["input_ids"][0] == "batch"


def test_padded_rows_are_really_padded():
    feeds = probes.make(Inputs(("pixel_values", "pixel_mask"), pixels=Pixels(3, 1, 1, free=True)))
    padded = [f for f in feeds if len(f["pixel_mask"]) > 1]
    assert padded
    for one in padded:
        hidden = np.broadcast_to((one["pixel_mask"] == 0)[:, None], one["pixel_values"].shape)
        assert hidden.any()
        assert not one["pixel_values"][hidden].any()


def test_references_stay_within_bounds():
    feeds = probes.make(Inputs(("input_ids",), tokens=Tokens(250_000, 1, 512, 1)))
    few = probes.affordable(feeds, each=4 * 250_000)
    assert 3 <= len(few) < len(feeds)
    assert len(probes.affordable(feeds, each=4 * 384)) == len(feeds)
