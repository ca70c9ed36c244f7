"""What a decoding loop asks of an open model: rows of tokens in, the next token's scores out; knows no graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


class Decoder(Protocol):
    """One conversation with a model: the rows that it has read, and what it remembers of them. Not for several threads.

    Attributes:
        limit: Tokens that a row can come to, prompt and answer together.
        lengths: Tokens that each row has come to.
    """

    limit: int
    lengths: list[int]

    def prefill(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Read the prompts, which may differ in length; what was read before is forgotten.

        Returns:
            float32 [rows, vocabulary]: the scores of each row's next token.
        """
        ...

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """Add one token to each row.

        Args:
            tokens: int64 [rows].

        Returns:
            float32 [rows, vocabulary]: the scores of each row's next token.
        """
        ...

    def extend(self, tokens: Sequence[int], *, every: bool = True) -> np.ndarray:
        """Add several tokens to the only row.

        Returns:
            float32 [tokens, vocabulary]: the scores of the token after each of them; of the last one alone, [1, vocabulary],
            where ``every`` is not asked for.
        """
        ...

    def rewind(self, length: int) -> None:
        """Forget what the only row has behind so many tokens."""
        ...

    def pick(self, rows: Sequence[int]) -> None:
        """Go on with these rows in this order; one may come several times."""
        ...

    def close(self) -> None:
        """Let go of the memory."""
        ...


@runtime_checkable
class Parts(Protocol):
    """A decoder whose only row can be read in parts, the first by ``prefill`` and the others by ``extend``.

    Attributes:
        part: Tokens that are read at once; 0 where a row is read as a whole.
    """

    part: int


@runtime_checkable
class Rests(Protocol):
    """A decoder that others may wait for, and that is told when nobody asks it for a while."""

    def rest(self) -> None:
        """The answer is written; what was read is kept."""
        ...
