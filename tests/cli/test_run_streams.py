"""Inputs that come one after the other: answered as they come, named where they fail, kept where the run ends early."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from command_line import NAME, environment
from test_terminal import PTY, on_a_terminal

pytestmark = pytest.mark.usefixtures("minilm")
SIGINT = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")


class Talk:
    """A command whose standard input stays open; a context manager."""

    def __init__(self, *words):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gpux", "run", NAME, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            bufsize=0,  # what was read ahead would be lost to communicate
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def line(self):
        return self.process.stdout.readline().decode().rstrip("\n")

    def end(self):
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out.decode(), err.decode()


def eventually(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_row_comes_before_standard_input_ends():
    with Talk() as talk:
        talk.say("first\n")
        assert talk.line().split() == ["TEXT", "DIMENSIONS", "FIRST", "VALUES"]
        assert talk.line().startswith("first")
        talk.say('{"source_sentence": "a", "sentences": ["a", "b"]}\nsecond')
        assert talk.process.poll() is None
        code, out, err = talk.end()
    assert (code, err) == (0, "")
    assert re.search(r"^a +a +1\.0000$", out, re.MULTILINE)
    assert "second" in out


def test_a_document_and_lines_of_a_file_come_before_standard_input_ends(tmp_path):
    with Talk("--json", "-p", "truncate_dim=2") as talk:
        talk.say("first\n")
        seen = ""
        while '"first"' not in seen:
            seen += talk.line() + "\n"
        talk.say("second\n")
        code, out, err = talk.end()
    assert (code, err) == (0, "")
    record = json.loads(seen + out)
    assert [r["input"] for r in record["results"]] == ["first", "second"]
    assert seen + out == json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    partial = tmp_path / "x.jsonl.partial"
    with Talk("--output", tmp_path / "x.jsonl") as talk:
        talk.say("first\n")
        eventually(lambda: partial.is_file() and partial.read_text().endswith("\n"))
        assert json.loads(partial.read_text())["input"] == "first"
        assert not (tmp_path / "x.jsonl").exists()
        talk.say("second\n")
        assert talk.end()[0] == 0
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert [json.loads(line)["input"] for line in lines] == ["first", "second"]
    assert list(tmp_path.iterdir()) == [tmp_path / "x.jsonl"]


SHAPES = {
    "a document over lines": (b'[\n "a",\n\n "b"\n]\n', ["a", "b"]),
    "a list and more": (b'["a"]\nb\n', ['["a"]', "b"]),
    "blank lines before": (b'\n\n["a"]\n\n', ["a"]),
    "half a document": (b'[\n"a",\n', ["[", '"a",']),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_document_is_told_from_lines(gpux_command, shape):
    stdin, expected = SHAPES[shape]
    done = gpux_command("run", NAME, "--provider", "null", "--json", stdin=stdin)
    assert [r["input"] for r in done.record["results"]] == expected, done.err


def test_what_fails_is_named_and_the_rest_goes_on(gpux_command, tmp_path):
    stdin = b'a\n\ncaf\xe9\n{"sentences": ["x"]}\nb\n'
    done = gpux_command("run", NAME, "--json", "--quiet", "-p", "truncate_dim=2", stdin=stdin)
    assert done.code == 1
    assert done.err.splitlines() == [
        "failed: line 3 of standard input is no UTF-8 text: byte 3 is 0xe9",
        "failed: line 4 of standard input has no `source_sentence`",
        "2 of 4 inputs failed",
    ]
    assert done.record["failed"] == 2
    ways = [(r["input"], "output" in r, r.get("error", {}).get("type")) for r in done.record["results"]]
    assert ways == [
        ("a", True, None),
        ("line 3 of standard input", False, "InvalidInput"),
        ({"sentences": ["x"]}, False, "InvalidInput"),
        ("b", True, None),
    ]
    sentence, _ = gpux_command("run", NAME, "--fail-fast", stdin=stdin).refused(2)
    assert "line 3 of standard input" in sentence
    sentence, _ = gpux_command("run", NAME, stdin=b"\n\xe9\n").refused(
        2
    )  # the only one is the command's error
    assert "line 2 of standard input" in sentence


def test_many_failures_are_counted(gpux_command, tmp_path):
    (tmp_path / "x.jsonl").write_text("7\n" * 4000 + '"a"\n')
    words = ("run", NAME, "--provider", "null", "--input", f"@{tmp_path}/x.jsonl")
    done = gpux_command(*words)
    assert done.code == 1
    assert len(done.err.splitlines()) == 22
    assert done.err.splitlines()[-2:] == [
        "failed: more inputs, which --verbose names",
        "4000 of 4001 inputs failed",
    ]
    assert done.out.splitlines()[1].startswith("a ")
    assert gpux_command(*words, "--verbose").err.count("failed: line") == 4000


def test_a_long_table_is_one_table(gpux_command):
    stdin = "".join(f"{n} {'x' * (n // 500 * 30)}\n" for n in range(2500)).encode()
    done = gpux_command("run", NAME, "--provider", "null", stdin=stdin)
    lines = done.out.splitlines()
    assert len(lines) == 2501
    assert [line.split()[0] for line in lines] == ["TEXT", *map(str, range(2500))]


@SIGINT
@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".json", ".npz"])
def test_what_was_answered_before_ctrl_c_is_kept_where_it_can_be_read(tmp_path, ending):
    path, partial = tmp_path / f"x{ending}", tmp_path / f"x{ending}.partial"
    with Talk("--output", path, "--provider", "null") as talk:
        talk.say("a\nb\n")
        if ending == ".npz":
            time.sleep(3)
        else:
            eventually(lambda: partial.is_file() and partial.stat().st_size > 0)
        talk.process.send_signal(signal.SIGINT)
        code, out, err = talk.end()
    assert (code, out) == (130, "")
    if ending in {".jsonl", ".csv"}:
        # An empty line: click ends the line of the terminal's ^C.
        assert [line for line in err.splitlines() if line] == [
            f"the answers so far are in {partial}",
            "stopped",
        ]
        assert partial.read_text().count("\n") == (2 if ending == ".jsonl" else 3)
        assert list(tmp_path.iterdir()) == [partial]
    else:
        assert err.strip() == "stopped"
        assert list(tmp_path.iterdir()) == []


@SIGINT
def test_a_document_that_ends_early_is_whole_json_and_says_so():
    with Talk("--json", "-p", "truncate_dim=1") as talk:
        talk.say("a\n")
        seen = ""
        while '"a"' not in seen:
            seen += talk.line() + "\n"
        time.sleep(0.3)
        talk.process.send_signal(signal.SIGINT)
        code, out, _ = talk.end()
    assert code == 130
    record = json.loads(seen + out)
    assert (len(record["results"]), record["complete"]) == (1, False)


@PTY
def test_a_long_run_shows_its_rate_and_leaves_nothing(tmp_path):
    texts = json.dumps([f"{n} {'word ' * 40}" for n in range(30_000)])
    (tmp_path / "x.json").write_text(texts)
    words = [
        "run",
        NAME,
        "--provider",
        "null",
        "--input",
        f"@{tmp_path}/x.json",
        "--output",
        f"{tmp_path}/x.npz",
    ]
    code, out, seen = on_a_terminal(words)
    assert (code, out) == (0, "")
    assert re.search(r"[\d,]+/30,000 sentences  [\d,]+ sentences/s  0:00:\d\d left", seen)
    assert seen.rpartition("\x1b[2K")[2].strip() == f"30000 answers are in {tmp_path}/x.npz"
    assert "sentences/s" not in on_a_terminal([*words, "--quiet"])[2]


@PTY
def test_an_endless_run_shows_its_rate(tmp_path):
    reading, writing = os.pipe()

    def feed():
        with os.fdopen(writing, "w") as stream:
            for n in range(12):
                print(f"text {n}", file=stream, flush=True)
                time.sleep(0.3)

    threading.Thread(target=feed).start()
    with os.fdopen(reading) as stdin:
        code, out, seen = on_a_terminal(["run", NAME], stdin=stdin)
    assert code == 0
    assert [line.split()[1] for line in out.splitlines() if line.startswith("text")] == list(
        map(str, range(12))
    )
    assert re.search(r"\d sentences  \d+\.\d sentences/s", seen)
