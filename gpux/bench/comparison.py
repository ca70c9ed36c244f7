"""Reports of the same work against the first of them: how many times slower, how sure, and what else differs.

Reads reports only; whoever calls it decides what a difference is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpux.bench.intervals import Ratio


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % bootstrap interval; both ends are ``None`` where there are too few runs for one.

    Attributes:
        value: The figure.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Versus:
    """One report against the baseline.

    Attributes:
        name: What it is called, such as its file's name.
        baseline: The baseline's seconds per item; ``None`` where it has no steady run.
        other: This report's seconds per item; ``None`` where it has no steady run.
        ratio: This report's seconds per item / the baseline's: above 1 it is slower; ``None`` where one of them is.
        differences: What differs besides the figures, both values in each (``onnxruntime 1.31.1 → 1.32.0``).
        sentence: The verdict, such as ``1.23 × slower (1.20 to 1.26)``.
    """

    name: str
    baseline: Estimate | None
    other: Estimate | None
    ratio: Ratio | None
    differences: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Reports against a baseline.

    Attributes:
        name: What the baseline is called.
        noun: What the items are, in the plural.
        statistic: ``median`` or ``mean``.
        baseline: The baseline's seconds per item; ``None`` where it has no steady run.
        rows: Every other report, in the order given.
    """

    name: str
    noun: str
    statistic: str
    baseline: Estimate | None
    rows: tuple[Versus, ...]
