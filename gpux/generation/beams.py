"""Beam search over an open model, token for token and score for score that of transformers' ``GenerationMixin``.

Each prompt is a search of its own over as many rows as there are beams; the rows of all prompts go through the model
together, and those of a prompt that is done are let go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpux.errors import InvalidInput
from gpux.generation.history import History
from gpux.generation.processors import Processor, forced, processors
from gpux.generation.sampling import COLD, generators, refused
from gpux.generation.truncating import largest, truncated

if TYPE_CHECKING:
    from gpux.generation.constraint import Constraint
    from gpux.generation.decoder import Decoder
    from gpux.generation.settings import GenerationSettings

_WORST = np.float32(-1e9)
"""The score of a beam that does not count; finite, as transformers has it."""


@dataclass(frozen=True, slots=True)
class Beam:
    """One answer of a search.

    Attributes:
        tokens: Its tokens, the one that ends it among them.
        score: The sum of their log probabilities, processed as the settings say, over the length to the power of
            ``length_penalty``.
        ended: Whether it ended by itself, rather than by its length.
    """

    tokens: tuple[int, ...]
    score: float
    ended: bool


def search(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    settings: GenerationSettings,
    *,
    constraint: Callable[[int], Constraint | None] = lambda _: None,
    ends: Callable[[Sequence[int]], bool] | None = None,
    cancelled: Callable[[], bool] | None = None,
    further: Sequence[Processor] = (),
) -> list[list[Beam]]:
    """Search answers to each prompt.

    Args:
        decoder: An open model.
        prompts: The tokens that it is given.
        settings: How answers are written; ``num_return_sequences`` is at most ``num_beams``.
        constraint: Makes what each answer must follow, from the number of scores that the model gives.
        ends: Whether these tokens of an answer end it, for what tokens alone do not tell, such as a stop string.
        cancelled: Asked before each step; where it says so, the best beams so far are the answers.
        further: What changes scores beside what the settings ask for, behind it.

    Returns:
        Per prompt its best answers, best first.

    Raises:
        RunFailed: The model's scores are no numbers.
        InvalidInput: The settings forbid every token, name one that the model does not have, or want more answers than beams.
    """
    if settings.num_return_sequences > settings.num_beams:
        raise InvalidInput(
            f"{settings.num_return_sequences} answers are asked for, of {settings.num_beams} beams",
            hint=f"num_beams={settings.num_return_sequences}",
        )
    scores = decoder.prefill(prompts)
    rule = constraint(scores.shape[1])
    sources = generators(settings.seed, len(prompts))
    searches = [
        _Search(prompt, settings, room=decoder.limit - len(prompt), vocabulary=scores.shape[1], ends=ends,
                constraint=rule, generator=source, further=further)
        for prompt, source in zip(prompts, sources, strict=True)
    ]  # fmt: skip
    going, width = searches, 1
    while True:
        rows, tokens, going = _step(going, scores, width)
        if not going or (cancelled is not None and cancelled()):
            return [each.best() for each in searches]
        if rows != list(range(len(scores))):
            decoder.pick(rows)
        scores, width = decoder.step(tokens), settings.num_beams


def _step(
    searches: Sequence[_Search], scores: np.ndarray, width: int
) -> tuple[list[int], np.ndarray, list[_Search]]:
    """One more token for every beam.

    Args:
        searches: Those that go on.
        scores: float32 [searches × width, vocabulary].
        width: Rows that a search has in the model: one before its first token, then one for each beam.

    Returns:
        The rows that the model goes on with, their tokens, int64 [rows], and the searches that they belong to.
    """
    rows: list[int] = []
    tokens: list[np.ndarray] = []
    going = []
    for place, each in enumerate(searches):
        first = place * width
        parents, chosen = each.step(scores[first : first + width])
        if not each.done:
            going.append(each)
            rows += [first + (parent if width > 1 else 0) for parent in parents.tolist()]
            tokens.append(chosen)
    return rows, np.concatenate(tokens) if tokens else np.empty(0, dtype=np.int64), going


class _Search:
    """The beams of one prompt: those that run, and the best that are whole."""

    def __init__(
        self,
        prompt: Sequence[int],
        settings: GenerationSettings,
        *,
        room: int,
        vocabulary: int,
        ends: Callable[[Sequence[int]], bool] | None,
        constraint: Constraint | None,
        generator: np.random.Generator,
        further: Sequence[Processor] = (),
    ) -> None:
        beams = settings.num_beams
        self.done = False
        self._settings = settings
        self._most = max(1, room if settings.max_new_tokens is None else min(settings.max_new_tokens, room))
        self._ends = ends
        self._eos = set(settings.eos_token_ids)
        # So many candidates that enough of them go on even where each beam's best ones end.
        self._candidates = min(max(2, 1 + len(settings.eos_token_ids)) * beams, beams * vocabulary)
        self._processors = (*processors(settings, prompt=len(prompt), vocabulary=vocabulary), *further)
        self._forced = forced(settings, vocabulary=vocabulary)
        first = History.of(prompt, vocabulary=vocabulary)
        self._histories = [first, *(first.fork() for _ in range(beams - 1))]
        self._constraints = [constraint.fork() for _ in range(beams)] if constraint else []
        self._generator = generator if settings.do_sample and settings.temperature > COLD else None
        # Memory that is new in every step costs more than what is done with it.
        self._work = np.empty((2, beams, vocabulary), dtype=np.float32)
        # Only the first counts at first: the others are the same.
        self._scores = np.full(beams, _WORST, dtype=np.float32)
        self._scores[0] = 0
        self._whole = [Beam((), float(_WORST), ended=False)] * beams
        self._whole_scores = np.full(beams, _WORST, dtype=np.float32)
        self._is_whole = np.zeros(beams, dtype=bool)
        self._hopeful = True

    def step(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One more token for each beam.

        Args:
            logits: float32 [beams, vocabulary], left as they are; [1, vocabulary] before the first token.

        Returns:
            int64 [beams] twice: which beam each goes on from, and its token.
        """
        beams = self._settings.num_beams
        scores = self._log_probabilities(np.broadcast_to(logits, (beams, logits.shape[1])))
        scores += self._scores[:, None]
        places = self._best(scores.reshape(-1))
        found = scores.reshape(-1)[places]
        parents, tokens = np.divmod(places, logits.shape[1])
        length = self._histories[0].answer + 1
        ended = np.fromiter(map(self._is_end, parents, tokens), dtype=bool, count=len(places))
        hits = ended | (length >= self._most)
        self._finish(found, parents, tokens, hits, ended)
        running = found + np.where(hits, _WORST, np.float32(0))
        going = largest(running, beams)
        self._scores = running[going]
        parents, tokens = parents[going], tokens[going]
        self._follow(parents, tokens)
        self._judge(length, hits)
        return parents, tokens

    def best(self) -> list[Beam]:
        """The answers; where the search was cut short, with beams that still ran."""
        whole = [beam for beam, whole in zip(self._whole, self._is_whole, strict=True) if whole or self.done]
        if not self.done and self._histories[0].answer:
            length = self._histories[0].answer ** self._settings.length_penalty
            whole += [
                Beam(tuple(history.tokens[history.prompt :].tolist()), float(score / length), ended=False)
                for history, score in zip(self._histories, self._scores, strict=True)
            ]
            whole.sort(key=lambda beam: -beam.score)
        return whole[: self._settings.num_return_sequences]

    def _log_probabilities(self, logits: np.ndarray) -> np.ndarray:
        most = logits.max(axis=1, keepdims=True)
        if not np.isfinite(most).all():
            raise refused(logits)
        scores, weights = self._work
        np.subtract(logits, most, out=scores)
        np.exp(scores, out=weights)
        scores -= np.log(weights.sum(axis=1, keepdims=True))
        free = not any(each.now(self._histories[0]) for each in self._forced)
        for row, history in enumerate(self._histories):
            for process in self._processors:
                process(scores[row], history)
            if self._constraints and free:
                scores[row] = self._constraints[row].masked(scores[row])
            if self._generator is not None:
                ids, kept = truncated(scores[row], self._settings, keep=len(self._eos) + 1)
                scores[row] = -np.inf if ids is not None else kept
                if ids is not None:
                    scores[row, ids] = kept
        if not np.isfinite(scores.max()):
            raise refused(logits)
        return scores

    def _best(self, scores: np.ndarray) -> np.ndarray:
        """The places of the candidates, best first: the highest, or as many drawn without putting back."""
        if self._generator is None:
            return largest(scores, self._candidates)
        # The highest of scores to which Gumbel noise came are such draws (https://arxiv.org/abs/1903.06059).
        noise = -np.log(-np.log(self._generator.random(len(scores))))
        drawn = largest(scores + noise, self._candidates)
        places: np.ndarray = drawn[np.argsort(-scores[drawn], kind="stable")]
        return places

    def _is_end(self, parent: np.int64, token: np.int64) -> bool:
        if int(token) in self._eos:
            return True
        return self._ends is not None and self._ends(self._answer(int(parent), int(token)))

    def _answer(self, parent: int, token: int) -> tuple[int, ...]:
        history = self._histories[parent]
        return (*history.tokens[history.prompt :].tolist(), token)

    def _finish(
        self, found: np.ndarray, parents: np.ndarray, tokens: np.ndarray, hits: np.ndarray, ended: np.ndarray
    ) -> None:
        """Keep the best whole answers, of those that there were and of the candidates that are whole now."""
        beams, settings = self._settings.num_beams, self._settings
        length = self._histories[0].answer + 1
        fresh = hits & (np.arange(len(hits)) < beams)
        scores = found / np.float32(length**settings.length_penalty)
        if not self._hopeful or (settings.early_stopping is True and self._is_whole.all()):
            scores = scores + _WORST
        scores = np.where(fresh, scores, scores + _WORST)
        merged = np.concatenate([self._whole_scores, scores])
        kept = largest(merged, beams)
        self._whole = [
            self._whole[place] if place < beams else self._beam(place - beams, merged[place], parents, tokens, ended)
            for place in kept.tolist()
        ]  # fmt: skip
        self._whole_scores = merged[kept]
        self._is_whole = np.concatenate([self._is_whole, fresh])[kept]

    def _beam(
        self, place: int, score: np.float32, parents: np.ndarray, tokens: np.ndarray, ended: np.ndarray
    ) -> Beam:
        answer = self._answer(int(parents[place]), int(tokens[place]))
        return Beam(answer, float(score), ended=bool(ended[place]))

    def _follow(self, parents: np.ndarray, tokens: np.ndarray) -> None:
        self._histories = [self._histories[parent].fork() for parent in parents.tolist()]
        free = not any(each.now(self._histories[0]) for each in self._forced)
        if self._constraints:
            self._constraints = [self._constraints[parent].fork() for parent in parents.tolist()]
        for row, token in enumerate(tokens.tolist()):
            self._histories[row].add(token)
            if self._constraints and free and self._scores[row] > _WORST / 2:
                self._constraints[row].accept(token)

    def _judge(self, length: int, hits: np.ndarray) -> None:
        """Whether what runs can still become better than what is whole; ``never`` stops only where it surely cannot."""
        settings = self._settings
        longest = self._most if settings.early_stopping == "never" and settings.length_penalty > 0 else length
        possible = self._scores[0] / np.float32(longest**settings.length_penalty)
        worst = np.where(self._is_whole, self._whole_scores.min(), _WORST)
        self._hopeful = self._hopeful and bool((possible > worst).any())
        full = bool(self._is_whole.all()) and settings.early_stopping is True
        self.done = not self._hopeful or full or bool(hits.all())
