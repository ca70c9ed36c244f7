"""Decoders that are not in use, each with what it has read: a prompt that goes on from there is read from there.

What is kept is found by its tokens alone: a request gets the memory of another only where both began with the same tokens, of
which it is a function. Nobody uses a decoder at the same time as somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from gpux.errors import InvalidInput, RunFailed
from gpux.generation.decoder import Decoder, Rests
from gpux.generation.speculation import common

KEPT = 2
"""Decoders that are kept while nobody uses them."""


@dataclass(slots=True)
class Conversation:
    """A decoder and the tokens that it has read.

    Attributes:
        decoder: The decoder.
        tokens: What it has read, where that is known.
        closed: Whether the model was closed while it was in use.
    """

    decoder: Decoder
    tokens: list[int] = field(default_factory=list)
    closed: bool = False

    def check(self) -> None:
        """Make sure that the model is open still.

        Raises:
            RunFailed: It was closed meanwhile.
        """
        if self.closed:
            raise RunFailed("the model was closed while it wrote", hint="load the model again")


class Conversations:
    """The conversations of one open model. Safe to use from several threads.

    Args:
        opening: Makes a decoder that has read nothing.
    """

    def __init__(self, opening: Callable[[], Decoder]) -> None:
        self._opening = opening
        self._idle: list[Conversation] = []
        self._taken: list[Conversation] = []
        self._lock = Lock()

    @contextmanager
    def take(self, prompts: Sequence[Sequence[int]], *, reuse: bool = True) -> Iterator[Conversation]:
        """A decoder for as long as the block lasts; of the only prompt it has read as much as any had.

        The last token of a prompt is always left to read, for its scores are those of the answer's first token. Whoever takes a
        conversation puts into ``tokens`` what the decoder has read in the end; where the block fails, all of it is let go.
        """
        conversation, shared = self._begin(prompts, reuse=reuse)
        failed = True
        try:
            if shared:
                conversation.decoder.rewind(shared)
            else:
                conversation.decoder.lengths = []
            yield conversation
            failed = False
        except (GeneratorExit, InvalidInput):
            failed = False  # nobody listens any more, or asks for what cannot be: the decoder is whole
            raise
        finally:
            self._put(conversation, failed=failed)

    def start(self) -> None:
        """Make a decoder now, so that what cannot be written with is told when it is opened."""
        with self._lock:
            self._idle.append(Conversation(self._opening()))

    def forget(self) -> None:
        """Read every prompt from its beginning again, as a benchmark must, which gives the same one many times."""
        with self._lock:
            for conversation in self._idle:
                conversation.tokens = []

    def close(self) -> None:
        """Let go of what is kept; what is in use ends at its next step."""
        with self._lock:
            leaving, self._idle = self._idle, []
            for conversation in self._taken:
                conversation.closed = True
        for conversation in leaving:
            conversation.decoder.close()

    def _begin(self, prompts: Sequence[Sequence[int]], *, reuse: bool) -> tuple[Conversation, int]:
        """A conversation that nobody else uses, and the tokens of the prompt that it has read."""
        found = self._find(prompts[0]) if len(prompts) == 1 and reuse else None
        conversation = found or self._other() or Conversation(self._opening())
        shared = common(conversation.tokens, prompts[0]) if found else 0
        conversation.tokens = []
        with self._lock:
            self._taken.append(conversation)
        return conversation, shared

    def _find(self, prompt: Sequence[int]) -> Conversation | None:
        with self._lock:
            best = max(self._idle, key=lambda one: common(one.tokens, prompt), default=None)
            if best is None or not common(best.tokens, prompt):
                return None
            self._idle.remove(best)
            return best

    def _other(self) -> Conversation | None:
        """One that has read nothing; else the one that nobody used for the longest time, where as many are kept as may be."""
        with self._lock:
            places = [place for place, one in enumerate(self._idle) if not one.tokens]
            if places or len(self._idle) >= KEPT:
                return self._idle.pop(places[0] if places else 0)
            return None

    def _put(self, conversation: Conversation, *, failed: bool) -> None:
        if failed:
            conversation.tokens = []
            conversation.decoder.close()
        elif isinstance(conversation.decoder, Rests):
            conversation.decoder.rest()
        with self._lock:
            self._taken = [one for one in self._taken if one is not conversation]
            self._idle.append(conversation)
            leaving = self._idle.pop(-1 if conversation.closed else 0) if self._full(conversation) else None
        if leaving is not None:
            leaving.decoder.close()

    def _full(self, last: Conversation) -> bool:
        return last.closed or len(self._idle) > KEPT
