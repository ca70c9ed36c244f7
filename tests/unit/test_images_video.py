"""A video gives the frames that the video pipeline of transformers takes of it, or an error that says what is missing."""

from __future__ import annotations

import base64
import subprocess
import sys
from io import BytesIO

import av
import numpy as np
import pytest
from PIL import Image
from transformers.pipelines.video_classification import read_video_pyav

from gpux.errors import InvalidInput
from gpux.images.video import ENDINGS, open_video, wanted

SCENES = [np.full((48, 64, 3), 10 * index + 5, np.uint8) for index in range(20)]


def film(kind, codec, *, scenes=SCENES):
    stream = BytesIO()
    with av.open(stream, "w", format=kind) as container:
        track = container.add_stream(codec, rate=10)
        track.height, track.width, track.pix_fmt = 48, 64, "yuv420p"
        for scene in scenes:
            container.mux(track.encode(av.VideoFrame.from_ndarray(scene, format="rgb24")))
        container.mux(track.encode())
    return stream.getvalue()


def animation(kind, **options):
    first, *others = (Image.fromarray(scene) for scene in SCENES)
    stream = BytesIO()
    first.save(stream, kind, save_all=True, append_images=others, **options)
    return stream.getvalue()


FILMS = {"mp4": film("mp4", "mpeg4"), "avi": film("avi", "mpeg4"), "webm": film("webm", "libvpx")}


def brightness(frames):
    return [round(float(np.asarray(frame).mean())) for frame in frames]


@pytest.mark.parametrize(("frames", "rate"), [(16, 1), (8, 2), (5, 4), (1, 1), (1, 7), (3, 5)])
@pytest.mark.parametrize("kind", FILMS)
def test_films_give_the_frames_that_transformers_takes(kind, frames, rate):
    indices = np.linspace(0, frames * rate - 1, num=frames, dtype=np.int64)
    expected = read_video_pyav(av.open(BytesIO(FILMS[kind])), indices)
    found = open_video(FILMS[kind], frames=frames, rate=rate)
    np.testing.assert_array_equal(np.stack([np.asarray(frame) for frame in found]), expected)
    assert wanted(frames, rate=rate) == indices.tolist()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations(kind):
    found = open_video(animation(kind, **({"lossless": True} if kind == "WEBP" else {})), frames=8, rate=2)
    assert brightness(found) == [10 * index + 5 for index in wanted(8, rate=2)]
    assert {(frame.mode, frame.size) for frame in found} == {("RGB", (64, 48))}


def test_folders_lists_and_arrays(tmp_path, monkeypatch):
    folder = tmp_path / "walk"
    folder.mkdir()
    for index, scene in enumerate(SCENES):  # 10 comes after 9, not after 1
        Image.fromarray(scene).save(folder / f"Frame {index}.png")
    (folder / "notes.txt").write_text("no frame")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "walk.mp4"
    path.write_bytes(FILMS["mp4"])
    expected = [10 * index + 5 for index in wanted(6, rate=3)]
    stacked = np.stack(SCENES)
    for given in (
        folder,
        "walk",
        [Image.fromarray(scene) for scene in SCENES],
        [str(folder / f"Frame {index}.png") for index in range(20)],
        tuple(SCENES),
        stacked,
        stacked.transpose(0, 3, 1, 2),
        stacked / 255,
    ):
        assert brightness(open_video(given, frames=6, rate=3)) == expected
    text = base64.b64encode(FILMS["mp4"]).decode()
    whole = open_video(FILMS["mp4"], frames=4)
    for given in (path, "walk.mp4", text, f"data:video/mp4;base64,{text}"):
        assert [frame.tobytes() for frame in open_video(given, frames=4)] == [
            frame.tobytes() for frame in whole
        ]


@pytest.mark.parametrize("given", [FILMS["mp4"], animation("GIF"), SCENES, np.stack(SCENES)])
def test_too_short(given):
    assert len(open_video(given, frames=20)) == 20
    with pytest.raises(InvalidInput, match="input 3 has too few frames: 20 of the 21") as caught:
        open_video(given, frames=21, position=3)
    assert "longer" in caught.value.hint
    with pytest.raises(InvalidInput, match=r"10 of the 16 .* number 32"):
        open_video(given, frames=16, rate=2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "is empty"),
        (b"a text about a film", "is no video"),
        (FILMS["mp4"][: len(FILMS["mp4"]) // 2], "damaged"),
        (animation("GIF")[:200], "too few frames|damaged"),
        ("missing.mp4", "is no file"),
        ("data:video/mp4;base64,%%", "base64 is damaged"),
        ([], "too few frames: 0"),
        (["missing.png"] * 4, "is no file"),
        (np.zeros((4, 5, 3)), "not a video"),
        (np.full((4, 5, 5, 3), np.nan), "from nan"),
        (None, "is None, not a video"),
        (7, "is int, not a video"),
    ],
)
def test_what_is_no_video(value, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        open_video(value, frames=4, position=0)
    assert caught.value.hint


def test_a_recording_is_no_video():
    stream = BytesIO()
    with av.open(stream, "w", format="wav") as container:
        track = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(track.encode(frame))
    with pytest.raises(InvalidInput, match="no moving pictures"):
        open_video(stream.getvalue(), frames=4)


def test_a_damaged_end_does_not_matter_where_the_frames_come_before():
    cut = FILMS["avi"][: len(FILMS["avi"]) * 3 // 4]
    assert len(open_video(cut, frames=4)) == 4
    with pytest.raises(InvalidInput, match=r"damaged|too few frames"):
        open_video(cut, frames=20)


def test_frames_larger_than_is_decoded(monkeypatch):
    monkeypatch.setenv("GPUX_MAX_PIXELS", "3071")
    for given in (FILMS["mp4"], animation("GIF")):
        with pytest.raises(InvalidInput, match="64×48 = 3,072 pixels, more than 3,071"):
            open_video(given, frames=2)


def test_an_empty_folder(tmp_path):
    with pytest.raises(InvalidInput, match="too few frames: 0 of the 2"):
        open_video(tmp_path, frames=2)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from gpux.errors import ExtraMissing
from gpux.images.loading import open_image
from gpux.images.video import open_video
try:
    open_video(b"a film", frames=2) if sys.argv[2] == "av" else open_image(b"a picture")
except ExtraMissing as error:
    print(error.message, error.hint, sep=" | ")
"""


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("PIL", 'Pillow, which reads pictures, is not installed | pip install "gpux[vision]"'),
        ("av", 'PyAV, which reads videos, is not installed | pip install "gpux[video]"'),
    ],
)
def test_a_missing_package_is_one_line_to_type(tmp_path, package, line):
    """In a process that finds a package of that name first, which cannot be imported: as if there were none."""
    (tmp_path / f"{package}.py").write_text("raise ImportError('not here')")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == line, done.stderr


def test_endings():
    assert {".mp4", ".webm", ".avi", ".gif"} <= set(ENDINGS)
