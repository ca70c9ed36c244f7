"""What the machine was doing while something was measured, and what of it makes the figures doubtful; measures no model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpux.bench import counters

LOAD = 0.5
OTHERS = 0.1
STEAL = 0.02
DROP = 0.85
RESOLUTION = 0.2
"""Processor seconds of the machine below which its clock's ticks (10 ms) are too coarse for a share."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The state of the machine during a measurement; ``None`` stands where ``unknown`` says why.

    Attributes:
        seconds: How long it was watched.
        cores: Cores of the machine.
        load: Load average of the minute before.
        own: Share of the whole machine's processor time that this process used, from 0 to 1.
        others: The share that everything else on this system used.
        iowait: The share that was idle and waiting for a disk.
        steal: The share that the host took for other machines.
        frequency_begin: MHz of the fastest core at the beginning.
        frequency_end: MHz of the fastest core at the end.
        frequency_limit: MHz that the fastest core can reach.
        throttles: Thermal throttle events meanwhile: the most that any core or package counted.
        switches: Times that this process was taken off a core against its will.
        quota_periods: Periods in which the container's CPU quota ran out.
        quota_seconds: Seconds that the quota stopped this process's group, summed over its cores.
        governor: Frequency governors and their drivers.
        power: ``mains`` or ``battery``, as it was at the end.
        unknown: Field that is ``None`` → why.
    """

    seconds: float
    cores: int
    load: float | None
    own: float | None
    others: float | None
    iowait: float | None
    steal: float | None
    frequency_begin: float | None
    frequency_end: float | None
    frequency_limit: float | None
    throttles: int | None
    switches: int | None
    quota_periods: int | None
    quota_seconds: float | None
    governor: str | None
    power: str | None
    unknown: dict[str, str]


@dataclass(frozen=True, slots=True)
class Watching:
    """The machine since watching began; watch in the process that measures, else its work counts as another's.

    Attributes:
        root: The directory that holds ``proc`` and ``sys``.
        load: Load average when it began.
        before: The counters then, moved on by whatever they counted in pauses.
        pause: The counters when the pause began that it is in; ``None`` while it watches.
    """

    root: Path
    load: float | None
    before: counters.Counters
    pause: counters.Counters | None = None

    @classmethod
    def begin(cls, *, root: Path = Path("/")) -> Watching:
        """Read the counters for the first time.

        Args:
            root: The directory that holds ``proc`` and ``sys``.
        """
        return cls(root, counters.load(root), counters.read(root))

    def paused(self) -> Watching:
        """The same, but what happens from now on does not count."""
        return self if self.pause is not None else replace(self, pause=counters.read(self.root))

    def resumed(self) -> Watching:
        """The same, and what happens from now on counts again."""
        if self.pause is None:
            return self
        return replace(
            self, before=counters.moved(self.before, self.pause, counters.read(self.root)), pause=None
        )

    def end(self) -> Conditions:
        """What happened until now, or until the pause; may be asked again."""
        before, after = self.before, self.pause or counters.read(self.root)
        shares = _shares(before, after)
        quota = _quota(before, after)
        told: dict[str, Any] = {
            "load": self.load,
            **shares,
            "frequency_begin": before.frequency,
            "frequency_end": after.frequency,
            "frequency_limit": counters.frequency_limit(self.root),
            "governor": counters.governor(self.root),
            "power": counters.power(self.root),
            "throttles": _throttles(before, after),
            "switches": None
            if before.switches is None or after.switches is None
            else after.switches - before.switches,
            "quota_periods": quota[0] if quota else None,
            "quota_seconds": quota[1] if quota else None,
        }
        reasons = dict(_REASONS)
        if before.times is not None and shares["own"] is None:
            reasons |= dict.fromkeys(shares, f"less than {RESOLUTION} processor seconds passed")
        return Conditions(
            seconds=after.clock - before.clock,
            cores=os.cpu_count() or 1,
            unknown={name: reasons[name] for name, value in told.items() if value is None},
            **told,
        )


_CLOCK = "neither /proc/stat nor psutil tells the machine's processor time"
_FREQUENCY = "neither the kernel nor psutil tells a frequency"
_REASONS = {
    "load": "this system keeps no load average",
    "own": _CLOCK,
    "others": _CLOCK,
    "iowait": "only Linux tells",
    "steal": "only Linux tells",
    "frequency_begin": _FREQUENCY,
    "frequency_end": _FREQUENCY,
    "frequency_limit": "neither the kernel nor psutil tells a frequency limit, as in most virtual machines",
    "throttles": "the kernel shows no thermal_throttle counters; only Linux on an Intel processor that is not virtual has them",
    "switches": "this system does not count them per process",
    "quota_periods": "no control group of this process counts a CPU quota",
    "quota_seconds": "no control group of this process counts a CPU quota",
    "governor": "the kernel shows no frequency governor, as in most virtual machines",
    "power": "the system tells of no power supply, as on servers and virtual machines",
}


def verdicts(conditions: Conditions) -> tuple[tuple[str, str, str], ...]:
    """What makes the figures doubtful: name, sentence, and what to do, of each."""
    return (*_crowd(conditions), *_slowed(conditions))


def _crowd(state: Conditions) -> Iterator[tuple[str, str, str]]:
    # The load before may be this benchmark's own earlier work; only what others took meanwhile tells.
    alone = state.others is not None and state.others < OTHERS / 2
    if state.load is not None and state.load > LOAD * state.cores and not alone:
        message = f"the load average was {state.load:.1f} on {state.cores} cores before the first run"
        yield "load", message, "close other programs, or wait until uptime shows a lower load"
    if state.others is not None and state.others > OTHERS:
        message = f"other programs used {state.others:.0%} of the machine's processor time meanwhile"
        yield "busy", message, "close them (top names them) and run it again"
    if state.steal is not None and state.steal > STEAL:
        message = f"the host took {state.steal:.0%} of the processor time for other machines (steal)"
        yield "steal", message, "run it on a machine of your own, or at another time"


def _slowed(state: Conditions) -> Iterator[tuple[str, str, str]]:
    if state.quota_periods:
        message = f"the container's CPU quota ran out in {state.quota_periods} periods ({state.quota_seconds:.2g} seconds in all)"
        yield "quota", message, "raise the container's CPU limit, or lower --threads"
    if state.throttles:
        message = f"the processor slowed down for its heat ({state.throttles} times)"
        yield "throttled", message, "let it cool down, see to its fan and run it again"
    begin, end = state.frequency_begin, state.frequency_end
    if begin is not None and end is not None and end < DROP * begin:
        message = f"the processor fell from {begin:.0f} to {end:.0f} MHz meanwhile"
        yield "frequency", message, "let it cool down, fix its frequency, or measure for longer"
    if state.power == "battery":
        yield "battery", "the machine ran on its battery", "plug it in and run it again"
    # What these two drivers call powersave follows the load, up to the full frequency:
    # https://docs.kernel.org/admin-guide/pm/intel_pstate.html
    governors = (state.governor or "").split(", ")
    if any(
        name.startswith("powersave (") and name.partition("(")[2] not in {"intel_pstate)", "amd-pstate-epp)"}
        for name in governors
    ):
        message = "the powersave governor holds the processor at its lowest frequency"
        yield "governor", message, "sudo cpupower frequency-set --governor performance, and run it again"


def _shares(before: counters.Counters, after: counters.Counters) -> dict[str, float | None]:
    found: dict[str, float | None] = dict.fromkeys(("own", "others", "iowait", "steal"))
    if before.times is None or after.times is None:
        return found
    total = after.times.total - before.times.total
    if total < RESOLUTION:
        return found
    own = after.own - before.own
    found["own"] = own / total
    # Ticks are counted later than the process's own clock, which may so be ahead of them.
    found["others"] = max(0.0, after.times.busy - before.times.busy - own) / total
    if after.times.iowait is not None and before.times.iowait is not None:
        # The kernel's iowait may go backwards: proc_stat(5).
        found["iowait"] = max(0.0, after.times.iowait - before.times.iowait) / total
    if after.times.steal is not None and before.times.steal is not None:
        found["steal"] = (after.times.steal - before.times.steal) / total
    return found


def _throttles(before: counters.Counters, after: counters.Counters) -> int | None:
    if before.throttles is None or after.throttles is None:
        return None
    old = before.throttles
    return max((count - old[name] for name, count in after.throttles.items() if name in old), default=None)


def _quota(before: counters.Counters, after: counters.Counters) -> tuple[int, float] | None:
    if before.quota is None or after.quota is None:
        return None
    old = before.quota
    grown = [
        (count - old[name][0], seconds - old[name][1])
        for name, (count, seconds) in after.quota.items()
        if name in old
    ]
    return max(grown, default=None)
