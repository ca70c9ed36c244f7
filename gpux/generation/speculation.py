"""Tokens that may come next, guessed cheaply, so that a model checks several in one run: from what was written, or by a smaller model.

What is written never hangs on a guess: the model's own choice stands, and a guess only saves its run.
Source: https://arxiv.org/abs/2211.17192 (speculative decoding), with greedy guesses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gpux.generation import lookup

if TYPE_CHECKING:
    from gpux.generation.decoder import Decoder

FIRST, MOST = 4, 16
"""Tokens that a smaller model guesses at first, and at most."""


class Guesser(Protocol):
    """Guesses what comes next, for the only row of a batch."""

    def guess(self, tokens: Sequence[int], most: int) -> list[int]:
        """At most so many tokens that may come behind these; none where it has no idea."""
        ...

    def learn(self, proposed: int, accepted: int) -> None:
        """How many of its guess were right, up to the first that was not."""
        ...


class Lookup:
    """What followed the last words before may follow them again.

    Args:
        size: Tokens of a guess at most.
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def guess(self, tokens: Sequence[int], most: int) -> list[int]:
        """What stood behind the latest earlier place of the last tokens."""
        return lookup.guess(tokens, min(self._size, most))

    def learn(self, proposed: int, accepted: int) -> None:
        """Nothing: where the words were written before is all that it knows."""


class Draft:
    """A smaller model with the same tokens, which writes on greedily; it guesses more as long as it is right.

    Args:
        decoder: Its decoder, which may have read some tokens.
        read: The tokens that it has read.
        vocabulary: Tokens that the larger model knows: a number from there on ends a guess.

    Attributes:
        read: The tokens that the decoder has read so far.
    """

    def __init__(self, decoder: Decoder, *, read: Sequence[int] = (), vocabulary: int) -> None:
        self.read = list(read)
        self._decoder, self._vocabulary = decoder, vocabulary
        self._size = FIRST

    def guess(self, tokens: Sequence[int], most: int) -> list[int]:
        """What the smaller model would write."""
        # It reads all but the last of its own guesses.
        size = min(self._size, most, self._decoder.limit - len(tokens) + 1)
        if size < 1:
            return []
        scores = self._catch_up(tokens)
        found: list[int] = []
        while True:
            token = int(scores[0].argmax())
            if token >= self._vocabulary:
                return found
            found.append(token)
            if len(found) == size:
                return found
            scores = self._decoder.step(np.array([token], np.int64))
            self.read.append(token)

    def learn(self, proposed: int, accepted: int) -> None:
        """Guess two tokens more where all were right, one less where one was not, as transformers does."""
        self._size = min(self._size + 2, MOST) if accepted == proposed else max(self._size - 1, 1)

    def _catch_up(self, tokens: Sequence[int]) -> np.ndarray:
        """Forget what came otherwise, and read what came: float32 [1, vocabulary] after the last token."""
        shared = common(self.read, tokens)
        self.read = []  # where reading fails, nothing is known
        if shared:
            self._decoder.rewind(shared)
            scores = self._decoder.extend(tokens[shared:], every=False)
        else:
            scores = self._decoder.prefill([tokens])
        self.read = list(tokens)
        return scores[-1:]


def common(tokens: Sequence[int], prompt: Sequence[int]) -> int:
    """Tokens at the beginning of both, but for the prompt's last."""
    most = min(len(tokens), len(prompt) - 1)
    if list(tokens[:most]) == list(prompt[:most]):
        return most
    return next(place for place in range(most) if tokens[place] != prompt[place])
