"""Reports against a baseline as a page: ratios with their intervals around 1, and the proofs behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpux.bench import difference
from gpux.bench.render import standings, units
from gpux.bench.render.html import charts, rows, thinning
from gpux.bench.render.html import report as one
from gpux.bench.render.html.elements import bullets, escaped, folded, notice, section, table
from gpux.bench.render.html.sheet import Sheet
from gpux.bench.render.units import UNKNOWN, percent

if TYPE_CHECKING:
    from gpux.bench.comparison import Comparison
    from gpux.bench.report import Report

MOST = 8
"""Most reports whose distributions are drawn over one another."""


def page(comparison: Comparison, reports: Sequence[Report]) -> str:
    """The whole page; the reports in the comparison's order, the baseline first."""
    sheet = Sheet()
    item = units.singular(comparison.noun)
    names = [comparison.name, *(row.name for row in comparison.rows)]
    pairs = list(zip(names, reports, strict=True))
    who = reports[0].identity
    chips = [who.task, f"{comparison.statistic} time per {item}", units.count(len(reports), "result")]
    body = one.heading(
        "Comparison", f"{who.reference}, against {comparison.name}", chips, one.when(reports[0])
    )
    body += section(
        "Verdict", bullets(f"{row.name}: {row.sentence}" for row in comparison.rows), name="findings"
    )
    warned = [
        (f"{name}: {caution.message}", caution.hint) for name, report in pairs for caution in report.cautions
    ]
    failed = [(f"{name}: {units.count(len(report.samples.failures), 'run')} failed, in no figure", "") for name, report in pairs
              if report.samples.failures]  # fmt: skip
    body += notice("Failed runs", failed, name="failures") + notice("Warnings", warned, name="warnings")
    body += section("Ratios", _forest(comparison, sheet), _table(comparison, pairs))
    body += section("Proofs", _proofs(pairs))
    body += section("How the runs lie", _overlaid(comparison, pairs, sheet))
    body += section("What differs", _differences(comparison))
    body += section(
        "Each result", *(folded(name, one.proof(report), *one.sections(report)) for name, report in pairs)
    )
    body += one.footer(reports[0].schema)
    return sheet.page(f"{who.reference} · comparison", body)


def _forest(comparison: Comparison, sheet: Sheet) -> str:
    found = [(row.name, row.ratio) for row in comparison.rows if row.ratio is not None]
    confidence = f"{found[0][1].confidence:.0%}".replace("%", " %") if found else ""
    return sheet.plot(
        rows.forest(found, f"times the time per {units.singular(comparison.noun)} of {comparison.name}"),
        f"Time per {units.singular(comparison.noun)}, against {comparison.name}",
        said="; ".join(f"{row.name}: {row.sentence}" for row in comparison.rows),
        note=f"bars: {confidence} intervals; left of the dashed line is faster, right is slower",
    )


def _table(comparison: Comparison, pairs: Sequence[tuple[str, Report]]) -> str:
    figures = [(comparison.baseline, "the baseline"), *((row.other, row.sentence) for row in comparison.rows)]
    found = [
        (name, standings.figure(estimate) or UNKNOWN, standings.between(estimate), said, *_trust(report))
        for (name, report), (estimate, said) in zip(pairs, figures, strict=True)
    ]
    figure = f"{comparison.statistic} per {units.singular(comparison.noun)}"
    titles = ("result", figure, "95 % interval", "verdict", "proof", "cosine")
    return table("Figures", titles, found, right={1, 5})


def _trust(report: Report) -> tuple[str, str]:
    who = report.identity
    return who.quality, UNKNOWN if who.quality == "reference" else f"≥ {units.cosine(who.min_cosine)}"


def _proofs(pairs: Sequence[tuple[str, Report]]) -> str:
    found = []
    for name, report in pairs:
        who = report.identity
        top = UNKNOWN if who.top1 is None else percent(who.top1)
        ran = (f"{who.provider} on {who.device}", who.precision, percent(who.share))
        found.append((name, who.reference, who.quality, who.against, _trust(report)[1], top, *ran))
    titles = (
        "result",
        "model",
        "proof",
        "against",
        "cosine",
        "top-1",
        "ran on",
        "computed in",
        "of the nodes",
    )
    return table("The proof beside every speed", titles, found, right={4, 5, 8})


def _overlaid(comparison: Comparison, pairs: Sequence[tuple[str, Report]], sheet: Sheet) -> str:
    drawn = [
        (name, thinning.ascending(difference.pace(report)))
        for name, report in pairs
        if len(report.samples.steady)
    ][:MOST]
    if not drawn:
        return ""
    item = units.singular(comparison.noun)
    said = ", ".join(
        f"{name} median {units.duration(ordered[(len(ordered) - 1) // 2])}" for name, ordered in drawn
    )
    left = f", of the first {MOST} results" if len(pairs) > MOST else ""
    return sheet.plot(
        charts.cumulative(drawn, f"time per {item}"), "Share of runs that take no longer", said=said,
        note=f"time per {item}{left}; farther left is faster",
    )  # fmt: skip


def _differences(comparison: Comparison) -> str:
    return "".join(
        f"<h3>{escaped(row.name)}</h3>{bullets(row.differences) or '<p>nothing besides the figures</p>'}"
        for row in comparison.rows
    )
