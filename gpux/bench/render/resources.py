"""What a report says of memory, GPUs, energy, cost and the machine: a report → labelled lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpux.bench.render import units
from gpux.bench.render.lines import Line
from gpux.bench.render.units import UNKNOWN, percent, size

if TYPE_CHECKING:
    from gpux.bench.accelerators import Accelerator
    from gpux.bench.report import Report


def disk(report: Report) -> Line | None:
    """The measured variant on disk; ``None`` where nothing is known of it."""
    found = report.memory.disk.get(report.identity.variant)
    if not found:
        return None
    parts = [f"{name} {size(count)}" for name, count in found.items()] if len(found) > 1 else []
    return Line("disk", (f"{size(sum(found.values()))} in {report.identity.variant}", *parts))


def memory(report: Report) -> list[Line]:
    """The process's memory, and how its peak was read."""
    found = report.memory
    steps = {"before load": found.before, "loaded": found.loaded, "at its peak": found.peak}
    cached = (
        [] if found.cache is None else [Line("cache", (f"{size(found.cache)} of keys and values at most",))]
    )
    if not any(steps.values()):
        return [Line("memory", (f"{UNKNOWN}: {found.how}",)), *cached]
    known = tuple(f"{size(count)} {name}" for name, count in steps.items())
    how = [Line("", (f"peak: {found.how}",))] if found.how else []
    return [Line("memory", known, " → "), *how, *cached]


def devices(report: Report) -> list[Line]:
    """One line per GPU."""
    return [Line(f"gpu {device.index}", tuple(_device(device))) for device in report.memory.devices]


def energy(report: Report) -> Line:
    """Joules per item and items per joule, or why not."""
    found, noun = report.energy, report.identity.workload.noun
    if found.joules is None:
        return Line("energy", (f"{UNKNOWN}: {found.reason}" if found.reason else UNKNOWN,))
    parts = []
    each, many = found.per_inference(report.summaries.items), found.per_joule(report.summaries.items)
    if each is not None:
        parts.append(f"{units.energy(each)} per {units.singular(noun)}")
    if many is not None:
        parts.append(f"{units.number(many)} {noun} per J")
    domains = ", ".join(f"{name} {units.energy(joules)}" for name, joules in found.domains.items())
    power = "" if found.watts is None else f", {units.number(found.watts)} W"
    parts.append(f"{units.energy(found.joules)} in {units.duration(found.seconds)}{power} ({domains})")
    if found.reason:
        parts.append(f"not counted: {found.reason}")
    return Line("energy", tuple(parts))


def cost(report: Report) -> Line | None:
    """What a million items cost, where somebody asked."""
    found, price = report.summaries.cost_per_million, report.settings.cost_per_hour
    if found is None or price is None:
        return None
    noun = report.identity.workload.noun
    return Line("cost", (f"{units.number(found)} per million {noun} at {price:g} an hour",))


def machine(report: Report) -> Line:
    """The machine in a few words, and when it was."""
    who = report.identity
    cores = who.machine.cores_allowed
    part = f" of {who.machine.cores}" if cores != who.machine.cores else ""
    software = [
        f"{name} {who.versions[name]}"
        for name in who.versions
        if name not in {"python", "numpy", "tokenizers"}
    ]
    parts = (
        who.machine.processor,
        f"{cores}{part} {'core' if cores == 1 and not part else 'cores'}",
        *([f"{size(who.machine.memory)} of memory"] if who.machine.memory is not None else []),
        f"{who.machine.system} {who.machine.architecture}",
        *software,
        who.started,
    )
    return Line("machine", parts)


def conditions(report: Report) -> list[Line]:
    """What the machine did meanwhile, as far as it tells."""
    found = report.conditions
    shares = {
        "this process": found.own,
        "others": found.others,
        "waiting for disks": found.iowait,
        "steal": found.steal,
    }
    processor = [f"{name} {percent(share)}" for name, share in shares.items() if share is not None]
    frequencies = [
        f"{value:.0f} MHz" for value in (found.frequency_begin, found.frequency_end) if value is not None
    ]
    rows = {
        "processor": processor,
        "load average": [] if found.load is None else [f"{found.load:.2f} in the minute before"],
        "frequency": [" → ".join(frequencies)] if frequencies else [],
        "governor": [found.governor] if found.governor else [],
        "power": [found.power] if found.power else [],
    }
    return [Line(label, tuple(parts)) for label, parts in rows.items() if parts]


def _device(device: Accelerator) -> list[str]:
    parts = [f"{device.name} (driver {device.driver})"]
    if device.own is not None or device.own_peak is not None:
        parts.append(f"ours {size(device.own)}, peak {size(device.own_peak)}")
    else:
        parts.append(f"ours {UNKNOWN}")
    parts.append(f"all programs {size(device.used)}, peak {size(device.used_peak)}, of {size(device.total)}")
    if device.utilisation is not None:
        parts.append(f"busy {device.utilisation:.0f}% of the time")
    if device.temperature is not None:
        parts.append(f"{device.temperature} °C")
    if device.throttles:
        parts.append(f"slowed by {', '.join(device.throttles)}")
    return parts
