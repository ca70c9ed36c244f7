"""Windows of sound → the tokens that a model writes for them, tried again where they are not good enough; several at once.

Source: ``generate_with_fallback`` of
https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/whisper/generation_whisper.py
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gpux.generation import beams
from gpux.generation.history import History
from gpux.generation.looking import LookingDecoder
from gpux.generation.processors import Processor, processors
from gpux.generation.sampling import generators, refused
from gpux.generation.truncating import draw, log_sum, truncated
from gpux.pipelines import speech_alignment
from gpux.pipelines.speech_rules import Rules
from gpux.text.speech_text import WORD
from gpux.text.speech_tokens import HEARD

if TYPE_CHECKING:
    from gpux.generation.settings import GenerationSettings


@dataclass(frozen=True, slots=True)
class Window:
    """What a model hears at once.

    Attributes:
        features: float32 [mels, frames].
        prefix: What its text begins with; :data:`gpux.text.speech_tokens.HEARD` where the language stands.
        most: Tokens that are written at most.
        frames: Frames from its first one to the recording's end; negative behind it.
        times: Whether times are told.
    """

    features: np.ndarray
    prefix: tuple[int, ...]
    most: int
    frames: int
    times: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What was written for a window.

    Attributes:
        tokens: Its tokens, without the one that ended them.
        prefix: What they began with.
        temperature: At which they were written.
        skipped: Whether nobody speaks.
        times: Seconds from the window's beginning at which each token ended, where words are asked for.
    """

    tokens: tuple[int, ...]
    prefix: tuple[int, ...]
    temperature: float
    skipped: bool
    times: tuple[float, ...] = ()


@dataclass(slots=True)
class _Row:
    """One window as it is written."""

    window: Window
    prefix: tuple[int, ...]
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    temperature: float = 0.0
    silence: float = 0.0
    skipped: bool = False
    history: History | None = None
    processors: tuple[Processor, ...] = ()


