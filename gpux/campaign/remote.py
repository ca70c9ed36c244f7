"""A configuration in a process of its own: jobs for ``gpux.campaign.child`` and what it answers."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gpux.bench.report import Report
from gpux.campaign.member import Answers, Ready, Round
from gpux.events import Progress
from gpux.worker.parent import Limits, Worker, limits


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process runs: an interpreter (this one when ``None``), its variables, and its source model."""

    python: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = None


class Remote:
    """One process; a :class:`gpux.campaign.member.Bench`.

    Args:
        job: What it opens and how that is measured.
        place: Where it runs.
        bounds: When it is given up; as long as a benchmark was asked to last when ``None``.
    """

    def __init__(self, job: Mapping[str, Any], place: Place, *, bounds: Limits | None = None) -> None:
        self._job = {**job, "source": str(place.source) if place.source else None}
        self._place = place
        self._bounds = bounds or _bounds(job["settings"]["rate"])
        self._worker: Worker | None = None
        self._busy = False

    def open(self, progress: Progress) -> Ready:
        """Start the process, load the model, run it for the first time and warm it up."""
        self._worker = Worker(
            "gpux.campaign.child",
            python=self._place.python,
            environment=self._place.environment,
            bounds=self._bounds,
        )
        return Ready(**self._ask({"do": "open", **self._job}, progress))

    def round(self, *, runs: int | None, seconds: float | None, more: bool, progress: Progress) -> Round:
        """Steady runs, of a round of their own or more of the one before."""
        found = self._ask({"do": "round", "runs": runs, "seconds": seconds, "more": more}, progress)
        return Round(found["begun"], found["broken"], tuple(found["paces"]))

    def report(self, *, interrupted: bool, progress: Progress) -> Report:
        """Everything so far."""
        with tempfile.TemporaryDirectory(prefix="gpux-bench-") as folder:
            path = Path(folder) / "report.json"
            self._ask({"do": "report", "path": str(path), "interrupted": interrupted}, progress)
            return Report.from_json(path.read_bytes())

    def answers(self, progress: Progress) -> Answers:
        """The numbers of the answers to the first query."""
        found: Answers = self._ask({"do": "answer"}, progress)["answers"]
        return found

    def hurry(self, progress: Progress) -> None:
        """End the job under way after the runs under way, if there is one."""
        if self._worker is not None and self._busy:
            self._worker.hurry()
            self._worker.finish(progress)
            self._busy = False

    def limit(self, seconds: float) -> None:
        """Give up any job that follows after so many seconds."""
        self._bounds = replace(self._bounds, timeout=seconds, stall=min(self._bounds.stall, seconds))
        if self._worker is not None:
            self._worker.bounds = self._bounds

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _ask(self, job: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        assert self._worker is not None  # noqa: S101 - it is opened first
        self._busy = True
        try:
            answer = self._worker.ask(job, progress)
        except KeyboardInterrupt:
            raise  # the job goes on: hurry ends it
        except BaseException:
            self._busy = False
            raise
        self._busy = False
        return answer


def _bounds(rate: float | None) -> Limits:
    """A benchmark lasts as long as it was asked to, and one of few queries sits still between them."""
    bounds = limits()
    pause = _PAUSES / rate if rate else 0.0
    return replace(bounds, timeout=math.inf, stall=max(bounds.stall, pause))


_PAUSES = 30
"""Mean pauses between queries that one pause does not exceed but once in 10¹³ times."""
