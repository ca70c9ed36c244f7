"""What the system has counted up to this moment: processor time, frequency, throttling, quota; judges nothing.

Linux is read from ``/proc`` and ``/sys``, other systems through psutil where it is installed; what is not told is ``None``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gpux.bench.reading import number, psutil, text

POLICIES = 32
"""Frequency domains that are asked at most: each may wake a core, and 200 of them would cost milliseconds."""


@dataclass(frozen=True, slots=True)
class Times:
    """Processor seconds of the whole machine since it started, all cores together.

    Attributes:
        busy: In programs, the kernel and interrupts.
        iowait: Idle while a disk was waited for; ``None`` where the system does not tell.
        steal: Taken by the host for other machines; ``None`` where the system does not tell.
        total: All of these, and idle.
    """

    busy: float
    iowait: float | None
    steal: float | None
    total: float


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading.

    Attributes:
        clock: Seconds of ``time.perf_counter``.
        own: Processor seconds of this process, all threads.
        times: The machine's processor time.
        frequency: MHz of the fastest core.
        throttles: Counter → thermal throttle events since the machine started.
        switches: Times that this process was taken off a core against its will.
        quota: Control group → periods in which its CPU quota ran out, and seconds that it was stopped.
    """

    clock: float
    own: float
    times: Times | None
    frequency: float | None
    throttles: dict[str, int] | None
    switches: int | None
    quota: dict[str, tuple[int, float]] | None


def read(root: Path = Path("/")) -> Counters:
    """Everything that counts, now.

    Args:
        root: The directory that holds ``proc`` and ``sys``.
    """
    return Counters(
        clock=time.perf_counter(),
        own=time.process_time(),
        times=times(root),
        frequency=frequency(root),
        throttles=_throttles(root),
        switches=_switches(),
        quota=_quota(root),
    )


def moved(before: Counters, since: Counters, until: Counters) -> Counters:
    """A reading moved on by what was counted between two others, so that their span is left out of any difference."""

    def by(old: float | None, one: float | None, other: float | None) -> float | None:
        return None if old is None or one is None or other is None else old + other - one

    def number(old: int | None, one: int | None, other: int | None) -> int | None:
        return None if old is None or one is None or other is None else old + other - one

    clocks = None
    if before.times and since.times and until.times:
        clocks = Times(
            busy=before.times.busy + until.times.busy - since.times.busy,
            iowait=by(before.times.iowait, since.times.iowait, until.times.iowait),
            steal=by(before.times.steal, since.times.steal, until.times.steal),
            total=before.times.total + until.times.total - since.times.total,
        )
    heat = None
    if before.throttles is not None and since.throttles is not None and until.throttles is not None:
        grown = {name: until.throttles.get(name, old) - old for name, old in since.throttles.items()}
        heat = {name: count + grown.get(name, 0) for name, count in before.throttles.items()}
    quota = None
    if before.quota is not None and since.quota is not None and until.quota is not None:
        quota = {}
        for name, (count, seconds) in before.quota.items():
            old = since.quota.get(name, (0, 0.0))
            new = until.quota.get(name, old)
            quota[name] = (count + new[0] - old[0], seconds + new[1] - old[1])
    return Counters(
        clock=before.clock + until.clock - since.clock,
        own=before.own + until.own - since.own,
        times=clocks,
        frequency=before.frequency,
        throttles=heat,
        switches=number(before.switches, since.switches, until.switches),
        quota=quota,
    )


def times(root: Path) -> Times | None:
    """The machine's processor time; the columns of ``/proc/stat`` are those of proc_stat(5)."""
    try:
        with (root / "proc/stat").open(encoding="ascii") as stream:
            columns = stream.readline().split()
    except OSError:
        columns = []
    if len(columns) > 8 and columns[0] == "cpu":
        ticks = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
        # A guest's time is part of user time already.
        user, nice, system, idle, iowait, irq, softirq, steal = (int(c) / ticks for c in columns[1:9])
        busy = user + nice + system + irq + softirq
        return Times(busy, iowait, steal, busy + idle + iowait + steal)
    module = psutil()
    if module is None:
        return None
    found = module.cpu_times()
    busy = sum(getattr(found, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))
    return Times(busy, None, None, busy + found.idle)


def load(root: Path) -> float | None:
    """Mean number of runnable programs in the last minute."""
    found = text(root / "proc/loadavg")
    if found:
        return float(found.split()[0])
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def frequency(root: Path) -> float | None:
    """MHz of the core that runs fastest now; idle ones say nothing of the work."""
    found = [number(policy / "scaling_cur_freq") for policy in policies(root)]
    if known := [value for value in found if value]:
        return max(known) / 1000
    told = [float(value) for value in _megahertz(root)]
    return max(told) if told else _asked(root, "current")


