"""Pictures on their way through a graph: batches of one shape, in order, bounded, each input as the graph takes it."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from onnx import TensorProto
from vision_tasks import SMALL, means_graph, open_task, picture

from gpux.errors import InvalidInput, UnsupportedModel
from gpux.pipelines.failures import Failed
from gpux.pipelines.pipeline import Clock

TASK = "image-classification"
CONFIG = {"id2label": {"0": "red", "1": "green", "2": "blue"}}
FREE = {**SMALL, "image_processor_type": "DPTImageProcessor", "do_resize": False, "size": {"height": 8, "width": 8}}  # fmt: skip


@pytest.fixture
def opened(tmp_path):
    def make(graph, processor=SMALL, *, config=CONFIG, batch=None):
        files = {"config.json": config, "preprocessor_config.json": processor}
        return open_task(tmp_path, TASK, graph, files, batch=batch)

    return make


def expected(image):
    """Mean of each colour after ViT's own scaling, by softmax."""
    small = np.asarray(image, np.float64) / 127.5 - 1
    logits = small.mean(axis=(0, 1))
    shares = np.exp(logits) / np.exp(logits).sum()
    return dict(zip(("red", "green", "blue"), shares.tolist(), strict=True))


def scores(answer):
    return {one["label"]: one["score"] for one in answer}


def sizes(count):
    """Pictures of four sizes, mixed."""
    shapes = [(9, 7), (7, 9), (12, 12), (9, 7), (5, 20)]
    return [picture(*shapes[i % len(shapes)], seed=i) for i in range(count)]


@pytest.mark.parametrize("batch", [None, 1, 3])
def test_each_picture_of_any_size_gets_its_own_answer_in_order(opened, batch):
    task = opened(means_graph(), FREE, batch=batch)
    images = sizes(23)
    answers = task.answer(images, Clock())
    assert len(answers) == 23
    for image, answer in zip(images, answers, strict=True):
        assert scores(answer) == pytest.approx(expected(image), abs=1e-5)
    assert len({json.dumps(answer) for answer in answers}) == 23


def test_a_batch_holds_pictures_of_one_shape_and_is_as_large_as_the_plan_says(opened):
    task = opened(means_graph(), FREE, batch=3)
    shapes = [feeds["pixel_values"].shape for feeds in task.feeds(sizes(20))]
    assert sum(shape[0] for shape in shapes) == 20
    assert max(shape[0] for shape in shapes) == 3
    assert {shape[2:] for shape in shapes} == {(7, 9), (9, 7), (12, 12), (20, 5)}
    assert task.work(sizes(2)) == {"pixels": 2 * 63}


def test_large_pictures_make_small_batches_unless_the_plan_says_so(opened):
    images = [np.zeros((800, 1500, 3), np.uint8)] * 3
    assert [f["pixel_values"].shape[0] for f in opened(means_graph(), FREE).feeds(images)] == [1, 1, 1]
    assert [f["pixel_values"].shape[0] for f in opened(means_graph(), FREE, batch=2).feeds(images)] == [2, 1]


def test_large_pictures_of_many_shapes_do_not_pile_up(opened):
    taken = []

    def items():
        for number in range(40):
            taken.append(number)
            yield np.zeros((800, 1000 + number, 3), np.uint8)

    answers = opened(means_graph(), FREE, batch=8).stream(items())
    next(answers)
    assert len(taken) <= 11 + 8 + 4  # 8 million pixels wait, and what is prepared ahead
    answers.close()


def test_the_first_picture_of_its_shape_waits_no_longer_than_the_window(opened):
    task = opened(means_graph(), FREE, batch=4)
    odd, rest = picture(5, 20), [picture(9, 7, seed=i) for i in range(40)]
    taken = []

    def items():
        for image in [odd, *rest]:
            taken.append(image)
            yield image

    answers = task.stream(items(), window=6)
    first = next(answers)
    assert scores(first) == pytest.approx(expected(odd), abs=1e-5)
    assert len(taken) <= 6 + 4 + 4  # the window, what is prepared ahead, and what each thread holds
    assert len(list(answers)) == 40


