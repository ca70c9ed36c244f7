"""``gpux run``: every way in, every way out, and the benchmark."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import NAME, environment

import gpux


@pytest.fixture(scope="module")
def vectors(minilm):
    """Text → vector, as the library gives it; that those are right is shown in tests/e2e."""
    texts = ["a", "b", "two words", "a\nb\n", "ß 漢字"]
    with gpux.load(minilm) as model:
        return dict(zip(texts, model.encode(texts), strict=True))


def answered(done):
    assert done.code == 0, done.err
    return {r["input"]: r["output"] for r in done.record["results"]}


WAYS = {
    "arguments": (["a", "two words"], b"", ["a", "two words"]),
    "json": (["--input", '["a", "b"]'], b"", ["a", "b"]),
    "one json text": (["--input", '"a"'], b"", ["a"]),
    "json file": (["--input", "@{folder}/list.json"], b"", ["a", "b"]),
    "json lines file": (["--input", "@{folder}/lines.jsonl"], b"", ["a", "b"]),
    "files": (["--file", "{folder}/one.txt", "--file", "{folder}/two.txt"], b"", ["a\nb\n", "ß 漢字"]),
    "lines": ([], b"a\nb\n\n", ["a", "b"]),
    "lines of windows": ([], b"\xef\xbb\xbfa\r\ntwo words\r\n", ["a", "two words"]),
    "json on standard input": ([], b'["a", "b"]', ["a", "b"]),
    "dash of one line": (["--input", "-"], b"a\n", ["a"]),
    "dash": (["--input", "-"], "ß 漢字\n".encode(), ["ß 漢字"]),
    "mixed": (["a", "--input", '["b"]', "--file", "{folder}/two.txt"], b"ignored", ["a", "b", "ß 漢字"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_inputs(gpux_command, vectors, tmp_path, way):
    (tmp_path / "list.json").write_text('["a", "b"]')
    (tmp_path / "lines.jsonl").write_text('"a"\n\n"b"\n')
    (tmp_path / "one.txt").write_text("a\nb\n")
    (tmp_path / "two.txt").write_bytes("ß 漢字".encode())
    words, stdin, expected = WAYS[way]
    words = [word.format(folder=tmp_path) if "{folder}" in word else word for word in words]
    found = answered(gpux_command("run", NAME, *words, "--json", stdin=stdin))
    assert list(found) == expected
    for text, vector in found.items():
        np.testing.assert_allclose(vector, vectors[text], atol=1e-5)


def test_lines_that_only_begin_like_json_are_texts(gpux_command):
    found = answered(gpux_command("run", NAME, "--json", stdin=b"[1] a footnote\n{ a brace\n"))
    assert list(found) == ["[1] a footnote", "{ a brace"]


@pytest.mark.parametrize("form", ["", ".json", ".jsonl", ".csv", ".npz"])
def test_an_empty_list_has_an_empty_answer(gpux_command, tmp_path, form):
    output = ["--output", str(tmp_path / f"answers{form}")] if form else ["--json"]
    done = gpux_command("run", NAME, "--input", "[]", *output, stdin=b"a text that is not read")
    assert done.code == 0
    record = done.record if not form else None
    if form == ".json":
        record = json.loads((tmp_path / "answers.json").read_text(encoding="utf-8"))
    if record is not None:
        assert record["results"] == []
    if form == ".npz":
        assert np.load(tmp_path / "answers.npz")["outputs"].shape == (0,)
    if form in {".jsonl", ".csv"}:
        assert (tmp_path / f"answers{form}").read_bytes() == b""


REFUSED = {
    "nothing on standard input": ([], b"", "empty"),
    "blank lines": ([], b"\n \n", "empty"),
    "an empty dash": (["--input", "-"], b"", "empty"),
    "no json": (["--input", "a text"], b"", "--input is no JSON"),
    "a number": (["--input", "[1]"], b"", "int"),
    "half a pair": (["--input", '[{"text": "a"}]'], b"", "source_sentence"),
    "nested too deeply": (["--input", "[" * 20000], b"", "is no JSON"),
    "no file": (["--file", "{folder}/none.txt"], b"", "none.txt` cannot be read"),
    "an empty folder": (["--file", "{folder}/empty"], b"", "holds no files"),
    "no json file": (["--input", "@{folder}/none.json"], b"", "none.json` cannot be read"),
    "a broken line": (["--fail-fast", "--input", "@{folder}/broken.jsonl"], b"", "line 2 of {folder}/broken.jsonl is no JSON"),
    "bytes": ([], b"\xff\xfe", "standard input is no UTF-8 text: byte 0 is 0xff"),
    "a file of bytes": (["--file", "{folder}/bytes.txt"], b"", "is no UTF-8"),
    "a wrong suffix": (["a", "--output", "{folder}/x.txt"], b"", "does not end in .json or .jsonl or .npz"),
    "a missing folder": (["a", "--output", "{folder}/none/x.json"], b"", "is not there"),
    "a wrong form": (["a", "--benchmark", "--format", "htlm"], b"", "`htlm`"),
    "a report in another form": (["a", "--benchmark", "--output", "{folder}/x.png"], b"", "does not end in .json"),
    "an empty benchmark": (["--benchmark", "--input", "[]"], b"", "no inputs"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_is_refused(gpux_command, tmp_path, case):
    (tmp_path / "broken.jsonl").write_text('"a"\nb\n')
    (tmp_path / "bytes.txt").write_bytes(b"caf\xe9")
    (tmp_path / "empty").mkdir()
    words, stdin, said = REFUSED[case]
    words = [word.replace("{folder}", str(tmp_path)) for word in words]
    sentence, hint = gpux_command("run", NAME, *words, stdin=stdin).refused(2)
    assert said.replace("{folder}", str(tmp_path)) in sentence
    assert hint


def test_a_wrong_form_is_told_before_anything_is_fetched(gpux_command):
    sentence, hint = gpux_command("run", "org/unknown", "a", "--benchmark", "--format", "cvs").refused(2)
    assert "`cvs`" in sentence
    assert "csv" in hint
    sentence, _ = gpux_command("run", "org/unknown", "a", "--output", "x.txt").refused(2)
    assert "x.txt" in sentence
    sentence, _ = gpux_command("run", "org/unknown", "a", "--provider", "cpuu").refused(2)
    assert "cpuu" in sentence


def test_answers_go_to_files(gpux_command, vectors, tmp_path):
    done = gpux_command("run", NAME, "a", "b", "--output", tmp_path / "x.json")
    assert (done.code, done.out) == (0, "")
    record = json.loads((tmp_path / "x.json").read_text())
    assert [r["input"] for r in record["results"]] == ["a", "b"]
    assert record["provider"] == "cpu"
    gpux_command("run", NAME, "a", "b", "--output", tmp_path / "x.jsonl")
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert [json.loads(line)["input"] for line in lines] == ["a", "b"]
    gpux_command("run", NAME, "a", "b", "--output", tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as arrays:
        np.testing.assert_allclose(arrays["outputs"], np.stack([vectors["a"], vectors["b"]]), atol=1e-5)
        assert arrays["outputs"].dtype == np.float32


def test_parameters_and_the_task_are_passed_on(gpux_command):
    short = answered(
        gpux_command("run", NAME, "a", "-p", "truncate_dim=8", "--param", "normalize=false", "--json")
    )
    assert len(short["a"]) == 8
    assert np.linalg.norm(short["a"]) != pytest.approx(1, abs=1e-3)
    tokens = gpux_command("run", NAME, "a", "--task", "feature-extraction", "--json")
    assert np.shape(tokens.record["results"][0]["output"])[-1] == 384


def test_null_runs_and_says_so(gpux_command):
    done = gpux_command("run", NAME, "a", "--provider", "null", "--json")
    assert done.record["provider"] == "null"
    assert set(done.record["results"][0]["output"]) == {0.0}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_elsewhere_stops_at_once(minilm):
    with subprocess.Popen(
        [sys.executable, "-m", "gpux", "run", NAME],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as process:
        time.sleep(2)  # it has opened the model by then, and waits for its input
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130, err
    assert out == ""
    assert err.strip() == "stopped"
