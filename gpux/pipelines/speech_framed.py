"""Speech to text where a model gives a token for each frame (CTC), chunk by chunk; knows no task."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from gpux.artifact import Artifact
from gpux.audio.prepared import Prepared
from gpux.errors import InvalidInput
from gpux.pipelines import audio_chunks, ctc_text
from gpux.pipelines.audio_chunks import Chunk, Cut
from gpux.pipelines.audio_graph import AudioGraph
from gpux.pipelines.pipeline import Clock
from gpux.tensors import TensorSpec

TIMES = ("char", "word")


class FramedSpeech:
    """The likeliest token of each frame: wav2vec 2.0, HuBERT, WavLM and their kin.

    Args:
        artifact: The model.
        graph: Its open graph.
        logits: The output that it reads, [batch, frames, tokens].

    Raises:
        UnsupportedModel: The model's tokenizer makes text in another way.
    """

    brief: Mapping[str, Any] = {}

    def __init__(self, artifact: Artifact, graph: AudioGraph, logits: TensorSpec) -> None:
        self._vocabulary = ctc_text.read(artifact)
        self._graph, self._logits = graph, logits.name
        convolutions = graph.convolutions
        self._align = convolutions.ratio if convolutions else 1

    def answer(self, items: Sequence[Any], clock: Clock, parameters: Mapping[str, Any]) -> list[Any]:
        """The text of each recording; see the task.

        Raises:
            InvalidInput: A parameter that such a model cannot take.
        """
        times, cut = self._times(parameters), self._cut(parameters)
        pieces: list[tuple[int, Chunk]] = []
        found: list[dict[int, np.ndarray]] = [{} for _ in items]
        for batch in self._graph.run(self._pieces(items, cut, pieces), clock, [self._logits]):
            logits = batch.outputs[self._logits]
            for row, piece in enumerate(batch.rows):
                item, chunk = pieces[piece]
                ids = logits[row, : batch.frames[row] if batch.frames else None].argmax(axis=-1)
                found[item][chunk.start] = ids[chunk.kept(self._align)] if cut else ids
        answers = [self._said(parts, times) for parts in found]
        clock.lap("postprocess")
        return answers

    def feeds(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> list[dict[str, np.ndarray]]:
        """Waveforms and masks of each batch, as the task cuts and pads them."""
        return list(self._graph.feeds(self._pieces(items, self._cut(parameters), [])))

    def describe(self) -> dict[str, Any]:
        """The number of tokens, and how many samples a frame stands for."""
        return {"tokens": len(self._vocabulary.tokens), "samples_per_frame": self._align}

    def _times(self, parameters: Mapping[str, Any]) -> str | None:
        times = parameters.get("return_timestamps")
        if times not in (None, False, *TIMES):
            raise InvalidInput(
                f"`return_timestamps` is {times!r}",
                hint=f"use one of {', '.join(TIMES)}",
                return_timestamps=times,
            )
        return times or None

    def _cut(self, parameters: Mapping[str, Any]) -> Cut | None:
        foreign = set(parameters) - {"chunk_length_s", "stride_length_s", "return_timestamps"}
        if given := next((name for name in sorted(foreign) if parameters[name] is not None), None):
            raise InvalidInput(
                f"this model writes no tokens, and takes no parameter `{given}`",
                hint="it takes chunk_length_s, return_timestamps, stride_length_s",
                parameter=given,
            )
        return audio_chunks.read(
            parameters.get("chunk_length_s"),
            parameters.get("stride_length_s"),
            rate=self._graph.extractor.rate,
            align=self._align,
        )

    def _pieces(
        self, items: Iterable[Any], cut: Cut | None, pieces: list[tuple[int, Chunk]]
    ) -> Generator[Prepared, None, None]:
        """Every chunk of every recording, ready; whose it is and where it lies goes to ``pieces``."""
        hint = "cut it into chunks as it is heard: chunk_length_s=30 (--param chunk_length_s=30)"
        least = self._graph.convolutions.least if self._graph.convolutions else 1
        with closing(self._graph.waveforms(items)) as waveforms:
            for position, waveform in enumerate(waveforms):
                chunks = [Chunk(0, len(waveform))] if cut is None else cut.chunks(len(waveform))
                for chunk in chunks:
                    heard = waveform[chunk.start : chunk.stop]
                    if chunk.start and len(heard) < least:  # an end that makes no frame
                        continue
                    ready = self._graph.prepare(heard, position=position, hint=hint)
                    pieces.append((position, chunk))
                    yield ready

    def _said(self, parts: Mapping[int, np.ndarray], times: str | None) -> dict[str, Any]:
        ids = np.concatenate([parts[start] for start in sorted(parts)]).tolist()
        characters = self._vocabulary.characters(ids)
        answer: dict[str, Any] = {"text": self._vocabulary.text(characters)}
        if times:
            rate = self._graph.extractor.rate
            spans = characters if times == "char" else self._vocabulary.words(characters)
            answer["chunks"] = [
                {
                    "text": span.text,
                    "timestamp": (span.start * self._align / rate, span.stop * self._align / rate),
                }
                for span in spans
            ]
        return answer
