"""Speech to text where a model hears a window and writes its text (Whisper), recordings of any length; knows no task."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from gpux.artifact import Artifact
from gpux.audio import loading
from gpux.audio.spectrogram import Spectrogram
from gpux.audio.whisper import LogMel
from gpux.errors import UnsupportedModel
from gpux.fields import Fields
from gpux.generation.looking import LookingDecoder
from gpux.pipelines import audio_chunks, speech_rules
from gpux.pipelines.ahead import ahead
from gpux.pipelines.audio_chunks import Cut
from gpux.pipelines.audio_graph import ROWS, THREADS, AudioGraph
from gpux.pipelines.pipeline import Clock
from gpux.pipelines.speech_rules import Rules
from gpux.pipelines.speech_windows import Told, Windows, windows
from gpux.pipelines.speech_writing import Window, Writer
from gpux.session import Session
from gpux.text import speech_text, speech_tokens
from gpux.text.speech_text import Heard

HELD = 1 << 30
"""Bytes of keys and values that windows which are written at once may take: Whisper large has 245 MB of each window."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A recording, or a chunk of one with the seconds that its neighbours hear too."""

    item: int
    heard: Spectrogram
    number: int = 0
    stride: tuple[float, float, float] | None = None


@dataclass(slots=True)
class _Listening:
    """A piece that is written down: its windows, and the one that waits."""

    piece: _Piece
    windows: Windows
    waiting: Window
    told: Told = field(default_factory=Told)


