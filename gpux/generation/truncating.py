"""Which tokens may be drawn and how likely each is: temperature, top_k, top_p, min_p and typical_p, as transformers does.

A vocabulary of 150,000 is never sorted whole for the sake of a few tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gpux.generation.settings import GenerationSettings

_GROUPS = 64  # scores of which one group's highest stands for all of them
_ROW = 512  # weights that are summed up before the drawn one is looked for among them


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
    weights = np.exp(scores - scores.max())
    start = 0
    if len(weights) > 8 * _ROW:
        rows = len(weights) // _ROW
        sums = weights[: rows * _ROW].reshape(rows, _ROW).sum(axis=1)
        sums = np.append(sums, weights[rows * _ROW :].sum()).astype(np.float64)
        total = float(sums.sum())
        ends = sums.cumsum()
        row = _place(ends, uniform * total)
        start = row * _ROW
        weights = weights[start : start + _ROW]
        below = float(ends[row] - sums[row])
        # The place inside the row keeps what of the drawn number the rows before it left.
        ends = weights.astype(np.float64).cumsum()
        share = (uniform * total - below) / float(sums[row])
        return start + _place(ends, min(max(share, 0.0), 1.0) * float(ends[-1]))
    ends = weights.astype(np.float64).cumsum()
    return _place(ends, uniform * float(ends[-1]))


def largest(values: np.ndarray, count: int) -> np.ndarray:
    """The places of the ``count`` largest in descending order, the first of equals first; fewer where there are fewer."""
    pool = _pool(values, count)
    found = values if pool is None else values[pool]
    if count < len(found):
        edge = np.partition(found, len(found) - count)[len(found) - count]
        above = np.flatnonzero(found > edge)
        among = np.concatenate([above, np.flatnonzero(found == edge)[: count - len(above)]])
        order = among[np.argsort(-found[among], kind="stable")]
    else:
        order = np.argsort(-found, kind="stable")
    return order if pool is None else pool[order]


def log_sum(scores: np.ndarray) -> float:
    """The logarithm of the sum of the scores' exponentials: what a score less this is, is its log probability."""
    most = scores.max()
    return float(most) + float(np.log(np.exp(scores - most).sum()))


def _place(ends: np.ndarray, at: float) -> int:
    """Where a number lies among cumulated weights; never at one without weight."""
    return min(int(ends.searchsorted(at, side="right")), int(ends.searchsorted(ends[-1])))


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


def _leading(keys: np.ndarray, weights: np.ndarray, mass: float) -> tuple[np.ndarray, int]:
    """The places of the highest keys, sorted, and how many of them it takes until their share of the weight is ``mass``."""
    share = mass * float(weights.sum())
    for count in (256, 4096, len(keys)):
        # Of all of them the order of equals is left open: that sort is three times as fast.
        places = largest(keys, count) if count < len(keys) else np.argsort(-keys)
        ends = weights[places].astype(np.float64).cumsum()
        if ends[-1] >= share:
            break
    return places, min(int(ends.searchsorted(share)) + 1, len(places))


def _top_p(scores: np.ndarray, settings: GenerationSettings, keep: int) -> np.ndarray | None:
    """The fewest that have ``top_p`` of the probability (https://arxiv.org/abs/1904.09751)."""
    if settings.top_p >= 1:
        return None
    places, count = _leading(scores, np.exp(scores - scores.max()), settings.top_p)
    return places[: max(count, keep)] if keep <= len(places) else largest(scores, keep)


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
    places, count = _leading(-strange, weights, settings.typical_p)
    kept = np.flatnonzero(strange <= strange[places[count - 1]])
    return possible[kept if len(kept) >= keep else largest(-strange, keep)]
