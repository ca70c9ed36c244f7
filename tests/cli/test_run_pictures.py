"""``gpux run`` of a task whose items are files: folders, patterns, lists of paths, what is none of these, pictures drawn."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from command_line import run
from picture_task import NAME, package, put
from PIL import Image


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Run ``gpux run`` on the model of the task, in a folder of photographs, one of them cut short."""
    root = tmp_path_factory.mktemp("pictures")
    put(root / "home")
    album = root / "album"
    (album / "deep").mkdir(parents=True)
    for width, place in enumerate(("b.jpg", "a.PNG", "deep/c.jpg", "deep/b.jpg"), 30):
        noise = np.random.default_rng(width).integers(0, 255, (20, width, 3), np.uint8)
        Image.fromarray(noise).save(album / place)
    (album / "notes.txt").write_text("no picture")
    (album / ".hidden.jpg").write_text("no picture")
    (root / "cut.jpg").write_bytes((album / "b.jpg").read_bytes()[:500])
    # Without the current folder, which holds the package without the task.
    paths = {
        "PYTHONPATH": str(package(root / "package")),
        "PYTHONSAFEPATH": "1",
        "GPUX_HOME": str(root / "home"),
    }

    def command(*words, stdin=b""):
        given = [str(word).replace("{root}", str(root)) for word in words]
        done = run(
            "run",
            NAME,
            *given,
            "--provider",
            "null",
            stdin=stdin.replace(b"{root}", os.fsencode(root)),
            env=paths,
        )
        return done, root

    return command


def sizes(done, root):
    assert done.code == 0, done.err
    return [
        (os.path.relpath(r["input"], root).replace(os.sep, "/"), r["output"]["width"])
        for r in done.record["results"]
    ]


WAYS = {
    "a file": (["{root}/album/b.jpg"], b"", ["album/b.jpg 30"]),
    "a folder": (["{root}/album"], b"", ["album/a.PNG 31", "album/b.jpg 30"]),
    "a pattern": (["{root}/album/**/*"], b"", ["album/a.PNG 31", "album/b.jpg 30", "album/deep/b.jpg 33", "album/deep/c.jpg 32"]),
    "two and a file": (["{root}/album/deep/", "--file", "{root}/album/b.jpg"], b"", ["album/deep/b.jpg 33", "album/deep/c.jpg 32", "album/b.jpg 30"]),
    "a list of paths": ([], b"{root}/album/deep/c.jpg\n\n{root}/album\n", ["album/deep/c.jpg 32", "album/a.PNG 31", "album/b.jpg 30"]),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_files_are_found(pictures, way):
    words, stdin, expected = WAYS[way]
    assert [f"{path} {width}" for path, width in sizes(*pictures(*words, "--json", stdin=stdin))] == expected


def test_mappings_are_items(pictures):
    done, _ = pictures(
        '{"image": "{root}/album/a.PNG"}', "--input", '[{"image": "{root}/album/b.jpg"}]', "--json"
    )
    assert [r["output"]["width"] for r in done.record["results"]] == [31, 30]


REFUSED = {
    "a text": ("a cat", "`a cat` is no file: picture-size takes images", f"gpux run {NAME} image.jpg"),
    "no file": ("{root}/none.jpg", "there is no file", "takes images"),
    "no images": ("{root}/album/*.gif", "holds no images", ".jpg .png"),
    "one cut short": ("{root}/cut.jpg", "cut.jpg is no picture that can be read", "check the file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_is_named(pictures, case):
    given, said, hinted = REFUSED[case]
    done, _ = pictures(given)
    sentence, hint = done.refused(2)
    assert said in sentence
    assert hinted in hint


def test_a_failed_picture_is_named_and_the_rest_goes_on(pictures):
    words = ("{root}/album", "{root}/cut.jpg", "{root}/none.jpg", "{root}/album/deep")
    done, root = pictures(*words, "--output", "{root}/drawn/")
    assert done.code == 1
    told = done.err.splitlines()
    assert told[0] == f"failed: {root}/cut.jpg is no picture that can be read"
    assert told[1] == f"failed: there is no file `{root}/none.jpg`"
    assert told[-1] == "2 of 6 inputs failed"
    made = sorted(path.name for path in (root / "drawn").iterdir())
    assert made == ["a.png", "b-2.png", "b.png", "c.png", "cut.json", "none.json"]
    for name, width in (("a.png", 31), ("b.png", 30), ("c.png", 32), ("b-2.png", 33)):
        with Image.open(root / "drawn" / name) as picture:
            assert picture.size == (width + 2, 22)
    assert "none.jpg" in json.loads((root / "drawn/none.json").read_text())["error"]["message"]
    stopped, _ = pictures(*words, "--fail-fast", "--json")
    assert stopped.code == 2
    assert "cut.jpg is no picture" in json.loads(stopped.err)["error"]["message"]


def test_one_picture_is_drawn_to_a_file_and_several_are_not(pictures):
    done, root = pictures("{root}/album/b.jpg", "--output", "{root}/one.jpg")
    assert done.code == 0, done.err
    with Image.open(root / "one.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (32, 22))
    done, root = pictures("{root}/album", "--output", "{root}/two.png")
    sentence, hint = done.refused(2)
    assert "is one picture" in sentence
    assert "two/" in hint
    assert not list(root.glob("two*"))


def test_a_benchmark_takes_the_same_folders(pictures):
    done, _ = pictures("{root}/album/*.gif", "--benchmark", "--runs", "1")
    sentence, _ = done.refused(2)
    assert "holds no images" in sentence
