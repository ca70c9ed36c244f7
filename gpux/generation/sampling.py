"""One row's scores → its next token: the likeliest, or one that is drawn; with its log probability where that is asked for.

Numbers are those of transformers' logits processors; where nothing changes the scores, greedy is one ``argmax``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpux.errors import InvalidInput, RunFailed
from gpux.generation.history import History
from gpux.generation.processors import forced, processors
from gpux.generation.truncating import draw, largest, log_sum, truncated

if TYPE_CHECKING:
    from gpux.generation.constraint import Constraint
    from gpux.generation.settings import GenerationSettings


COLD = 1e-6
"""A draw at this temperature or a lower one takes the likeliest token, and scores over it leave what a float32 can hold."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The token that was chosen.

    Attributes:
        token: Its id.
        logprob: Its log probability by the model's own scores, before penalties, constraints and temperature; ``None`` where
            ``logprobs`` is not set.
        alternatives: The likeliest tokens with theirs, most likely first, as many as ``logprobs`` says.
    """

    token: int
    logprob: float | None = None
    alternatives: tuple[tuple[int, float], ...] = ()


class Chooser:
    """Chooses the tokens of one row, and remembers them.

    Args:
        settings: How the row is written.
        prompt: The tokens that the decoder was given.
        vocabulary: How many scores the model gives.
        generator: Where draws come from, of :func:`generators`; not used where the likeliest token is taken.
        constraint: What the answer must follow; it is this row's own.

    Attributes:
        finished: Whether the constraint allows nothing more than the end.

    Raises:
        InvalidInput: A setting names a token that the model does not have.
    """

    def __init__(
        self,
        settings: GenerationSettings,
        prompt: Sequence[int],
        *,
        vocabulary: int,
        generator: np.random.Generator | None = None,
        constraint: Constraint | None = None,
    ) -> None:
        self.finished = False
        self._settings = settings
        self._vocabulary = vocabulary
        self._constraint = constraint
        self._processors = processors(settings, prompt=len(prompt), vocabulary=vocabulary)
        self._forced = forced(settings, vocabulary=vocabulary)
        self._history = History.of(prompt, vocabulary=vocabulary) if self._processors else None
        self._scores = np.empty(vocabulary, dtype=np.float32) if self._processors else None
        self._scratch = np.empty(vocabulary, dtype=np.float32) if settings.logprobs is not None else None
        self._generator: np.random.Generator | None = None
        if settings.do_sample and settings.temperature > COLD:
            self._generator = generator or generators(settings.seed, 1)[0]
        self._plain = not (self._processors or self._generator or constraint or settings.logprobs is not None)

    def choose(self, logits: np.ndarray) -> Choice:
        """The next token, which counts as written from then on.

        Args:
            logits: float32 [vocabulary], left as they are.

        Raises:
            RunFailed: The scores are no numbers.
            InvalidInput: The settings and the constraint together forbid every token.
        """
        if self._plain:
            token = int(logits.argmax())
            if not math.isfinite(logits[token]):
                raise refused(logits)
            return Choice(token)
        scores, free = logits, True
        if self._history is not None and self._scores is not None:
            scores = self._scores
            np.copyto(scores, logits)
            for process in self._processors:
                process(scores, self._history)
            free = not any(each.now(self._history) for each in self._forced)
        token = self._draw(scores, logits, constrained=free)
        self._remember(token, constrained=free)
        asked = self._settings.logprobs
        if asked is None:
            return Choice(token)
        base = log_sum(logits, self._scratch)
        places = largest(logits, asked) if asked else ()
        alternatives = tuple((int(place), float(logits[place]) - base) for place in places)
        return Choice(token, float(logits[token]) - base, alternatives)

    def _draw(self, scores: np.ndarray, logits: np.ndarray, *, constrained: bool) -> int:
        constraint = self._constraint if constrained else None
        if self._generator is None:
            token = int(scores.argmax())
            # What is likeliest fits more often than not, and a mask costs more than a look.
            if constraint is not None and not constraint.allows(token):
                scores = constraint.masked(scores)
                token = int(scores.argmax())
            if not math.isfinite(scores[token]):
                raise refused(logits)
            return token
        if constraint is not None:
            scores = constraint.masked(scores)
        if not math.isfinite(scores.max()):
            raise refused(logits)
        ids, scores = truncated(scores, self._settings)
        place = draw(scores, self._generator.random())
        return place if ids is None else int(ids[place])

    def _remember(self, token: int, *, constrained: bool) -> None:
        if self._history is not None:
            self._history.add(token)
        if self._constraint is not None and constrained:
            self._constraint.accept(token)
            self.finished = self._constraint.finished


def generators(seed: int | None, rows: int, *, first: int = 0) -> list[np.random.Generator]:
    """A source of chance for each row, independent of the others.

    Args:
        seed: The same one gives the same draws; a row's do not depend on how many there are. ``None`` is chance.
        rows: How many.
        first: Which row of all the first one is, where they come in several batches.
    """
    root = np.random.SeedSequence(seed, n_children_spawned=first)
    return [np.random.Generator(np.random.PCG64(each)) for each in root.spawn(rows)]


def refused(logits: np.ndarray) -> RunFailed | InvalidInput:
    """The error where nothing is left to choose: the model's own scores are at fault, or what the settings made of them."""
    if np.isnan(logits).any() or np.isposinf(logits).any() or not np.isfinite(logits).any():
        return RunFailed(
            "the model's scores of the next token are no numbers",
            hint="try another variant, such as `fp32`, or another provider: 16-bit floats overflow in some models",
        )
    return InvalidInput(
        "the settings forbid every token that could come next",
        hint="loosen `min_new_tokens`, `suppress_tokens`, `bad_words_ids`, `logit_bias` or the constraint",
    )
