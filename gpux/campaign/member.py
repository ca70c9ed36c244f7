"""One configuration of a campaign as its conductor sees it: a bench to measure on, and what came of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from gpux.bench.report import Report
from gpux.campaign.axes import Configuration
from gpux.errors import GpuxError, WorkerFailed
from gpux.events import Progress

Answers = list[list[float] | None]
"""The numbers of each answer to the first query; ``None`` for one that holds none."""


class Bench(Protocol):
    """Where a configuration is measured: :class:`gpux.campaign.remote.Remote`, :class:`gpux.campaign.local.Local`."""

    def open(self, progress: Progress) -> int | None:
        """Load, run for the first time, warm up; bytes that its process takes then, where it has one of its own."""
        ...

    def round(self, *, runs: int | None, seconds: float | None, progress: Progress) -> bool:
        """Steady runs; whether so many failed in a row that nothing more will come of it."""
        ...

    def report(
        self, *, answers: bool, interrupted: bool, progress: Progress
    ) -> tuple[Report, Answers | None]:
        """Everything so far, and its answers to the first query where they are asked for."""
        ...

    def hurry(self, progress: Progress) -> None:
        """End what is under way after the runs under way."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


class Member:
    """A configuration on its bench; what goes wrong there is kept, so that the others go on.

    Args:
        configuration: What is measured.
        bench: Where; ``None`` where it cannot be.
        error: Why not.

    Attributes:
        resident: Bytes of its process when its model was warm; ``None`` before, and where it has none of its own.
        report: Its last report.
        answers: The numbers of its answers to the first query.
        error: Why it has no report, or why it stopped.
        alive: Whether it can be asked for more.
    """

    def __init__(
        self, configuration: Configuration, bench: Bench | None, *, error: GpuxError | None = None
    ) -> None:
        self.configuration = configuration
        self.resident: int | None = None
        self.report: Report | None = None
        self.answers: Answers | None = None
        self.error = error
        self.alive = False
        self._bench = bench
        self._open = False

    def open(self, progress: Progress) -> None:
        """Load the model, run it for the first time and warm it up."""
        assert self._bench is not None  # noqa: S101 - the conductor is given those that have one
        self.error = None
        with self._kept():
            self._open = True
            self.resident = self._bench.open(progress)
            self.alive = True

    def round(self, *, runs: int | None, seconds: float | None, progress: Progress) -> None:
        """One round of steady runs."""
        assert self._bench is not None  # noqa: S101
        with self._kept():
            self.alive = not self._bench.round(runs=runs, seconds=seconds, progress=progress)

    def tell(self, progress: Progress, *, last: bool, interrupted: bool = False) -> None:
        """Fetch the report so far; with the answers where it is the last and nothing went wrong."""
        if self._bench is None or not self._open:
            return
        with self._kept():
            answers = last and self.alive and not interrupted
            found = self._bench.report(answers=answers, interrupted=interrupted, progress=progress)
            self.report, self.answers = found

    def hurry(self, progress: Progress) -> None:
        """End what is under way after the runs under way."""
        if self._bench is not None and self._open:
            with self._kept():
                self._bench.hurry(progress)

    def close(self) -> None:
        """Let go of everything but what came of it."""
        self.alive = self._open = False
        if self._bench is not None:
            self._bench.close()

    def starved(self) -> bool:
        """Whether it ended for want of memory."""
        return isinstance(self.error, WorkerFailed) and self.error.details.get("cause") == "memory"

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except GpuxError as error:
            self.error = error
            self.close()
