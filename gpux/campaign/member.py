"""One configuration of a campaign as its conductor sees it: a bench to measure on, and what came of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from gpux.bench.report import Report
from gpux.campaign.axes import Configuration
from gpux.errors import GpuxError, WorkerFailed
from gpux.events import Progress

Answers = list[list[float] | None]
"""The numbers of each answer to the first query; ``None`` for one that holds none."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A bench whose model is warm.

    Attributes:
        resident: Bytes that its process takes; ``None`` where it has none of its own, or the system does not say.
        pace: Seconds of a run.
        precision: What it really computes in, where that was told.
        share: Share of the graph on its provider, from 0 to 1, where that was told.
    """

    resident: int | None
    pace: float
    precision: str | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What became of some steady runs.

    Attributes:
        begun: Steady runs that began by now.
        broken: Whether nothing more will come of it.
        paces: Seconds per item of those runs that were answered, in their order.
    """

    begun: int
    broken: bool
    paces: tuple[float, ...] = ()


class Bench(Protocol):
    """Where a configuration is measured: :class:`gpux.campaign.remote.Remote`, :class:`gpux.campaign.local.Local`."""

    def open(self, progress: Progress) -> Ready:
        """Load, run for the first time, warm up."""
        ...

    def round(self, *, runs: int | None, seconds: float | None, more: bool, progress: Progress) -> Round:
        """Steady runs, of a round of their own or more of the one before."""
        ...

    def report(self, *, interrupted: bool, progress: Progress) -> Report:
        """Everything so far."""
        ...

    def answers(self, progress: Progress) -> Answers:
        """The numbers of the answers to the first query."""
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
        ready: What is known of it once its model is warm.
        begun: Steady runs that began so far, failed ones too.
        report: Its last report.
        answers: The numbers of its answers to the first query.
        error: Why it has no report, or why it stopped.
        alive: Whether it can be asked for more.
    """

    def __init__(
        self, configuration: Configuration, bench: Bench | None, *, error: GpuxError | None = None
    ) -> None:
        self.configuration = configuration
        self.ready: Ready | None = None
        self.begun = 0
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
            self.ready = self._bench.open(progress)
            self.alive = True

    def round(self, *, runs: int | None, seconds: float | None, more: bool, progress: Progress) -> None:
        """Steady runs, of a round of their own or more of the one before."""
        assert self._bench is not None  # noqa: S101
        with self._kept():
            found = self._bench.round(runs=runs, seconds=seconds, more=more, progress=progress)
            self.begun, self.alive = found.begun, not found.broken

    def tell(self, progress: Progress, *, interrupted: bool = False) -> None:
        """Fetch the report so far."""
        if self._bench is not None and self._open:
            with self._kept():
                self.report = self._bench.report(interrupted=interrupted, progress=progress)

    def answer(self, progress: Progress) -> None:
        """Fetch the answers, to compare them with others'; without them there is nothing to compare, and no harm done."""
        if self._bench is not None and self.alive:
            with contextlib.suppress(GpuxError):
                self.answers = self._bench.answers(progress)

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
        except Exception as error:  # noqa: BLE001 - in this process a model's own errors come as they are
            cause = {"cause": "memory"} if isinstance(error, MemoryError) else {}
            said = str(error).strip().splitlines()
            self.error = WorkerFailed(
                f"{type(error).__name__}: {said[0]}" if said else type(error).__name__,
                hint="leave --isolate off out: a process of its own is cleared away",
                **cause,
            )
            self.close()
