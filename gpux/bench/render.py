"""Report → text, one pure function per format; measures nothing, computes nothing, prints nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from gpux.bench.identity import Identity
from gpux.bench.report import Report
from gpux.bench.stats import Summary
from gpux.errors import InvalidSetting

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_FIGURES = ("median", "mean", "std", "min", "max", "p50", "p90", "p95", "p99")


def render(report: Report, form: str) -> str:
    """The report in one of :data:`FORMATS`.

    Raises:
        InvalidSetting: There is no such format.
    """
    try:
        return FORMATS[form](report)
    except KeyError:
        raise InvalidSetting(
            f"there is no report format `{form}`", hint=f"use --format {' or '.join(FORMATS)}", format=form
        ) from None


def table(report: Report) -> str:
    """A compact table for a terminal."""
    lines = [*_heading(report.identity), ""]
    lines += [f"{name:<12}{value}" for name, value in _rows(report)]
    lines += [f"warning: {caution.message}; {caution.hint}" for caution in report.cautions]
    return "\n".join(lines) + "\n"


def markdown(report: Report) -> str:
    """A Markdown table under the identity."""
    cells = [(name, value.replace("|", "\\|")) for name, value in _rows(report)]
    lines = [*(f"- {line}" for line in _heading(report.identity)), "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in cells]
    if report.cautions:
        lines += ["", *(f"> {caution.message}; {caution.hint}" for caution in report.cautions)]
    return "\n".join(lines) + "\n"


def comma_separated(report: Report) -> str:
    """A header and one row for the configuration; times in seconds. The raw samples are in the JSON."""
    who, found = report.identity, report.summaries
    row: dict[str, object] = {
        "reference": who.reference,
        "digest": who.digest,
        "task": who.task,
        "variant": who.variant,
        "provider": who.provider,
        "device": who.device,
        "precision": who.precision,
        "share": who.share,
        "quality": who.quality,
        "against": who.against,
        "min_cosine": who.min_cosine,
        "threads": who.threads,
        "items": who.inputs.count,
        "started": who.started,
        "load": found.load,
        "first": found.first,
        "runs": found.steady.n if found.steady else 0,
    }
    row |= {figure: getattr(found.steady, figure, None) for figure in _FIGURES}
    row |= {f"{stage}_mean": summary.mean for stage, summary in found.stages.items()}
    row["throughput"] = found.throughput
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row), lineterminator="\n")
    writer.writeheader()
    writer.writerow(row)
    return text.getvalue()


def json_text(report: Report) -> str:
    """The record itself."""
    return report.to_json()


FORMATS: dict[str, Callable[[Report], str]] = {
    "table": table,
    "json": json_text,
    "csv": comma_separated,
    "md": markdown,
}
"""Format → function from a report to text."""


def duration(seconds: float) -> str:
    """Seconds in the largest unit that leaves a whole part, with four significant digits."""
    if seconds == 0:
        return "0 s"
    size, unit = next(((size, unit) for size, unit in _UNITS if abs(seconds) >= size), _UNITS[-1])
    value = seconds / size
    digits = 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    return f"{value:.{digits}f} {unit}"


def _heading(who: Identity) -> list[str]:
    nodes = sum(who.nodes.values())
    characters = "" if who.inputs.characters is None else f", {who.inputs.characters} characters"
    software = ", ".join(
        f"{name} {who.versions[name]}" for name in who.versions if name == "gpux" or "onnxruntime" in name
    )
    return [
        f"{who.reference} · {who.task} · {who.digest[:12]}",
        f"{who.provider} ({who.device}, {who.precision}, {_percent(who.share)} of {nodes} nodes) · {_count(who.threads, 'thread')}"
        f" · variant {who.variant}, proven {who.quality} against {who.against} (cosine ≥ {_floor(who.min_cosine)})",
        f"{_count(who.inputs.count, 'input')} per run{characters} · {who.machine.processor} · {software} · {who.started}",
    ]


def _rows(report: Report) -> list[tuple[str, str]]:
    found = report.summaries
    rows: list[tuple[str, str]] = []
    if found.load is not None:
        parts = ", ".join(f"{name} {duration(seconds)}" for name, seconds in report.samples.load.items())
        rows.append(("load", f"{duration(found.load)} ({parts})"))
    if found.first is not None:
        rows.append(("first run", duration(found.first)))
    if found.steady is None:
        return [*rows, ("steady", "no run was finished")]
    rows.append(("steady", f"{_count(found.steady.n, 'run')} after {len(report.samples.warmup)} of warm-up"))
    rows += _figures(found.steady)
    rows += [
        (stage, f"{duration(summary.median)} median, {_percent(found.shares.get(stage, 0.0))} of the time")
        for stage, summary in found.stages.items()
    ]
    if found.throughput is not None:
        rows.append(("throughput", f"{found.throughput:.4g} inputs/s"))
    return rows


def _figures(steady: Summary) -> list[tuple[str, str]]:
    spread = "" if steady.std is None else f" ± {duration(steady.std)}"
    return [
        ("median", duration(steady.median)),
        ("mean", f"{duration(steady.mean)}{spread}"),
        ("min … max", f"{duration(steady.min)} … {duration(steady.max)}"),
        ("percentiles", "  ".join(f"p{p} {duration(getattr(steady, f'p{p}'))}" for p in (50, 90, 95, 99))),
    ]


def _percent(share: float) -> str:
    # Never rounds a part up to the whole.
    text = f"{share:.1%}"
    return "99.9%" if text == "100.0%" and share < 1 else text.replace(".0%", "%")


def _floor(cosine: float) -> str:
    # Rounded down beyond float64's own noise: a proof must not read better than it is.
    return f"{int((cosine + 1e-9) * 1e6) / 1e6:.6f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
