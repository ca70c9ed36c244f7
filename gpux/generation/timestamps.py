"""The rules of tokens that tell times: they come in pairs and never go back, as Whisper writes them; knows no sound.

Source: ``WhisperTimeStampLogitsProcessor`` of
https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/generation/logits_process.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpux.generation.history import History
from gpux.generation.truncating import log_sum

_NEVER = np.float32(-np.inf)


@dataclass(frozen=True, slots=True)
class Timestamps:
    """A :class:`gpux.generation.processors.Processor`.

    Attributes:
        no_times: The token that says that times are not told.
        end: The token that ends an answer; those below it are text.
        most: Steps of time that the first one may be at; any where ``None``.
    """

    no_times: int
    end: int
    most: int | None = None

    def __call__(self, scores: np.ndarray, history: History) -> None:
        """Forbid what may not come, and all text where a time is likelier than any of it."""
        first = self.no_times + 1
        answer = history.tokens[history.prompt :]
        scores[self.no_times] = _NEVER
        last = len(answer) >= 1 and answer[-1] >= first
        before = len(answer) < 2 or answer[-2] >= first
        if last and before:
            scores[first:] = _NEVER
        elif last:
            scores[: self.end] = _NEVER
        if len(told := answer[answer >= first]):
            # One that begins a pair may be told again, to end it.
            scores[first : int(told[-1]) + (0 if last and not before else 1)] = _NEVER
        if not len(answer):
            scores[:first] = _NEVER
            if self.most is not None:
                scores[first + self.most + 1 :] = _NEVER
        most = scores[:first].max()
        if most > _NEVER and scores[first:].max(initial=_NEVER) > _NEVER and log_sum(scores[first:]) > most:
            scores[:first] = _NEVER
