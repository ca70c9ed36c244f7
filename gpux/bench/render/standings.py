"""What a suite says of each configuration: a standing → cells, the same for every format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.bench.render import units
from gpux.bench.render.units import duration, percent

if TYPE_CHECKING:
    from gpux.bench.comparison import Estimate
    from gpux.bench.intervals import Ratio
    from gpux.bench.ranking import Standing
    from gpux.bench.suite import Reason, Suite
    from gpux.bench.warnings import Caution

BEST, AS_FAST = "*", "="
RAN_ON = "ran on"
LEGEND = {BEST: "the least time per item", AS_FAST: "not measurably slower than that"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, what stands in it, and whether that stands on the right."""

    title: str
    cell: Callable[[Standing], str]
    right: bool = True


def columns(suite: Suite, standings: Sequence[Standing]) -> list[Column]:
    """The columns that say something of at least one configuration, the weightiest first."""
    noun = next((report.identity.workload.noun for report in suite.reports), "items")
    one = units.singular(noun)
    found = [
        Column("median", lambda row: figure(row.run)),
        Column(f"{noun}/s", lambda row: "" if row.throughput is None else units.number(row.throughput.value)),
        Column("relative", relative, right=False),
        Column("proof", lambda row: row.quality or "", right=False),
        Column("cosine", lambda row: "" if row.min_cosine is None else f"≥ {units.cosine(row.min_cosine)}"),
        Column("95% interval", lambda row: between(row.run), right=False),
        Column(f"per {one}", lambda row: figure(row.item)),
        Column("top-1", lambda row: "" if row.top1 is None else percent(row.top1)),
        Column("agreement", lambda row: "" if row.agreement is None else units.cosine(row.agreement)),
        Column("peak memory", lambda row: "" if row.memory is None else units.size(row.memory)),
        Column(f"energy per {one}", lambda row: "" if row.energy is None else units.energy(row.energy)),
        Column(RAN_ON, placement, right=False),
    ]
    everywhere = {placement(row) for row in standings if row.provider is not None}
    return [
        column
        for column in found
        if any(map(column.cell, standings)) and not (column.title == RAN_ON and len(everywhere) == 1)
    ]


def mark(standing: Standing) -> str:
    """The sign of the best, or of one that is as fast."""
    return BEST if standing.best else AS_FAST if standing.as_fast else ""


def figure(estimate: Estimate | None) -> str:
    """Seconds."""
    return "" if estimate is None else duration(estimate.value)


def between(estimate: Estimate | None) -> str:
    """An interval in seconds."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return ""
    return units.span(estimate.low, estimate.high)


def relative(standing: Standing) -> str:
    """How many times the best's time, with its interval."""
    return "1.00 ×" if standing.best else times(standing.relative)


def times(found: Ratio | None) -> str:
    """A ratio with its interval."""
    if found is None:
        return ""
    sure = ""
    if found.low is not None and found.high is not None:
        sure = f" ({units.ratio(found.low)} to {units.ratio(found.high)})"
    return f"{units.ratio(found.value)} ×{sure}"


def placement(standing: Standing) -> str:
    """What really ran."""
    if standing.provider is None:
        return ""
    share = "" if standing.share is None else f", {percent(standing.share)} of the nodes"
    return f"{standing.provider} in {standing.precision}{share}"


def remarks(standing: Standing) -> list[str]:
    """Why there are no figures, or what is wrong with them."""
    found = []
    if standing.failures:
        found.append(f"{units.count(standing.failures, 'run')} failed, in no figure")
    if standing.reason is not None:
        found.append(why(standing.reason))
    elif standing.run is None:
        found.append("no run was finished")
    return found


def why(reason: Reason) -> str:
    """An error in one sentence, with what to do."""
    return f"{reason.error}: {reason.message}" + (f"; {reason.hint}" if reason.hint else "")


@dataclass(frozen=True, slots=True)
class Gathered:
    """One warning of several configurations: what each of them says, and the action, which is the same for all."""

    said: tuple[tuple[str, tuple[str, ...]], ...]
    hint: str


def gathered(suite: Suite) -> list[Gathered]:
    """Every warning once: by name and action, then by sentence, with the labels that it concerns."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for row in suite.rows:
        cautions: Sequence[Caution] = row.report.cautions if row.report is not None else ()
        for caution in cautions:
            found.setdefault((caution.name, caution.hint), {}).setdefault(caution.message, []).append(
                row.label
            )
    return [
        Gathered(tuple((message, tuple(labels)) for message, labels in messages.items()), hint)
        for (_, hint), messages in found.items()
    ]
