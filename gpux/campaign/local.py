"""A configuration in this process, beside all others: what ``--isolate off`` asks for; they disturb each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpux.bench.report import Report
from gpux.campaign import opening
from gpux.campaign.member import Answers, Ready, Round
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

    def open(self, progress: Progress) -> Ready:
        """Load the model, run it for the first time and warm it up."""
        self._model, self._trial = opening.trial(self._job, progress, shared=True)
        self._trial.begin()
        return Ready(None, self._trial.pace)

    def round(self, *, runs: int | None, seconds: float | None, more: bool, progress: Progress) -> Round:
        """Steady runs, of a round of their own or more of the one before."""
        trial = self._opened()
        trial.round(runs=runs, seconds=seconds, more=more)
        return Round(trial.begun, trial.broken)

    def report(self, *, interrupted: bool, progress: Progress) -> Report:
        """Everything so far."""
        return self._opened().report(interrupted=interrupted)

    def answers(self, progress: Progress) -> Answers:
        """The numbers of the answers to the first query."""
        return self._opened().answers()

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
