"""What a report says of the speed, the proof beside it, and how it was measured: a report → labelled lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpux.bench.render import units
from gpux.bench.render.lines import FIGURES, Line, figures
from gpux.bench.render.units import duration, percent

if TYPE_CHECKING:
    from gpux.bench.identity import Identity
    from gpux.bench.report import Report
    from gpux.bench.summary import Pieces

AUDIO = "audio_seconds"
"""A quantity of work in seconds of sound; its rate is how many times faster than real time."""

MEAN = "mean ± σ"  # noqa: RUF001 - the sign that hyperfine uses too
_OPEN = "open"


def title(who: Identity) -> tuple[str, ...]:
    """The model in a few words."""
    return (who.reference, who.task, who.digest[:12])


def speed(report: Report) -> list[Line]:
    """The figures of the steady runs, the one that people quote first."""
    found, noun = report.summaries, report.identity.workload.noun
    steady = found.steady
    if steady is None:
        return [Line("median", ("no run was finished",))]
    sure = found.intervals.get("median")
    quoted = [duration(steady.median)] + ([f"(95%: {units.span(*sure)})"] if sure else [])
    spread = "" if steady.std is None else f" ± {duration(steady.std)}"
    tail = [f"{name} {duration(getattr(steady, name))}" for name in ("p50", "p90", "p95", "p99")]
    lines = [
        Line("median", tuple(quoted), " "),
        figures(MEAN if steady.std is not None else "mean", f"{duration(steady.mean)}{spread}"),
        figures("min … max", f"{duration(steady.min)} … {duration(steady.max)}"),
        figures("percentiles", *tail),
    ]
    rates = [*throughput(report), *_rates(found.rates, noun)]
    if rates:
        lines.append(figures("throughput", *rates))
    if found.pieces is not None:
        lines += _pieces(found.pieces)
    return lines


def throughput(report: Report) -> list[str]:
    """Items per second with their interval; images also per minute."""
    found, noun = report.summaries, report.identity.workload.noun
    if found.throughput is None:
        return []
    sure = found.intervals.get("throughput")
    between = f" ({units.interval(*sure)})" if sure else ""
    text = [f"{units.number(found.throughput)} {noun}/s{between}"]
    return [*text, f"{units.number(found.throughput * 60)} {noun}/min"] if noun == "images" else text


def proof(who: Identity) -> Line:
    """The proof that stands beside the speed."""
    if who.quality == "reference":
        return Line("proof", ("the source model itself, what others are proven against",))
    parts = [f"{who.quality} against {who.against}", f"cosine ≥ {units.cosine(who.min_cosine)}"]
    if who.top1 is not None:
        parts.append(f"top-1 {percent(who.top1)}")
    return Line("proof", tuple(parts))


def placement(who: Identity) -> Line:
    """What really ran, and where."""
    nodes = units.count(sum(who.nodes.values()), "node")
    weights = "" if who.mode == "torch" else f"{who.variant} weights, "
    parts = [
        f"{who.provider} on {who.device}",
        f"{weights}computed in {who.precision}",
        f"{percent(who.share)} of {nodes}",
        units.count(who.threads, "thread"),
        *(f"{name} {value}" for name, value in sorted(who.options.items())),
    ]
    if who.left_behind:
        parts.append(f"elsewhere: {', '.join(who.left_behind)}")
    return Line("ran on", tuple(parts if who.mode == "onnx" else [f"mode {who.mode}", *parts]))


def method(report: Report) -> Line:
    """How it was measured."""
    found, how, work = report.summaries, report.settings, report.identity.workload
    runs = units.count(len(report.samples.steady), "run")
    warm = len(report.samples.warmup)
    before = f"after {warm:,} of warm-up" if warm else "without warm-up"
    parts = [
        how.scenario if how.level == "task" else f"{how.scenario}, the graph alone",
        f"{runs} in {how.rounds} rounds {before}" if how.rounds > 1 else f"{runs} {before}",
        f"{units.items(work.batch, work.noun)} per run",
    ]
    if how.sequence is not None:
        parts.append(units.count(how.sequence, "token") + " each")
    if how.rate is not None:
        parts.append(f"{how.rate:g} queries/s arrive at random")
    if how.concurrency > 1:
        parts.append(f"{how.concurrency} {'workers' if how.rate is not None else 'clients'} at once")
    parts += [f"{name} {value}" for name, value in how.parameters.items()]
    if found.effective is not None and found.effective < 0.8 * len(report.samples.steady):
        parts.append(f"worth {found.effective:.0f} independent ones")
    return Line("measured", tuple(parts))


def work(report: Report) -> Line:
    """What the runs answered."""
    found = report.identity.workload
    parts = [f"{units.items(found.items, found.noun)}, {found.origin}"]
    if found.characters is not None:
        parts.append(units.count(found.characters, "character"))
    return Line("inputs", tuple(parts))


def phases(report: Report) -> list[Line]:
    """What came before the steady runs: first run, load, preparation."""
    found, samples = report.summaries, report.samples
    lines = []
    if found.first is not None:
        lines.append(Line("first run", (duration(found.first),)))
    if found.load is not None:
        parts = [
            f"{name} {duration(seconds)}"
            + (" (the runtime's own compilation or engine build)" if name == _OPEN else "")
            for name, seconds in samples.load.items()
        ]
        lines.append(Line("load", (duration(found.load), *parts)))
    if found.preparation is not None:
        steps = [f"{name} {duration(seconds)}" for name, seconds in samples.preparation.items()]
        lines.append(Line("preparation", (duration(found.preparation), *steps)))
    return lines


def doubts(report: Report) -> list[Line]:
    """What was flagged and what failed."""
    found, lines = report.summaries, []
    if found.outliers and found.steady is not None:
        many = len(found.outliers)
        lines.append(
            Line(
                "outliers",
                (f"{many:,} of {units.count(found.steady.n, 'run')}, kept in every figure",),
            )
        )
    if report.samples.failures:
        last = report.samples.failures[-1]
        parts = (
            units.count(len(report.samples.failures), "run") + ", in no figure",
            f"the last: {last.error}: {last.message}",
        )
        lines.append(Line("failed", parts))
    return lines


def _rates(rates: dict[str, float], noun: str) -> list[str]:
    found = []
    for name, rate in rates.items():
        if name == noun:
            continue
        if name == AUDIO:
            factor = f", real-time factor {units.number(1 / rate)}" if rate else ""
            found.append(f"{units.number(rate)} × real time{factor}")
        else:
            found.append(f"{units.number(rate)} {name}/s")
    return found


def _pieces(found: Pieces) -> list[Line]:
    lines = [
        figures("first token", f"{duration(found.first.median)} median", f"p95 {duration(found.first.p95)}")
    ]
    if found.between is not None:
        tail = [f"{name} {duration(getattr(found.between, name))}" for name in ("p90", "p95", "p99")]
        lines.append(figures("between", f"{duration(found.between.median)} median", *tail))
    if found.token is not None:
        lines.append(figures("per token", f"{duration(found.token.median)} median"))
    rates = {"decode": found.rate, "prompt": found.prompt}
    text = [f"{name} {units.number(rate)} tokens/s" for name, rate in rates.items() if rate is not None]
    if found.acceptance is not None:
        text.append(f"{percent(found.acceptance)} of the guesses right")
    return [*lines, Line("tokens", tuple(text), FIGURES)] if text else lines
