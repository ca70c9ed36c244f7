"""What reaches the terminal: bars, widths, encodings, closed pipes, nothing that a model's files could drive it with."""

from __future__ import annotations

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import NAME, environment

pytestmark = pytest.mark.usefixtures("minilm")
PTY = pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals of this kind")


def on_a_terminal(words, *, columns=100, env=None, stdin=subprocess.DEVNULL):
    """Run with standard error on a terminal; its exit status, standard output and what the terminal saw."""
    import fcntl
    import pty
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {**environment({"TERM": "xterm-256color", **(env or {})})}
    variables.pop("COLUMNS")
    with subprocess.Popen(
        [sys.executable, "-m", "gpux", *words],
        stdin=follower if stdin == "terminal" else stdin,
        stdout=subprocess.PIPE,
        stderr=follower,
        env=variables,
    ) as process:
        os.close(follower)
        seen = b""
        with contextlib.suppress(OSError):  # Linux ends a terminal without a writer so
            while chunk := os.read(leader, 65536):
                seen += chunk
        out = process.stdout.read()
    os.close(leader)
    return process.returncode, out.decode(), seen.decode()


BENCH = ["run", NAME, "a", "--benchmark", "--runs", "3", "--warmup", "0"]


@PTY
def test_a_terminal_sees_bars_and_standard_output_none():
    code, out, seen = on_a_terminal(BENCH)
    assert code == 0
    assert "━" in seen
    assert "measure" in seen
    assert "\x1b" not in out
    assert "percentiles" in out


@PTY
@pytest.mark.parametrize("words", [["--quiet"], ["--json"]])
def test_no_bars_where_nobody_wants_them(words):
    code, _, seen = on_a_terminal([*BENCH, *words])
    assert (code, seen) == (0, "")


@PTY
def test_no_color():
    _, _, seen = on_a_terminal(BENCH, env={"NO_COLOR": "1"})
    assert "━" in seen
    assert not re.search(r"\x1b\[[0-9;]*3[0-9](;[0-9;]*)?m", seen)


@PTY
@pytest.mark.parametrize("columns", [1, 12, 40])
def test_a_narrow_terminal_is_no_trouble(columns):
    code, out, _ = on_a_terminal(BENCH, columns=columns)
    assert code == 0
    assert "percentiles" in out
    assert on_a_terminal(["--help"], columns=columns)[0] == 0


@PTY
def test_nothing_to_read_on_a_terminal_is_an_error_and_no_wait():
    code, out, seen = on_a_terminal(["run", NAME], stdin="terminal")
    assert (code, out) == (2, "")
    assert f'hint: gpux run {NAME} "your text"' in seen


@pytest.mark.parametrize(
    "words", [["list"], ["show", NAME, "--verbose"], ["run", NAME, "a", "--json"], ["--help"]]
)
def test_a_closed_pipe_ends_quietly(minilm, words):
    with subprocess.Popen(
        [sys.executable, "-m", "gpux", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        process.stdout.close()
        err = process.stderr.read().decode()
    assert err == ""
    assert process.returncode in {0, 1}


def test_nobody_listening_to_an_error_is_no_second_error(minilm):
    with subprocess.Popen(
        [sys.executable, "-m", "gpux", "pul"], stderr=subprocess.PIPE, env=environment()
    ) as process:
        process.stderr.close()
    assert process.returncode == 2


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "C"}]
)
def test_a_terminal_without_unicode(gpux_command, env):
    done = gpux_command("run", NAME, "漢字", env=env)
    assert done.code == 0, done.err
    assert "384" in done.out
    assert "\\u6f22" in done.out or "LC_ALL" in env
    shown = gpux_command("show", NAME, "--json", "--verbose", env={"PYTHONIOENCODING": "ascii", **env})
    assert "×" in json.loads(shown.out)["variants"][0]["certificate"]["probes"][0]
    assert gpux_command("run", "--help", env=env).code == 0
    sentence, _ = gpux_command("show", "漢字", env={**env, "PYTHONIOENCODING": "ascii"}).refused(1)
    assert "\\u6f22" in sentence


