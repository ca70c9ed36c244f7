"""The decoding loop: prompts in, tokens and text out as they come; knows no task and no runtime.

Every row draws, stops and is told by itself; a row that has ended leaves the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gpux.errors import GpuxError, RunFailed
from gpux.generation.decoder import Decoder, Parts
from gpux.generation.sampling import Choice, Chooser, generators
from gpux.generation.settings import GenerationSettings
from gpux.generation.speculation import Guesser, Lookup
from gpux.generation.stopping import Stopper
from gpux.text.detokenizer import Detokenizer

if TYPE_CHECKING:
    from gpux.generation.constraint import Constraint

STOP, LENGTH, CANCELLED, FAILED = "stop", "length", "cancelled", "error"
"""Why an answer ended: the model or a stop text ended it, it reached its length or the context's, the caller left, an error."""

_MEMORY = "give a smaller max_new_tokens, a shorter prompt, fewer prompts at once or a smaller variant"


@dataclass(frozen=True, slots=True)
class Generated:
    """One whole answer.

    Attributes:
        text: The answer without special tokens, stop texts, and prompt.
        tokens: Its tokens, with that which ended it.
        finish_reason: ``stop``, ``length``, ``cancelled`` or ``error``.
        prompt_tokens: Tokens of the prompt.
        logprobs: Per token its log probability and the likeliest ones, where that was asked for.
        timings: Seconds: ``prefill`` until the first token was chosen, ``decode`` for the rest; and ``reused``, the tokens of the
            prompt that were known from before, ``proposed`` and ``accepted`` tokens of speculation.
    """

    text: str
    tokens: tuple[int, ...]
    finish_reason: str
    prompt_tokens: int
    logprobs: tuple[dict[str, Any], ...] | None = None
    timings: dict[str, float] = field(default_factory=dict)


class Piece(str):
    """A part of an answer's text, which may be empty while a character is not whole.

    Attributes:
        tokens: The tokens that it came from.
        row: Which answer it belongs to.
        proposed: Tokens that were guessed since the piece before.
        accepted: Those of them that the model chose itself.
    """

    __slots__ = ("accepted", "proposed", "row", "tokens")
    row: int
    tokens: tuple[int, ...]
    proposed: int
    accepted: int

    def __new__(
        cls, text: str, *, tokens: tuple[int, ...], row: int = 0, proposed: int = 0, accepted: int = 0
    ) -> Piece:
        """A piece of one row."""
        made = super().__new__(cls, text)
        made.row, made.tokens, made.proposed, made.accepted = row, tokens, proposed, accepted
        return made


@dataclass(slots=True)
class Row:
    """One answer as it is written."""

    prompt: list[int]
    generator: np.random.Generator
    detokenizer: Detokenizer
    stopper: Stopper
    number: int = 0
    tokens: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    told: list[Choice] = field(default_factory=list)
    finish_reason: str = ""
    chooser: Chooser | None = None
    proposed: int = 0
    accepted: int = 0


