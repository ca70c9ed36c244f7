"""The tokens of one row so far, its prompt and its answer, and how often each came; knows no scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

_ROOM = 64  # tokens that a full buffer grows by at least


@dataclass(slots=True)
class Tally:
    """How often each token came, in the order in which they first came. Made by :meth:`of`.

    Tokens from ``vocabulary`` on are never chosen and not counted, such as those that stand for a picture.
    """

    _slots: dict[int, int]
    _ids: np.ndarray
    _counts: np.ndarray
    _vocabulary: int

    @classmethod
    def of(cls, tokens: np.ndarray, vocabulary: int) -> Tally:
        """How often these came, int64 [tokens]."""
        found, counts = np.unique(tokens[tokens < vocabulary], return_counts=True)
        slots = {int(token): slot for slot, token in enumerate(found)}
        return cls(slots, _wider(found.astype(np.int64)), _wider(counts.astype(np.float32)), vocabulary)

    @property
    def ids(self) -> np.ndarray:
        """int64 [tokens that came], each once."""
        return self._ids[: len(self._slots)]

    @property
    def counts(self) -> np.ndarray:
        """float32 [tokens that came]."""
        return self._counts[: len(self._slots)]

    def add(self, token: int) -> None:
        """Count one more."""
        if token >= self._vocabulary:
            return
        slot = self._slots.get(token)
        if slot is not None:
            self._counts[slot] += 1
            return
        slot = self._slots[token] = len(self._slots)
        if slot == len(self._ids):
            self._ids, self._counts = _wider(self._ids), _wider(self._counts)
        self._ids[slot], self._counts[slot] = token, 1

    def fork(self) -> Tally:
        """A copy that goes its own way."""
        return replace(self, _slots=dict(self._slots), _ids=self._ids.copy(), _counts=self._counts.copy())


@dataclass(slots=True)
class History:
    """The tokens of one row, to which those that are chosen come. Made by :meth:`of`.

    Attributes:
        prompt: How many tokens of it are the prompt's.
        length: How many there are.
    """

    prompt: int
    length: int
    _tokens: np.ndarray
    _vocabulary: int
    _seen: Tally | None = None
    _answered: Tally | None = None

    @classmethod
    def of(cls, prompt: Sequence[int], *, vocabulary: int) -> History:
        """A row that has its prompt and no answer yet.

        Args:
            prompt: The tokens that the decoder was given: of a decoder with an encoder its first ones, not the encoder's.
            vocabulary: How many tokens can be chosen.
        """
        tokens = _wider(np.asarray(prompt, dtype=np.int64).reshape(-1))
        return cls(len(prompt), len(prompt), tokens, vocabulary)

    @property
    def tokens(self) -> np.ndarray:
        """int64 [length], prompt and answer; a view."""
        return self._tokens[: self.length]

    @property
    def answer(self) -> int:
        """How many tokens were chosen."""
        return self.length - self.prompt

    @property
    def seen(self) -> Tally:
        """The tokens of prompt and answer."""
        if self._seen is None:
            self._seen = Tally.of(self.tokens, self._vocabulary)
        return self._seen

    @property
    def answered(self) -> Tally:
        """The tokens of the answer alone."""
        if self._answered is None:
            self._answered = Tally.of(self.tokens[self.prompt :], self._vocabulary)
        return self._answered

    def add(self, token: int) -> None:
        """The token that was chosen."""
        if self.length == len(self._tokens):
            self._tokens = _wider(self._tokens)
        self._tokens[self.length] = token
        self.length += 1
        for tally in (self._seen, self._answered):
            if tally is not None:
                tally.add(token)

    def fork(self) -> History:
        """A copy that goes its own way."""
        return replace(
            self,
            _tokens=self._tokens.copy(),
            _seen=self._seen and self._seen.fork(),
            _answered=self._answered and self._answered.fork(),
        )


def _wider(full: np.ndarray) -> np.ndarray:
    """The same with room behind it."""
    wide = np.empty(max(2 * len(full), _ROOM), dtype=full.dtype)
    wide[: len(full)] = full
    return wide
