"""The side that asks: starts the process, passes progress on, and turns a death, a hang or a crash into one clear error."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gpux import errors, settings
from gpux.events import Event, Progress, silent

# Loads the gpux package from its own directory without putting that directory's neighbours (this environment's
# site-packages) on the path of what may be another environment's interpreter.
_BOOT = """
import importlib, importlib.util, sys
spec = importlib.util.spec_from_file_location("gpux", sys.argv[1], submodule_search_locations=[sys.argv[2]])
sys.modules["gpux"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
importlib.import_module(sys.argv[3]).main()
"""
_PACKAGE = Path(__file__).resolve().parent.parent
_TAIL = 4000
_GRACE = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """When a worker is stopped: seconds in all, seconds without any sign of work, MiB of address space."""

    timeout: float
    stall: float
    memory: int | None


def limits() -> Limits:
    """The limits that the ``GPUX_WORKER_*`` settings ask for."""
    return Limits(settings.worker_timeout(), settings.worker_stall(), settings.worker_memory())


def run(
    module: str,
    job: Mapping[str, Any],
    *,
    python: Path | None = None,
    progress: Progress = silent,
    environment: Mapping[str, str] | None = None,
    bounds: Limits | None = None,
) -> dict[str, Any]:
    """Run one job in a worker process and return its result; arguments and errors as for :class:`Worker`."""
    with Worker(module, python=python, environment=environment, bounds=bounds) as worker:
        return worker.ask(job, progress)


class Worker:
    """A worker process that answers one job after the other; a context manager that ends it.

    Args:
        module: The worker's module; its ``main`` calls :func:`gpux.worker.child.serve`.
        python: The interpreter; this one when ``None``.
        environment: Variables set for the worker on top of this process's.
        bounds: When it is stopped, job by job; :func:`limits` when ``None``.

    Attributes:
        bounds: The same, for the jobs that follow.

    Raises:
        WorkerFailed: The interpreter cannot be started.
    """

    def __init__(
        self,
        module: str,
        *,
        python: Path | None = None,
        environment: Mapping[str, str] | None = None,
        bounds: Limits | None = None,
    ) -> None:
        self.bounds = bounds or limits()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            self._process = _start(module, python or Path(sys.executable), environment or {}, self._log)
        except BaseException:
            self._log.close()
            raise
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        assert self._process.stdout is not None  # noqa: S101 - for the type checker: Popen was given pipes
        self._listener = threading.Thread(
            target=_listen, args=(self._process.stdout, self._messages), daemon=True
        )
        self._listener.start()

    def ask(self, job: Mapping[str, Any], progress: Progress = silent) -> dict[str, Any]:
        """Have one job done.

        Args:
            job: JSON-able; passed on standard input, so that nothing of it shows in the process list.
            progress: Receives the worker's progress.

        Raises:
            GpuxError: What the worker itself raised, as the same class.
            WorkerFailed: It died, hung, ran out of memory or of time; the message says which.
        """
        self._send({**job, "memory": self.bounds.memory})
        return self._converse(progress)

    def hurry(self) -> None:
        """Ask the job under way to end early, with what it has; :meth:`finish` gives that."""
        self._send({"hurry": True})

    def finish(self, progress: Progress = silent) -> dict[str, Any]:
        """Wait for the job under way, whose :meth:`ask` was left by an exception; errors as there."""
        return self._converse(progress)

    def close(self) -> None:
        """End the process, whatever it does."""
        _stop(self._process)
        # Whoever the worker forked may hold its end of the pipe for ever: the listener closes ours when it can.
        self._listener.join(_GRACE)
        self._log.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        stream = self._process.stdin
        assert stream is not None  # noqa: S101 - Popen was given pipes
        with contextlib.suppress(OSError):  # it died: reported by the conversation
            stream.write(json.dumps(message).encode() + b"\n")
            stream.flush()

    def _converse(self, progress: Progress) -> dict[str, Any]:
        bounds, log = self.bounds, self._log
        started = seen = time.monotonic()
        processor = -1.0
        while True:
            try:
                message = self._messages.get(timeout=1.0)
            except queue.Empty:
                message = {"type": "nothing"}
            now = time.monotonic()
            if message is None:
                raise _death(self._process, bounds.memory, log)
            kind = message["type"]
            if kind == "result":
                result: dict[str, Any] = message["result"]
                return result
            if kind == "error":
                raise _same(message, log)
            if kind == "progress":
                progress(
                    Event(
                        message["stage"],
                        message["message"],
                        message.get("done"),
                        message.get("total"),
                        message.get("unit", "B"),
                    )
                )
            if kind == "progress" or (kind == "beat" and message["processor"] - processor > 0.05):
                seen, processor = now, message.get("processor", processor)
            if now - seen > bounds.stall:
                raise _failed(
                    f"it hung: no sign of work for {bounds.stall:g} seconds",
                    "raise GPUX_WORKER_STALL if it was only slow",
                    log,
                )
            if now - started > bounds.timeout:
                raise _failed(
                    f"it was stopped after {bounds.timeout:g} seconds", "raise GPUX_WORKER_TIMEOUT", log
                )


def _start(
    module: str, python: Path, environment: Mapping[str, str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    command = [
        str(python),
        "-P",
        "-X",
        "utf8",
        "-c",
        _BOOT,
        str(_PACKAGE / "__init__.py"),
        str(_PACKAGE),
        module,
    ]
    variables = {**os.environ, **environment}
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=variables,
            start_new_session=os.name == "posix",
            creationflags=flags,
        )
    except OSError as error:
        raise errors.WorkerFailed(
            f"the interpreter `{python}` cannot be started: {error.strerror or error}",
            hint="check GPUX_EXPORTER_PYTHON, or unset it",
            python=str(python),
        ) from error


def _listen(stream: IO[bytes], messages: queue.Queue[dict[str, Any] | None]) -> None:
    with stream:
        for line in stream:
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict) and "type" in message:
                    messages.put(message)
    messages.put(None)


def _same(message: dict[str, Any], log: IO[bytes]) -> errors.GpuxError:
    kind = getattr(errors, str(message.get("kind")), None)
    if isinstance(kind, type) and issubclass(kind, errors.GpuxError):
        return kind(message["message"], hint=message.get("hint"), **message.get("details", {}))
    if message.get("kind") == "MemoryError":
        hint = "close other programs, or raise GPUX_WORKER_MEMORY"
        return _failed("it ran out of memory", hint, log, cause="memory")
    return _failed(
        f"{message.get('kind')}: {message['message']}",
        "run again with GPUX_LOG=debug for its full output",
        log,
    )


def _death(process: subprocess.Popen[bytes], mebibytes: int | None, log: IO[bytes]) -> errors.WorkerFailed:
    try:
        code = process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        return _failed("it closed its output and did not end", "run again", log)
    if code == -getattr(signal, "SIGKILL", 9):
        return _failed(
            "it was killed, most likely for want of memory",
            "close other programs, or use a machine with more memory",
            log,
            cause="memory",
        )
    if code < 0:
        named = {number.value: number.name for number in signal.Signals}
        if mebibytes:
            # Libraries in C++ that get no memory raise what nobody catches, or use what they did not get.
            return _failed(
                f"it crashed with {named.get(-code, f'signal {-code}')} under its memory limit of {mebibytes} MiB",
                "raise GPUX_WORKER_MEMORY",
                log,
                cause="memory",
            )
        return _failed(
            f"it crashed with {named.get(-code, f'signal {-code}')}",
            "run again with GPUX_LOG=debug for its full output",
            log,
        )
    return _failed(
        f"it ended with code {code} and no answer", "run again with GPUX_LOG=debug for its full output", log
    )


def _failed(why: str, hint: str, log: IO[bytes], *, cause: str = "") -> errors.WorkerFailed:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - _TAIL))
    output = log.read().decode("utf-8", "replace").strip()
    details = {"cause": cause} if cause else {}
    return errors.WorkerFailed(f"the worker process failed: {why}", hint=hint, output=output, **details)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
    if process.returncode is None:  # not reaped: its number is still its own, and its group's
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    process.wait()
