"""Puts a set of rows into the order of the reference's: a detector's queries come in no order, and near ties swap places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

Run = Mapping[str, np.ndarray]

_FAR = 1e6  # stands for what is not finite, which the comparison refuses later


def matched(
    expected: Sequence[Run], actual: Sequence[Run], names: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """The actual outputs with the rows of each example in the order of the expected ones.

    Each expected row is given the nearest actual row that is still free, by all the named outputs together, so that the
    outputs of one query stay together. An example whose shapes differ is left as it is, for the comparison to refuse.

    Args:
        expected: The reference's outputs, run by run.
        actual: The graph's.
        names: Outputs [batch, rows, …] whose rows are one set.
    """
    return [
        _ordered(want, got, [name for name in names if name in want and name in got])
        for want, got in zip(expected, actual, strict=True)
    ]


def _ordered(want: Run, got: Run, names: Sequence[str]) -> dict[str, np.ndarray]:
    ordered = dict(got)
    if not names or any(want[name].shape != got[name].shape or want[name].ndim < 3 for name in names):
        return ordered
    scales = [float(np.abs(want[name]).max()) or 1.0 for name in names]
    for example in range(len(want[names[0]])):
        ours, theirs = (
            np.concatenate(
                [
                    run[name][example].reshape(run[name].shape[1], -1) / scale
                    for name, scale in zip(names, scales, strict=True)
                ],
                axis=1,
            ).astype(np.float64)
            for run in (want, got)
        )
        order = _nearest(ours, theirs)
        for name in names:
            if ordered[name] is got[name]:
                ordered[name] = got[name].copy()
            ordered[name][example] = got[name][example][order]
    return ordered


def _nearest(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """For each of our rows one of theirs; the closest pair of all is taken first, so that no odd row displaces a right one."""
    ours, theirs = (np.nan_to_num(rows, nan=_FAR, posinf=_FAR, neginf=-_FAR) for rows in (ours, theirs))
    apart = (ours**2).sum(1)[:, None] + (theirs**2).sum(1)[None] - 2 * ours @ theirs.T
    order = np.full(len(ours), -1)
    free = np.ones(len(theirs), bool)
    for pair in np.argsort(apart, axis=None, kind="stable"):
        row, nearest = divmod(int(pair), len(theirs))
        if order[row] < 0 and free[nearest]:
            order[row], free[nearest] = nearest, False
    return order