def test_one_picture_starts_no_thread(opened):
    task = opened(means_graph())
    started = []
    prepare = task.prepare
    task.prepare = lambda item, position: (
        started.append(threading.current_thread()),
        prepare(item, position),
    )[1]
    task.answer([picture(9, 7)], Clock())
    assert started == [threading.current_thread()]
    task.answer([picture(9, 7)] * 2, Clock())
    assert threading.current_thread() not in started[1:]
    assert not [t for t in threading.enumerate() if t.name.startswith("gpux-ahead")]


def test_time_is_booked_to_its_stage(opened):
    clock = Clock()
    opened(means_graph()).answer(sizes(5), clock)
    assert all(seconds > 0 for seconds in clock.seconds.values())


@pytest.mark.parametrize("size", [1, 2])
def test_a_graph_of_one_batch_size_is_given_that(opened, size):
    task = opened(means_graph(shape=(size, 3, 8, 8)), batch=4)
    images = [picture(8, 8, seed=i) for i in range(5)]
    answers = task.answer(images, Clock())
    for image, answer in zip(images, answers, strict=True):
        assert scores(answer) == pytest.approx(expected(image), abs=1e-5)
    assert {feeds["pixel_values"].shape for feeds in task.feeds(images)} == {(size, 3, 8, 8)}


def test_half_precision_another_name_and_colours_last(opened):
    image = picture(8, 8)
    for graph in (
        means_graph(dtype=TensorProto.FLOAT16),
        means_graph(name="images"),
        means_graph(shape=("n", 8, 8, 3), axes=(1, 2), name="images:0"),
    ):
        (answer,) = opened(graph).answer([image], Clock())
        assert scores(answer) == pytest.approx(expected(image), abs=1e-3)


@pytest.mark.parametrize("dtype", [TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT])
def test_a_mask_is_given_where_the_graph_takes_one(opened, dtype):
    others = {"pixel_mask": (dtype, ("batch", "height", "width"))}
    (feeds,) = opened(means_graph(others=others)).feeds([picture(9, 7)])
    assert feeds["pixel_mask"].shape == (1, 8, 8)
    assert feeds["pixel_mask"].all()


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (means_graph(others={"input_ids": (TensorProto.INT64, ("b", "s"))}), "takes `input_ids`"),
        (means_graph(shape=("b", 5, 3, "h", "w"), axes=(1, 3, 4)), "no array of 4 axes"),
        (means_graph(name="x", others={"y": (TensorProto.FLOAT, ("b",))}), "takes `x`"),
    ],
)
def test_a_graph_that_takes_something_else_is_refused(opened, graph, message):
    with pytest.raises(UnsupportedModel, match=message) as caught:
        opened(graph)
    assert "session.run" in caught.value.hint


def test_a_graph_of_another_size_than_the_processors_is_refused(opened):
    task = opened(means_graph(shape=("b", 3, 16, 16)))
    with pytest.raises(UnsupportedModel, match="its processor makes 3×8×8") as caught:
        task.answer([picture(9, 7)] * 40, Clock())
    # Its traceback holds every frame on the way, and with them whatever nobody closed.
    assert caught.tb is not None
    assert not [t for t in threading.enumerate() if t.name.startswith("gpux-ahead")]


def test_a_bad_picture_is_named_by_its_place_and_leaves_no_thread(opened, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a photograph")
    task = opened(means_graph(), batch=2)
    good = picture(9, 7)
    for bad in (str(tmp_path / "broken.jpg"), 5, None, "A cat sits on the mat", np.zeros((2, 3, 4, 5)), b""):
        with pytest.raises(InvalidInput) as caught:
            task.answer([good, good, bad, good, bad], Clock())
        assert caught.value.position == 2
        assert caught.value.hint
    answers = task.stream([good, good, 5, good], window=4)
    assert next(answers)
    with pytest.raises(InvalidInput, match="input 2"):
        list(answers)
    assert not [t for t in threading.enumerate() if t.name.startswith("gpux-ahead")]


def test_the_rest_goes_on_where_a_picture_fails(opened):
    task = opened(means_graph(), FREE, batch=3)
    items = [*sizes(7), "no such file.jpg", *sizes(4), 5]
    answers = list(task.stream(iter(items), fail_fast=False, window=4))
    assert len(answers) == len(items)
    failed = [answer for answer in answers if isinstance(answer, Failed)]
    assert [one.position for one in failed] == [7, 12]
    for item, answer in zip(items, answers, strict=True):
        if not isinstance(answer, Failed):
            assert scores(answer) == pytest.approx(expected(item), abs=1e-5)


def test_a_stream_that_is_left_ends_its_threads(opened):
    answers = opened(means_graph()).stream(picture(9, 7, seed=i) for i in range(1000))
    next(answers)
    answers.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("gpux-ahead")]