def frequency_limit(root: Path) -> float | None:
    """MHz that the fastest core can reach."""
    found = [number(policy / "cpuinfo_max_freq") for policy in policies(root)]
    if known := [value for value in found if value]:
        return max(known) / 1000
    return _asked(root, "max")


def governor(root: Path) -> str | None:
    """What decides the frequency: governors and drivers, as ``powersave (intel_pstate)``."""
    found = {
        f"{name} ({text(policy / 'scaling_driver') or 'unknown driver'})"
        for policy in policies(root)
        if (name := text(policy / "scaling_governor"))
    }
    return ", ".join(sorted(found)) or None


def power(root: Path) -> str | None:
    """``mains``, ``battery``, or ``None`` where no supply is told (servers, virtual machines)."""
    mains, batteries = [], []
    for supply in sorted(_listing(root / "sys/class/power_supply")):
        kind = text(supply / "type")
        if text(supply / "scope") == "Device":  # a mouse's
            continue
        if kind in {"Mains", "USB"}:
            mains.append(text(supply / "online"))
        elif kind == "Battery":
            batteries.append(text(supply / "status"))
    if mains or batteries:
        return "battery" if "1" not in mains and "Discharging" in batteries else "mains"
    module = None if _is_linux(root) else psutil()
    found = module.sensors_battery() if module is not None and hasattr(module, "sensors_battery") else None
    if found is None or found.power_plugged is None:
        return None
    return "mains" if found.power_plugged else "battery"


def policies(root: Path) -> list[Path]:
    """The frequency domains of https://docs.kernel.org/admin-guide/pm/cpufreq.html, the first of them."""
    found = [
        path for path in _listing(root / "sys/devices/system/cpu/cpufreq") if path.name.startswith("policy")
    ]
    return sorted(found)[:POLICIES]


def _is_linux(root: Path) -> bool:
    """Where psutil would read the same files again, of this machine whatever the root."""
    return (root / "proc/stat").exists()


def _megahertz(root: Path) -> Iterator[str]:
    try:
        with (root / "proc/cpuinfo").open(encoding="utf-8", errors="replace") as stream:
            head = stream.read(1 << 16)
    except OSError:
        return
    for line in head.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == "cpu MHz" and value.strip().replace(".", "", 1).isdecimal():
            yield value


def _asked(root: Path, name: str) -> float | None:
    module = None if _is_linux(root) else psutil()
    if module is None or not hasattr(module, "cpu_freq"):
        return None
    try:
        found = module.cpu_freq()
    except (OSError, RuntimeError, NotImplementedError):  # what psutil raises where the system does not tell
        return None
    return (getattr(found, name) or None) if found else None


def _throttles(root: Path) -> dict[str, int] | None:
    """Two files per core, hundreds on a large machine, hence no :class:`Path` of each."""
    found = {}
    top = str(root / "sys/devices/system/cpu")
    # Those that are switched off leave gaps in the numbers of the others.
    configured = os.sysconf("SC_NPROCESSORS_CONF") if hasattr(os, "sysconf") else os.cpu_count()
    for core in range(configured or 1):
        for kind in ("core", "package"):
            name = f"cpu{core}/thermal_throttle/{kind}_throttle_count"
            try:
                descriptor = os.open(f"{top}/{name}", os.O_RDONLY)
            except OSError:
                continue
            try:
                found[name] = int(os.read(descriptor, 32))
            finally:
                os.close(descriptor)
    return found or None


def _switches() -> int | None:
    if sys.platform == "win32":
        return None
    else:  # noqa: RET505 - a type checker for one system has to see that this is another's
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def _quota(root: Path) -> dict[str, tuple[int, float]] | None:
    """The quota may stand on any group above this process's own, each of which counts for itself."""
    found: dict[str, tuple[int, float]] = {}
    for directory in _groups(root):
        if str(directory) in found:
            continue
        lines = (text(directory / "cpu.stat") or "").splitlines()
        counts = {
            name: int(value)
            for name, _, value in (line.partition(" ") for line in lines)
            if value.isdecimal()
        }
        if "nr_throttled" in counts:
            # Version 2 counts microseconds, version 1 nanoseconds.
            seconds = counts.get("throttled_usec", 0) / 1e6 + counts.get("throttled_time", 0) / 1e9
            found[str(directory)] = (counts["nr_throttled"], seconds)
    return found or None


def _groups(root: Path) -> Iterator[Path]:
    mount = root / "sys/fs/cgroup"
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            tops = [mount, mount / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [mount / controllers, mount / "cpu", mount / "cpu,cpuacct"]
        else:
            continue
        relative = PurePosixPath(group.lstrip("/"))
        for top in tops:
            for part in (relative, *relative.parents):
                yield top / part


def _listing(directory: Path) -> list[Path]:
    try:
        return list(directory.iterdir())
    except OSError:
        return []
