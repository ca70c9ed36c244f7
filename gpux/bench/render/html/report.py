"""A report as a page: the speed with its proof beside it, the plots, and every table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpux.bench import assess
from gpux.bench.render import assessment, facts, resources, units
from gpux.bench.render.html import charts, tables, thinning
from gpux.bench.render.html.elements import bullets, cards, escaped, notice, section, table
from gpux.bench.render.html.elements import facts as listed
from gpux.bench.render.html.sheet import Sheet
from gpux.bench.render.units import UNKNOWN, duration

if TYPE_CHECKING:
    from gpux.bench.report import Report

SOURCE = (
    "The plots show counts and slices. Every single run stands with its time in the JSON document, which "
    "--output FILE.json writes and gpux bench compare reads."
)


def page(report: Report) -> str:
    """The whole page."""
    sheet = Sheet()
    who = report.identity
    body = heading("Benchmark", who.reference, _chips(report), when(report))
    body += cards(_cards(report)) + proof(report) + alarms(report)
    body += "".join(sections(report, plots(report, sheet)))
    body += footer(report.schema)
    return sheet.page(f"{who.reference} · benchmark", body)


def heading(over: str, title: str, chips: Sequence[str], below: str) -> str:
    """The head of a page."""
    return (
        f'<header><p class="over">GPUX · {escaped(over)}</p><h1>{escaped(title)}</h1>{bullets(chips, name="chips")}'
        f'<p class="when">{escaped(below)}</p></header>\n'
    )


def when(report: Report) -> str:
    """When and where it was measured."""
    return " · ".join(resources.machine(report).parts)


def footer(schema: int) -> str:
    """Where the raw samples are."""
    return f"<footer><p>{escaped(SOURCE)} Schema {schema}.</p></footer>\n"


def proof(report: Report, *, of: str = "") -> str:
    """The proof that stands beside a speed, and what really ran.

    Args:
        report: What was measured.
        of: Which of several configurations this is.
    """
    who = report.identity
    weak = "" if who.quality in {"exact", "near", "reference"} else " lossy"
    said = [facts.proof(who), facts.placement(who)]
    texts = "".join(
        f"<p><b>{escaped(line.label.capitalize())}</b> {escaped(line.joint.join(line.parts))}</p>"
        for line in said
    )
    name = f'<p class="of">{escaped(of)}</p>' if of else ""
    return f'<div class="proof{weak}">{name}{texts}</div>\n'


def alarms(report: Report) -> str:
    """Failures, and warnings with their actions."""
    warned = [(caution.message, caution.hint) for caution in report.cautions]
    failed = notice("Failed runs, in no figure", tables.failures(report), name="failures")
    return failed + notice("Warnings", warned, name="warnings")


def sections(report: Report, drawn: dict[str, str] | None = None) -> list[str]:
    """Every section of a report.

    Args:
        report: What was measured.
        drawn: Figures by the name of their section; none where they are left out.
    """
    plots = drawn or {}
    graded = assess.assess(report)
    grades = [(line.name, line.grade, assessment.figure(line), line.rule) for line in graded.findings]
    readiness = table(f"Readiness: {graded.grade}", ("", "grade", "figure", "rule"), grades, right={2})
    return [
        section("How the runs lie", plots.get("runs", ""), tables.figures(report)),
        section("Where the time goes", plots.get("stages", ""), tables.stages(report), tables.phases(report)),
        section("Memory", plots.get("memory", ""), tables.memory(report)),
        section("Energy and cost", tables.energy(report)),
        section("Readiness", readiness),
        section(
            "How it was measured", listed([facts.method(report), facts.work(report)]), tables.settings(report)
        ),
        section("The machine meanwhile", tables.conditions(report)),
        section("What was measured", tables.identity(report)),
    ]


def plots(report: Report, sheet: Sheet) -> dict[str, str]:
    """The figures of a report by the name of their section."""
    found = {
        "stages": sheet.plot(
            charts.shares(report), "Shares of a run",
            said=f"Stages and their shares: {', '.join(f'{n} {units.percent(p)}' for n, p in report.summaries.shares.items())}",
        ),
        "memory": sheet.plot(
            charts.memory(report), "Resident memory over time", said=" ".join(resources.memory(report)[0].parts),
        ),
    }  # fmt: skip
    steady = report.summaries.steady
    if steady is None:
        return found
    ordered = thinning.ascending(report.samples.steady.seconds)
    sure = report.summaries.intervals.get("median")
    said = (
        f"{units.count(steady.n, 'run')} from {duration(steady.min)} to {duration(steady.max)}, median {duration(steady.median)}, "
        f"95th percentile {duration(steady.p95)}, 99th {duration(steady.p99)}"
    )
    band = "shaded: 95 % interval of the median" if sure else ""
    lying = sheet.plot(
        charts.distribution(ordered, steady, sure), "Distribution", said=f"Histogram of {said}",
        note="; ".join(text for text in (band, _hidden(ordered)) if text),
    )  # fmt: skip
    lying += sheet.plot(
        charts.cumulative([("", ordered)]), "Share of runs that take no longer", said=f"Cumulative distribution of {said}",
        note="all runs, from the fastest to the slowest",
    )  # fmt: skip
    course = sheet.plot(
        charts.course(report, ordered),
        "Time line",
        said=f"The runs in their order: {said}",
        note=_legend(report),
    )
    return {**found, "runs": f'<div class="pair">{lying}</div>{course}'}


def _hidden(ordered: Sequence[float]) -> str:
    found = thinning.bins(ordered)
    beyond = []
    if found.below:
        beyond.append(f"{units.count(found.below, 'run')} down to {duration(ordered[0])}")
    if found.above:
        beyond.append(f"{units.count(found.above, 'run')} up to {duration(ordered[-1])}")
    return f"beyond the edge: {', '.join(beyond)}" if beyond else ""


def _legend(report: Report) -> str:
    count, far = len(report.samples.steady), len(report.summaries.outliers)
    said = [
        f"line: median of each of {charts.SLICES} slices; shaded: fastest to slowest"
        if count > charts.SLICES
        else "each run"
    ]
    if far:
        drawn = "" if far <= thinning.MOST else f", the farthest {thinning.MOST:,} drawn"
        said.append(f"orange: {units.count(far, 'outlier')}{drawn}, ▲ beyond the scale")
    return "; ".join(said)


def _chips(report: Report) -> list[str]:
    who, how = report.identity, report.settings
    found = [who.task, who.provider, f"{who.variant} weights" if who.mode == "onnx" else who.mode]
    found.append(units.items(who.workload.batch, who.workload.noun) + " per run")
    if how.sequence is not None:
        found.append(units.count(how.sequence, "token"))
    found += [how.scenario] if how.level == "task" else [how.scenario, "the graph alone"]
    if how.concurrency > 1:
        found.append(f"{how.concurrency} at once")
    settings = (f"{name} {value}" for name, value in sorted(who.options.items()))
    return [*found, units.count(who.threads, "thread"), *settings]


def _cards(report: Report) -> list[tuple[str, str, str]]:
    found, noun, energy = report.summaries, report.identity.workload.noun, report.energy
    steady, rows = found.steady, []
    if steady is None:
        return [("median", UNKNOWN, "no run was finished")]
    sure, rate = found.intervals.get("median"), found.intervals.get("throughput")
    few = "too few runs for an interval"
    rows.append(("median of a run", duration(steady.median), f"95 %: {units.span(*sure)}" if sure else few))
    if found.throughput is not None:
        below = f"95 %: {units.interval(*rate)}" if rate else few
        rows.append((f"{noun} per second", units.number(found.throughput), below))
    rows.append(("95th percentile", duration(steady.p95), f"99th: {duration(steady.p99)}"))
    if report.memory.peak is not None:
        rows.append(("peak memory", units.size(report.memory.peak), "resident, of the process"))
    each = energy.per_inference(found.items)
    if each is not None:
        power = "" if energy.watts is None else f"{units.number(energy.watts)} W"
        rows.append((f"energy per {units.singular(noun)}", units.energy(each), power))
    return rows
