"""Files and arguments as inputs: every form that they are read from, what they are called, and what is wrong with each."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from gpux.cli.inputs import Inputs
from gpux.cli.items import Takes, files
from gpux.errors import GpuxError, InvalidInput

TEXTS = Takes(str, task="text-classification", model="m")


def given(path, **settings):
    inputs = Inputs(TEXTS, (), f"@{path}", (), **settings)
    return [(item.name.replace(str(path), "F"), item.value) for block in inputs.blocks() for item in block]


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


READ = {
    "x.json": ('["a", {"b": 1}]', [("input 1 of F", "a"), ("input 2 of F", {"b": 1})]),
    "one.json": ('{"b": 1}', [("input 1 of F", {"b": 1})]),
    "x.jsonl": ('"a"\r\n\n["b"]\n7', [("line 1 of F", "a"), ("line 3 of F", ["b"]), ("line 4 of F", 7)]),
    "x.txt": ("\ufeffa\r\n \n[b\n", [("line 1 of F", "a"), ("line 3 of F", "[b")]),
    "one.csv": ('text\n"a, ""b"""\n\nc\n', [("line 2 of F", 'a, "b"'), ("line 4 of F", "c")]),
    "two.csv": (
        '\ufefftext,text_pair\r\n"a\nb",c\r\nd,\r\n',
        [
            ("line 2 of F", {"text": "a\nb", "text_pair": "c"}),
            ("line 4 of F", {"text": "d", "text_pair": ""}),
        ],
    ),
    "x.tsv": ("a\tb\n1,5\t2\n", [("line 2 of F", {"a": "1,5", "b": "2"})]),
    "long.csv": (f"text\n{'x' * 300_000}\n", [("line 2 of F", "x" * 300_000)]),
    "nothing.csv": ("text\n", []),
    "upper.TXT": ("a\n", [("line 1 of F", "a")]),
}


@pytest.mark.parametrize("name", READ)
def test_a_file_of_inputs(tmp_path, name):
    content, expected = READ[name]
    assert given(written(tmp_path, name, content)) == expected


BROKEN = {
    "x.jsonl": (b'"a"\n{b}\n"\xff"\n"c"\n', {2: "line 2 of F is no JSON: Expecting", 3: "is no UTF-8 text: byte 1 is 0xff"}),
    "x.txt": (b"a\ncaf\xe9\nc\n", {2: "line 2 of F is no UTF-8 text: byte 3 is 0xe9"}),
    "x.csv": (b"a,b\n1\n\xff,2\n3,4\n5,6,7\n", {1: "line 2 of F has 1 cells, and the header 2", 2: "line 3 of F is no UTF-8", 4: "has 3 cells"}),
    "x.json": (b"[1, 2", {1: "`F` is no JSON: Expecting"}),
    "latin.json": (b'"\xe9"', {1: "`F` is no UTF-8"}),
    "x.npz": (b"PK no archive", {1: "`F` holds no arrays that can be read"}),
    "x.npy": (b"", {1: "`F` holds no arrays that can be read"}),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_an_item_of_its_own(tmp_path, name):
    content, expected = BROKEN[name]
    path = written(tmp_path, name, content)
    found = [value for _, value in given(path)]
    wrong = {n: one for n, one in enumerate(found, 1) if isinstance(one, GpuxError)}
    assert wrong.keys() == expected.keys()
    for number, said in expected.items():
        assert said in wrong[number].message.replace(str(path), "F")
        assert wrong[number].hint


def test_objects_in_arrays_are_not_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    [(_, value)] = given(tmp_path / "x.npy")
    assert isinstance(value, InvalidInput)


def test_arrays_are_read_by_name(tmp_path):
    x, y = np.arange(6, dtype=np.int64).reshape(2, 3), np.array(0.5, np.float16)
    np.savez(tmp_path / "x.npz", x=x, y=y)
    np.save(tmp_path / "x.npy", x)
    [(name, value)] = given(tmp_path / "x.npz")
    assert name == "F"
    assert (value["x"] == x).all()
    assert (value["y"].dtype, value["y"].shape) == (np.float16, ())
    [(_, value)] = given(tmp_path / "x.npy")
    assert (value == x).all()


@pytest.mark.parametrize("name", ["none.json", "none.jsonl", "none.csv", "none.txt", "none.npz", ""])
def test_a_file_that_is_not_there(tmp_path, name):
    [(_, value)] = given(tmp_path / name)
    assert "cannot be read" in value.message


def test_lines_are_read_as_they_are_needed(tmp_path):
    path = tmp_path / "x.jsonl"
    with path.open("w") as file:
        file.writelines(f'"item {n}"\n' for n in range(200_000))
    items = itertools.chain.from_iterable(Inputs(TEXTS, (), f"@{path}", ()).blocks())
    assert [next(items).value for _ in range(3)] == ["item 0", "item 1", "item 2"]


def test_text_files_folders_and_patterns(tmp_path):
    for name in ("b.txt", "a.md", ".hidden"):
        written(tmp_path, name, f"{name}\r\n")
    written(tmp_path, "photo.jpg", b"\xff\xd8\xff\xe0")
    (tmp_path / "deep").mkdir()
    written(tmp_path / "deep", "c.txt", "c")

    def found(*names):
        inputs = Inputs(TEXTS, (), None, tuple(tmp_path / name for name in names))
        items = [item for block in inputs.blocks() for item in block]
        return [(Path(item.name).name, getattr(item.value, "message", item.value)) for item in items]

    photo = f"`{tmp_path}/photo.jpg` is no UTF-8 text: byte 0 is 0xff; text-classification takes texts"
    assert found("b.txt", "a.md") == [("b.txt", "b.txt\n"), ("a.md", "a.md\n")]
    assert found("") == [("a.md", "a.md\n"), ("b.txt", "b.txt\n"), ("photo.jpg", photo)]
    assert found("**/*.txt") == [("b.txt", "b.txt\n"), ("c.txt", "c")]
    assert "holds no files" in found("*.rst")[0][1]
    assert "No such file" in found("none.txt")[0][1]


def test_names_and_numbers():
    inputs = Inputs(TEXTS, ("a", "b"), '["c"]', ())
    assert [item.name for block in inputs.blocks() for item in block] == ["input 1", "input 2", "input 3"]
    assert inputs.total == 3
    with pytest.raises(InvalidInput, match="--input is no JSON"):
        Inputs(TEXTS, (), "{", ())


IMAGES = Takes(
    lambda text: json.loads(text) if text.startswith("{") else text, (".jpg",), "depth", "images", "m"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://host/cat.jpg", "https://host/cat.jpg"),
        ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
        ("QUJD" * 30 + "QQ==", "QUJD" * 30 + "QQ=="),
        ('{"image": "cat.jpg"}', {"image": "cat.jpg"}),
    ],
)
def test_what_needs_no_file_is_passed_on(text, expected):
    [item] = IMAGES.line(text, "input 1")
    assert item.value == expected


@pytest.mark.parametrize("text", ["a cat", "cat[1", "x y" * 2000, "nul\0", "what is this?"])
def test_a_text_for_a_task_over_images(text):
    [item] = IMAGES.line(text, "input 1")
    assert isinstance(item.value, InvalidInput)
    assert "images" in item.value.message
    assert len(item.value.message) < 200


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    path = written(tmp_path, "cat[1].jpg", b"")
    assert files(str(path), (".jpg",)) == [str(path)]
