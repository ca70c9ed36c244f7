"""Outputs of vision models become boxes, masks and depths exactly as transformers' own processors make them."""

from __future__ import annotations

import models
import numpy as np
import pytest
from references import vision_arrays as given

from gpux.tasks import boxes, interpolation, segments
from gpux.tasks.segments import Thresholds

OUTPUTS = given.outputs()
HALVES = Thresholds(query=given.THRESHOLD, mask=0.2, overlap=0.4)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "expected.npz"
    models.run("vision_arrays.py", path)
    with np.load(path) as found:
        return dict(found)


@pytest.mark.parametrize("position", range(len(given.SIZES)))
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
def test_maps_are_resized_as_torch_does(expected, mode, position):
    shape, size = given.SIZES[position]
    found = getattr(interpolation, mode)(given.maps(shape), size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[f"interpolate/{mode}/{position}"], atol=1e-5)


@pytest.mark.parametrize("position", range(len(given.SIZES)))
def test_bands_are_the_whole_in_parts(position):
    shape, size = given.SIZES[position]
    whole = interpolation.bilinear(given.maps(shape), size)
    for rows, part in interpolation.bands(given.maps(shape), size):
        np.testing.assert_allclose(part, whole[:, rows], atol=1e-6)


def test_a_large_map_comes_in_several_bands():
    found = list(interpolation.bands(np.zeros((150, 16, 16), np.float32), (480, 640)))
    assert len(found) > 1
    assert [rows.start for rows, _ in found[1:]] == [rows.stop for rows, _ in found[:-1]]
    assert found[-1][0].stop == 480


@pytest.mark.parametrize("name", given.DETECTORS)
def test_boxes_are_those_of_the_familys_processor(expected, name):
    logits, centred = OUTPUTS["logits"][0], OUTPUTS["pred_boxes"][0]
    if name in {"DetrImageProcessor", "YolosImageProcessor"}:
        found = boxes.best_class(logits, centred)
    else:
        found = boxes.best_pairs(logits, centred, 100 if "Det" in name and name[0] != "R" else len(logits))
    found = found[found.scores > given.THRESHOLD]
    height, width = given.SIZE
    assert len(found.scores) > 3
    np.testing.assert_array_equal(found.classes, expected[f"{name}/-/labels"])
    np.testing.assert_allclose(found.scores, expected[f"{name}/-/scores"], atol=1e-6)
    scaled = found.boxes * np.array([width, height, width, height], np.float32)
    np.testing.assert_allclose(scaled, expected[f"{name}/-/boxes"], atol=1e-4)


def by_class(found):
    whole = np.full(given.SIZE, -1)
    for segment in found:
        assert segment.score is None
        assert (whole[segment.mask] == -1).all()
        whole[segment.mask] = segment.index
    return whole


@pytest.mark.parametrize("name", given.PLANES)
def test_the_best_class_of_each_point_is_the_processors(expected, name):
    found = by_class(segments.classes(OUTPUTS["planes"][0], given.SIZE))
    assert len(np.unique(found)) == 6
    np.testing.assert_array_equal(found, expected[f"{name}/semantic/map"])


def queries(name):
    logits, masks = OUTPUTS["class_queries_logits"][0], OUTPUTS["masks_queries_logits"][0]
    return logits, segments.squared(masks, 384) if name.startswith("Mask2Former") else masks


@pytest.mark.parametrize("name", given.MASKS)
def test_queries_become_the_processors_classes(expected, name):
    found = by_class(segments.semantic(*queries(name), given.SIZE))
    assert len(np.unique(found)) > 3
    # Two classes may be equally good at a point to the last bit.
    assert (found == expected[f"{name}/semantic/map"]).mean() > 0.999


@pytest.mark.parametrize("subtask", ["panoptic", "instance"])
@pytest.mark.parametrize("name", given.MASKS)
def test_queries_become_the_processors_segments(expected, name, subtask):
    logits, masks = queries(name)
    if subtask == "instance" and not name.startswith("Detr"):
        found = list(segments.instances(logits, masks, given.SIZE, given.THRESHOLD))
    else:
        found = list(segments.panoptic(logits, masks, given.SIZE, HALVES))
    assert len(found) >= 3
    assert [segment.index for segment in found] == expected[f"{name}/{subtask}/classes"].tolist()
    np.testing.assert_allclose(
        [segment.score for segment in found], expected[f"{name}/{subtask}/scores"], atol=2e-6
    )
    for segment, mask in zip(found, expected[f"{name}/{subtask}/masks"], strict=True):
        assert (segment.mask == mask).mean() > 0.999


def test_a_query_below_the_threshold_leaves_nothing():
    logits, masks = queries("Detr")
    assert list(segments.panoptic(logits, masks, given.SIZE, Thresholds(1.0, 0.5, 0.5))) == []
    assert list(segments.instances(logits, masks, given.SIZE, 1.0)) == []


def test_depths_are_resized_as_the_processors_do(expected):
    for name in given.DEPTHS:
        found = interpolation.bicubic(OUTPUTS["predicted_depth"][0], given.SIZE)
        np.testing.assert_allclose(found, expected[f"{name}/-/depth"], atol=1e-5)


def test_of_boxes_that_overlap_the_best_of_each_class_stays():
    made = boxes.Found(
        np.array([0.6, 0.9, 0.8, 0.7], np.float32),
        np.array([1, 1, 2, 1]),
        np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [8, 0, 18, 10]], np.float32),
    )
    found = boxes.suppressed(made, 0.45)
    # 90 of 110 are common to the first two; 30 of 170 to the second and the last.
    assert found.scores.tolist() == np.array([0.9, 0.8, 0.7], np.float32).tolist()
    assert found.classes.tolist() == [1, 2, 1]
    assert len(boxes.suppressed(made, 90 / 110 + 1e-3).scores) == 4
    assert len(boxes.suppressed(made, 90 / 110 - 1e-3).scores) == 3
    assert len(boxes.suppressed(made, 30 / 170 - 1e-3).scores) == 2
    assert len(boxes.suppressed(made[made.scores > 1], 0.5).scores) == 0


def test_anchors_become_boxes():
    rows = np.array([[5, 20], [5, 10], [4, 8], [2, 4], [0.1, 0.7], [0.9, 0.2]], np.float32)
    found = boxes.best_anchors(rows, 0.75)
    assert found.classes.tolist() == [1]
    assert found.boxes.tolist() == [[3, 4, 7, 6]]
    assert boxes.best_anchors(rows, 0.5).classes.tolist() == [1, 0]