class Writer:
    """Writes windows down. Not for several threads.

    Args:
        decoder: Over the model's graphs.
        rules: How.
        vocabulary: Tokens that the model's configuration counts.
        width: Positions over which the median of looks is taken.
        cancelled: Whether the caller has left; asked before every step.
    """

    def __init__(
        self,
        decoder: LookingDecoder,
        rules: Rules,
        *,
        vocabulary: int,
        width: int,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._decoder, self._rules = decoder, rules
        self._bytes = int(math.log2(vocabulary) / 8) + 1
        self._width = width
        self._cancelled = cancelled
        self._generator = generators(rules.settings.seed, 1)[0]
        self._ends = frozenset(rules.settings.eos_token_ids)

    def write(self, windows: Sequence[Window]) -> list[Written]:
        """The text of each window.

        Raises:
            RunFailed: The runtime failed.
            InvalidInput: The settings forbid every token.
        """
        self._decoder.begin({"input_features": np.stack([window.features for window in windows])})
        try:
            rows = [
                _Row(window, prefix) for window, prefix in zip(windows, self._prefixes(windows), strict=True)
            ]
            self._attempts(rows)
            times = self._times(rows) if self._rules.times == WORD else [()] * len(rows)
        finally:
            self._decoder.close()
        return [
            Written(
                self._told(row), row.prefix, row.temperature, row.skipped, tuple(each)[: len(self._told(row))]
            )
            for row, each in zip(rows, times, strict=True)
        ]

    def _told(self, row: _Row) -> tuple[int, ...]:
        ended = bool(row.tokens) and row.tokens[-1] in self._ends
        return tuple(row.tokens[:-1] if ended else row.tokens)

    def _prefixes(self, windows: Sequence[Window]) -> list[tuple[int, ...]]:
        """What each begins with, the language that is heard in its place."""
        if not any(HEARD in window.prefix for window in windows):
            return [window.prefix for window in windows]
        tokens = self._rules.tokens
        scores = self._decoder.prefill([[tokens.start]] * len(windows))
        known = np.array(sorted(tokens.languages.values()))
        heard = known[scores[:, known].argmax(axis=1)].tolist()
        return [
            tuple(language if token == HEARD else token for token in window.prefix)
            for window, language in zip(windows, heard, strict=True)
        ]

    def _attempts(self, rows: list[_Row]) -> None:
        pending = list(range(len(rows)))
        for temperature in self._rules.temperatures:
            self._attempt(rows, pending, temperature)
            pending = [place for place in pending if self._is_bad(rows[place])]
            if not pending or self._cancelled():
                return

    def _is_bad(self, row: _Row) -> bool:
        """Whether a window must be tried again; one that is silent is not."""
        rules = self._rules
        bad = False
        if rules.compression_ratio_threshold is not None:
            bad = self._compression(row.tokens) > rules.compression_ratio_threshold
        if rules.logprob_threshold is not None:
            unlikely = sum(row.logprobs) / max(len(row.tokens), 1) < rules.logprob_threshold
            silent = rules.no_speech_threshold is not None and row.silence > rules.no_speech_threshold
            row.skipped = unlikely and silent
            bad = (bad or unlikely) and not row.skipped
        return bad

    def _compression(self, tokens: Sequence[int]) -> float:
        told = b"".join(token.to_bytes(self._bytes, "little") for token in tokens)
        return len(told) / len(zlib.compress(told))

    def _attempt(self, rows: list[_Row], pending: list[int], temperature: float) -> None:
        settings = self._settings(temperature)
        for place in pending:
            rows[place].tokens, rows[place].logprobs = [], []
            rows[place].temperature, rows[place].skipped = temperature, False
        if settings.num_beams > 1:
            self._search(rows, pending, settings)
            return
        scores = self._begin(rows)
        if len(pending) < len(rows):
            self._decoder.pick(pending)
            scores = scores[pending]
        self._go_on([rows[place] for place in pending], scores, settings)

    def _settings(self, temperature: float) -> GenerationSettings:
        settings = self._rules.settings
        if temperature > 0:
            return replace(settings, do_sample=True, temperature=temperature, num_beams=1)
        return replace(settings, do_sample=False, temperature=1.0)

    def _begin(self, rows: Sequence[_Row]) -> np.ndarray:
        """Read what the rows begin with: the scores of the next token; how silent each one is, where that is asked for."""
        rules = self._rules
        prefixes = [list(row.prefix) for row in rows]
        if rules.no_speech_threshold is None or rules.silence is None:
            return self._decoder.prefill(prefixes)
        at = prefixes[0].index(rules.tokens.start) - len(prefixes[0])
        behind = at + 1
        scores = self._decoder.prefill([prefix[: len(prefix) + behind] for prefix in prefixes])
        for row, each in zip(rows, scores, strict=True):
            row.silence = math.exp(float(each[rules.silence]) - log_sum(each))
        for place in range(behind, 0):
            scores = self._decoder.step(np.array([prefix[place] for prefix in prefixes], np.int64))
        return scores

    def _go_on(self, rows: list[_Row], scores: np.ndarray, settings: GenerationSettings) -> None:
        self._prepare(rows, scores.shape[1], settings)
        room = np.empty(scores.shape[1], np.float32)
        going = list(range(len(rows)))  # rows of the model that are still written
        written = list(rows)
        last = np.zeros(len(rows), np.int64)
        while True:
            for place in going:
                np.copyto(room, scores[place])
                last[place] = self._choose(written[place], room, settings)
            going = [place for place in going if not self._is_done(written[place])]
            if not going or self._cancelled():
                return
            # Rows that are done cost less than moving the others, until they are as many.
            if len(going) * 2 <= len(written):
                self._decoder.pick(going)
                written, last = [written[place] for place in going], last[going]
                going = list(range(len(written)))
            scores = self._decoder.step(last)

    def _prepare(self, rows: Sequence[_Row], vocabulary: int, settings: GenerationSettings) -> None:
        for row in rows:
            row.history = History.of(row.prefix, vocabulary=vocabulary)
            row.processors = (
                *processors(settings, prompt=len(row.prefix), vocabulary=vocabulary),
                *self._rules.processors(times=row.window.times),
            )

    def _choose(self, row: _Row, scores: np.ndarray, settings: GenerationSettings) -> int:
        history = row.history
        assert history is not None  # noqa: S101 - set before the first token
        for process in row.processors:
            process(scores, history)
        if not math.isfinite(scores.max()):
            raise refused(scores)
        if settings.do_sample:
            ids, left = truncated(scores, settings)
            place = draw(left, self._generator.random())
            token = place if ids is None else int(ids[place])
            scores, told = left * np.float32(settings.temperature), place
        else:
            token = told = int(scores.argmax())
        if self._rules.logprob_threshold is not None:
            row.logprobs.append(float(scores[told]) - log_sum(scores))
        history.add(token)
        row.tokens.append(token)
        return token

    def _is_done(self, row: _Row) -> bool:
        return row.tokens[-1] in self._ends or len(row.tokens) >= row.window.most

    def _search(self, rows: list[_Row], pending: list[int], settings: GenerationSettings) -> None:
        """The best of several beams for each; where what was likely is asked for, it is read once more."""
        most = max(row.window.most for row in rows)
        searched = beams.search(
            self._decoder,
            [list(row.prefix) for row in rows],
            replace(settings, max_new_tokens=most),
            cancelled=self._cancelled,
            further=self._rules.processors(times=rows[0].window.times),
        )
        for place in pending:
            best = searched[place][0]
            rows[place].tokens = list(best.tokens)[: rows[place].window.most]
        if self._rules.logprob_threshold is not None:
            self._reread(rows, settings)

    def _reread(self, rows: list[_Row], settings: GenerationSettings) -> None:
        """How likely each token was, of texts that are written already."""
        scores = self._begin(rows)
        self._prepare(rows, scores.shape[1], settings)
        for place in range(max(len(row.tokens) for row in rows)):
            for row, each in zip(rows, scores, strict=True):
                if place < len(row.tokens) and row.history is not None:
                    told = each.copy()
                    for process in row.processors:
                        process(told, row.history)
                    row.logprobs.append(float(told[row.tokens[place]]) - log_sum(told))
                    row.history.add(row.tokens[place])
            ids = [row.tokens[place] if place < len(row.tokens) else row.tokens[-1] for row in rows]
            scores = self._decoder.step(np.array(ids, np.int64))

    def _times(self, rows: Sequence[_Row]) -> list[Sequence[float]]:
        # Nobody looks behind the last token, which ends the text.
        looks = self._decoder.look([[*row.prefix, *row.tokens[:-1]] for row in rows])
        return [
            speech_alignment.times(
                look[:, len(row.prefix) :], frames=row.window.frames, width=self._width
            ).tolist()
            for row, look in zip(rows, looks, strict=True)
        ]
