"""``automatic-speech-recognition`` by CTC: the text of a recording, with the times of characters or words.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/automatic_speech_recognition.py
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.audio.prepared import Prepared
from gpux.errors import InvalidInput
from gpux.head import AUDIO, Head
from gpux.pipelines import audio_chunks, ctc_text
from gpux.pipelines.audio_chunks import Chunk, Cut
from gpux.pipelines.audio_pipeline import AudioPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.session import Session

TIMES = ("char", "word")


class TaskPipeline(AudioPipeline):
    """Speech to text, the likeliest token of each frame: wav2vec 2.0, HuBERT, WavLM and their kin.

    Raises:
        UnsupportedModel: The model's tokenizer makes text in another way.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForCTC",
        suffixes=("ForCTC",),
        outputs=("logits",),
        scores=("logits",),
        takes=(AUDIO,),
    )
    parameters: ClassVar[tuple[str, ...]] = ("chunk_length_s", "return_timestamps", "stride_length_s")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._vocabulary = ctc_text.read(artifact)
        self._logits = self._output("logits", rank=3).name
        convolutions = self._graph.convolutions
        self._align = convolutions.ratio if convolutions else 1

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        chunk_length_s: float | None = None,
        stride_length_s: float | Sequence[float] | None = None,
        return_timestamps: str | None = None,
    ) -> list[Any]:
        """The text of each recording.

        Args:
            items: Recordings.
            clock: Where the time goes.
            chunk_length_s: Seconds of the chunks that long recordings are cut into; they stay whole when ``None``.
            stride_length_s: Seconds that a chunk shares with each neighbour, or with the left and the right one; a sixth
                of a chunk when ``None``.
            return_timestamps: ``char`` or ``word`` adds when each was said.

        Returns:
            Per item ``{"text": str}``, with ``"chunks": [{"text": str, "timestamp": (seconds, seconds)}]`` where times are
            asked for.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        if return_timestamps not in (None, False, *TIMES):
            raise InvalidInput(
                f"`return_timestamps` is {return_timestamps!r}",
                hint=f"use one of {', '.join(TIMES)}",
                return_timestamps=return_timestamps,
            )
        cut = self._cut(chunk_length_s, stride_length_s)
        pieces: list[tuple[int, Chunk]] = []
        found: list[dict[int, np.ndarray]] = [{} for _ in items]
        for batch in self._graph.run(self._pieces(items, cut, pieces), clock, [self._logits]):
            logits = batch.outputs[self._logits]
            for row, piece in enumerate(batch.rows):
                item, chunk = pieces[piece]
                ids = logits[row, : batch.frames[row] if batch.frames else None].argmax(axis=-1)
                found[item][chunk.start] = ids[chunk.kept(self._align)] if cut else ids
        answers = [self._said(parts, return_timestamps or None) for parts in found]
        clock.lap("postprocess")
        return answers

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """Waveforms and masks of each batch, as the task cuts and pads them."""
        self.check(parameters)
        cut = self._cut(parameters.get("chunk_length_s"), parameters.get("stride_length_s"))
        return list(self._graph.feeds(self._pieces(items, cut, [])))

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Recording and text; with times, one row for each."""
        rows: list[tuple[str, ...]] = []
        for shown, answer in zip(self._shown(items), answers, strict=True):
            if "chunks" not in answer:
                rows.append((shown, answer["text"]))
                continue
            for position, said in enumerate(answer["chunks"]):
                start, stop = said["timestamp"]
                rows.append(("" if position else shown, f"{start:.2f}", f"{stop:.2f}", said["text"]))
        timed = any("chunks" in answer for answer in answers)
        return Table(("recording", "from", "to", "text") if timed else ("recording", "text"), tuple(rows))

    def describe(self) -> Mapping[str, Any]:
        """The number of tokens, and how many samples a frame stands for."""
        return {
            **super().describe(),
            "tokens": len(self._vocabulary.tokens),
            "samples_per_frame": self._align,
        }

    def _cut(self, chunk_length_s: Any, stride_length_s: Any) -> Cut | None:
        return audio_chunks.read(
            chunk_length_s, stride_length_s, rate=self._graph.extractor.rate, align=self._align
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
