"""The tables of one report: figures, phases, stages, memory, conditions, settings, identity; draws nothing."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from gpux.bench.render import resources, units
from gpux.bench.render.html.elements import facts, table
from gpux.bench.render.lines import Line
from gpux.bench.render.units import UNKNOWN, duration, percent, size

if TYPE_CHECKING:
    from gpux.bench.report import Report
    from gpux.bench.stats import Summary

SHOWN = 20
"""Most failures that are named one by one: the first ones."""

_SHARES = {"own", "others", "iowait", "steal"}
_FREQUENCIES = {"frequency_begin", "frequency_end", "frequency_limit"}


def figures(report: Report) -> str:
    """Every statistic of the steady runs, with the intervals that there are."""
    found, noun = report.summaries, report.identity.workload.noun
    rows: list[tuple[str, str, str]] = []
    if found.steady is not None:
        rows += _statistics(found.steady, found.intervals)
    if found.effective is not None:
        rows.append(("independent runs that these are worth", f"{round(found.effective):,}", ""))
    if found.throughput is not None:
        sure = found.intervals.get("throughput")
        rows.append(
            (f"{noun} per second", units.number(found.throughput), units.interval(*sure) if sure else "")
        )
    rows += [
        (f"{name} per second", units.number(rate), "") for name, rate in found.rates.items() if name != noun
    ]
    rows.append(("outliers, kept in every figure", f"{len(found.outliers):,}", ""))
    rows.append(("steady runs that failed, in no figure", f"{found.failed:,}", ""))
    return table("Steady runs", ("", "figure", "95 % interval"), rows, right={1, 2}) + _pieces(report)


def _statistics(found: Summary, intervals: dict[str, tuple[float, float]]) -> list[tuple[str, str, str]]:
    def sure(name: str) -> str:
        return units.span(*intervals[name]) if name in intervals else ""

    return [
        ("runs", f"{found.n:,}", ""),
        ("median (p50)", duration(found.median), sure("median")),
        ("mean", duration(found.mean), sure("mean")),
        ("standard deviation", UNKNOWN if found.std is None else duration(found.std), ""),
        ("fastest", duration(found.min), ""),
        ("p90", duration(found.p90), ""),
        ("p95", duration(found.p95), ""),
        ("p99", duration(found.p99), ""),
        ("slowest", duration(found.max), ""),
        ("median absolute deviation", duration(found.mad), ""),
        ("coefficient of variation", UNKNOWN if found.variation is None else percent(found.variation), ""),
    ]


def _pieces(report: Report) -> str:
    found = report.summaries.pieces
    if found is None:
        return ""
    kinds = {"time to first token": found.first, "between pieces": found.between, "per token": found.token}
    rows = [
        (name, *(duration(value) for value in (part.median, part.mean, part.p95, part.p99)))
        for name, part in kinds.items()
        if part is not None
    ]
    rates = {"decode": found.rate, "prompt": found.prompt}
    told = [
        Line(name, (f"{units.number(rate)} tokens per second",))
        for name, rate in rates.items()
        if rate is not None
    ]
    if found.acceptance is not None:
        told.append(Line("guesses", (f"{percent(found.acceptance)} right",)))
    return table("Piece by piece", ("", "median", "mean", "p95", "p99"), rows, right={1, 2, 3, 4}) + facts(
        told
    )


def stages(report: Report) -> str:
    """Each stage of a run: its median, its 95th percentile and its share."""
    found = report.summaries
    rows = []
    for name, share in found.shares.items():
        stage = found.stages.get(name)
        rows.append(
            (name, *((duration(stage.median), duration(stage.p95)) if stage else ("", "")), percent(share))
        )
    return table("Inside a run", ("stage", "median", "p95", "share"), rows, right={1, 2, 3})


def phases(report: Report) -> str:
    """What came before the steady runs, part by part."""
    samples = report.samples
    rows = [("preparation", name, duration(seconds)) for name, seconds in samples.preparation.items()]
    rows += [("load", name, duration(seconds)) for name, seconds in samples.load.items()]
    rows += [("first run", "", duration(seconds)) for seconds in samples.first.seconds]
    if len(samples.warmup):
        rows.append(
            ("warm-up", units.count(len(samples.warmup), "run"), duration(sum(samples.warmup.seconds)))
        )
    return table("Before the steady runs", ("phase", "part", "time"), rows, right={2})


def memory(report: Report) -> str:
    """What the model takes on disk and in memory, and what every GPU tells."""
    found = report.memory
    lines = [] if found.parameters is None else [Line("parameters", (f"{found.parameters:,}",))]
    lines += resources.memory(report)
    rows = [
        (variant, name, size(count), "measured here" if variant == report.identity.variant else "")
        for variant, components in found.disk.items()
        for name, count in components.items()
    ]
    told = facts(lines) + table("On disk", ("variant", "component", "size", ""), rows, right={2})
    return told + facts([*resources.devices(report)])


def energy(report: Report) -> str:
    """Energy or why there is none, and the cost."""
    cost = resources.cost(report)
    return facts([resources.energy(report), *([cost] if cost is not None else [])])


def conditions(report: Report) -> str:
    """What the machine did meanwhile; where it does not tell, why."""
    found = report.conditions
    lines = [
        Line(_label(field.name), (_condition(field.name, getattr(found, field.name)),))
        for field in fields(found)
        if field.name != "unknown" and field.name not in found.unknown
    ]
    lines += [Line(_label(name), (f"{UNKNOWN}: {reason}",)) for name, reason in found.unknown.items()]
    return facts(lines)


def settings(report: Report) -> str:
    """Every setting, also those left as they were."""
    found = report.settings
    return facts(Line(_label(field.name), (_plain(getattr(found, field.name)),)) for field in fields(found))


def identity(report: Report) -> str:
    """What exactly was measured: model, proof, placement, inputs, software, machine."""
    who = report.identity
    machine, work = who.machine, who.workload
    model = {
        "model": who.reference, "revision": who.resolved, "artifact": who.digest, "task": who.task, "mode": who.mode,
        "weights": who.variant, "provider": f"{who.provider} on {who.device}", "computed in": who.precision,
        "nodes": ", ".join(f"{name} {count:,}" for name, count in who.nodes.items()),
        "elsewhere": ", ".join(who.left_behind) or "nothing", "threads": str(who.threads), "started": who.started,
    }  # fmt: skip
    inputs = {
        "inputs": f"{units.items(work.items, work.noun)}, {work.origin}", "inputs' sha256": work.sha256 or UNKNOWN,
        "per run": units.items(work.batch, work.noun),
        "characters": UNKNOWN if work.characters is None else f"{work.characters:,}",
    }  # fmt: skip
    around = {
        "machine": machine.processor, "cores": f"{machine.cores_allowed} of {machine.cores}",
        "machine's memory": size(machine.memory), "system": f"{machine.system} {machine.release} {machine.architecture}",
        "features": ", ".join(machine.features) or "none told",
    }  # fmt: skip
    told = facts(Line(name, (text,)) for name, text in {**model, **inputs, **around}.items())
    return told + table("Software", ("", "version"), who.versions.items())


def failures(report: Report) -> list[tuple[str, str]]:
    """The runs that failed, each with its error and where it was; the first of many."""
    found = report.samples.failures
    rows = [
        (
            f"{failure.error}: {failure.message} ({failure.phase} run, query {failure.query}, after {duration(failure.seconds)})",
            "",
        )
        for failure in found[:SHOWN]
    ]
    more = len(found) - len(rows)
    return [*rows, *([(f"and {more:,} more, all in the JSON document", "")] if more else [])]


def _condition(name: str, value: Any) -> str:
    if value is None:
        return UNKNOWN
    if name in _SHARES:
        return percent(value)
    if name in _FREQUENCIES:
        return f"{value:,.0f} MHz"
    if name in {"seconds", "quota_seconds"}:
        return duration(value)
    return (
        f"{value:,}"
        if isinstance(value, int)
        else units.number(value)
        if isinstance(value, float)
        else str(value)
    )


def _plain(value: Any) -> str:
    if value is None:
        return "not set"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _label(name: str) -> str:
    return {
        "seconds": "watched", "own": "this process", "iowait": "waiting for disks", "load": "load average before",
        "others": "other programs", "steal": "taken by the host", "switches": "involuntary switches",
    }.get(name, name.replace("_", " "))  # fmt: skip
