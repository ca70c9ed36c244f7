"""``automatic-speech-recognition``: the text of a recording, with the times of its segments, words or characters.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/automatic_speech_recognition.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.head import AUDIO, Head
from gpux.pipelines import speech_rules
from gpux.pipelines.audio_pipeline import AudioPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.speech_framed import FramedSpeech
from gpux.pipelines.speech_written import WrittenSpeech
from gpux.session import Session

_CHUNKS = ("chunk_length_s", "return_language", "return_timestamps", "stride_length_s")


class TaskPipeline(AudioPipeline):
    """Speech to text: by frames (CTC), as wav2vec 2.0 and its kin do, or written token by token, as Whisper does.

    Raises:
        UnsupportedModel: The model's tokenizer makes text in another way.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForCTC",
        suffixes=("ForCTC",),
        outputs=("logits",),
        scores=("logits",),
        takes=(AUDIO,),
        others=(
            Head(
                auto="AutoModelForSpeechSeq2Seq",
                suffixes=(),
                classes=("WhisperForConditionalGeneration",),
                outputs=("logits",),
                scores=("prefill", "decode"),
                takes=(AUDIO,),
                generates=True,
            ),
        ),
    )
    parameters: ClassVar[tuple[str, ...]] = (*_CHUNKS, *speech_rules.PARAMETERS)

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._speech: FramedSpeech | WrittenSpeech = (
            WrittenSpeech(artifact, session, self._graph)
            if "encoder" in session.parts
            else FramedSpeech(artifact, self._graph, self._output("logits", rank=3))
        )

    @property
    def brief(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Parameters with which texts are as short as they can be."""
        return self._speech.brief

    def answer(self, items: Sequence[Any], clock: Clock, /, **parameters: Any) -> list[Any]:
        """The text of each recording.

        Args:
            items: Recordings.
            clock: Where the time goes.
            chunk_length_s: Seconds of the chunks that long recordings are cut into. Where ``None``, they are heard whole (CTC), or
                window by window, each beginning where the one before it was understood to end (Whisper).
            stride_length_s: Seconds that a chunk shares with each neighbour, or with the left and the right one; a sixth
                of a chunk when ``None``.
            return_timestamps: ``word`` adds when each word was said; ``char`` each character (CTC), ``true`` each segment
                (Whisper).
            return_language: Add the language of each segment (Whisper).
            language: The language that is spoken, as code or English name; heard when ``None`` (Whisper).
            task: ``transcribe``, or ``translate`` into English (Whisper).
            prompt: A text that is taken as what came before, for names and spellings (Whisper).
            prompt_condition_type: Whether it stands before the ``first-segment`` or ``all-segments`` (Whisper).
            condition_on_prev_tokens: Whether a window is given the text before it (Whisper).
            temperature: A temperature, or several that are tried until a window's text is good enough (Whisper).
            compression_ratio_threshold: Texts that can be compressed more are not (Whisper).
            logprob_threshold: Texts whose tokens are less likely on average are not (Whisper).
            no_speech_threshold: Windows that are not good enough, and silent with more than this probability, are left out
                (Whisper).
            **parameters: These, and those of :class:`gpux.generation.settings.GenerationSettings` that
                :data:`gpux.pipelines.speech_rules.SETTINGS` lists, such as ``num_beams`` (Whisper).

        Returns:
            Per item ``{"text": str}``, with ``"chunks": [{"text": str, "timestamp": (seconds, seconds)}]`` where times are
            asked for. A segment whose end was not heard ends in ``None``.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        return self._speech.answer(items, clock, parameters)

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """What the graph that hears is given of each batch."""
        self.check(parameters)
        return self._speech.feeds(items, parameters)

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Recording and text; with times, one row for each."""
        rows: list[tuple[str, ...]] = []
        for shown, answer in zip(self._shown(items), answers, strict=True):
            if not any("timestamp" in said for said in answer.get("chunks", ())):
                rows.append((shown, answer["text"]))
                continue
            for position, said in enumerate(answer["chunks"]):
                times = ("" if time is None else f"{time:.2f}" for time in said["timestamp"])
                rows.append(("" if position else shown, *times, said["text"]))
        timed = any(len(row) > 2 for row in rows)
        width = len(_TIMED) if timed else 2
        filled = tuple(row if len(row) == width else (row[0], "", "", row[1]) for row in rows)
        return Table(_TIMED if timed else ("recording", "text"), filled)

    def describe(self) -> Mapping[str, Any]:
        """What is heard and written."""
        return {**super().describe(), **self._speech.describe()}


_TIMED = ("recording", "from", "to", "text")
