"""The process of one configuration: opens a model, measures a round whenever it is told to, and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux.bench import memory
from gpux.bench.memory import Peak
from gpux.errors import RunFailed
from gpux.events import Event, Progress, silent
from gpux.worker import child

if TYPE_CHECKING:
    from gpux.bench.trial import Trial
    from gpux.model import Model


def main() -> None:
    """Serve jobs from standard input until the parent ends."""
    child.serve(_Bench().answer)


class _Bench:
    def __init__(self) -> None:
        self._trial: Trial | None = None
        self._progress: Progress = silent

    def answer(self, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
        self._progress = progress
        if job["do"] == "open":
            return self._open(job)
        if self._trial is None:
            raise RunFailed("no model is open in this process", hint="run the command again")
        if job["do"] == "round":
            self._trial.round(runs=job["runs"], seconds=job["seconds"])
            return {"done": self._trial.done, "broken": self._trial.broken}
        report = self._trial.report(interrupted=job["interrupted"])
        # Through a file: a hundred thousand samples are megabytes, and the pipe is for messages.
        Path(job["path"]).write_text(report.to_json(), encoding="utf-8")
        return {"answers": self._trial.answers() if job["answers"] else None}

    def _open(self, job: dict[str, Any]) -> dict[str, Any]:
        peak, before = Peak.begin(), memory.resident()
        from gpux.bench.records import decode
        from gpux.bench.settings import Settings
        from gpux.bench.trial import Trial

        settings = decode(Settings, job["settings"])
        model = _load(job)
        model.preparation = job["preparation"]
        self._trial = Trial(
            model,
            _inputs(job, model),
            settings,
            parameters=settings.parameters,
            mode=job["mode"],
            before=before,
            peak=peak,
            tick=self._tick,
            stop=child.HURRY,
        )
        self._trial.begin()
        return {"resident": memory.resident()}

    def _tick(self, phase: str, done: int, total: int | None) -> None:
        self._progress(Event("measure", phase, done, total, "runs"))


def _inputs(job: dict[str, Any], model: Model) -> Any:
    given = job["inputs"]
    if given is None or not job["typed"]:
        return given
    return [model.pipeline.parse(item) if isinstance(item, str) else item for item in given]


def _load(job: dict[str, Any]) -> Model:
    from gpux import artifact as artifacts

    artifact = artifacts.read(Path(job["artifact"]))
    if job["mode"] == "torch":
        from gpux.campaign.source_model import open_source

        return open_source(artifact, Path(job["source"]), task=job["task"], threads=job["threads"])
    from gpux.loading import load

    return load(
        artifact,
        provider=job["provider"],
        variant=job["variant"],
        task=job["task"],
        threads=job["threads"],
        strict=job["strict"],
        quality=job["quality"],
    )
