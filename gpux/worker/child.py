"""The side that works: reads jobs, speaks JSON lines on the real standard output, and ends when its parent does."""

from __future__ import annotations

import errno
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from gpux.errors import GpuxError
from gpux.events import Event, Progress

Handler = Callable[[dict[str, Any], Progress], dict[str, Any]]
_BEAT = 1.0


HURRY = threading.Event()
"""Set when the parent wants the job under way to end early, with what it has."""


def serve(handler: Handler) -> None:
    """Answer jobs one after the other, and end the process when the parent does.

    Args:
        handler: Takes the job and a progress; returns the result. What it raises goes back as an error.
    """
    voice = _Voice()
    jobs: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_follow_parent, args=(jobs,), daemon=True).start()
    threading.Thread(target=voice.beat, daemon=True).start()
    while True:
        job = jobs.get()
        HURRY.clear()
        voice.working.set()
        answer = _answer(handler, job, voice)
        voice.working.clear()
        sys.stderr.flush()
        voice.say(answer)


def _answer(handler: Handler, job: dict[str, Any], voice: _Voice) -> dict[str, Any]:
    try:
        _limit(job.pop("memory", None))
        return {"type": "result", "result": handler(job, voice.progress)}
    except GpuxError as error:
        details = {k: v for k, v in error.as_dict().items() if k != "type"}
        return {"type": "error", "kind": type(error).__name__, **details}
    except BaseException as error:  # noqa: BLE001 - the parent must hear of anything, an exit included
        import traceback

        traceback.print_exc()
        return _told(error)


def _told(error: BaseException) -> dict[str, Any]:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        full = "the disk is full, or its quota used up" + (
            f", at `{error.filename}`" if error.filename else ""
        )
        hint = "gpux prune, or set GPUX_HOME to a disk with room"
        return {"type": "error", "kind": "StoreUnwritable", "message": full, "hint": hint}
    lines = str(error).strip().splitlines()
    return {"type": "error", "kind": type(error).__name__, "message": lines[0] if lines else ""}


class _Voice:
    """The protocol's own file: libraries that print go to standard error."""

    def __init__(self) -> None:
        self.working = threading.Event()
        self._lock = threading.Lock()
        self._stream = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    def say(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._stream.write(json.dumps(message).encode() + b"\n")

    def progress(self, event: Event) -> None:
        self.say(
            {
                "type": "progress",
                "stage": event.stage,
                "message": event.message,
                "done": event.done,
                "total": event.total,
                "unit": event.unit,
            }
        )

    def beat(self) -> None:
        while self.working.wait():
            time.sleep(_BEAT)
            self.say({"type": "beat", "processor": time.process_time()})


def _follow_parent(jobs: queue.SimpleQueue[dict[str, Any]]) -> None:
    # The parent keeps standard input open while it lives, so the end of it means that the parent is gone. Nothing is
    # freed then: toolchains leave threads and exit hooks behind that can hang or crash after the work is done.
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "hurry" in message:
            HURRY.set()
        else:
            jobs.put(message)
    os._exit(0)


def _limit(mebibytes: int | None) -> None:
    if mebibytes and os.name == "posix":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (mebibytes << 20, mebibytes << 20))
