"""The processes of scripts/gpu_check: each opens one model in one way, and answers what it is asked; prints nothing."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from gpux.errors import GpuxError
from gpux.events import Progress
from gpux.worker import child

SEQUENCE = 32
"""Tokens of every text that is timed."""


def main() -> None:
    """Serve jobs from standard input until the parent ends."""
    seat = Seat()

    def answer(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
        del progress
        return getattr(seat, job["do"])(job)

    child.serve(answer)


def device_memory() -> tuple[dict[str, Any], ...]:
    """Bytes in use and in all of every NVIDIA device, of all programs: by NVML, else by nvidia-smi; nothing elsewhere."""
    from gpux.bench.accelerators import Watch

    watched = Watch.begin().end()
    if watched.devices:
        return tuple({"name": d.name, "used": d.used, "total": d.total} for d in watched.devices)
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    asked = [program, "--query-gpu=name,memory.used,memory.total", "--format=csv,noheader,nounits"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=20).stdout
    rows = [[word.strip() for word in line.split(",")] for line in said.splitlines()]
    return tuple(
        {"name": row[0], "used": int(row[1]) << 20, "total": int(row[2]) << 20}
        for row in rows
        if len(row) == 3 and row[1].isdecimal() and row[2].isdecimal()
    )


class Seat:
    """One model, open in this process."""

    def __init__(self) -> None:
        self._model: Any = None

    def torch(self, job: dict[str, Any]) -> dict[str, Any]:
        """What PyTorch sees here."""
        import torch
        import transformers

        from gpux.export import torch_place

        return {
            "version": torch.__version__,
            "transformers": transformers.__version__,
            "cuda": torch.version.cuda,
            "devices": torch_place.devices(),
        }

    def open(self, job: dict[str, Any]) -> dict[str, Any]:
        """Open a graph and answer one item, with a folder for engines that the job names."""
        from gpux import artifact as artifacts
        from gpux import tasks
        from gpux.discovery import discover
        from gpux.pipelines.pipeline import Clock
        from gpux.planning import Plan
        from gpux.session import open_session

        artifact, available = artifacts.read(Path(job["artifact"])), discover()
        plan = Plan(
            job["provider"],
            job["variant"],
            job["threads"],
            strict=False,
            reason="gpu_check",
            options=job["options"],
        )
        pipeline = tasks.find(artifact.task)
        before = device_memory()
        started = perf_counter()
        session = open_session(
            artifact,
            plan,
            available,
            cache=Path(job["cache"]),
            dimensions=pipeline.dimensions(artifact),
        )
        opened = perf_counter()
        ready = pipeline(artifact, session)
        ready.answer(list(ready.samples())[:1], Clock())
        answered = perf_counter()
        after = device_memory()
        took = [
            {"name": new["name"], "bytes": new["used"] - old["used"]}
            for old, new in zip(before, after, strict=False)
        ]
        return {
            "open": opened - started,
            "first": answered - opened,
            "placement": asdict(session.placement),
            "memory": took,
        }

    def load(self, job: dict[str, Any]) -> dict[str, Any]:
        """Load the model as an application does, or its source in PyTorch."""
        import gpux
        from gpux import artifact as artifacts

        artifact = artifacts.read(Path(job["artifact"]))
        if job["source"]:
            from gpux.campaign.source_model import open_source

            self._model = open_source(
                artifact, Path(job["source"]), task=None, threads=job["threads"], **job["options"]
            )
        else:
            wanted = {name: job[name] for name in ("provider", "variant", "threads", "options")}
            self._model = gpux.load(artifact, quality="any", **wanted)
        return {
            "placement": asdict(self._model.placement),
            "timings": self._model.timings,
            "precision": self._model.placement.precision,
        }

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """The numbers of the answers to the task's own samples."""
        from gpux.bench import agreement

        items = list(self._model.pipeline.samples())[: job["items"]]
        return {"numbers": [agreement.numbers(answer) for answer in self._model(items)]}

    def measure(self, job: dict[str, Any]) -> dict[str, Any]:
        """Seconds of runs of one batch size, by gpux's own benchmark."""
        import gpux

        model = _batched(self._model, job["batch"])
        report = gpux.benchmark(
            model,
            sequence_length=job["sequence"],
            batch_size=job["batch"] if job["batch"] > 1 else None,
            warmup=job["warmup"],
            duration=job["seconds"],
        )
        failures = [failure.message for failure in report.samples.failures]
        return {
            "seconds": list(report.samples.steady.seconds),
            "first": report.summaries.first,
            "failed": failures[0] if failures else None,
            "memory": [asdict(one) for one in report.memory.devices],
        }

    def flood(self, job: dict[str, Any]) -> dict[str, Any]:
        """A batch that cannot fit, and whether the process goes on as before; ``said`` is ``None`` where it did fit."""
        before = self.answer({"items": 2})["numbers"]
        said = self._attempt(lambda: self._model.session.run(self._feeds(job["rows"], job["sequence"])))
        return {"said": said, **self._afterwards(before)}

    def stray(self, job: dict[str, Any]) -> dict[str, Any]:
        """Another model on a device that is not there, and whether the one that is open goes on."""
        import gpux

        before = self.answer({"items": 2})["numbers"]
        wanted = {name: job[name] for name in ("provider", "variant", "options")}
        said = self._attempt(lambda: gpux.load(self._model.artifact, quality="any", **wanted))
        return {"said": said, **self._afterwards(before)}

    def _afterwards(self, before: Any) -> dict[str, Any]:
        found: list[Any] = []
        failed = self._attempt(lambda: found.extend(self.answer({"items": 2})["numbers"]))
        return {"same": failed is None and _same(before, found), "failed": failed}

    def _attempt(self, act: Any) -> dict[str, Any] | None:
        try:
            act()
        except GpuxError as error:
            return {"kind": type(error).__name__, "message": error.message, "hint": error.hint, "clear": True}
        except Exception as error:  # noqa: BLE001 - what is not clear is what is looked for
            return {"kind": type(error).__name__, "message": str(error)[:300], "hint": None, "clear": False}
        return None

    def _feeds(self, rows: int, sequence: int) -> dict[str, Any]:
        import numpy as np

        sizes = [rows, sequence]
        return {
            spec.name: np.ones([sizes[i] if i < 2 else 1 for i in range(len(spec.shape))], spec.dtype)
            for spec in self._model.session.inputs
        }


class _Batched:
    """A session as it is, but for how many items its task takes together."""

    def __init__(self, session: Any, batch: int) -> None:
        self._session = session
        self.plan = replace(session.plan, batch=batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


def _batched(model: Any, batch: int) -> Any:
    from gpux.model import Model

    session: Any = _Batched(model.session, batch)
    return Model(
        model.artifact,
        model.request,
        session.plan,
        session,
        type(model.pipeline)(model.artifact, session),
        task=model.task,
        timings=model.timings,
    )


def _same(one: Any, other: Any) -> bool:
    from gpux.bench import agreement

    cosine = agreement.cosine(one, other)
    return cosine is not None and cosine > 0.9999
