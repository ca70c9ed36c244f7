"""Outputs of vision models become boxes, masks and depths exactly as transformers' own processors make them."""

from __future__ import annotations

import models
import numpy as np
import pytest
from PIL import Image
from references import vision_arrays as given
from vision_tasks import SMALL, constant_graph, open_task

from gpux.errors import InvalidInput, UnsupportedModel
from gpux.pipelines import boxes, interpolation, segments
from gpux.pipelines.pipeline import Clock
from gpux.pipelines.segments import Thresholds

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


PICTURE = Image.fromarray(np.full((*given.SIZE, 3), 90, np.uint8))
NAMES = {"id2label": {str(index): f"thing {index}" for index in range(given.CLASSES)}}


@pytest.fixture
def opened(tmp_path):
    def make(task, outputs, processor, *, batch=None, **config):
        small = {**SMALL, "image_processor_type": processor, "size": SIZED.get(processor, SMALL["size"])}
        small |= {"do_resize": processor != "Swin2SRImageProcessor"}
        files = {"config.json": {**NAMES, **config}, "preprocessor_config.json": small}
        arrays = {name: OUTPUTS.get(name) if array is None else array for name, array in outputs.items()}
        return open_task(tmp_path, task, constant_graph(arrays), files, batch=batch)

    return make


EDGES = {"shortest_edge": 32, "longest_edge": 40}
SIZED = dict.fromkeys(
    ("DetrImageProcessor", "YolosImageProcessor", "ConditionalDetrImageProcessor", "DeformableDetrImageProcessor", "MaskFormerImageProcessor", "Mask2FormerImageProcessor"),
    EDGES,
)  # fmt: skip
DETECTION = {"logits": None, "pred_boxes": None}


@pytest.mark.parametrize("name", given.DETECTORS)
def test_a_detector_answers_as_the_pipeline_shapes_it(opened, expected, name):
    task = opened("object-detection", DETECTION, name)
    first, second = task.answer([PICTURE, PICTURE], Clock(), threshold=given.THRESHOLD)
    assert first == second
    assert [list(thing) for thing in first] == [["score", "label", "box"]] * len(first)
    labels = [
        f"thing {index}" if index < given.CLASSES else "LABEL_70" for index in expected[f"{name}/-/labels"]
    ]
    assert [thing["label"] for thing in first] == labels
    np.testing.assert_allclose([t["score"] for t in first], expected[f"{name}/-/scores"], atol=1e-6)
    boxes_found = [list(thing["box"].values()) for thing in first]
    assert all(list(thing["box"]) == ["xmin", "ymin", "xmax", "ymax"] for thing in first)
    assert boxes_found == expected[f"{name}/-/boxes"].astype(int).tolist()


def test_a_detector_that_sees_nothing_says_so(opened):
    task = opened("object-detection", DETECTION, "DetrImageProcessor")
    answers = task.answer([PICTURE], Clock(), threshold=1)
    assert answers == [[]]
    assert task.table([PICTURE], answers).rows == (("image 0", "nothing", "", ""),)
    found = task.answer([PICTURE], Clock(), threshold=0.9)
    assert task.table([PICTURE], found).rows[0][1] == "thing 8"


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "half", None, True, float("nan")])
def test_a_threshold_is_a_share(opened, threshold):
    task = opened("object-detection", DETECTION, "DetrImageProcessor")
    with pytest.raises(InvalidInput, match="`threshold` is") as caught:
        task.answer([PICTURE], Clock(), threshold=threshold)
    assert caught.value.hint


def test_boxes_in_pixels_of_what_the_graph_saw_come_back_to_the_picture(opened):
    # The graph saw 8 × 8 pixels; the picture has 45 rows and 61 columns.
    listed = {
        "scores": np.array([[0.9, 0.8, 0.7, 0.2]], np.float32),
        "labels": np.array([[1, 1, 2, 1]]),
        "boxes": np.array([[[0, 2, 4, 8], [0, 2, 4, 7.5], [4, 0, 9, 4], [0, 0, 1, 1]]], np.float32),
    }
    task = opened("object-detection", listed, "ViTImageProcessor")
    (answer,) = task.answer([PICTURE], Clock())
    assert [thing["label"] for thing in answer] == ["thing 1", "thing 2"]
    assert [list(thing["box"].values()) for thing in answer] == [[0, 11, 30, 45], [30, 0, 61, 22]]
    (answer,) = task.answer([PICTURE], Clock(), iou_threshold=0.95)
    assert len(answer) == 3
    anchors = np.zeros((1, 4 + given.CLASSES, 3), np.float32)
    anchors[0, :4] = np.array([[2, 5, 4, 6], [2, 4.75, 4, 5.5], [6.5, 2, 5, 4]]).T
    anchors[0, [5, 5, 6], [0, 1, 2]] = 0.9, 0.8, 0.7
    task = opened("object-detection", {"output0": anchors}, "ViTImageProcessor")
    (answer,) = task.answer([PICTURE], Clock())
    assert [thing["label"] for thing in answer] == ["thing 1", "thing 2"]
    assert [list(thing["box"].values()) for thing in answer] == [[0, 11, 30, 45], [30, 0, 61, 22]]


