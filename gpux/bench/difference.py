"""What tells two reports apart besides their figures, as names and short texts; judges nothing.

Three groups: the work that was done, the configuration that did it, and the surroundings that may change over time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpux.bench.report import Report

ABSENT = "none"
"""Stands where one of two reports lacks what the other has."""

AS_THEY_ARE = "as they are"
"""The sequence length of inputs that were not made for one."""

_LONGEST = 60


def work(report: Report) -> dict[str, str]:
    """What was done: two reports that differ here answered different questions."""
    identity, settings, workload = report.identity, report.settings, report.identity.workload
    arrival = "when the last one is answered" if settings.rate is None else f"{settings.rate:g} per second"
    return {
        "task": identity.task,
        "inputs": workload.sha256 or f"{workload.items} {workload.noun}, {workload.origin}",
        "sequence": str(settings.sequence or AS_THEY_ARE),
        "level": settings.level,
        "arrival": arrival,
        "parameters": json.dumps(settings.parameters, sort_keys=True, ensure_ascii=False),
    }


def configuration(report: Report) -> dict[str, str]:
    """What was chosen to do it."""
    identity, settings = report.identity, report.settings
    found = {
        "mode": identity.mode,
        "variant": identity.variant,
        "provider": identity.provider,
        "threads": str(identity.threads),
        "options": " ".join(f"{name}={value}" for name, value in sorted(identity.options.items()))
        or "defaults",
        "scenario": settings.scenario,
        "batch": str(identity.workload.batch),
        "concurrency": str(settings.concurrency),
    }
    return found if settings.rate is None else found | {"seed": str(settings.seed)}


def surroundings(report: Report) -> dict[str, str]:
    """What may have changed between two results of one configuration: model, placement, machine, drivers and versions."""
    identity, machine = report.identity, report.identity.machine
    memory = "" if machine.memory is None else f", {machine.memory / (1 << 30):.3g} GiB"
    gpus = report.memory.devices
    found = {
        "revision": identity.resolved[:12],
        "artifact": identity.digest[:12],
        "quality": identity.quality,
        "device": identity.device,
        "precision": identity.precision,
        "placement": percent(identity.share),
        "machine": f"{machine.processor}, {machine.cores_allowed} of {machine.cores} cores{memory}",
        "system": f"{machine.system} {machine.release} {machine.architecture}",
        "isolation": report.settings.isolation,
    }
    if gpus:
        found["GPU"] = ", ".join(gpu.name for gpu in gpus)
        found["driver"] = ", ".join(sorted({gpu.driver for gpu in gpus}))
    return found | identity.versions


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    """A label per name whose texts differ, with both of them: ``onnxruntime 1.31.1 → 1.32.0``."""
    names = dict.fromkeys([*one, *other])
    return tuple(
        f"{name} {_short(one.get(name, ABSENT))} → {_short(other.get(name, ABSENT))}"
        for name in names
        if one.get(name) != other.get(name)
    )


def pace(report: Report) -> list[float]:
    """Seconds per item of every steady run, in their order.

    Queries that arrive by themselves count as long as their answer took: their rate is given. What an item costs of
    clients that ask at once is not in the seconds of a run; it is the throughput that tells.
    """
    divisor = at_once(report)
    return [seconds / divisor for seconds in report.samples.steady.seconds]


def turns(report: Report) -> list[list[float]]:
    """:func:`pace`, round by round; nothing where a round is missing, for then no two reports' rounds belong together."""
    found: list[list[float]] = [[] for _ in range(report.settings.rounds)]
    for number, seconds in zip(report.samples.steady.round, pace(report), strict=True):
        if 0 <= number < len(found):
            found[number].append(seconds)
    return found if all(found) else []


def at_once(report: Report) -> float:
    """How many items a run answers."""
    runs = len(report.samples.steady)
    return (
        report.summaries.items / runs if runs and report.summaries.items else report.identity.workload.batch
    )


def percent(part: float) -> str:
    """A part of 1 in percent to a tenth, rounded down: almost all is not all."""
    return f"{math.floor(part * 1000 + 1e-9) / 10:g} %"


def _short(text: str) -> str:
    if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text):
        return text[:12]
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
