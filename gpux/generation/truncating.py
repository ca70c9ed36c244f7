"""Which tokens may be drawn and how likely each is: temperature, top_k, top_p, min_p and typical_p, as transformers does.

A vocabulary of 150,000 is never sorted whole for the sake of a few tokens.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gpux.generation.settings import GenerationSettings

_GROUPS = 64  # scores of which one group's highest stands for all of them
_ROW = 512  # weights that are summed up before the one that is looked for is looked for among them
_FIRST = 256  # tokens among which most nuclei end


def truncated(
    scores: np.ndarray, settings: GenerationSettings, *, keep: int = 1
) -> tuple[np.ndarray | None, np.ndarray]:
    """The tokens that are left to draw from.

    Args:
        scores: float32 [vocabulary], none of them NaN, one of them finite.
        settings: The row's settings.
        keep: So many are left at least.

    Returns:
        Their ids, ``None`` for all, and their scores over the temperature.
    """
    ids: np.ndarray | None = None
    if settings.top_k and settings.top_k < len(scores):
        # Dividing by the temperature keeps the order, and is cheaper behind this.
        ids = _highest(scores, max(settings.top_k, keep))
        scores = scores[ids]
    if settings.temperature != 1:
        scores = scores / np.float32(settings.temperature)
    for narrow in (_top_p, _min_p, _typical_p):
        kept = narrow(scores, settings, keep)
        if kept is not None:
            ids = kept if ids is None else ids[kept]
            scores = scores[kept]
    return ids, scores


def draw(scores: np.ndarray, uniform: float) -> int:
    """The place of one score, drawn with the probability of its softmax.

    Args:
        scores: float32 [places].
        uniform: Drawn from [0, 1).
    """
    return _reach(_weights(scores, scores.max()), uniform, beyond=True)


def largest(values: np.ndarray, count: int, *, ordered: bool = True) -> np.ndarray:
    """The places of the ``count`` largest, the first of equals first; fewer where there are fewer.

    Args:
        values: float [places], none of them NaN.
        count: How many.
        ordered: Whether they come in descending order, rather than in any.
    """
    pool = _pool(values, count)
    found = values if pool is None else values[pool]
    if count < len(found):
        edge = np.partition(found, len(found) - count)[len(found) - count]
        above = np.flatnonzero(found > edge)
        order = np.concatenate([above, np.flatnonzero(found == edge)[: count - len(above)]])
    else:
        order = np.arange(len(found))
    if ordered:
        order = order[np.argsort(-found[order], kind="stable")]
    return order if pool is None else pool[order]


def log_sum(scores: np.ndarray, scratch: np.ndarray | None = None) -> float:
    """The logarithm of the sum of the scores' exponentials: what a score less this is, is its log probability.

    Args:
        scores: float32 [places].
        scratch: The same shape, to be written to: memory that is new costs more than the sum.
    """
    most = scores.max()
    return float(most) + math.log(float(_weights(scores, most, scratch).sum()))


def _weights(scores: np.ndarray, most: np.float32, out: np.ndarray | None = None) -> np.ndarray:
    """What the softmax of the scores is a multiple of; one new array, for memory costs more than the arithmetic."""
    weights: np.ndarray = np.subtract(scores, most, out=out)
    np.exp(weights, out=weights)
    return weights


def _reach(weights: np.ndarray, share: float, *, beyond: bool = False) -> int:
    """The first place up to which the weights have this share of them all, or, ``beyond``, more than it; one with weight."""
    start, length = 0, len(weights)
    if length > 8 * _ROW:  # a cumulated sum of all is ten times as slow as sums of rows
        rows = length // _ROW
        sums = weights[: rows * _ROW].reshape(rows, _ROW).sum(axis=1)
        sums = np.append(sums, weights[rows * _ROW :].sum())
        ends = sums.astype(np.float64).cumsum()
        row = _place(ends, share * float(ends[-1]), beyond=beyond)
        start = row * _ROW
        weights = weights[start : start + _ROW]
        share = (share * float(ends[-1]) - float(ends[row] - sums[row])) / float(sums[row])
    ends = weights.astype(np.float64).cumsum()
    return start + _place(ends, share * float(ends[-1]), beyond=beyond)


def _place(ends: np.ndarray, at: float, *, beyond: bool) -> int:
    """Where a number lies among cumulated weights; rounding takes it neither before the first nor behind the last."""
    return min(
        int(ends.searchsorted(max(at, 0.0), side="right" if beyond else "left")),
        int(ends.searchsorted(ends[-1])),
    )


def _pool(values: np.ndarray, count: int) -> np.ndarray | None:
    """Places that hold the ``count`` largest, in ascending order; ``None`` for all.

    As many groups have a highest value of at least ``floor``, so at least as many values are.
    """
    groups = len(values) // _GROUPS
    if groups < 2 * count:
        return None
    tops = values[: groups * _GROUPS].reshape(_GROUPS, groups).max(axis=0)
    floor = np.partition(tops, groups - count)[groups - count]
    return np.flatnonzero(values >= floor)


def _highest(scores: np.ndarray, count: int) -> np.ndarray:
    """The places of the ``count`` highest and of those that equal the last of them; of none that is forbidden."""
    pool = _pool(scores, count)
    found = scores if pool is None else scores[pool]
    edge = np.partition(found, len(found) - count)[len(found) - count]
    places = np.flatnonzero(found >= edge if edge > -np.inf else found > edge)
    return places if pool is None else pool[places]


def _top_p(scores: np.ndarray, settings: GenerationSettings, keep: int) -> np.ndarray | None:
    """The fewest that have ``top_p`` of the probability (https://arxiv.org/abs/1904.09751)."""
    if settings.top_p >= 1:
        return None
    most = scores.max()
    first = largest(scores, _FIRST)
    total = float(_weights(scores, most).sum())
    ends = _weights(scores[first], most).astype(np.float64).cumsum()
    if ends[-1] >= settings.top_p * total or len(first) == len(scores):
        count = int(ends.searchsorted(settings.top_p * total)) + 1
        count = max(count, keep)
        return first[:count] if count <= len(first) else largest(scores, count, ordered=False)
    # Values are sorted sixteen times as fast as places are.
    weights = _weights(np.sort(scores)[::-1], most)
    return largest(scores, max(_reach(weights, settings.top_p) + 1, keep), ordered=False)


def _min_p(scores: np.ndarray, settings: GenerationSettings, keep: int) -> np.ndarray | None:
    """Those at least ``min_p`` times as likely as the likeliest (https://arxiv.org/abs/2407.01082)."""
    if not settings.min_p:
        return None
    kept = np.flatnonzero(scores >= scores.max() + np.float32(np.log(settings.min_p)))
    return kept if len(kept) >= keep else largest(scores, keep)


def _typical_p(scores: np.ndarray, settings: GenerationSettings, keep: int) -> np.ndarray | None:
    """Those whose surprise is nearest to the expected one, until they have ``typical_p`` (https://arxiv.org/abs/2202.00666)."""
    if settings.typical_p >= 1:
        return None
    possible = np.flatnonzero(scores > -np.inf)
    found = scores[possible]
    logarithms = found - np.float32(log_sum(found))
    weights = np.exp(logarithms)
    strange = np.abs(-logarithms + (logarithms * weights).sum())
    places: np.ndarray = np.argsort(strange)
    count = max(_reach(weights[places], settings.typical_p) + 1, keep)
    kept: np.ndarray = possible[strange <= strange[places[min(count, len(places)) - 1]]]
    return kept
