"""A configuration in this process, beside all others: what ``--isolate off`` asks for; they disturb each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpux.bench.report import Report
from gpux.campaign import opening
from gpux.campaign.member import Answers
from gpux.events import Progress

if TYPE_CHECKING:
    from gpux.bench.trial import Trial
    from gpux.model import Model


class Local:
    """One loaded model; a :class:`gpux.campaign.member.Bench`.

    Args:
        job: What it opens and how that is measured.
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        self._job = job
        self._model: Model | None = None
        self._trial: Trial | None = None

    def open(self, progress: Progress) -> int | None:
        """Load the model, run it for the first time and warm it up."""
        self._model, self._trial = opening.trial(self._job, progress)
        self._trial.begin()
        return None

    def round(self, *, runs: int | None, seconds: float | None, progress: Progress) -> bool:
        """Steady runs; whether so many failed in a row that nothing more will come of it."""
        trial = self._opened()
        trial.round(runs=runs, seconds=seconds)
        return trial.broken

    def report(
        self, *, answers: bool, interrupted: bool, progress: Progress
    ) -> tuple[Report, Answers | None]:
        """Everything so far, and the numbers of its answers to the first query where they are asked for."""
        trial = self._opened()
        return trial.report(interrupted=interrupted), trial.answers() if answers else None

    def hurry(self, progress: Progress) -> None:
        """Nothing is under way: Ctrl-C came in this process."""

    def close(self) -> None:
        """Let go of the model."""
        if self._trial is not None:
            self._trial.close()
        if self._model is not None:
            self._model.close()
        self._trial = self._model = None

    def _opened(self) -> Trial:
        assert self._trial is not None  # noqa: S101 - it is opened first
        return self._trial
