"""How far the answers of two configurations agree: answers → numbers → cosines; knows no task and no model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MOST = 1_000_000
"""Numbers of one answer that are compared."""


def numbers(answer: Any) -> list[float] | None:
    """Every number of one answer in an order that does not depend on its values; ``None`` where it holds none.

    Labels with scores are taken in the order of the labels, for two configurations may rank them differently.
    """
    found: list[float] = []
    _collect(answer, found)
    return found[:MOST] or None


def cosine(one: Sequence[Sequence[float] | None], other: Sequence[Sequence[float] | None]) -> float | None:
    """The smallest cosine between answers to the same items; ``None`` where neither holds numbers.

    Answers of other lengths, no answer where the other has one, and numbers that are not finite agree in nothing: 0.

    Args:
        one: The numbers of each answer of one configuration.
        other: Those of another, in the same order.
    """
    if len(one) != len(other):
        return 0.0
    found = [_cosine(a or (), b or ()) for a, b in zip(one, other, strict=True) if a or b]
    return min(found) if found else None


def _collect(value: Any, found: list[float]) -> None:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float):
        found.append(float(value))
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            _collect(value[key], found)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        labelled = all(isinstance(entry, Mapping) and "label" in entry for entry in value)
        for entry in sorted(value, key=lambda entry: str(entry["label"])) if labelled else value:
            _collect(entry, found)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    if len(one) != len(other):
        return 0.0
    sizes = math.sqrt(math.fsum(a * a for a in one)), math.sqrt(math.fsum(b * b for b in other))
    if sizes == (0.0, 0.0):
        return 1.0
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        return 0.0
    product = math.fsum(a * b for a, b in zip(one, other, strict=True))
    return max(-1.0, min(1.0, product / sizes[0] / sizes[1]))
