"""The process of one configuration: opens a model, measures a round whenever it is told to, and reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux.bench import memory
from gpux.campaign import opening
from gpux.errors import RunFailed
from gpux.events import Progress
from gpux.worker import child

if TYPE_CHECKING:
    from gpux.bench.trial import Trial


_TOLD = 20_000
"""Runs of a round whose seconds are told with it; the report has all."""


def main() -> None:
    """Serve jobs from standard input until the parent ends."""
    child.serve(_Bench().answer)


class _Bench:
    def __init__(self) -> None:
        self._trial: Trial | None = None

    def answer(self, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
        if job["do"] == "open":
            _, self._trial = opening.trial(job, progress, stop=child.HURRY)
            self._trial.begin()
            who = self._trial.identity
            return {
                "resident": memory.resident(),
                "pace": self._trial.pace,
                "precision": who.precision,
                "share": who.share,
            }
        if self._trial is None:
            raise RunFailed("no model is open in this process", hint="run the command again")
        if job["do"] == "round":
            before = self._trial.done
            self._trial.round(runs=job["runs"], seconds=job["seconds"], more=job["more"])
            return {
                "begun": self._trial.begun,
                "broken": self._trial.broken,
                "paces": self._trial.paces(before)[-_TOLD:],
            }
        if job["do"] == "answer":
            return {"answers": self._trial.answers()}
        report = self._trial.report(interrupted=job["interrupted"])
        # Through a file: a hundred thousand samples are megabytes, and the pipe is for messages.
        Path(job["path"]).write_text(report.to_json(), encoding="utf-8")
        return {}
