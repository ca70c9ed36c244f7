"""Answers are drawn where they belong, in the same colours every time, and saved in the format of the name."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gpux.errors import InvalidInput, InvalidSetting
from gpux.images.drawing import ENDINGS, colour, draw_boxes, draw_depth, draw_masks, save

GREY = Image.new("RGB", (200, 100), (90, 90, 90))


def box(label, xmin, ymin, xmax, ymax, score=0.5):
    corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), (xmin, ymin, xmax, ymax), strict=True))
    return {"label": label, "score": score, "box": corners}


def test_colours_are_those_of_every_process_and_apart():
    assert colour("cat") == colour("cat") != colour("dog")
    assert colour(0) == (240, 76, 76)  # a hue of 0, 62 % light and 85 % saturated
    near = [np.abs(np.subtract(colour(index), colour(index + 1))).max() for index in range(100)]
    assert min(near) > 60
    assert len({colour(index) for index in range(150)}) == 150


def test_boxes():
    drawn = draw_boxes(GREY, [box("cat", 60, 30, 150, 80)])
    assert drawn.size == GREY.size
    assert GREY.getpixel((60, 60)) == (90, 90, 90), "the picture itself stays as it was"
    for place in ((60, 60), (150, 60), (100, 80), (150, 30)):
        assert drawn.getpixel(place) == colour("cat")
    for place in ((59, 70), (152, 60), (100, 60), (100, 82)):
        assert drawn.getpixel(place) == (90, 90, 90)
    caption = np.asarray(drawn.crop((60, 30, 110, 42)))
    assert len(np.unique(caption.reshape(-1, 3), axis=0)) > 2, "the name and its score stand in the corner"


def test_boxes_that_leave_the_picture_or_are_none():
    drawn = draw_boxes(
        GREY,
        [
            box("cat", -50, -9.5, 1e9, 300),
            box("dog", float("nan"), 3, 4, 5),
            box("猫 " * 50, 199, 99, 0, 0, score=None),
        ],
    )
    assert drawn.getpixel((199, 50)) == colour("cat")
    assert not (np.asarray(drawn) == colour("dog")).all(axis=-1).any()
    assert np.array_equal(np.asarray(draw_boxes(GREY, [])), np.asarray(GREY))


def test_the_surest_box_is_on_top():
    found = [box("cat", 20, 20, 180, 80, score=0.9), box("dog", 20, 20, 180, 80, score=0.3)]
    assert draw_boxes(GREY, found).getpixel((100, 80)) == colour("cat")
    assert draw_boxes(GREY, found[::-1]).getpixel((100, 80)) == colour("cat")


def test_masks():
    mask = np.zeros((100, 200), bool)
    mask[20:90, 30:170] = True
    for given in (mask, mask.astype(np.uint8) * 255, Image.fromarray(mask.astype(np.uint8) * 255)):
        drawn = draw_masks(GREY, [{"label": "road", "score": None, "mask": given}])
        assert drawn.getpixel((40, 85)) == tuple((90 + np.array(colour("road"))) // 2)
        assert drawn.getpixel((30, 85)) == colour("road"), "its edge is whole"
        assert drawn.getpixel((29, 85)) == (90, 90, 90)
    empty = {"label": "sky", "score": 0.1, "mask": np.zeros((100, 200), bool)}
    assert np.array_equal(np.asarray(draw_masks(GREY, [empty])), np.asarray(GREY))
    with pytest.raises(InvalidInput, match="a mask is"):
        draw_masks(GREY, [{"label": "sky", "mask": np.zeros((200, 100), bool)}])


def test_depth_keeps_sixteen_bits():
    depth = np.linspace(2, 5, 20_000, dtype=np.float32).reshape(100, 200)
    drawn = draw_depth(depth)
    assert drawn.mode == "I;16"
    np.testing.assert_array_equal(
        np.asarray(drawn), np.rint((depth.astype(float) - 2) / 3 * 65535).astype(np.uint16)
    )
    bright = np.asarray(draw_depth(depth, coloured=True).convert("L"), int)
    assert (np.diff(bright.ravel()) >= -1).all(), "what is farther is never darker in grey"
    assert bright[0, 0] < 40
    assert bright[-1, -1] > 200


def test_depth_that_is_no_depth():
    depth = np.array([[np.nan, 1.0], [np.inf, 3.0]])
    np.testing.assert_array_equal(np.asarray(draw_depth(depth)), [[0, 0], [0, 65535]])
    assert draw_depth(depth, coloured=True).getpixel((0, 0)) == (0, 0, 0)
    for flat in (np.ones((3, 4)), np.full((3, 4), np.nan)):
        assert not np.asarray(draw_depth(flat)).any()


@pytest.mark.parametrize("ending", ENDINGS)
def test_files(tmp_path, ending):
    path = tmp_path / f"out{ending.upper()}"
    save(GREY, path)
    with Image.open(path) as read:
        assert (read.format, read.size) == (ENDINGS[ending], GREY.size)
        assert np.abs(np.asarray(read.convert("RGB"), int) - 90).max() <= 2
    deep = draw_depth(np.linspace(0, 1, 800).reshape(20, 40))
    save(deep, path)
    with Image.open(path) as read:
        values = np.asarray(read.convert("L") if read.mode != "I;16" else read, float)
        assert values.max() / (65535 if read.mode == "I;16" else 255) > 0.97
        assert (read.mode == "I;16") == (ending == ".png")


def test_files_that_cannot_be_written(tmp_path):
    with pytest.raises(InvalidSetting, match=r"ends in none of \.png") as caught:
        save(GREY, tmp_path / "out.txt")
    assert "out.png" in caught.value.hint
    with pytest.raises(InvalidSetting, match="cannot be written"):
        save(GREY, tmp_path / "no such folder" / "out.png")
