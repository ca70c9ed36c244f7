"""``audio-feature-extraction``: the vectors of every frame of a recording, and ``encode``, their mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.head import AUDIO, Head
from gpux.pipelines import layers
from gpux.pipelines.audio_pipeline import AudioPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.session import Session
from gpux.text import texts


class TaskPipeline(AudioPipeline):
    """Frame vectors when called, in the shape of the transformers feature extraction pipeline; recordings' vectors by ``encode``."""

    head: ClassVar[Head] = Head(
        auto="AutoModel",
        # What was pre-trained, or taught to tell speakers apart, has the encoder's weights and no other task's head.
        suffixes=(
            "Model",
            "ForXVector",
            "Wav2Vec2ForPreTraining",
            "ConformerForPreTraining",
            "UniSpeechForPreTraining",
            "UniSpeechSatForPreTraining",
            "",
        ),
        outputs=("last_hidden_state",),
        takes=(AUDIO,),
    )
    parameters: ClassVar[tuple[str, ...]] = ("return_tensors",)
    window: ClassVar[int] = 16  # answers are lists of numbers: a minute of 768 is 2.3 million

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._hidden = self._output("last_hidden_state", rank=3).name

    def answer(self, items: Sequence[Any], clock: Clock, /, *, return_tensors: bool = False) -> list[Any]:
        """Frame vectors of each recording, padding left out.

        Args:
            items: Recordings.
            clock: Where the time goes.
            return_tensors: Give arrays instead of nested lists.

        Returns:
            Per item a nested list [1][frames][hidden] of floats, or a float32 array of that shape.

        Raises:
            InvalidInput: An item is no recording.
        """
        answers: list[Any] = [None] * len(items)
        for position, frames in self._vectors(items, clock):
            answers[position] = frames[None].copy() if return_tensors else [frames.tolist()]
        return answers

    def encode(
        self,
        inputs: Any,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize: bool | None = None,
        truncate_dim: int | None = None,
    ) -> np.ndarray:
        """The mean of the frame vectors of one recording, or of each of a list.

        Args:
            inputs: A recording or a list of them.
            prompt_name: Of texts only.
            prompt: Of texts only.
            normalize: Whether to scale to unit length.
            truncate_dim: Keep only so many leading dimensions.

        Returns:
            float32 [dimensions] for one recording, [recordings, dimensions] for a list.

        Raises:
            InvalidInput: An item is no recording, or a parameter that recordings do not have.
        """
        if prompt_name is not None or prompt is not None:
            raise InvalidInput("recordings take no prompt", hint="leave `prompt` and `prompt_name` out")
        one = self.is_item(inputs)
        items = [inputs] if one else list(inputs)
        means = {position: frames.mean(axis=0) for position, frames in self._vectors(items, Clock())}
        size = len(means[0]) if means else 0
        if truncate_dim is not None and (
            not isinstance(truncate_dim, int)
            or isinstance(truncate_dim, bool)
            or not 0 < truncate_dim <= size
        ):
            raise InvalidInput(
                f"`truncate_dim` is {truncate_dim!r}",
                hint=f"give a whole number from 1 to {size}",
                truncate_dim=truncate_dim,
            )
        vectors = np.empty((len(items), size), np.float32)
        for position, mean in means.items():
            vectors[position] = mean
        vectors = vectors[:, :truncate_dim]
        if normalize and len(items):
            vectors = layers.unit(vectors)
        return vectors[0] if one else vectors

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Recording, frames, dimensions, and the first values of the first frame."""
        rows = []
        for shown, answer in zip(self._shown(items), answers, strict=True):
            first = answer[0][0]
            rows.append((shown, str(len(answer[0])), str(len(first)), texts.numbers(first)))
        return Table(("recording", "frames", "dimensions", "first frame"), tuple(rows))

    def describe(self) -> Mapping[str, Any]:
        """The pooling of ``encode``, the feature extractor and its sampling rate."""
        return {**super().describe(), "pooling": "mean"}

    def _vectors(self, items: Sequence[Any], clock: Clock) -> Iterator[tuple[int, np.ndarray]]:
        for batch in self._graph.run(self._prepared(items), clock, [self._hidden]):
            hidden = batch.outputs[self._hidden].astype(np.float32, copy=False)
            for row, position in enumerate(batch.rows):
                yield position, hidden[row, : batch.frames[row] if batch.frames else None]
