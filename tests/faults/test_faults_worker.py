"""Workers that die, hang, shout, or run out: one clear error each, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpux import errors
from gpux.worker import parent

HERE = Path(__file__).parent
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


def work(way="answer", *, before="", progress=lambda _: None, **job):
    environment = {"PYTHONPATH": str(HERE), "MISBEHAVE": before}
    return parent.run("misbehaving", {"way": way, **job}, environment=environment, progress=progress)


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def ends(*pids: int) -> bool:
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(alive(pid) for pid in pids)


def test_a_job_goes_in_and_a_result_comes_out():
    assert work(text="ünï \u2028 {}\n", number=1.5)["job"] == {
        "way": "answer",
        "text": "ünï \u2028 {}\n",
        "number": 1.5,
    }


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("exit", "it ended with code 5 and no answer"),
        ("segfault", "it crashed with SIGSEGV"),
        ("kill", "it was killed, most likely for want of memory"),
        ("unnamed", "it crashed with signal 37"),
        ("ValueError", "ValueError: odd"),
        ("SystemExit", "SystemExit: 3"),
    ],
)
@POSIX
def test_a_worker_that_dies_is_one_clear_error(way, says):
    with pytest.raises(errors.WorkerFailed) as caught:
        work(way)
    assert caught.value.message == f"the worker process failed: {says}"
    assert caught.value.hint


def test_a_full_disk_in_the_worker_is_told_as_such():
    with pytest.raises(errors.StoreUnwritable, match=r"the disk is full.*`/x`") as caught:
        work("OSError")
    assert "gpux prune" in caught.value.hint


@pytest.mark.parametrize(("before", "code"), [("exit", 7), ("raise", 1)])
def test_a_worker_that_dies_before_it_speaks(before, code):
    with pytest.raises(errors.WorkerFailed, match=f"ended with code {code}") as caught:
        work(before=before)
    assert ("before the protocol began" in caught.value.output) == (before == "raise")


def test_a_worker_that_closes_its_output_and_stays():
    with pytest.raises(errors.WorkerFailed, match="closed its output and did not end"):
        work(before="silence")


@pytest.mark.parametrize("way", ["sleep", pytest.param("stop", marks=POSIX)])
def test_a_worker_that_hangs_is_stopped(way, monkeypatch, tmp_path):
    monkeypatch.setenv("GPUX_WORKER_STALL", "2")
    started = time.monotonic()
    with pytest.raises(errors.WorkerFailed, match="it hung: no sign of work for 2 seconds") as caught:
        work(way, mark=str(tmp_path / "mark"))
    assert time.monotonic() - started < 10
    assert "GPUX_WORKER_STALL" in caught.value.hint
    assert ends(int((tmp_path / "mark").read_text()))


def test_a_worker_that_is_slow_but_alive_is_left_alone(monkeypatch):
    monkeypatch.setenv("GPUX_WORKER_STALL", "2")
    assert work("nap") == {"slept": True}


def test_a_worker_that_spins_is_stopped_when_its_time_is_up(monkeypatch, tmp_path):
    monkeypatch.setenv("GPUX_WORKER_TIMEOUT", "2")
    monkeypatch.setenv("GPUX_WORKER_STALL", "3")
    with pytest.raises(errors.WorkerFailed, match="stopped after 2 seconds") as caught:
        work("spin", mark=str(tmp_path / "mark"))
    assert caught.value.hint == "raise GPUX_WORKER_TIMEOUT"
    assert ends(int((tmp_path / "mark").read_text()))


@POSIX
def test_what_libraries_print_is_no_message():
    seen = []
    assert work("loud", progress=seen.append, before="garbage") == {"said": "all"}
    assert [(event.message, event.done, event.total) for event in seen] == [("loud", 1, 2)]


def test_an_error_arrives_as_what_it_was():
    with pytest.raises(errors.UnsupportedModel) as caught:
        work("refuse")
    assert caught.value.as_dict() == {
        "type": "UnsupportedModel",
        "message": "no such family",
        "hint": "try another",
        "details": {"architecture": "Odd", "path": "x", "tried": ["a", 1]},
    }


@POSIX
@pytest.mark.parametrize("limit", ["2000", "1"])
def test_a_worker_that_runs_out_of_memory_is_told_so(monkeypatch, limit):
    monkeypatch.setenv("GPUX_WORKER_MEMORY", limit)
    with pytest.raises(errors.WorkerFailed) as caught:
        work("memory")
    assert caught.value.message == "the worker process failed: it ran out of memory"
    assert "GPUX_WORKER_MEMORY" in caught.value.hint


@pytest.mark.parametrize("kind", ["missing", "folder", "text", "not executable"])
def test_an_interpreter_that_is_none(kind, tmp_path):
    path = tmp_path / "python"
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text("nonsense")
        path.chmod(0o755 if kind == "text" else 0o644)
    with pytest.raises(errors.WorkerFailed, match="cannot be started") as caught:
        parent.run("misbehaving", {}, python=path)
    assert "GPUX_EXPORTER_PYTHON" in caught.value.hint


def test_an_interpreter_that_is_another_program():
    with pytest.raises(errors.WorkerFailed, match="ended with code"):
        parent.run("misbehaving", {"text": "x" * 1_000_000}, python=Path("/bin/false"))


@POSIX
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_parent_that_ends_takes_its_worker_along(how, tmp_path):
    mark = tmp_path / "mark"
    way = "child" if how == signal.SIGINT else "sleep"
    code = (
        "from gpux.worker import parent\n"
        f"parent.run('misbehaving', dict(way={way!r}, mark={str(mark)!r}), environment=dict(PYTHONPATH={str(HERE)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while not (mark.exists() and mark.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    pids = [int(pid) for pid in mark.read_text().split()]
    assert all(map(alive, pids))
    process.send_signal(how)
    _, told = process.communicate(timeout=20)
    assert (how == signal.SIGINT) == (b"KeyboardInterrupt" in told)
    assert ends(*pids)


@POSIX
def test_a_fork_that_holds_the_pipe_keeps_nobody_waiting(tmp_path):
    """A library's own fork in a session of its own: nothing can end it, and the answer is there."""
    mark = tmp_path / "mark"
    started = time.monotonic()
    assert work("orphan", mark=str(mark)) == {"done": True}
    assert time.monotonic() - started < 20
    os.kill(int(mark.read_text()), signal.SIGKILL)


@POSIX
def test_nothing_of_a_worker_s_group_outlives_it(tmp_path):
    """Also where the worker itself ended before it was stopped."""
    mark = tmp_path / "mark"
    worker = parent.Worker("misbehaving", environment={"PYTHONPATH": str(HERE)})
    worker.ask({"way": "answer"})
    worker._send({"way": "child", "mark": str(mark)})
    deadline = time.monotonic() + 10
    while len((mark.read_text() if mark.exists() else "").split()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    first, second = map(int, mark.read_text().split())
    os.kill(first, signal.SIGKILL)
    while alive(first):
        time.sleep(0.01)
    assert alive(second)
    worker.close()
    assert ends(second)
