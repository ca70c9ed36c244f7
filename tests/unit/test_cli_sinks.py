"""Where answers go, one by one: what each form holds in the end, what it never leaves behind, and how little it keeps."""

from __future__ import annotations

import csv
import json
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from gpux.cli.arrays import Arrays
from gpux.cli.items import Item
from gpux.cli.outputs import FOLDER, target
from gpux.cli.pictures import Folder
from gpux.cli.sinks import JsonLines
from gpux.cli.spreadsheets import Rows
from gpux.errors import InvalidInput, UsageError
from gpux.pipelines.pipeline import Table

WRONG = InvalidInput("it is bad", hint="leave it out")


def model(**members):
    return SimpleNamespace(pipeline=SimpleNamespace(**members), task="letters")


def items(*values):
    return [Item(f"input {n}", value) for n, value in enumerate(values, 1)]


def saved(path, *answers, failed=()):
    sink = Arrays(path)
    for place, answer in enumerate(answers):
        item = Item(f"input {place}", "x")
        sink.fail(item, WRONG) if place in failed else sink.add(item, answer)
    sink.finish()
    with np.load(path, allow_pickle=False) as found:
        return dict(found.items())


def test_arrays_are_stacked_or_stand_alone(tmp_path):
    path = tmp_path / "x.npz"
    found = saved(path, np.arange(3, dtype=np.float32), [1.5, 2.5, 3.5])
    assert found.keys() == {"outputs"}
    assert found["outputs"].dtype == np.float32
    assert found["outputs"].tolist() == [[0, 1, 2], [1.5, 2.5, 3.5]]
    found = saved(path, np.ones((2, 3), np.float16), np.ones((1, 3), np.float16))
    assert {name: (a.shape, a.dtype.name) for name, a in found.items()} == {
        "outputs.0": ((2, 3), "float16"),
        "outputs.1": ((1, 3), "float16"),
    }
    found = saved(path, [1, 2], None, [3, 4], failed={1})
    assert found["outputs"].tolist() == [[1, 2], [3, 4]]
    assert found["positions"].tolist() == [0, 2]
    assert saved(path, 0.5, 0.25)["outputs"].tolist() == [0.5, 0.25]
    assert saved(path, np.zeros((0, 4)))["outputs"].shape == (1, 0, 4)
    assert saved(path, np.asfortranarray([[1, 2], [3, 4]]))["outputs"].tolist() == [[[1, 2], [3, 4]]]


def test_arrays_by_name_stay_as_they_are_for_one_input(tmp_path):
    answer = {"y": np.arange(4, dtype=np.int64).reshape(2, 2), "flag": np.array([True, False])}
    found = saved(tmp_path / "x.npz", answer)
    assert found["y"].dtype == np.int64
    assert (found["y"] == answer["y"]).all()
    assert (found["flag"] == answer["flag"]).all()
    assert saved(tmp_path / "x.npz", answer, answer)["y"].shape == (2, 2, 2)


@pytest.mark.parametrize("answer", [{"label": "a"}, "text", [[1], [1, 2]], [{"score": 1}], None])
def test_what_is_no_array_is_said_and_leaves_nothing(tmp_path, answer):
    sink = Arrays(tmp_path / "x.npz")
    with pytest.raises(InvalidInput, match="no arrays"):
        sink.add(Item("input 1", "x"), answer)
    sink.abandon()
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_not_held(tmp_path):
    sink = Arrays(tmp_path / "x.npz")
    tracemalloc.start()
    for n in range(300):
        sink.add(Item(f"input {n}", "x"), np.full(50_000, n, np.float32))
    sink.finish()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20  # of 60 MB
    with np.load(tmp_path / "x.npz") as found:
        assert (found["outputs"][:, -1] == np.arange(300)).all()