def test_a_detector_without_suppression_refuses_its_parameter(opened):
    task = opened("object-detection", DETECTION, "DetrImageProcessor")
    with pytest.raises(InvalidInput, match="none is suppressed"):
        task.answer([PICTURE], Clock(), iou_threshold=0.5)


def test_outputs_that_are_no_detectors_are_refused(opened):
    with pytest.raises(UnsupportedModel, match="`planes`"):
        opened("object-detection", {"planes": None}, "DetrImageProcessor")


def told(answer, classes):
    """Label, score and mask of each segment, the mask as the pipeline gives it."""
    for segment in answer:
        assert list(segment) == ["score", "label", "mask"]
        assert segment["mask"].mode == "L"
        assert segment["mask"].size == given.SIZE[::-1]
        assert set(np.unique(segment["mask"])) <= {0, 255}
    assert [segment["label"] for segment in answer] == [f"thing {index}" for index in classes]
    return [np.asarray(segment["mask"]) == 255 for segment in answer]


QUERIES = {"class_queries_logits": None, "masks_queries_logits": None}
FAMILIES = {
    "DetrImageProcessor": {"logits": None, "pred_boxes": None, "pred_masks": None},
    "MaskFormerImageProcessor": QUERIES,
    "Mask2FormerImageProcessor": QUERIES,
}


@pytest.mark.parametrize("subtask", [None, "panoptic", "instance"])
@pytest.mark.parametrize("name", given.MASKS)
def test_a_segmenter_answers_as_the_pipeline_shapes_it(opened, expected, name, subtask):
    task = opened("image-segmentation", FAMILIES[name], name)
    asked = {"subtask": subtask} if subtask else {}
    (answer,) = task.answer(
        [PICTURE],
        Clock(),
        threshold=given.THRESHOLD,
        mask_threshold=0.2,
        overlap_mask_area_threshold=0.4,
        **asked,
    )
    key = f"{name}/{subtask or 'panoptic'}"
    masks = told(answer, expected[f"{key}/classes"])
    np.testing.assert_allclose([s["score"] for s in answer], expected[f"{key}/scores"], atol=2e-6)
    assert (np.array(masks) == expected[f"{key}/masks"]).mean() > 0.999


@pytest.mark.parametrize("name", [*given.MASKS, *given.PLANES])
def test_semantic_segments_have_no_score_and_cover_the_picture(opened, expected, name):
    task = opened("image-segmentation", FAMILIES.get(name, {"logits": OUTPUTS["planes"]}), name)
    (answer,) = task.answer([PICTURE], Clock(), subtask="semantic")
    wanted = expected[f"{name}/semantic/map"]
    masks = told(answer, np.unique(wanted))
    assert all(segment["score"] is None for segment in answer)
    assert np.array(masks).sum(axis=0).tolist() == np.ones(given.SIZE, int).tolist()
    for mask, index in zip(masks, np.unique(wanted), strict=True):
        assert (mask == (wanted == index)).mean() > 0.999


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"subtask": "panoptic"}, "`subtask` is 'panoptic'"),
        ({"subtask": "every"}, "`subtask` is 'every'"),
        ({"mask_threshold": 2}, "`mask_threshold` is 2"),
        ({"overlap_mask_area_threshold": -1}, "`overlap_mask_area_threshold` is -1"),
    ],
)
def test_what_a_segmenter_cannot_do_is_an_error(opened, parameters, message):
    task = opened("image-segmentation", {"logits": OUTPUTS["planes"]}, "SegformerImageProcessor")
    with pytest.raises(InvalidInput, match=message) as caught:
        task.answer([PICTURE], Clock(), **parameters)
    assert caught.value.hint


def test_masks_that_are_read_in_another_way_are_refused(opened):
    with pytest.raises(UnsupportedModel, match="`ViTImageProcessor` reads in its own way"):
        opened("image-segmentation", QUERIES, "ViTImageProcessor")