class WrittenSpeech:
    """Whisper, and those that are built as it is.

    Args:
        artifact: The model.
        session: Its open graphs.
        graph: The one that hears.

    Raises:
        UnsupportedModel: The model's files do not say how it writes, or it has another feature extractor.
    """

    brief: Mapping[str, Any] = {"max_new_tokens": 2}

    def __init__(self, artifact: Artifact, session: Session, graph: AudioGraph) -> None:
        if not isinstance(graph.extractor, LogMel):
            raise UnsupportedModel(
                f"`{artifact.reference}` hears by {graph.extractor.name}, and writes as Whisper does",
                hint="the graphs still run: model.session.parts",
                reference=artifact.reference,
            )
        config = Fields(artifact, "config.json")
        self._artifact, self._session = artifact, session
        self._extractor: LogMel = graph.extractor
        self._graph = graph
        self._tokens = speech_tokens.read(artifact)
        self._limit = config.length("max_target_positions") or 448
        self._vocabulary = config.whole("vocab_size", least=2) or 51865
        self._width = config.whole("median_filter_width", least=1) or 7
        positions = config.length("max_source_positions") or 1500
        self._precision = self._extractor.samples / self._extractor.rate / positions
        self._rows = self._affordable(session)

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        parameters: Mapping[str, Any],
        *,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Any]:
        """The text of each recording; see the task.

        Raises:
            InvalidInput: A parameter that the model cannot take.
            RunFailed: The runtime failed.
        """
        rules = self._rules(parameters)
        language = bool(parameters.get("return_language"))
        decoder = LookingDecoder(self._session.parts, limit=self._limit)
        writer = Writer(decoder, rules, vocabulary=self._vocabulary, width=self._width, cancelled=cancelled)
        found: list[list[tuple[Told, _Piece]]] = [[] for _ in items]
        try:
            with closing(self._pieces(items, self._cut(parameters))) as pieces:
                for piece, told in self._written(pieces, writer, rules, clock):
                    found[piece.item].append((told, piece))
        finally:
            decoder.close()
        answers = [self._told(parts, rules, language=language) for parts in found]
        clock.lap("postprocess")
        return answers

    def feeds(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> list[dict[str, np.ndarray]]:
        """What the encoder is given of each recording's first window."""
        del parameters
        return list(self._graph.feeds(self._graph.prepared(items)))

    def describe(self) -> dict[str, Any]:
        """Seconds of a window, tokens of its text, and the languages."""
        return {
            "seconds": self._extractor.samples / self._extractor.rate,
            "max_tokens": self._limit,
            "languages": len(self._tokens.languages) or 1,
        }

    def _affordable(self, session: Session) -> int:
        """Windows that are written at once."""
        outputs = session.parts["encoder"].outputs
        row = sum(
            int(np.prod([size for size in spec.shape[1:] if isinstance(size, int)]))
            * np.dtype(spec.dtype).itemsize
            for spec in outputs
        )
        return max(1, min(session.plan.batch or ROWS, HELD // max(row, 1)))

    def _rules(self, parameters: Mapping[str, Any]) -> Rules:
        times = speech_rules.check_times(
            parameters.get("return_timestamps")
            or Fields(self._artifact, "generation_config.json").flag("return_timestamps")
        )
        return speech_rules.read(self._artifact, self._tokens, parameters, times=times, limit=self._limit)

    def _cut(self, parameters: Mapping[str, Any]) -> Cut | None:
        return audio_chunks.read(
            parameters.get("chunk_length_s"),
            parameters.get("stride_length_s"),
            rate=self._extractor.rate,
            align=1,
        )

    def _pieces(self, items: Sequence[Any], cut: Cut | None) -> Generator[_Piece, None, None]:
        if cut is not None:
            for item, recording in enumerate(items):
                yield from self._chunks(item, recording, cut)
        elif len(items) == 1:
            yield self._whole((0, items[0]))
        else:
            with closing(ahead(self._whole, enumerate(items), threads=THREADS, depth=THREADS)) as opened:
                yield from opened

    def _whole(self, numbered: tuple[int, Any]) -> _Piece:
        item, recording = numbered
        return _Piece(item, self._extractor.listen(self._blocks(item, recording)))

    def _blocks(self, item: int, recording: Any) -> Iterator[np.ndarray]:
        return loading.stream_audio(recording, rate=self._extractor.rate, position=item)

    def _chunks(self, item: int, recording: Any, cut: Cut) -> Iterator[_Piece]:
        rate = self._extractor.rate
        for number, (waveform, left, right) in enumerate(cut.streamed(self._blocks(item, recording))):
            heard = self._extractor.listen([waveform[: self._extractor.samples]])
            yield _Piece(item, heard, number, (len(waveform) / rate, left / rate, right / rate))

    def _written(
        self, pieces: Iterator[_Piece], writer: Writer, rules: Rules, clock: Clock
    ) -> Iterator[tuple[_Piece, Told]]:
        """Pieces with their texts, in the order in which they are done; those of several recordings are written at once."""
        going: list[_Listening] = []
        try:
            while True:
                for piece in islice(pieces, self._rows - len(going)):
                    each = windows(piece.heard, rules, frames=self._extractor.frames)
                    going.append(_Listening(piece, each, next(each)))
                if not going:
                    return
                # Windows whose times are told follow other rules, and are written by themselves.
                batch = [one for one in going if one.waiting.times == going[0].waiting.times]
                clock.lap("preprocess")
                written = writer.write([one.waiting for one in batch])
                clock.lap("infer")
                for one, text in zip(batch, written, strict=True):
                    try:
                        one.waiting = one.windows.send(text)
                    except StopIteration as end:
                        going.remove(one)
                        one.piece.heard.close()
                        yield one.piece, end.value
        finally:
            for one in going:
                one.piece.heard.close()

    def _told(self, parts: list[tuple[Told, _Piece]], rules: Rules, *, language: bool) -> dict[str, Any]:
        parts.sort(key=lambda part: part[1].number)
        heard = [
            Heard(
                [*([told.language] if language and told.language is not None else []), *told.tokens],
                [*([0.0] if language and told.language is not None else []), *told.times],
                piece.stride,
            )
            for told, piece in parts
        ]
        text, chunks = speech_text.read(
            heard, self._tokens, times=rules.times, language=language, precision=self._precision
        )
        return {"text": text} if chunks is None else {"text": text, "chunks": chunks}
