"""A job → an open model and its trial, in whichever process it is to run."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux.bench import memory
from gpux.bench.memory import Peak
from gpux.events import Event, Progress

if TYPE_CHECKING:
    from gpux.bench.trial import Trial
    from gpux.model import Model


def trial(
    job: Mapping[str, Any],
    progress: Progress,
    *,
    stop: threading.Event | None = None,
    shared: bool = False,
) -> tuple[Model, Trial]:
    """Load what a job names.

    Args:
        job: ``artifact`` (its directory), ``mode``, ``provider``, ``variant``, ``task``, ``threads``, ``strict``,
            ``quality``, ``options``, ``batch``, ``preparation`` (seconds), ``inputs``, ``typed``, ``settings``; for
            ``torch`` also ``source`` (the checkpoint's directory) and, where it is not the CPU in fp32, ``device`` and ``precision``.
        progress: Receives phases and runs.
        stop: Set to end a phase after the runs under way.
        shared: Whether other models are measured in this process.

    Raises:
        GpuxError: The model cannot be loaded, or its task cannot take the inputs.
    """
    # Read before anything heavy is imported: what a process takes for a model counts its runtime's code too.
    peak, before = Peak.begin(), memory.resident()
    from gpux.bench.records import decode
    from gpux.bench.settings import Settings
    from gpux.bench.trial import Trial

    def tick(phase: str, done: int, total: int | None) -> None:
        progress(Event("measure", phase, done, total, "runs"))

    settings = decode(Settings, job["settings"])
    model = _load(job)
    model.preparation = dict(job["preparation"])
    found = Trial(
        model,
        _inputs(job, model),
        settings,
        parameters=settings.parameters,
        mode=job["mode"],
        before=before,
        peak=peak,
        shared=shared,
        tick=tick,
        stop=stop,
    )
    return model, found


def _inputs(job: Mapping[str, Any], model: Model) -> Any:
    given = job["inputs"]
    if given is None or not job["typed"]:
        return given
    return [model.pipeline.parse(item) if isinstance(item, str) else item for item in given]


def _load(job: Mapping[str, Any]) -> Model:
    from gpux import artifact as artifacts

    artifact = artifacts.read(Path(job["artifact"]))
    if job["mode"] == "torch":
        from gpux.campaign.source_model import open_source

        return open_source(
            artifact,
            Path(job["source"]),
            task=job["task"],
            threads=job["threads"],
            device=job.get("device", "cpu"),
            precision=job.get("precision", "fp32"),
        )
    from gpux.loading import load

    return load(
        artifact,
        provider=job["provider"],
        variant=job["variant"],
        task=job["task"],
        threads=job["threads"],
        strict=job["strict"],
        quality=job["quality"],
        options=job["options"],
        batch=job["batch"],
    )
