"""Shows the progress of long work on standard error: bars on a terminal, a line per step elsewhere; and times it."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
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
        return f"{clock(seconds)} left"


class Pace:
    """How far a long run is, how fast, and how long it will take, on a terminal; gone at the end. A context manager.

    Args:
        printer: Says whether anybody wants to see it.
        noun: What is counted.
        total: How many there are, where that is known.
        shown: Whether it is shown at all.

    Attributes:
        wanted: Whether anybody sees it.
    """

    BEGINS = 0.5  # seconds: what is over sooner needs none, and pays for none
    EVERY = 0.1

    def __init__(self, printer: Printer, noun: str, total: int | None, *, shown: bool = True) -> None:
        self._noun, self._total = noun, total
        self._done = 0
        self._since = self._shown = time.perf_counter()
        listened = sys.stderr is not None and sys.stderr.isatty()
        self.wanted = shown and listened and not (printer.quiet or printer.json)
        self._lock = threading.RLock()
        self._timer = threading.Timer(self.BEGINS, self._begin)
        self._timer.daemon = True
        self._bars: Any = None
        self._task: Any = None

    def __enter__(self) -> Pace:
        self._since = time.perf_counter()
        if self.wanted:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self.wanted = False
            if self._bars is not None:
                self._bars.stop()

    def advance(self) -> None:
        """Count one more."""
        self._done += 1
        if self._bars is None:
            return
        now = time.perf_counter()
        if now - self._shown >= self.EVERY:
            self._shown = now
            with self._lock:
                self._bars.update(self._task, completed=self._done, description=self._told(now))

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Nothing of it on the terminal while something else is printed."""
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
            try:
                yield
            finally:
                if self._bars is not None and self.wanted:
                    self._bars.start()

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        with self._lock:
            if not self.wanted:
                return
            bar = () if self._total is None else (BarColumn(bar_width=24),)
            # Whoever prints goes through the printer, which takes the bar away first.
            self._bars = Progress(
                SpinnerColumn(),
                *bar,
                TextColumn("{task.description}", markup=False),
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            told = self._told(time.perf_counter())
            self._task = self._bars.add_task(told, total=self._total, completed=self._done)
            self._bars.start()

    def _told(self, now: float) -> str:
        rate = self._done / max(now - self._since, 1e-9)
        amount = f"{self._done:,}" if self._total is None else f"{self._done:,}/{self._total:,}"
        parts = [f"{amount} {self._noun}"]
        if self._done:
            parts.append(f"{rate:,.0f} {self._noun}/s" if rate >= 10 else f"{rate:.1f} {self._noun}/s")
            if self._total is not None:
                parts.append(f"{clock((self._total - self._done) / rate)} left")
        return "  ".join(parts)


def clock(seconds: float) -> str:
    """Seconds as a clock shows them: ``0:02:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _amount(event: Event) -> str:
    return size(event.total or 0) if event.unit == "B" else f"{event.total} {event.unit}"
