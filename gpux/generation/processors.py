"""What a row's settings do to its scores before a token is chosen, in the order and with the numbers of transformers.

Each processor changes the scores in place and keeps no state: what came before is in the :class:`History`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gpux.errors import InvalidInput
from gpux.generation.history import History

if TYPE_CHECKING:
    from gpux.generation.settings import GenerationSettings

_NEVER = np.float32(-np.inf)


class Processor(Protocol):
    """One change of the scores."""

    def __call__(self, scores: np.ndarray, history: History) -> None:
        """Change the scores, float32 [vocabulary], in place."""


@dataclass(frozen=True, slots=True)
class Bias:
    """``logit_bias``: a number added to the scores of some tokens."""

    ids: np.ndarray
    values: np.ndarray

    def __call__(self, scores: np.ndarray, history: History) -> None:
        """Add them."""
        scores[self.ids] += self.values


@dataclass(frozen=True, slots=True)
class Repetition:
    """``repetition_penalty``: tokens of the prompt or the answer are less likely above 1 (https://arxiv.org/abs/1909.05858)."""

    penalty: float

    def __call__(self, scores: np.ndarray, history: History) -> None:
        """Divide positive scores by it, multiply negative ones."""
        ids = history.seen.ids
        found = scores[ids]
        scores[ids] = np.where(found < 0, found * self.penalty, found / self.penalty)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """``frequency_penalty`` and ``presence_penalty`` of OpenAI's interface: tokens of the answer, the prompt's not counted.

    https://platform.openai.com/docs/guides/text-generation: score − count × frequency − (count > 0) × presence.
    """

    frequency: float
    presence: float

    def __call__(self, scores: np.ndarray, history: History) -> None:
        """Subtract them."""
        if history.answer:
            answered = history.answered
            scores[answered.ids] -= answered.counts * np.float32(self.frequency) + np.float32(self.presence)


@dataclass(frozen=True, slots=True)
class NoRepeat:
    """``no_repeat_ngram_size``: a run of that many tokens comes only once in prompt and answer."""

    size: int

    def __call__(self, scores: np.ndarray, history: History) -> None:
        """Forbid each token that would end such a run a second time."""
        tokens, size = history.tokens, self.size
        starts = len(tokens) - size + 1
        if starts <= 0:
            return
        last = tokens[size - 1 :]
        if size > 1:
            end = tokens[starts:]
            found = np.flatnonzero(tokens[:starts] == end[0])
            for place in range(1, size - 1):
                found = found[tokens[found + place] == end[place]]
            last = last[found]
        scores[last[last < len(scores)]] = _NEVER


@dataclass(frozen=True, slots=True)
class BadWords:
    """``bad_words_ids``: runs of tokens that never come."""

    single: np.ndarray
    longer: tuple[tuple[tuple[int, ...], int], ...]

    def __call__(self, scores: np.ndarray, history: History) -> None:
        """Forbid the last token of each run whose others are what came last."""
        scores[self.single] = _NEVER
        tokens = history.tokens
        for begin, last in self.longer:
            if len(begin) <= len(tokens) and tuple(tokens[-len(begin) :].tolist()) == begin:
                scores[last] = _NEVER


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Tokens that do not come while the answer has from ``first`` to ``last`` tokens: ``suppress_tokens``, the end too early."""

    ids: np.ndarray
    first: int = 0
    last: int | None = None

    def __call__(self, scores: np.ndarray, history: History) -> None:
        """Forbid them."""
        if self.first <= history.answer and (self.last is None or history.answer <= self.last):
            scores[self.ids] = _NEVER


@dataclass(frozen=True, slots=True)
class Forced:
    """``forced_bos_token_id``, where one token came so far, and ``forced_eos_token_id``, where one is left.

    Args:
        ids: The tokens of which one comes.
        length: Of prompt and answer together; ``None`` where ``answer`` says when.
        answer: Of the answer.
    """

    ids: np.ndarray
    length: int | None = None
    answer: int | None = None

    def now(self, history: History) -> bool:
        """Whether the next token is forced."""
        return history.length == self.length or history.answer == self.answer

    def __call__(self, scores: np.ndarray, history: History) -> None:
        """Forbid all others."""
        if self.now(history):
            scores.fill(_NEVER)
            scores[self.ids] = 0


def processors(settings: GenerationSettings, *, prompt: int, vocabulary: int) -> tuple[Processor, ...]:
    """The processors that the settings ask for; ``()`` where the model's own scores decide.

    The order is that of ``GenerationMixin._get_logits_processor`` in transformers; frequency and presence, which that has
    not, come behind the penalty of repetition, as in vLLM.

    Args:
        settings: The row's settings.
        prompt: How many tokens its prompt has.
        vocabulary: How many scores there are.

    Raises:
        InvalidInput: ``logit_bias`` or ``bad_words_ids`` names a token that the model does not have.
    """
    found: list[Processor] = []
    if settings.logit_bias:
        ids = _inside("logit_bias", settings.logit_bias, vocabulary)
        found.append(Bias(ids, _biases(settings.logit_bias.values())))
    if settings.repetition_penalty != 1:
        found.append(Repetition(settings.repetition_penalty))
    if settings.frequency_penalty or settings.presence_penalty:
        found.append(Occurrence(settings.frequency_penalty, settings.presence_penalty))
    if settings.no_repeat_ngram_size:
        found.append(NoRepeat(settings.no_repeat_ngram_size))
    if settings.bad_words_ids:
        found += _bad_words(settings, vocabulary)
    if settings.min_new_tokens and settings.eos_token_ids:
        found.append(Suppressed(_known(settings.eos_token_ids, vocabulary), last=settings.min_new_tokens - 1))
    found += forced(settings, vocabulary=vocabulary)
    if settings.suppress_tokens:
        found.append(Suppressed(_known(settings.suppress_tokens, vocabulary)))
    if settings.begin_suppress_tokens:
        # Behind the token that stands for the language, where that is forced.
        first = 0 if prompt > 1 or settings.forced_bos_token_id is None else 1
        found.append(Suppressed(_known(settings.begin_suppress_tokens, vocabulary), first, first))
    return tuple(found)


def forced(settings: GenerationSettings, *, vocabulary: int) -> tuple[Forced, ...]:
    """The tokens that must come, and when."""
    found = []
    if settings.forced_bos_token_id is not None:
        ids = _inside("forced_bos_token_id", [settings.forced_bos_token_id], vocabulary)
        found.append(Forced(ids, length=1))
    last = settings.forced_eos_token_id
    if last is not None and settings.max_new_tokens:
        ids = _inside("forced_eos_token_id", [last], vocabulary)
        found.append(Forced(ids, answer=settings.max_new_tokens - 1))
    return tuple(found)


def _bad_words(settings: GenerationSettings, vocabulary: int) -> list[Processor]:
    ends = {(token,) for token in settings.eos_token_ids}
    words = [word for word in settings.bad_words_ids if word not in ends]
    for word in words:
        _inside("bad_words_ids", word, vocabulary)
    single = np.array([word[0] for word in words if len(word) == 1], dtype=np.int64)
    return [BadWords(single, tuple((word[:-1], word[-1]) for word in words if len(word) > 1))]


def _biases(values: Iterable[float]) -> np.ndarray:
    """Numbers that a float32 cannot hold forbid a token, or make it come; two that must come stay numbers."""
    with np.errstate(over="ignore"):
        return np.minimum(np.array(list(values)).astype(np.float32), np.float32(1e30))


def _known(ids: Iterable[int], vocabulary: int) -> np.ndarray:
    return np.array([token for token in ids if 0 <= token < vocabulary], dtype=np.int64)


def _inside(name: str, ids: Iterable[int], vocabulary: int) -> np.ndarray:
    if outside := [token for token in ids if not 0 <= token < vocabulary]:
        raise InvalidInput(
            f"`{name}` names token {outside[0]}, and the model's tokens are 0 to {vocabulary - 1}",
            hint=f"leave {', '.join(map(str, outside[:5]))} out",
        )
    return np.array(list(ids), dtype=np.int64)
