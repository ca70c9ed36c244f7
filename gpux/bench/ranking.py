"""A suite's configurations against the fastest of them, with their proofs; measures nothing and renders nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.bench.comparison import Estimate
from gpux.bench.suite import Reason

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio


@dataclass(frozen=True, slots=True)
class Standing:
    """One configuration among the others; every figure is ``None`` where the configuration has none.

    Attributes:
        label: As in the suite.
        axes: As in the suite.
        run: Median seconds per run.
        item: Median seconds per item; runs of several clients at once count as what each adds.
        throughput: Items per second.
        relative: Seconds per item / those of the best row with the same inputs: above 1 it is slower; ``None`` for that
            row itself too.
        best: Whether it takes the least time per item of all rows with the same inputs.
        as_fast: Whether no difference from the best can be measured; also true for the best itself.
        quality: Its certificate's class.
        min_cosine: Its certificate's smallest cosine.
        top1: Its certificate's smallest top-1 agreement, from 0 to 1.
        agreement: As in the suite.
        provider: The provider that really ran.
        precision: The precision that it really computed in.
        share: Part of the graph's nodes that ran on the provider, from 0 to 1.
        memory: Peak of resident memory in bytes.
        energy: Joules per item.
        failures: Runs that failed, in no figure.
        reason: Why there are no figures, or why it stopped.
    """

    label: str
    axes: dict[str, str]
    run: Estimate | None
    item: Estimate | None
    throughput: Estimate | None
    relative: Ratio | None
    best: bool
    as_fast: bool
    quality: str | None
    min_cosine: float | None
    top1: float | None
    agreement: float | None
    provider: str | None
    precision: str | None
    share: float | None
    memory: int | None
    energy: float | None
    failures: int
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class BestBatch:
    """The smallest batch that answers as many items per second as any, as far as can be measured.

    Attributes:
        axes: The values of the other axes for which it holds; empty where batch is the only axis.
        batch: Items per run.
        gain: Seconds per item of the smallest batch measured / those of this one; ``None`` where they are the same row.
    """

    axes: dict[str, str]
    batch: int
    gain: Ratio | None


@dataclass(frozen=True, slots=True)
class Ranking:
    """A suite, judged.

    Attributes:
        standings: One per row, in the suite's order.
        fastest: Label of the row with the least time per item; ``None`` where the rows answered different inputs, or none
            has figures.
        fastest_proven: Label of the fastest row whose proof is ``exact``, ``near`` or the source model itself, where the
            fastest is none of these and such a row exists.
        quickest: Label of the row with the least time per run (the best latency); ``None`` as for ``fastest``.
        best_batch: One per combination of the other axes, where batch is an axis.
        sentences: What to tell a reader first.
    """

    standings: tuple[Standing, ...]
    fastest: str | None
    fastest_proven: str | None
    quickest: str | None
    best_batch: tuple[BestBatch, ...]
    sentences: tuple[str, ...]
