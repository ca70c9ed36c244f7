"""Where each row's tokens stand in the slots that all rows of a conversation have in common; knows no runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_HOLES = 128
"""Slots that no row uses are carried along until they are so many, and a third of all: to move what is kept costs more."""


class Slots:
    """int64 [rows, slots]: the place in its row of each slot's token; a hole, which no query sees, is -1.

    Args:
        rows: How many rows there are.
    """

    def __init__(self, rows: int = 0) -> None:
        self.places = np.empty((rows, 0), np.int64)

    def add(self, seen: np.ndarray, sequence: int) -> None:
        """Slots for a run. Rows that were shorter before it than they have been have forgotten what stood behind.

        Args:
            seen: [rows, longest]: each row's sum is its length after the run.
            sequence: Tokens of the run, those of shorter rows filled up.
        """
        lengths = seen.sum(1, keepdims=True)
        before = lengths - sequence if self.places.size else np.zeros_like(lengths)
        if (self.places >= before).any():
            self.places = np.where(self.places >= before, -1, self.places)
        fresh = before + np.arange(sequence)
        self.places = np.concatenate([self.places, np.where(fresh < lengths, fresh, -1)], 1)

    def worth_keeping(self) -> np.ndarray | None:
        """The slots that hold something, where there are many others."""
        used = np.flatnonzero((self.places >= 0).any(0))
        slots = self.places.shape[1]
        return used if slots - len(used) >= max(_HOLES, slots // 3) else None

    def keep(self, used: np.ndarray) -> None:
        """Drop all other slots."""
        self.places = np.ascontiguousarray(self.places[:, used])

    def picked(self, rows: Sequence[int] | np.ndarray) -> Slots:
        """Rows in this order."""
        made = Slots()
        made.places = self.places[np.asarray(rows, np.int64)]
        return made

    def join(self, other: Slots) -> None:
        """Another's rows behind these; the slots of both end together."""
        slots = max(self.places.shape[1], other.places.shape[1])
        filled = [
            np.pad(one.places, [(0, 0), (slots - one.places.shape[1], 0)], constant_values=-1)
            for one in (self, other)
        ]
        self.places = np.concatenate(filled)
