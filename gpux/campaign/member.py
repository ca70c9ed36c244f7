"""One configuration of a campaign as its conductor sees it: a process to ask, and what came of it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpux.bench.records import encode
from gpux.bench.report import Report
from gpux.campaign.axes import Configuration
from gpux.errors import GpuxError, WorkerFailed
from gpux.events import Progress
from gpux.worker.parent import Worker


@dataclass(frozen=True, slots=True)
class Engine:
    """Where a configuration runs: an interpreter (this one when ``None``), its variables, and its source model."""

    python: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = None


class Member:
    """A configuration with its process.

    Args:
        configuration: What to measure.
        job: What every configuration of the campaign shares: artifact, inputs, task …
        engine: Where it runs; nowhere when ``None``.
        error: Why it cannot be measured, where that is known beforehand.

    Attributes:
        resident: Bytes of its process when its model was warm; ``None`` before, and where the system does not say.
        report: Its last report.
        answers: The numbers of its answers to the first query.
        error: Why it has no report, or why it stopped.
    """

    def __init__(
        self,
        configuration: Configuration,
        job: Mapping[str, Any],
        engine: Engine | None,
        *,
        error: GpuxError | None = None,
    ) -> None:
        self.configuration = configuration
        self.resident: int | None = None
        self.report: Report | None = None
        self.answers: list[list[float] | None] | None = None
        self.error = error
        self._job = {
            **job,
            "mode": configuration.mode,
            "provider": configuration.provider,
            "variant": configuration.variant,
            "threads": configuration.threads,
            "source": str(engine.source) if engine and engine.source else None,
            "settings": encode(configuration.settings),
        }
        self._engine = engine or Engine()
        self._worker: Worker | None = None
        self._asked = False
        self._broken = False

    @property
    def alive(self) -> bool:
        """Whether it can be asked for more."""
        return self._worker is not None and not self._broken

    def open(self, progress: Progress) -> None:
        """Start the process, load the model, run it for the first time and warm it up; an error is kept, not raised."""
        self.error = None
        with self._kept():
            self._worker = Worker(
                "gpux.campaign.child", python=self._engine.python, environment=self._engine.environment
            )
            self.resident = self._ask({"do": "open", **self._job}, progress)["resident"]

    def round(self, *, runs: int | None, seconds: float | None, progress: Progress) -> None:
        """One round of steady runs; an error is kept, not raised."""
        with self._kept():
            answer = self._ask({"do": "round", "runs": runs, "seconds": seconds}, progress)
            self._broken = answer["broken"]

    def tell(self, progress: Progress, *, last: bool, interrupted: bool = False) -> None:
        """Fetch the report so far; an error is kept, not raised."""
        if self._worker is None:
            return
        with self._kept(), tempfile.TemporaryDirectory(prefix="gpux-bench-") as folder:
            path = Path(folder) / "report.json"
            job = {
                "do": "report",
                "path": str(path),
                "answers": last and not interrupted and not self._broken,
                "interrupted": interrupted,
            }
            self.answers = self._ask(job, progress)["answers"]
            self.report = Report.from_json(path.read_bytes())

    def hurry(self, progress: Progress) -> None:
        """End the job under way after the runs under way, if there is one; an error is kept, not raised."""
        if self._worker is not None and self._asked:
            with self._kept():
                self._worker.hurry()
                self._worker.finish(progress)
                self._asked = False

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def starved(self) -> bool:
        """Whether it ended for want of memory."""
        return isinstance(self.error, WorkerFailed) and self.error.details.get("cause") == "memory"

    def _ask(self, job: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
        assert self._worker is not None  # noqa: S101 - every caller looked
        self._asked = True
        answer = self._worker.ask(job, progress)
        self._asked = False
        return answer

    @contextlib.contextmanager
    def _kept(self) -> Any:
        try:
            yield
        except GpuxError as error:
            self.error = error
            self.close()