def spread(path, answers, *values):
    def table(items, answers):
        rows = [(str(i)[:3], one["label"]) for i, a in zip(items, answers, strict=True) for one in a]
        return Table(("text", "label"), tuple(rows))

    sink = Rows(path, model(table=table))
    for item, answer in zip(items(*values), answers, strict=True):
        sink.add(item, answer)
    sink.fail(Item("input 9", "x"), WRONG)
    sink.finish()
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_csv_has_the_columns_of_the_table_behind_the_input(tmp_path):
    answers = [[{"label": "a"}, {"label": "b"}], [], [{"label": 'c"'}]]
    values = ("one,\ntwo", "ß 漢字", {"text": "=1+1"})
    assert spread(tmp_path / "x.csv", answers, *values) == [
        ["input", "text", "label"],
        ["one,\ntwo", "one", "a"],
        ["one,\ntwo", "one", "b"],
        ["ß 漢字", "", ""],
        ['{"text": "=1+1"}', "{'t", 'c"'],
    ]
    assert b"\r\n" in (tmp_path / "x.csv").read_bytes()  # RFC 4180


def test_csv_has_a_column_per_dimension_of_a_vector(tmp_path):
    sink = Rows(tmp_path / "x.csv", model(table=None))
    sink.add(Item("input 1", "a"), np.array([0.5, -1], np.float32))
    with pytest.raises(UsageError, match="input 2 has other columns"):
        sink.add(Item("input 2", "b"), np.array([0.5], np.float32))
    assert sink.abandon() == str(tmp_path / "x.csv.partial")
    assert (tmp_path / "x.csv.partial").read_text().splitlines() == ["input,0,1", "a,0.5,-1.0"]


def test_a_folder_has_a_file_per_input_inside_itself(tmp_path):
    names = [
        "input 3", "photos/cat.jpg", "other/cat.png", "CAT", "../../etc/passwd", "https://host/a/b.jpg?size=1",
        "line 17 of in/mails.txt", "C:\\x\\dog.bmp", "..", "con.jpg", "ß 漢字.jpg", "x" * 300,
    ]  # fmt: skip
    sink = Folder(tmp_path / "out", model())
    for name in names:
        sink.add(Item(name, name), 1)
    found = {json.loads(path.read_text())["input"]: path.name for path in (tmp_path / "out").iterdir()}
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    assert [found[name] for name in names] == [
        "input-3.json", "cat.json", "cat-2.json", "CAT-3.json", "passwd.json", "b.json",
        "mails-17.json", "dog.json", "input.json", "_con.json", "ß-漢字.json", f"{'x' * 100}.json",
    ]  # fmt: skip


def test_a_link_stays_one_and_an_old_file_stays_until_the_new_one_is_whole(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x.jsonl").write_text("old")
    link = tmp_path / "x.jsonl"
    link.symlink_to(tmp_path / "real/x.jsonl")
    sink = JsonLines(link)
    sink.add(Item("input 1", "a"), np.arange(2))
    sink.pause()
    assert link.read_text() == "old"
    sink.finish()
    assert link.is_symlink()
    assert json.loads(link.read_text()) == {"input": "a", "output": [0, 1]}


def test_pictures_and_bytes_in_json_are_what_they_came_as(tmp_path):
    import base64
    import io

    from PIL import Image

    picture = Image.new("L", (3, 2), 7)
    sink = JsonLines(tmp_path / "x.jsonl")
    sink.add(Item("input 1", b"\x00\xff"), [{"label": "cat", "mask": picture}])
    sink.finish()
    record = json.loads((tmp_path / "x.jsonl").read_text())
    assert base64.b64decode(record["input"]) == b"\x00\xff"
    head, _, content = record["output"][0]["mask"].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as found:
        assert found.tobytes() == picture.tobytes()


def test_what_cannot_be_written_is_said_with_the_file(tmp_path):
    path = tmp_path / "gone" / "x.jsonl"
    path.parent.mkdir()
    sink = JsonLines(path)
    path.parent.rmdir()
    with pytest.raises(UsageError, match=r"x\.jsonl` cannot be written: No such file"):
        sink.add(Item("input 1", "a"), 1)


def test_what_output_means(tmp_path):
    (tmp_path / "there.json").mkdir()
    (tmp_path / "file").write_text("")
    assert target(str(tmp_path / "x.csv")).form == ".csv"
    assert target(f"{tmp_path}/new/").form == FOLDER
    assert target(str(tmp_path / "there.json")).form == FOLDER
    for text, said in (
        (f"{tmp_path}/file/", "is a file"),
        (f"{tmp_path}/a/b/", "is not there"),
        (f"{tmp_path}/x", "does not end"),
    ):
        with pytest.raises(UsageError, match=said):
            target(text)
