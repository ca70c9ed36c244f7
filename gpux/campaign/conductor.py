"""Has configurations take turns, round by round, each in a process of its own; knows no statistics.

Rounds alternate in direction, so that what one configuration leaves behind in caches and heat meets every other alike.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

from gpux import hardware
from gpux.bench.settings import Settings
from gpux.campaign.member import Member
from gpux.events import Event, Progress

ROUNDS = 10
"""Turns of every configuration, where its runs suffice."""

FEWEST = 5
"""Runs of a turn, for every client: fewer would be more of settling than of measuring."""

SPARE = 1.3
"""Free memory that the next configuration needs, in units of what the largest one so far takes."""

SAVE = 10.0
"""Seconds between two reports of what is not finished."""


def rounds(settings: Settings, pace: float, *, alone: bool) -> int:
    """Into how many rounds the steady runs are cut.

    One where nobody waits for a turn, and where queries arrive by themselves: a queue that is emptied between rounds is
    another one. Else ten, or as many as leave each client some runs in each.

    Args:
        settings: How many runs there are, or how long.
        pace: Seconds of a run.
        alone: Whether nobody waits for a turn.
    """
    if alone or settings.rate is not None:
        return 1
    each = FEWEST * settings.concurrency
    limits = [ROUNDS]
    if settings.runs is not None:
        limits.append(settings.runs // each)
    if settings.duration is not None and pace > 0:
        limits.append(int(settings.duration / pace * settings.concurrency / each))
    return max(1, min(limits))


class Conductor:
    """Conducts the members of a campaign.

    Args:
        members: In the order of their rows.
        progress: Receives events of stage ``measure``.
        save: Called now and then when reports have changed.

    Attributes:
        interleaved: Whether all took turns.
        interrupted: Whether Ctrl-C cut it short.
    """

    def __init__(self, members: Sequence[Member], *, progress: Progress, save: Callable[[], None]) -> None:
        self.interleaved = True
        self.interrupted = False
        self._members = members
        self._progress = progress
        self._save = save
        self._saved = monotonic()
        self._done = 0.0

    def run(self) -> None:
        """Measure everything; Ctrl-C keeps what was measured, a second one does not wait for it."""
        try:
            waiting = self._turns(self._members)
            self.interleaved = len(waiting) == 0 or len(self._members) == 1
            for member in waiting:
                self._turns([member])
        finally:
            for member in self._members:
                member.close()

    def _turns(self, members: Sequence[Member]) -> list[Member]:
        """Measure these together; returns those that had no room beside the others."""
        waiting: list[Member] = []
        if self.interrupted:
            return waiting
        with self._interruptible(members):
            for member in members:
                if self._lacks_room(members):
                    waiting.append(member)
                    continue
                member.open(self._relay(member, "opening"))
                if member.starved() and any(other.alive for other in members):
                    waiting.append(member)
            for member, number in self._order([m for m in members if m.alive]):
                self._round(member, number)
        for member in members:
            if member not in waiting:
                for _ in range(2):  # Ctrl-C in the middle of the first does not cost the figures
                    with self._interruptible([member]):
                        member.tell(self._progress, interrupted=self.interrupted)
                        break
                if len(self._members) > 1 and not self.interrupted:
                    with self._interruptible([member]):
                        member.answer(self._progress)
                member.close()
                self._save()
        return waiting

    @contextlib.contextmanager
    def _interruptible(self, members: Sequence[Member]) -> Iterator[None]:
        """Ctrl-C ends what is under way and keeps what there is."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True
            for member in members:
                member.hurry(self._progress)

    def _order(self, members: Sequence[Member]) -> Iterator[tuple[Member, int]]:
        turns = {id(member): self._rounds(member) for member in members}
        count = max(turns.values(), default=0)
        for number in range(count):
            for member in members if number % 2 == 0 else reversed(members):
                if member.alive and number < turns[id(member)]:
                    yield member, number
            if number + 1 < count:
                self._keep(members)

    def _keep(self, members: Sequence[Member]) -> None:
        """Fetch and save what there is, every now and then."""
        if monotonic() - self._saved > SAVE:
            for member in members:
                if member.alive:
                    member.tell(self._progress)
            self._save()
            self._saved = monotonic()

    def _rounds(self, member: Member) -> int:
        pace = member.ready.pace if member.ready else 0.0
        return rounds(member.configuration.settings, pace, alone=len(self._members) == 1)

    def _round(self, member: Member, number: int) -> None:
        """One round, in instalments where it lasts: should the process die, what it told before is not lost."""
        settings, count = member.configuration.settings, self._rounds(member)
        until: int | None = None
        if settings.runs is not None:
            whole, rest = divmod(settings.runs, count)
            until = member.begun + whole + (number < rest)
        left = None if settings.duration is None else settings.duration / count
        progress = self._relay(member, f"round {number + 1}" if count > 1 else "running")
        # Queries that arrive by themselves, and clients that ask at once, cannot be stopped and go on as if nothing were.
        instalments = settings.rate is None and settings.concurrency == 1
        more = False
        while member.alive and (until is None or member.begun < until):
            began = monotonic()
            seconds = min(left, SAVE) if left is not None and instalments else SAVE if instalments else left
            before = member.begun
            member.round(
                runs=None if until is None else until - before, seconds=seconds, more=more, progress=progress
            )
            more = True
            if left is not None:
                left -= monotonic() - began
            if not instalments or (left is not None and left <= 0) or member.begun == before:
                break
            self._keep([member])
        self._done += _size(member) / count

    def _lacks_room(self, members: Sequence[Member]) -> bool:
        """Whether another model beside those that are open would likely be one too many."""
        largest = max((m.ready.resident or 0 for m in members if m.alive and m.ready), default=0)
        available = hardware.memory_available()
        return bool(largest) and available is not None and available < SPARE * largest

    def _relay(self, member: Member, phase: str) -> Progress:
        """What a member tells, as a step of the whole."""
        label = member.configuration.label
        name = f"{label}: {phase}" if label else phase
        size = _size(member) / self._rounds(member)
        total = sum(map(_size, self._members))
        timed = any(m.configuration.settings.runs is None for m in self._members)
        unit = "seconds" if timed else "runs"
        began = monotonic()

        def relay(event: Event) -> None:
            part = 0.0
            if event.message == "steady" and event.done is not None:
                part = monotonic() - began if timed else event.done - (event.done - 1) // size * size
            done = min(total, round(self._done + min(part, size)))
            self._progress(Event("measure", name, done, total, unit))

        return relay


def _size(member: Member) -> int:
    """Runs that a member will do, or its seconds where only time ends it."""
    settings = member.configuration.settings
    return settings.runs or math.ceil(settings.duration or 1)