def test_nothing_in_gives_nothing_out(opened):
    task = opened(means_graph())
    assert task.answer([], Clock()) == []
    assert list(task.stream([])) == []
    assert task.work([]) == {"pixels": 0}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"top_k": 0}, "`top_k` is 0"),
        ({"top_k": True}, "`top_k` is True"),
        ({"top_k": "all"}, "`top_k` is 'all'"),
        ({"function_to_apply": "relu"}, "`function_to_apply` is 'relu'"),
    ],
)
def test_a_parameter_that_is_none_is_an_error(opened, parameters, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        opened(means_graph()).answer([picture(9, 7)], Clock(), **parameters)
    assert caught.value.hint


def test_what_is_one_picture_and_what_a_list(opened, tmp_path):
    task = opened(means_graph())
    array = np.zeros((8, 8, 3), np.uint8)
    for one in ("a.jpg", b"x", tmp_path / "a.jpg", picture(4, 4), array, array[..., 0], {"image": "a.jpg"}):
        assert task.is_item(one)
    for several in (["a.jpg"], (array,), array[None], iter(["a.jpg"])):
        assert not task.is_item(several)
    assert len(task.answer(array[None], Clock())) == 1


def test_the_same_picture_in_every_form(opened, tmp_path):
    task = opened(means_graph())
    image = picture(9, 7)
    image.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    forms = [image, np.asarray(image), data, str(tmp_path / "a.png"), tmp_path / "a.png", {"image": image}]
    answers = task.answer(forms, Clock())
    assert all(answer == answers[0] for answer in answers)
    with pytest.raises(InvalidInput, match="unknown key `size`"):
        task.answer([{"image": image, "size": 3}], Clock())


def test_a_line_is_a_path_or_a_mapping(opened):
    parse = opened(means_graph()).parse
    assert parse("a photo.jpg") == "a photo.jpg"
    assert parse('{"image": "a.jpg"}') == {"image": "a.jpg"}
    assert parse('{"other": 1}') == '{"other": 1}'
    assert parse("{broken") == "{broken"


def test_a_person_sees_one_row_per_label(opened, tmp_path):
    task = opened(means_graph())
    picture(9, 7).save(tmp_path / "a.png")
    items = [str(tmp_path / "a.png"), picture(9, 7)]
    table = task.table(items, task.answer(items, Clock(), top_k=2))
    assert table.columns == ("image", "label", "score")
    assert [bool(row[0]) for row in table.rows] == [True, False, True, False]
    assert table.rows[2][0] == "image 1"
    assert task.describe()["labels"] == ["red", "green", "blue"]


def test_labels_that_the_model_does_not_name(opened):
    (answer,) = opened(means_graph(), config={}).answer([picture(9, 7)], Clock())
    assert {one["label"] for one in answer} == {"LABEL_0", "LABEL_1", "LABEL_2"}
    with pytest.raises(UnsupportedModel, match="id2label"):
        opened(means_graph(), config={"id2label": {"zero": "red"}})


def test_the_sizes_that_a_runtime_may_compile_for(opened):
    task = opened(means_graph())
    assert task.dimensions(task.artifact) == {"batch": (1, 8, 32), "height": (8, 8, 8), "width": (8, 8, 8)}
    free = opened(means_graph(), FREE)
    assert free.dimensions(free.artifact)["height"][0] < free.dimensions(free.artifact)["height"][2]