class Answering:
    """Answers to a batch of prompts, one iteration per token; its rows hold what was written, whenever it ends.

    Args:
        decoder: A decoder that may have read the beginning of the only prompt.
        prompts: Tokens of each prompt.
        settings: How to write.
        backend: The tokenizer of the tokenizers library.
        constraint: Makes what an answer follows, from the number of scores that the model gives.
        cancelled: Whether the caller has left; asked before every step.
        read: Reads the prompts instead of :meth:`Decoder.prefill`, where there is more to give than tokens.

    Attributes:
        rows: The answers as far as they are written.
        guessers: Who guesses what comes next, asked in this order.
    """

    def __init__(
        self,
        decoder: Decoder,
        prompts: Sequence[Sequence[int]],
        settings: GenerationSettings,
        backend: Any,
        *,
        constraint: Callable[[int], Constraint | None] = lambda _: None,
        cancelled: Callable[[], bool] = lambda: False,
        read: Callable[[], np.ndarray] | None = None,
    ) -> None:
        self._decoder, self._settings, self._cancelled = decoder, settings, cancelled
        self._read = read
        sources = generators(settings.seed, len(prompts))
        self._constraint = constraint
        self.rows = [
            Row(list(prompt), source, Detokenizer(backend, after=prompt), Stopper(settings.stop), number)
            for number, (prompt, source) in enumerate(zip(prompts, sources, strict=True))
        ]
        self.guessers: list[Guesser] = [Lookup(settings.prompt_lookup)] if settings.prompt_lookup else []
        self._ends = frozenset(settings.eos_token_ids)
        self._running = list(self.rows)
        self._started = self._first = self._ended = perf_counter()
        self._reused = 0

    def __iter__(self) -> Iterator[Piece]:
        """Write the answers; a piece for every token of every row.

        Raises:
            RunFailed: The runtime failed, or there is not enough memory; what was written so far is in :attr:`rows`, and its text
                in the error's ``partial``.
        """
        self._started = perf_counter()
        try:
            logits = self._prefill()
            if logits is None:
                return
            self._prepare(logits.shape[-1])
            yield from self._take(logits)
            self._first = perf_counter()
            while self._running and not self._cancelled():
                guess, guesser = self._guess()
                if guesser is not None:
                    yield from self._speculate(guess, guesser)
                    continue
                last = np.fromiter((row.tokens[-1] for row in self._running), np.int64, len(self._running))
                yield from self._take(self._decoder.step(last))
        except (GpuxError, MemoryError) as error:
            self._end(FAILED)
            if isinstance(error, RunFailed | MemoryError):
                raise self._located(error) from error
            raise
        finally:
            self._end(CANCELLED)  # whoever stops to listen has cancelled
            self._ended = perf_counter()

    def answers(self) -> list[Generated]:
        """What was written."""
        return [self._answer(row) for row in self.rows]

    def _prefill(self) -> np.ndarray | None:
        """Read the prompts, a long one in parts; nothing is known of what follows where the caller left between them."""
        if self._read is not None:
            return self._read()
        decoder, rows = self._decoder, [row.prompt for row in self._running]
        if len(rows) > 1:
            return decoder.prefill(rows)
        (prompt,) = rows
        known = decoder.lengths[0] if len(decoder.lengths) == 1 else 0
        self._reused = done = known if known < len(prompt) else 0
        size = (decoder.part if isinstance(decoder, Parts) else 0) or len(prompt)
        logits = None
        while done < len(prompt):
            if self._cancelled():
                return None
            part = prompt[done : done + size]
            logits = decoder.extend(part, every=False)[-1:] if done else decoder.prefill([part])
            done += len(part)
        return logits

    def _prepare(self, vocabulary: int) -> None:
        constraint = self._constraint(vocabulary)
        for row in self.rows:
            row.chooser = Chooser(
                self._settings,
                row.prompt,
                vocabulary=vocabulary,
                generator=row.generator,
                constraint=constraint.fork() if constraint else None,
            )

    def _take(self, logits: np.ndarray) -> Iterator[Piece]:
        """Choose the next token of each row, and drop the rows that end by it."""
        for row, scores in zip(list(self._running), logits, strict=True):
            yield self._add(row, scores)
        self._drop()

    def _add(self, row: Row, scores: np.ndarray) -> Piece:
        assert row.chooser is not None  # noqa: S101 - made before the first scores are taken
        choice = row.chooser.choose(scores)
        token = choice.token
        row.tokens.append(token)
        if self._settings.logprobs is not None:
            row.told.append(choice)
        if token in self._ends:
            row.finish_reason = STOP
            return self._tell(row, row.detokenizer.flush(), ended=True)
        text = row.detokenizer.push(token)
        if row.chooser.finished:
            row.finish_reason = STOP
        elif len(row.tokens) >= self._most(row):
            row.finish_reason = LENGTH
        ended = bool(row.finish_reason)
        return self._tell(row, text + row.detokenizer.flush() if ended else text, ended=ended)

    def _tell(self, row: Row, text: str, *, ended: bool) -> Piece:
        shown, stopped = row.stopper.push(text)
        if stopped:
            row.finish_reason = STOP
        elif ended:
            shown += row.stopper.flush()
        row.text.append(shown)
        return Piece(shown, tokens=(row.tokens[-1],), row=row.number)

    def _most(self, row: Row) -> int:
        room = self._decoder.limit - len(row.prompt)
        wanted = self._settings.max_new_tokens
        return room if wanted is None else min(wanted, room)

    def _drop(self) -> None:
        if any(row.finish_reason for row in self._running):
            kept = [place for place, row in enumerate(self._running) if not row.finish_reason]
            self._running = [self._running[place] for place in kept]
            if self._running:
                self._decoder.pick(kept)

    def _end(self, reason: str) -> None:
        for row in self._running:
            row.finish_reason = row.finish_reason or reason
            row.text.append(row.stopper.flush())
        self._running = []

    def _guess(self) -> tuple[list[int], Guesser | None]:
        """Tokens that may come next, of the only row, and who says so."""
        if not self.guessers or len(self._running) != 1:
            return [], None
        row = self._running[0]
        room = self._most(row) - len(row.tokens) - 1
        for guesser in self.guessers if room > 0 else ():
            guess = guesser.guess(row.prompt + row.tokens, room)
            if guess:
                return guess, guesser
        return [], None

    def _speculate(self, guess: list[int], guesser: Guesser) -> Iterator[Piece]:
        """Read the last token and the guess at once; keep what the model says too, and the token after that."""
        row, decoder = self._running[0], self._decoder
        before = decoder.lengths[0]
        scores = decoder.extend([row.tokens[-1], *guess])
        row.proposed += len(guess)
        kept, right = 0, 0
        try:
            for place, logits in enumerate(scores):
                piece = self._add(row, logits)
                agreed = place < len(guess) and row.tokens[-1] == guess[place]
                kept, right = kept + 1, right + agreed
                row.accepted += agreed
                piece.proposed, piece.accepted = 0 if place else len(guess), int(agreed)
                yield piece
                if row.finish_reason or not agreed:
                    break
        finally:
            decoder.rewind(before + kept)
        guesser.learn(len(guess), right)
        self._drop()

    def _located(self, error: RunFailed | MemoryError) -> RunFailed:
        """The error, with how far the answer had come."""
        token = max((len(row.tokens) for row in self.rows), default=0) + 1
        where = f"at token {token} of the answer" if token > 1 else "while the prompt was read"
        told = (
            error if isinstance(error, RunFailed) else RunFailed("there is not enough memory", hint=_MEMORY)
        )
        partial = ["".join(row.text) for row in self.rows]
        return RunFailed(
            f"{told.message}, {where}",
            hint=told.hint,
            **{**told.details, "token": token, "partial": partial},
        )

    def _answer(self, row: Row) -> Generated:
        timings = {
            "prefill": self._first - self._started,
            "decode": max(self._ended - self._first, 0.0),
            "reused": float(self._reused),
            "proposed": float(row.proposed),
            "accepted": float(row.accepted),
        }
        logprobs = None
        if self._settings.logprobs is not None:
            logprobs = tuple(
                {"token": choice.token, "logprob": choice.logprob, "alternatives": list(choice.alternatives)}
                for choice in row.told
            )
        return Generated(
            "".join(row.text), tuple(row.tokens), row.finish_reason, len(row.prompt), logprobs, timings
        )
