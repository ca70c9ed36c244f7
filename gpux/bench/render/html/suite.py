"""A suite as a page: what follows from it, its curves, one table of all configurations, and each one's own report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpux.bench import ranking
from gpux.bench.render import facts, standings, units
from gpux.bench.render.html import curves, rows
from gpux.bench.render.html import report as one
from gpux.bench.render.html.elements import bullets, cards, folded, note, notice, section, table
from gpux.bench.render.html.elements import facts as listed
from gpux.bench.render.html.sheet import Sheet
from gpux.bench.render.lines import Line

if TYPE_CHECKING:
    from gpux.bench.ranking import Ranking, Standing
    from gpux.bench.suite import Suite

BATCHES = 4
"""Most best batches that have a card each; of more, the sentences tell."""

MOST = 60
"""Most configurations in a plot that has a row for each."""


def page(suite: Suite) -> str:
    """The whole page."""
    ranked, sheet = ranking.rank(suite), Sheet()
    first = next(iter(suite.reports), None)
    title = "No configuration has figures" if first is None else first.identity.reference
    many = units.count(len(suite.rows), "configuration")
    axes = [f"{name}: {', '.join(values)}" for name, values in suite.axes.items()]
    chips = [
        *([] if first is None else [first.identity.task]),
        many,
        *axes,
        *(["interrupted"] if suite.interrupted else []),
    ]
    body = one.heading(
        "Benchmark of several configurations", title, chips, "" if first is None else one.when(first)
    )
    body += cards(_cards(suite, ranked)) + _proof(suite, ranked)
    body += notice("Configurations without figures, or that stopped", _failed(ranked), name="failures")
    body += section("What follows", bullets(ranked.sentences), name="findings")
    body += section("Curves", *_curves(suite, ranked, sheet))
    body += section("All configurations", _ratios(suite, ranked, sheet), _table(suite, ranked))
    body += _warnings(suite)
    body += section("How the runs lie", _spread(suite, ranked, sheet))
    body += section("How it was measured", listed(_measured(suite)))
    body += section("Each configuration", *_details(suite))
    body += one.footer(suite.schema)
    return sheet.page(f"{title} · benchmark", body)


def _cards(suite: Suite, ranked: Ranking) -> list[tuple[str, str, str]]:
    noun = next((report.identity.workload.noun for report in suite.reports), "items")
    named = {row.label: row for row in ranked.standings}
    found = []
    labels = {"fastest": ranked.fastest, "fastest with a better proof": ranked.fastest_proven}
    for title, label in labels.items():
        row = named.get(label or "")
        if row is not None and row.throughput is not None:
            rate = f"{units.number(row.throughput.value)} {noun}/s"
            found.append((title, row.label, f"{rate}, {_trust(row)}"))
    quickest = named.get(ranked.quickest or "")
    if quickest is not None and quickest.run is not None:
        found.append(
            ("quickest single run", quickest.label, f"{standings.figure(quickest.run)}, {_trust(quickest)}")
        )
    for best in ranked.best_batch if len(ranked.best_batch) <= BATCHES else ():
        place = ", ".join(f"{name} {value}" for name, value in best.axes.items())
        gain = (
            ""
            if best.gain is None
            else f"{units.ratio(best.gain.value)} × as many per second as batch {best.smallest}"
        )
        found.append((f"smallest batch as good as any{f', {place}' if place else ''}", str(best.batch), gain))
    return found


def _trust(row: Standing) -> str:
    cosine = "" if row.min_cosine is None else f" (cosine ≥ {units.cosine(row.min_cosine)})"
    return f"proof {row.quality}{cosine}"


def _proof(suite: Suite, ranked: Ranking) -> str:
    """The fastest's proof; where there is no one fastest, the weakest of all, which no row is worse than."""
    known = [(row.label, row.report) for row in suite.rows if row.report is not None]
    if not known:
        return ""
    named = dict(known)
    if ranked.fastest is not None:
        return one.proof(named[ranked.fastest], of=f"the fastest: {ranked.fastest}")
    label, report = min(known, key=lambda pair: pair[1].identity.min_cosine)
    return one.proof(report, of=f"the weakest proof of all: {label}")


def _failed(ranked: Ranking) -> list[tuple[str, str]]:
    found = []
    for row in ranked.standings:
        if row.reason is not None:
            found.append((f"{row.label}: {row.reason.error}: {row.reason.message}", row.reason.hint or ""))
        found += [(f"{row.label}: {said}", "") for said in standings.remarks(row) if row.reason is None]
    return found


def _warnings(suite: Suite) -> str:
    """Every warning once, with the configurations that it concerns."""
    found = []
    for caution in standings.gathered(suite):
        said = [
            message if len(labels) == len(suite.rows) > 1 else f"{', '.join(labels)}: {message}"
            for message, labels in caution.said
        ]
        found.append(("\n".join(said), caution.hint))
    return notice("Warnings", found, name="warnings")


