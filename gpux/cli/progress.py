"""Shows the progress of long work on standard error: bars on a terminal, a line per step elsewhere; and times it."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

from gpux.cli.printer import Printer, size, visible
from gpux.events import Event


class Watch:
    """A progress that shows events and remembers the seconds of every step; a context manager.

    Attributes:
        seconds: ``(stage, message)`` → seconds, in the order in which they began.
    """

    def __init__(self, printer: Printer) -> None:
        self.seconds: dict[tuple[str, str], float] = {}
        self._printer = printer
        self._lock = threading.Lock()
        self._current: tuple[str, str] | None = None
        self._since = time.perf_counter()
        self._bars: Any = None
        self._task: Any = None

    def __enter__(self) -> Watch:
        self._since = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._book()
            if self._bars is not None:
                self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show one event; safe to call from any thread."""
        with self._lock:
            key = (event.stage, "" if event.total else event.message)
            fresh = key != self._current
            if fresh:
                self._book()
                self._current = key
            if self._printer.quiet or self._printer.json:
                return
            if sys.stderr.isatty():
                self._draw(event, fresh=fresh)
            elif fresh:
                self._printer.say(
                    f"{event.stage}: {event.message}".replace("\n", " ")
                    + (f" ({_amount(event)})" if event.total else "")
                )

    def total(self, stage: str | None = None) -> float:
        """Seconds of one stage, or of all."""
        return sum(spent for (name, _), spent in self.seconds.items() if stage in {None, name})

    def _book(self) -> None:
        now = time.perf_counter()
        if self._current is not None:
            self.seconds[self._current] = self.seconds.get(self._current, 0.0) + now - self._since
        self._since = now

    def _draw(self, event: Event, *, fresh: bool) -> None:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (
                SpinnerColumn(),
                TextColumn("{task.fields[stage]:>8}", markup=False),
                TextColumn("{task.description}", markup=False),
            )
            clocks = (TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
            self._bars = Progress(*columns, BarColumn(bar_width=24), *clocks, console=Console(stderr=True))
            self._bars.start()
        message = visible(event.message)
        if fresh:
            if self._task is not None:
                self._bars.update(self._task, total=1, completed=1)
            self._task = self._bars.add_task(message, total=event.total, stage=visible(event.stage), left="")
        left = self._left()
        self._bars.update(
            self._task, description=message, total=event.total, completed=event.done or 0, left=left
        )

    def _left(self) -> str:
        """Time left as the bar's speed has it, where that is known."""
        seconds = next((task.time_remaining for task in self._bars.tasks if task.id == self._task), None)
        if not seconds:
            return ""
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{rest:02d} left"


def _amount(event: Event) -> str:
    return size(event.total or 0) if event.unit == "B" else f"{event.total} {event.unit}"
