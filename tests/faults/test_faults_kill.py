"""``kill -9`` at any moment of a pull or a removal: the store stays whole, and the next pull succeeds."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small import gone, surroundings, whole
from small import gpux as command

import gpux

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system has no /proc")

PULL = "import sys, gpux; gpux.pull(sys.argv[1])"
REMOVE = "import sys, gpux; s = gpux.Store(); s.remove(s.plan_removal([sys.argv[1]]))"
# Counts what a process asks the file system to change below the store, and ends it before the change of that number.
COUNTED = """
import os, signal, sys
home, last, seen = os.environ["GPUX_HOME"], int(os.environ["KILL_AT"]), 0
def count(event, arguments):
    global seen
    changes = event in {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.truncate"} or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if changes and any(isinstance(a, (str, bytes)) and os.fsdecode(a).startswith(home) for a in arguments[:2]):
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
"""


def start(code: str, repo: Path, home: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(repo)],
        env=surroundings(home, **environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def end(process: subprocess.Popen[bytes]) -> int:
    _, told = process.communicate(timeout=60)
    assert process.returncode in {0, -signal.SIGKILL}, told.decode()
    return process.returncode


def nothing_left(home: Path) -> bool:
    store = gpux.Store(home)
    store.remove(store.plan_prune())
    litter = [*store.temporary.iterdir(), *store.strays(), *store.broken()]
    return not litter and store.digests() == sorted({entry.digest for entry in store.entries()})


def test_fifty_random_moments_of_a_pull(repo, empty_store):
    started = time.monotonic()
    assert end(start(PULL, repo, empty_store)) == 0
    duration = time.monotonic() - started
    moments, killed = random.Random(20261122), 0
    for _ in range(50):
        store = gpux.Store()
        store.remove(store.plan_removal([entry.name for entry in store.entries()]))
        process = start(PULL, repo, empty_store)
        time.sleep(moments.uniform(0.1, 1.0) * duration)
        process.send_signal(signal.SIGKILL)
        killed += end(process) < 0
        assert whole(empty_store) in {0, 1}
        assert gone(empty_store), "a worker outlived its parent"
        assert gpux.pull(str(repo)).certificate.quality == "exact"
        assert whole(empty_store) == 1
    assert killed >= 25
    assert nothing_left(empty_store)
    assert command("verify", home=empty_store, check=True).stdout.rstrip().endswith("ok")


@pytest.mark.parametrize(("damaged", "step"), [(False, 1), (True, 4)], ids=["absent", "damaged"])
def test_before_every_change_that_a_pull_makes(repo, empty_store, damaged, step):
    for number in range(1, 200, step):
        store = gpux.Store()
        if damaged:
            graph = gpux.pull(str(repo)).path("fp32/model.onnx")
            graph.write_bytes(graph.read_bytes()[:-1] + b"!")
        else:
            store.remove(store.plan_removal([entry.name for entry in store.entries()]))
        code = end(start(COUNTED + PULL, repo, empty_store, KILL_AT=str(number)))
        if not damaged:
            assert whole(empty_store) in {0, 1}
        if code == 0:
            break
        assert gpux.pull(str(repo)).certificate.quality == "exact"
        assert whole(empty_store) == 1
    assert number > 10
    assert gone(empty_store)
    assert nothing_left(empty_store)


def test_before_every_change_that_a_removal_makes(repo, empty_store):
    for number in range(1, 200):
        gpux.pull(str(repo))
        code = end(start(COUNTED + REMOVE, repo, empty_store, KILL_AT=str(number)))
        assert whole(empty_store) in {0, 1}
        if code == 0:
            break
    assert number > 5
    assert whole(empty_store) == 0
    assert nothing_left(empty_store)
    gpux.pull(str(repo))
    assert whole(empty_store) == 1


def test_twenty_random_moments_of_the_rm_command(repo, empty_store):
    moments = random.Random(7)
    for _ in range(20):
        gpux.pull(str(repo))
        process = subprocess.Popen(
            [sys.executable, "-m", "gpux", "rm", str(repo)], env=surroundings(empty_store),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(moments.uniform(0.05, 0.16))
        process.send_signal(signal.SIGKILL)
        end(process)
        assert whole(empty_store) in {0, 1}
    assert nothing_left(empty_store)


def test_a_killed_pull_holds_no_lock(repo, empty_store):
    process = start(PULL.replace("sys.argv[1])", "sys.argv[1], progress=print)"), repo, empty_store)
    deadline = time.monotonic() + 20
    while not list((empty_store / "tmp").glob("*/route-ready")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    end(process)
    started = time.monotonic()
    gpux.pull(str(repo))
    assert time.monotonic() - started < 20


def test_a_workspace_in_use_is_not_pruned(empty_store):
    store = gpux.Store()
    with store.workspace() as directory:
        (directory / "half").write_bytes(b"x")
        assert store.plan_prune().leftovers == ()
        command("prune", home=empty_store, check=True)
        assert (directory / "half").exists()
    assert list(store.temporary.iterdir()) == []