def _curves(suite: Suite, ranked: Ranking, sheet: Sheet) -> list[str]:
    noun = next((report.identity.workload.noun for report in suite.reports), "items")
    parts = []
    for axis in curves.swept(suite.axes):
        drawn = ""
        for latency, title in ((False, f"{noun} per second"), (True, "median of a run")):
            found = curves.points(axis, ranked.standings, latency=latency)
            told = ", ".join(_told(point, latency=latency) for point in found)
            drawn += sheet.plot(
                curves.curve(axis, found, title, latency=latency), f"{title.capitalize()} by {axis}",
                said=f"{title} by {axis}: {told}", note="bars: 95 % intervals; ringed: the least time per item" + ("; ✕: no figures" if _gaps(found) else ""),
            )  # fmt: skip
        parts.append(f'<div class="pair">{drawn}</div>' if drawn else "")
    return parts


def _gaps(found: Sequence[curves.Point]) -> bool:
    return any(point.figure is None for point in found)


def _told(point: curves.Point, *, latency: bool) -> str:
    line = "" if point.line == curves.ALL else f" ({point.line})"
    if point.figure is None:
        return f"{point.at:g}{line} no figures"
    return f"{point.at:g}{line} {units.duration(point.figure.value) if latency else units.number(point.figure.value)}"


def _ratios(suite: Suite, ranked: Ranking, sheet: Sheet) -> str:
    """Ratios to the best, where no curve shows them already."""
    found = [(row.label, row.relative) for row in ranked.standings if row.relative is not None]
    if curves.swept(suite.axes) or len(found) > MOST:
        return ""
    said = ", ".join(f"{label} {standings.times(ratio)}" for label, ratio in found)
    against = f", against {ranked.fastest}" if ranked.fastest else ", against the best with the same inputs"
    confidence = f"{found[0][1].confidence:.0%}".replace("%", " %") if found else ""
    return sheet.plot(
        rows.forest(found, "times the best's time per item"), f"Time per item{against}", said=f"Ratios: {said}",
        note=f"bars: {confidence} intervals; dashed: as fast as the best",
    )  # fmt: skip


def _table(suite: Suite, ranked: Ranking) -> str:
    columns = standings.columns(suite, ranked.standings)
    cells = [
        (_named(row), *(column.cell(row) for column in columns))
        if row.run is not None
        else (_named(row), "; ".join(standings.remarks(row)))
        for row in ranked.standings
    ]
    used = {standings.mark(row) for row in ranked.standings}
    legend = [f"{_SIGNS[mark]} {text}" for mark, text in standings.LEGEND.items() if mark in used]
    return table(
        "Configurations, in the order of the axes",
        ("configuration", *(column.title for column in columns)),
        cells,
        right={index for index, column in enumerate(columns, 1) if column.right},
        marked=[index for index, row in enumerate(ranked.standings) if row.best],
    ) + (note(" · ".join(legend)) if legend else "")


_SIGNS = {standings.BEST: "★", standings.AS_FAST: "≈"}


def _named(row: Standing) -> str:
    mark = standings.mark(row)
    return f"{_SIGNS[mark]} {row.label}" if mark else row.label


def _spread(suite: Suite, ranked: Ranking, sheet: Sheet) -> str:
    found = [
        (row.label, row.report.summaries.steady, standing.best)
        for row, standing in zip(suite.rows, ranked.standings, strict=True)
        if row.report is not None and row.report.summaries.steady is not None
    ]
    said = ", ".join(f"{label} median {units.duration(steady.median)}" for label, steady, _ in found)
    left = f"; the first {MOST} of {len(found)}" if len(found) > MOST else ""
    return sheet.plot(
        rows.spread(found[:MOST]), "One run of each configuration", said=said,
        note=f"bar: fastest to 95th percentile; line: to the 99th; dark: median{left}",
    )  # fmt: skip


def _measured(suite: Suite) -> list[Line]:
    turns = "measured in turns, round by round" if suite.interleaved else "measured one after another"
    done = f"{len(suite.reports)} of {units.count(len(suite.rows), 'configuration')} have figures"
    first = next(iter(suite.reports), None)
    return [
        Line("order", (turns,)),
        Line("figures", (done,)),
        *([] if first is None else [facts.work(first)]),
    ]


def _details(suite: Suite) -> list[str]:
    found = []
    for row in suite.rows:
        if row.report is None:
            why = standings.why(row.reason) if row.reason is not None else "no figures"
            found.append(folded(row.label, note(why)))
            continue
        agreed = (
            ""
            if row.agreement is None
            else note(
                f"Its answers agree with the first configuration's: cosine ≥ {units.cosine(row.agreement)}"
            )
        )
        parts = (one.proof(row.report), agreed, one.alarms(row.report), *one.sections(row.report))
        found.append(folded(row.label, *parts))
    return found
