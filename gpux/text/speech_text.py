"""The tokens that a speech model wrote, chunk by chunk → text, segments and words with their times; knows no sound.

The arithmetic is that of transformers, quirks included, so that an answer is the pipeline's:
https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/whisper/tokenization_whisper.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpux.text import speech_joining, speech_words
from gpux.text import spoken_languages as languages
from gpux.text.speech_joining import Times
from gpux.text.speech_tokens import SpeechTokens

_WINDOW = 1500  # steps of time that a window has
WORD = "word"


@dataclass(frozen=True, slots=True)
class Heard:
    """What was written of one piece of a recording.

    Attributes:
        tokens: The tokens, those of times among them.
        times: Seconds at which each token ended; nothing where nobody asked.
        stride: Seconds of the piece, and how many of them the pieces before and behind it heard too; ``None`` where it is
            the whole recording.
    """

    tokens: Sequence[int]
    times: Sequence[float] = ()
    stride: tuple[float, float, float] | None = None


def read(
    heard: Sequence[Heard],
    tokens: SpeechTokens,
    *,
    times: bool | str,
    language: bool = False,
    precision: float = 0.02,
) -> tuple[str, list[dict[str, Any]] | None]:
    """The text of a recording.

    Args:
        heard: Its pieces in order.
        tokens: The model's tokens.
        times: Whether segments are told with their times; ``word`` for words.
        language: Whether each one's language is told.
        precision: Seconds of a token's step of time.

    Returns:
        The text; per segment or word ``{"text": str, "timestamp": (seconds, seconds | None), "language": str | None}``, or
        ``None`` where neither times nor language are asked for.
    """
    reader = _Reader(tokens, times=times, language=language, precision=precision)
    for one in heard:
        reader.take(one)
    reader.end()
    text = "".join(segment["text"] for segment in reader.segments)
    if not times and not language:
        return text, None
    if times == WORD:
        return text, [word for segment in reader.segments for word in segment["words"]]
    return text, [_told(segment, times=bool(times), language=language) for segment in reader.segments]


def _told(segment: Mapping[str, Any], *, times: bool, language: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"language": segment["language"]} if language else {}
    if times:
        told["timestamp"] = (segment["start"], segment["stop"])
    return {**told, "text": segment["text"]}


@dataclass(slots=True)
class _Piece:
    """Where the reader is within one piece: which times lie in the parts that others heard too."""

    first: float
    last: int | None = None
    most: float = 0.0
    before: float = 0.0
    penultimate: float = 0.0
    tokens: list[int] = field(default_factory=list)
    times: list[Times] = field(default_factory=list)


class _Reader:
    def __init__(self, tokens: SpeechTokens, *, times: bool | str, language: bool, precision: float) -> None:
        self.segments: list[dict[str, Any]] = []
        self._tokens = tokens
        self._times = times
        self._told_language = language
        self._precision = precision
        self._begin = tokens.first_time
        self._language: str | None = None
        self._offset = 0.0
        self._skip = False
        self._held: list[list[int]] = []
        self._held_times: list[list[Times]] = []
        self._segment = self._new()

    def take(self, heard: Heard) -> None:
        """Read one piece."""
        ids = self._tokens.without_prompt(heard.tokens)
        piece = self._piece(ids, heard.stride)
        for place, token in enumerate(ids):
            if token in self._tokens.special:
                self._special(token, piece)
            elif token >= self._begin:
                self._time(ids, place, piece)
            else:
                piece.tokens.append(token)
                if self._times == WORD:
                    start = heard.times[place - 1] if place else 0.0
                    both = (round(each + self._offset, 2) for each in (start, heard.times[place]))
                    piece.times.append((next(both), next(both)))
        if heard.stride is not None:
            self._offset += heard.stride[0] - heard.stride[2]
        if piece.tokens:
            self._hold(piece)
        elif not any(self._held):
            self._clear()

    def end(self) -> None:
        """What is left belongs to a segment whose end was not told."""
        if self._held:
            self._finish()

    def _new(self) -> dict[str, Any]:
        return {"language": self._language, "start": None, "stop": None, "text": ""}

    def _piece(self, ids: Sequence[int], stride: tuple[float, float, float] | None) -> _Piece:
        piece = _Piece(first=self._begin)
        if stride is None:
            return piece
        length, left, right = stride
        self._offset -= left
        if left:
            piece.first = left / self._precision + self._begin
        if right:
            for token in reversed(ids):
                if token >= self._begin:
                    # The last one in there is always left to the next piece.
                    if piece.last is not None and (token - self._begin) * self._precision < length - right:
                        break
                    piece.last = token
        return piece

    def _special(self, token: int, piece: _Piece) -> None:
        found = languages.NAMES.get(self._tokens.decode([token])[2:-2])
        if found is None:
            return
        if self._language and found != self._language and not self._times:
            self._held.append(piece.tokens)
            tokens, _ = speech_joining.joined(self._held, ())
            self._segment["text"] = self._tokens.decode(tokens)
            self.segments.append(self._segment)
            self._held, piece.tokens = [], []
            self._segment = self._new()
        self._segment["language"] = self._language = found

    def _time(self, ids: Sequence[int], place: int, piece: _Piece) -> None:
        token = ids[place]
        within = float((token - self._begin) * self._precision)
        if within < piece.most:  # the next window began
            paired = place < 2 or (ids[place - 1] >= self._begin and ids[place - 2] >= self._begin)
            if paired:
                piece.most = piece.penultimate
                piece.before += piece.penultimate
            else:
                piece.before += self._precision * _WINDOW
        piece.penultimate, piece.most = piece.most, within
        time = round((token - self._begin) * self._precision + self._offset + piece.before, 2)
        if piece.last and token >= piece.last:
            # It lies in what the next piece hears too, and so does the one that makes a pair with it.
            self._skip = True
        elif self._skip or (self._held and token < piece.first):
            self._skip = False
        elif self._segment["start"] is None:
            self._segment["start"] = time
        elif time != self._segment["start"]:  # the same again is where it starts
            self._segment["stop"] = time
            self._hold(piece)
            self._finish()
            piece.tokens, piece.times = [], []
            self._clear()

    def _hold(self, piece: _Piece) -> None:
        self._held.append(piece.tokens)
        if self._times == WORD:
            self._held_times.append(piece.times)

    def _clear(self) -> None:
        self._held, self._held_times = [], []
        self._segment = self._new()

    def _finish(self) -> None:
        tokens, times = speech_joining.joined(self._held, self._held_times)
        self._segment["text"] = self._tokens.decode(tokens)
        if self._times == WORD:
            self._segment["words"] = self._words(tokens, times)
        self.segments.append(self._segment)

    def _words(self, tokens: Sequence[int], times: Sequence[Times]) -> list[dict[str, Any]]:
        language = self._language or self._tokens.language or "english"
        told = {"language": self._language} if self._told_language else {}
        words = speech_words.split(tokens, self._tokens.decode, language=language, special=self._tokens.end)
        return [
            {"text": word, "timestamp": (times[places[0]][0], times[places[-1]][1]), **told}
            for word, places in words
        ]
