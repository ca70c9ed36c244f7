"""Vision tasks over whole models answer as the transformers pipelines do, picture by picture and in batches."""

from __future__ import annotations

import json

import models
import numpy as np
import pytest
from PIL import Image
from references import tiny_vision
from vision_tasks import film, open_task, picture

from gpux.errors import InvalidInput, InvalidSetting
from gpux.pipelines.pipeline import Clock

PICTURES = {"a": (61, 45), "b": (40, 70), "c": (61, 45)}
CALLS = [(name, call) for name, (_, calls) in tiny_vision.CALLS.items() for call in calls]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Tiny models, their graphs, and what the pipelines answer."""
    directory = tmp_path_factory.mktemp("vision")
    for folder in ("pictures", "films"):
        (directory / folder).mkdir()
    for seed, (stem, size) in enumerate(PICTURES.items()):
        picture(*size, seed=seed).save(directory / "pictures" / f"{stem}.png")
        film(directory / "films" / f"{stem}.mp4", frames=9, seed=seed)
    models.run("tiny_vision.py", directory)
    return directory


@pytest.fixture(scope="module")
def expected(made):
    answers = json.loads((made / "answers.json").read_text())
    with np.load(made / "arrays.npz") as found:
        arrays = dict(found)
    return lambda model, call, stem: _restored(answers[f"{model}/{call}/{stem}"], arrays)


@pytest.fixture(scope="module")
def opened(made):
    tasks = {}

    def find(name):
        if name not in tasks:
            task, _ = tiny_vision.CALLS[name]
            tasks[name] = open_task(made / name, task, made / name / "graph.onnx", batch=2)
        return tasks[name]

    return find


def _restored(value, arrays):
    if isinstance(value, dict):
        return {key: _restored(part, arrays) for key, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [_restored(part, arrays) for part in value]
    return arrays.get(value, value) if isinstance(value, str) else value


def _seen(things):
    """Without segments of so few points that rounding may decide whether they are there."""
    return [thing for thing in things if "mask" not in thing or np.count_nonzero(thing["mask"]) > 8]


def same(found, wanted):
    """Equal shapes and labels, numbers within 1e-4, pictures within one step of 255 on nearly every point."""
    if isinstance(wanted, dict):
        assert set(found) == set(wanted)
        for key, part in wanted.items():
            same(found[key], part)
    elif isinstance(wanted, list) and wanted and isinstance(wanted[0], dict):
        found, wanted = _seen(found), _seen(wanted)
        assert len(found) == len(wanted)
        for one, part in zip(found, wanted, strict=True):
            same(one, part)
    elif isinstance(found, Image.Image):
        mine = np.asarray(found, int)
        assert mine.shape == wanted.shape
        assert (np.abs(mine - wanted) <= 1).mean() > 0.995
    elif isinstance(wanted, list | np.ndarray):
        mine = np.asarray(found)
        assert mine.shape == np.shape(wanted)
        np.testing.assert_allclose(mine, wanted, atol=1e-4, rtol=1e-4)
    elif isinstance(wanted, float):
        assert type(found) is float
        assert found == pytest.approx(wanted, abs=1e-4)
    elif isinstance(wanted, int):
        assert abs(found - wanted) <= 1  # a side of a box, cut to whole pixels
    else:
        assert found == wanted


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_answers_equal_the_transformers_pipeline(made, opened, expected, name, call):
    task, calls = tiny_vision.CALLS[name]
    folder = made / ("films" if task == "video-classification" else "pictures")
    paths = [str(path) for path in sorted(folder.iterdir())]
    answers = opened(name).answer(paths, Clock(), **calls[call])
    assert len(answers) == 3
    for stem, answer in zip(PICTURES, answers, strict=True):
        same(answer, expected(name, call, stem))


def test_the_pictures_tell_the_answers_apart(expected):
    """Otherwise equal answers would prove nothing."""
    for name, (task, calls) in tiny_vision.CALLS.items():
        call = next(iter(calls))
        first, third = (
            json.dumps(expected(name, call, stem), default=lambda a: np.asarray(a).tolist()) for stem in "ac"
        )
        assert first != third, name
        if task in {"object-detection", "image-segmentation"}:
            assert max(len(expected(name, call, stem)) for stem in PICTURES) > 1, name


def test_a_video_in_every_form(opened, made):
    import av

    task = opened("videomae")
    path = made / "films" / "a.mp4"
    with av.open(path) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    forms = [str(path), path, path.read_bytes(), {"video": path}, frames]
    answers = task.answer(forms, Clock())
    for answer in answers[1:]:
        same(answer, answers[0])
    assert task.is_item(frames)
    assert not task.is_item([frames])
    assert task.describe()["num_frames"] == 4
    samples = task.samples()
    assert all(task.is_item(sample) for sample in samples)
    assert len(task.answer(samples, Clock())) == len(samples)
    assert task.work(samples) == {"pixels": len(samples) * 4 * 32 * 32}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"num_frames": 0}, "`num_frames` is 0"),
        ({"num_frames": 8}, "the graph takes 4"),
        ({"frame_sampling_rate": 1.5}, "`frame_sampling_rate` is 1.5"),
        ({"frame_sampling_rate": 20}, "too few frames"),
        ({"top_k": 0}, "`top_k` is 0"),
    ],
)
def test_what_a_video_model_cannot_take_is_an_error(opened, made, parameters, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        opened("videomae").answer([made / "films" / "a.mp4"], Clock(), **parameters)
    assert caught.value.hint


def test_generated_photographs_are_answered_and_drawn(opened):
    for name in ("yolos", "segformer", "dpt", "swin2sr"):
        task = opened(name)
        item = {"image": task.samples()[0]}
        answer = task.answer([item], Clock())[0]
        drawn = task.draw(item, answer)
        scale = 2 if name == "swin2sr" else 1
        assert drawn.size == (640 * scale, 480 * scale)
    with pytest.raises(InvalidSetting, match="no inputs of a length"):
        opened("vit").samples(12)