def test_a_width_is_kept_for_wide_characters(gpux_command):
    lines = gpux_command("run", NAME, "漢字", "ab").out.splitlines()
    assert lines[1].index("384") == lines[2].index("384") - 2


EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\x7f"
CONTROLS = {c for c in EVIL if not c.isprintable()}


def test_inputs_do_not_drive_the_terminal(gpux_command):
    done = gpux_command("run", NAME, f"text {EVIL}")
    assert done.code == 0
    assert not CONTROLS & set(done.out + done.err)
    assert "\\u001b" in done.out
    again = gpux_command("run", NAME, f"text {EVIL}", "--json")
    assert not CONTROLS & set(again.out)
    assert again.record["results"][0]["input"] == f"text {EVIL}"
    assert not CONTROLS & set(gpux_command("show", EVIL.replace("\x07", "")).err)


def test_a_models_files_do_not_drive_the_terminal(gpux_command, own_store, minilm, tmp_path):
    """A licence and a class name as a hostile repository could write them, in a real pull."""
    import shutil

    source = tmp_path / "source"
    shutil.copytree(minilm.directory, source, ignore=shutil.ignore_patterns("manifest.json", "proof"))
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps({**config, "architectures": [f"{EVIL}BertModel"]}))
    (source / "README.md").write_text('---\nlicense: "mit\\e[31m\\u009b31m [/bold] [red]"\n---\n')
    done = gpux_command("pull", source, "--exporter", "ready", env=own_store)
    assert done.code == 0, done.err
    shown = gpux_command("show", source, env=own_store)
    assert "BertModel" in shown.out
    for text in (done.out, done.err, shown.out):
        assert not CONTROLS & set(text)
    record = gpux_command("show", source, "--json", env=own_store)
    assert not CONTROLS & set(record.out)
    assert record.record["architecture"] == f"{EVIL}BertModel"


@PTY
def test_square_brackets_are_no_markup(own_store, minilm, tmp_path):
    import shutil

    source = tmp_path / "[red]model[" / "[bold]"
    shutil.copytree(minilm.directory, source, ignore=shutil.ignore_patterns("manifest.json", "proof"))
    words = ["pull", str(source), "--exporter", "ready"]
    code, _, seen = on_a_terminal(words, env=own_store, columns=300)
    assert code == 0, seen
    assert "[bold]" in seen


PLUGIN = """
from gpux.provider import Probe, Runtime, State
class Broken:
    computes = False  # it is opened without a proof, in this process
    name = extra = "broken"
    rank = 1
    runtime = Runtime("broken", "broken")
    def probe(self):
        return Probe("broken", State.WORKS)
    def open(self, graph, options):
        raise ZeroDivisionError("a plug-in's own mistake")
provider = Broken()
"""


def test_an_unexpected_exception_is_told_like_any_error(gpux_command, tmp_path):
    """A plug-in with a bug, which is the nearest thing to one of our own."""
    (tmp_path / "broken_plugin.py").write_text(PLUGIN)
    info = tmp_path / "broken_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gpux.providers]\nbroken = broken_plugin:provider\n")
    env, words = {"PYTHONPATH": str(tmp_path)}, ("run", NAME, "x", "--provider", "broken")
    done = gpux_command(*words, env=env)
    sentence, hint = done.refused(1)
    assert "ZeroDivisionError: a plug-in's own mistake" in sentence
    assert "GPUX_LOG=debug" in hint
    assert "Traceback" not in done.err
    debug = gpux_command(*words, env={**env, "GPUX_LOG": "debug"})
    assert debug.code == 1
    assert "Traceback" in debug.err
    assert "broken_plugin.py" in debug.err
    record = gpux_command(*words, "--json", env=env)
    assert "ZeroDivisionError" in json.loads(record.err)["error"]["message"]
    assert Path(tmp_path).is_dir()