@pytest.mark.parametrize("name", given.DEPTHS)
def test_a_depth_is_an_array_and_a_picture(opened, expected, name):
    task = opened("depth-estimation", {"predicted_depth": None}, name)
    (answer,) = task.answer([PICTURE], Clock())
    depth = expected[f"{name}/-/depth"]
    np.testing.assert_allclose(answer["predicted_depth"], depth, atol=1e-5)
    picture = (depth - depth.min()) / (depth.max() - depth.min()) * 255
    assert answer["depth"].mode == "L"
    assert np.abs(np.asarray(answer["depth"], int) - picture.astype(np.uint8)).max() <= 1
    assert task.table([PICTURE], [answer]).rows[0][:2] == ("image 0", "61 × 45")


def test_a_depth_that_is_the_same_everywhere_is_black(opened):
    task = opened(
        "depth-estimation", {"predicted_depth": np.full((1, *given.SIZE), 3, np.float32)}, "DPTImageProcessor"
    )
    (answer,) = task.answer([PICTURE], Clock())
    assert np.asarray(answer["depth"]).max() == 0
    assert (answer["predicted_depth"] == 3).all()


def test_a_larger_picture_has_no_padding_and_no_impossible_colours(opened):
    # 45 × 61 pixels are padded to 48 × 64, and the model doubles that.
    made = np.linspace(-0.5, 1.5, 3 * 96 * 128, dtype=np.float32).reshape(1, 3, 96, 128)
    task = opened("image-to-image", {"reconstruction": made}, "Swin2SRImageProcessor")
    (feeds,) = task.feeds([PICTURE])
    assert feeds["pixel_values"].shape == (1, 3, 48, 64)
    (answer,) = task.answer([PICTURE], Clock())
    wanted = np.clip(made[0, :, :90, :122], 0, 1).transpose(1, 2, 0) * 255
    assert answer.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(answer), np.rint(wanted).astype(np.uint8))
    assert task.table([PICTURE], [answer]).rows == (("image 0", "122 × 90"),)
    assert task.draw(PICTURE, answer) is answer


VECTORS = np.random.default_rng(3).normal(size=(1, 5, 4)).astype(np.float32)


def test_features_are_those_of_every_patch_or_pooled(opened):
    pooled = np.array([[3, 0, 4, 0]], np.float32)
    task = opened(
        "image-feature-extraction",
        {"last_hidden_state": VECTORS, "pooler_output": pooled},
        "ViTImageProcessor",
    )
    assert task.answer([PICTURE], Clock()) == [VECTORS.tolist()]
    (array,) = task.answer([PICTURE], Clock(), return_tensors=True)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, VECTORS)
    assert task.answer([PICTURE], Clock(), pool=True) == [pooled.tolist()]
    assert task.encode(PICTURE).tolist() == [3, 0, 4, 0]
    assert task.encode([PICTURE, PICTURE]).shape == (2, 4)
    np.testing.assert_allclose(task.encode(PICTURE, normalize=True), [0.6, 0, 0.8, 0], atol=1e-6)
    np.testing.assert_allclose(task.encode(PICTURE, normalize=True, truncate_dim=2), [1, 0], atol=1e-6)
    assert task.encode([]).shape == (0, 4)
    assert task.table([PICTURE], task.answer([PICTURE], Clock())).rows[0][1] == "5 × 4"


@pytest.mark.parametrize(
    ("hidden", "wanted"),
    [(VECTORS, VECTORS[0, 0]), (VECTORS.reshape(1, 5, 2, 2), VECTORS.reshape(5, 4).mean(axis=1))],
    ids=["class token", "mean over the picture"],
)
def test_a_model_that_pools_nothing(opened, hidden, wanted):
    task = opened("image-feature-extraction", {"last_hidden_state": hidden}, "ViTImageProcessor")
    np.testing.assert_allclose(task.encode(PICTURE), wanted, atol=1e-6)
    with pytest.raises(InvalidInput, match="no pooled output"):
        task.answer([PICTURE], Clock(), pool=True)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"prompt": "a photo of"}, "no prompt"),
        ({"prompt_name": "query"}, "no prompt"),
        ({"truncate_dim": 0}, "`truncate_dim` is 0"),
        ({"truncate_dim": 5}, "`truncate_dim` is 5"),
    ],
)
def test_what_a_vector_of_a_picture_cannot_be_is_an_error(opened, parameters, message):
    task = opened("image-feature-extraction", {"last_hidden_state": VECTORS}, "ViTImageProcessor")
    with pytest.raises(InvalidInput, match=message) as caught:
        task.encode(PICTURE, **parameters)
    assert caught.value.hint
    with pytest.raises(InvalidInput, match="`pool` is 1"):
        task.answer([PICTURE], Clock(), pool=1)
