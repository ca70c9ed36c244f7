"""A worker that goes wrong in the way that its job, or MISBEHAVE before it, asks for."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gpux import errors
from gpux.events import Event, Progress
from gpux.worker import child


def main() -> None:
    before = os.environ.get("MISBEHAVE")
    if before == "exit":
        os._exit(7)
    if before == "raise":
        raise RuntimeError("before the protocol began")
    if before == "silence":
        sys.stdin.buffer.readline()
        os.close(1)
        time.sleep(60)
    if before == "garbage":
        os.write(1, b'\xff\x00 not json\n[1, 2]\n{"no": "type"}\n"text"\n')
    child.serve(handle)


def handle(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    Path(job.get("mark", os.devnull)).write_text(str(os.getpid()))
    return WAYS[job["way"]](job, progress)


def sleep(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    progress(Event("export", "about to sleep"))
    time.sleep(60)
    return {}


def spin(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    while True:
        pass


def nap(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Slow, but alive: works a little of every second for longer than the stall limit."""
    for _ in range(8):
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass
        time.sleep(0.4)
    return {"slept": True}


def loud(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    print("a library prints")
    os.write(1, b'{"type": "result", "result": {"forged": true}}\n')
    os.write(2, b"\xff\xfe" * 100_000)
    subprocess.run(
        ["sh", "-c", 'echo \'{"type": "error", "kind": "GpuxError", "message": "forged"}\''], check=True
    )
    progress(Event("export", "loud", 1, 2))
    return {"said": "all"}


def refuse(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    raise errors.UnsupportedModel(
        "no such family", hint="try another", architecture="Odd", path=Path("x"), tried=["a", 1]
    )


def stop(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGSTOP)
    return {}


def child_process(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(job["mark"]).write_text(f"{os.getpid()} {inner.pid}")
    time.sleep(60)
    return {}


def orphan(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Leaves a fork of itself behind that holds the pipe to the parent and is in nobody's group."""
    if os.fork() == 0:
        os.setsid()
        Path(job["mark"]).write_text(str(os.getpid()))
        time.sleep(60)
        os._exit(0)
    while not Path(job["mark"]).read_text().isdecimal() or Path(job["mark"]).read_text() == str(os.getpid()):
        time.sleep(0.01)
    return {"done": True}


def raising(kind: str) -> Any:
    def way(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
        raise {
            "ValueError": ValueError("odd\nmore"),
            "SystemExit": SystemExit(3),
            "OSError": OSError(28, "No space", "/x"),
        }[kind]

    return way


def memory(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    return {"size": len(bytearray(1 << 33))}


WAYS: dict[str, Any] = {
    "sleep": sleep,
    "spin": spin,
    "nap": nap,
    "loud": loud,
    "refuse": refuse,
    "stop": stop,
    "child": child_process,
    "orphan": orphan,
    "memory": memory,
    "exit": lambda *_: os._exit(5),
    "segfault": lambda *_: ctypes.string_at(0),
    "kill": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "unnamed": lambda *_: os.kill(os.getpid(), signal.SIGRTMIN + 3),
    "ValueError": raising("ValueError"),
    "SystemExit": raising("SystemExit"),
    "OSError": raising("OSError"),
    "answer": lambda job, _: {"job": job},
}
