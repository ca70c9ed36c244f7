"""Has configurations take turns, round by round, each in a process of its own; knows no statistics.

Rounds alternate in direction, so that what one configuration leaves behind in caches and heat meets every other alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

from gpux import hardware
from gpux.bench.settings import Settings
from gpux.campaign.member import Member
from gpux.events import Event, Progress

ROUNDS = 10
"""Turns of every configuration, where its runs suffice."""

SPARE = 1.3
"""Free memory that the next configuration needs, in units of what the largest one so far takes."""

SAVE = 10.0
"""Seconds between two reports of what is not finished."""


def rounds(settings: Settings, configurations: int) -> int:
    """Into how many rounds the steady runs are cut: one where nobody else waits for a turn."""
    return 1 if configurations == 1 else max(1, min(ROUNDS, settings.runs or ROUNDS))


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
        try:
            for member in members:
                if self._lacks_room(members):
                    waiting.append(member)
                    continue
                member.open(self._relay(member, "opening"))
                if member.starved() and any(other.alive for other in members):
                    waiting.append(member)
            for member, number in self._order([m for m in members if m.alive]):
                self._round(member, number)
        except KeyboardInterrupt:
            self.interrupted = True
            for member in members:
                member.hurry(self._progress)
        for member in members:
            if member not in waiting:
                member.tell(self._progress, last=True, interrupted=self.interrupted)
                member.close()
                self._save()
        return waiting

    def _order(self, members: Sequence[Member]) -> Iterator[tuple[Member, int]]:
        count = max((m.configuration.settings.rounds for m in members), default=0)
        for number in range(count):
            for member in members if number % 2 == 0 else reversed(members):
                if member.alive and number < member.configuration.settings.rounds:
                    yield member, number
            if number + 1 < count and monotonic() - self._saved > SAVE:
                for member in members:
                    if member.alive:
                        member.tell(self._progress, last=False)
                self._save()
                self._saved = monotonic()

    def _round(self, member: Member, number: int) -> None:
        settings = member.configuration.settings
        runs, seconds = None, None
        if settings.runs is not None:
            whole, rest = divmod(settings.runs, settings.rounds)
            runs = whole + (number < rest)
        if settings.duration is not None:
            seconds = settings.duration / settings.rounds
        member.round(runs=runs, seconds=seconds, progress=self._relay(member, f"round {number + 1}"))
        self._done += _size(member) / settings.rounds

    def _lacks_room(self, members: Sequence[Member]) -> bool:
        """Whether another model beside those that are open would likely be one too many."""
        largest = max((m.resident or 0 for m in members if m.alive), default=0)
        available = hardware.memory_available()
        return bool(largest) and available is not None and available < SPARE * largest

    def _relay(self, member: Member, phase: str) -> Progress:
        """What a member tells, as a step of the whole."""
        label = member.configuration.label
        name = f"{label}: {phase}" if label else phase
        size = _size(member) / member.configuration.settings.rounds
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
