"""Reports against a baseline, as a table: how many times slower, how sure, and what else differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpux.bench.render import comma_separated as csv
from gpux.bench.render import markdown as md
from gpux.bench.render import standings, units
from gpux.bench.render.lines import FIGURES, Line, ended, laid
from gpux.bench.render.screen import Screen, width

if TYPE_CHECKING:
    from gpux.bench.comparison import Comparison, Estimate

COLUMNS = (
    "name", "statistic", "seconds_per_item", "low", "high", "ratio", "ratio_low", "ratio_high", "confidence", "verdict",
    "differences",
)  # fmt: skip


def table(found: Comparison, screen: Screen) -> str:
    """The baseline, then every other report with its ratio in words and what differs."""
    blocks = [(found.name, [(*_figures(found.baseline), "the baseline")])]
    for row in found.rows:
        differs = [(f"differs: {said}",) for said in row.differences]
        blocks.append((row.name, [(*_figures(row.other), row.sentence), *differs]))
    label = max(width(screen.show(name)) for name, _ in blocks)
    text = [*screen.wrap(_title(found)), ""]
    for name, parts in blocks:
        if label <= screen.columns // 3:
            lines = [Line("" if number else name, said, FIGURES) for number, said in enumerate(parts)]
            text += laid(lines, screen, label=label)
            continue
        # Names that are cut may all look the same.
        text += screen.wrap(name, first="  ", rest="  ")
        for said in parts:
            text += screen.flow(said, joint=FIGURES, first="    ", rest="    ")
    return ended(text)


def markdown(found: Comparison, screen: Screen) -> str:  # noqa: ARG001 - one signature for all formats
    """The same as a Markdown table."""
    rows = [(found.name, *_cells(found.baseline), "the baseline", "")]
    rows += [(row.name, *_cells(row.other), row.sentence, ", ".join(row.differences)) for row in found.rows]
    titles = (
        "name",
        f"{found.statistic} per {units.singular(found.noun)}",
        "95% interval",
        "verdict",
        "differs",
    )
    return ended([f"## {md.cell(_title(found))}", "", *md.grid(titles, rows, right=(1,))])


def comma_separated(found: Comparison, screen: Screen) -> str:  # noqa: ARG001
    """A row per report, the baseline first."""
    rows: list[dict[str, object]] = [
        {"name": found.name, "statistic": found.statistic, **_numbers(found.baseline)}
    ]
    for row in found.rows:
        ratio = row.ratio
        cells: dict[str, object] = {"name": row.name, "statistic": found.statistic, **_numbers(row.other)}
        if ratio is not None:
            cells |= {
                "ratio": ratio.value,
                "ratio_low": ratio.low,
                "ratio_high": ratio.high,
                "confidence": ratio.confidence,
                "verdict": ratio.verdict,
            }
        rows.append(cells | {"differences": "; ".join(row.differences)})
    return csv.written(COLUMNS, rows)


def _title(found: Comparison) -> str:
    return f"{found.statistic} time per {units.singular(found.noun)}, against {found.name}"


def _figures(estimate: Estimate | None) -> list[str]:
    if estimate is None:
        return []
    between = standings.between(estimate)
    return [units.duration(estimate.value) + (f" ({between})" if between else "")]


def _cells(estimate: Estimate | None) -> tuple[str, str]:
    return standings.figure(estimate), standings.between(estimate)


def _numbers(estimate: Estimate | None) -> dict[str, object]:
    if estimate is None:
        return {}
    return {"seconds_per_item": estimate.value, "low": estimate.low, "high": estimate.high}
