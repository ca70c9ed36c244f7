"""Decoders that are not in use, each with what it has read: a prompt that goes on from there is read from there.

What is kept is found by its tokens alone: a request gets the memory of another only where both began with the same tokens, of
which it is a function. Nobody uses a decoder at the same time as somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from gpux.generation.decoder import Decoder, Rests

KEPT = 2
"""Decoders that are kept while nobody uses them."""


@dataclass(slots=True)
class Conversation:
    """A decoder and the tokens that it has read."""

    decoder: Decoder
    tokens: list[int] = field(default_factory=list)


class Conversations:
    """The conversations of one open model. Safe to use from several threads.

    Args:
        opening: Makes a decoder that has read nothing.
    """

    def __init__(self, opening: Callable[[], Decoder]) -> None:
        self._opening = opening
        self._idle: list[Conversation] = []
        self._lock = Lock()

    @contextmanager
    def take(self, prompts: Sequence[Sequence[int]], *, reuse: bool = True) -> Iterator[Conversation]:
        """A decoder for as long as the block lasts; of the only prompt it has read as much as any had.

        The last token of a prompt is always left to read, for its scores are those of the answer's first token. Whoever takes a
        conversation puts into ``tokens`` what the decoder has read in the end; it is forgotten where the block fails.
        """
        found = self._find(prompts[0]) if len(prompts) == 1 and reuse else None
        conversation = found or self._other() or Conversation(self._opening())
        shared = _shared(conversation.tokens, prompts[0]) if found else 0
        if shared:
            conversation.decoder.rewind(shared)
        else:
            conversation.decoder.lengths = []
        conversation.tokens = []
        try:
            yield conversation
        finally:
            self._put(conversation)

    def forget(self) -> None:
        """Read every prompt from its beginning again, as a benchmark must, which gives the same one many times."""
        with self._lock:
            for conversation in self._idle:
                conversation.tokens = []

    def close(self) -> None:
        """Let go of what is kept."""
        with self._lock:
            for conversation in self._idle:
                conversation.decoder.close()
            self._idle = []

    def _find(self, prompt: Sequence[int]) -> Conversation | None:
        with self._lock:
            best = max(self._idle, key=lambda one: _shared(one.tokens, prompt), default=None)
            if best is None or not _shared(best.tokens, prompt):
                return None
            self._idle.remove(best)
            return best

    def _other(self) -> Conversation | None:
        """The conversation that nobody used for the longest time, where as many are kept as may be."""
        with self._lock:
            return self._idle.pop(0) if len(self._idle) >= KEPT else None

    def _put(self, conversation: Conversation) -> None:
        if isinstance(conversation.decoder, Rests):
            conversation.decoder.rest()
        with self._lock:
            self._idle.append(conversation)
            leaving = self._idle.pop(0) if len(self._idle) > KEPT else None
        if leaving is not None:
            leaving.decoder.close()


def _shared(tokens: Sequence[int], prompt: Sequence[int]) -> int:
    """Tokens at the beginning of both, but for the prompt's last."""
    most = min(len(tokens), len(prompt) - 1)
    if list(tokens[:most]) == list(prompt[:most]):
        return most
    return next(place for place in range(most) if tokens[place] != prompt[place])
