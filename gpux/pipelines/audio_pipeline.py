"""What the tasks over recordings share: what an item is, and what its work comes to in seconds; knows no answers."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from gpux.artifact import Artifact
from gpux.audio import sources
from gpux.audio.prepared import Prepared
from gpux.pipelines import audio_graph, audio_samples, layers
from gpux.pipelines.audio_graph import AudioGraph
from gpux.pipelines.pipeline import Pipeline
from gpux.session import Session
from gpux.tensors import TensorSpec
from gpux.text import texts

if TYPE_CHECKING:
    import numpy as np

_LENGTHS = (400, 80_000, audio_graph.SECONDS * 16_000)


class AudioPipeline(Pipeline):
    """A task whose items are recordings: see :func:`gpux.audio.loading.open_audio` for all that may be one.

    Raises:
        UnsupportedModel: The graph takes something else than sound, or the model has no feature extractor that GPUX computes.
    """

    noun: ClassVar[str] = "recordings"
    batch: ClassVar[int] = audio_graph.ROWS
    window: ClassVar[int] = 64
    files: ClassVar[tuple[str, ...]] = sources.ENDINGS
    others: ClassVar[tuple[str, ...]] = ()
    """Inputs of the graph that are not made from sound, which the task gives."""

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._graph = AudioGraph(artifact, session.parts.get("encoder", session), others=self.others)

    @classmethod
    def dimensions(cls, artifact: Artifact) -> Mapping[str, tuple[int, int, int]]:
        """A batch of recordings and their samples, as the exporter names both."""
        del artifact
        return {"batch": (1, 1, audio_graph.ROWS), "samples": _LENGTHS}

    def is_item(self, inputs: Any) -> bool:
        """A text, bytes, a path, a mapping and an array are one recording; every other iterable is a list of them."""
        if isinstance(inputs, str | bytes | bytearray | memoryview | Mapping | os.PathLike):
            return True
        return hasattr(inputs, "__array__") or not isinstance(inputs, Iterable)

    def parse(self, text: str) -> Any:
        """The path, URL or base64 itself."""
        return text

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Four recordings of 2 to 5 seconds that sound roughly like speech, as data URLs."""
        super().samples(length)
        return list(audio_samples.recordings())

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``seconds``: how long the recordings last."""
        self.check(parameters)
        total = sum(map(len, self._graph.waveforms(map(self._recording, items))))
        return {"seconds": total / self._graph.extractor.rate}

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """Waveforms or features and masks of each batch, as the task makes and pads them."""
        self.check(parameters)
        return list(self._graph.feeds(self._prepared(items)))

    def describe(self) -> Mapping[str, Any]:
        """The feature extractor and its sampling rate."""
        return {
            "feature_extractor": self._graph.extractor.name,
            "sampling_rate": self._graph.extractor.rate,
        }

    def _recording(self, item: Any) -> Any:
        """The recording of an item, where it is not the item itself."""
        return item

    def _prepared(self, items: Iterable[Any]) -> Generator[Prepared, None, None]:
        return self._graph.prepared(map(self._recording, items))

    def _output(self, *names: str, rank: int) -> TensorSpec:
        """The first of these outputs that the graph has; its first where it has none.

        Raises:
            UnsupportedModel: It has not so many axes.
        """
        have = {spec.name: spec for spec in self.session.outputs}
        found = next((have[name] for name in names if name in have), self.session.outputs[0])
        if len(found.shape) != rank:
            raise layers.unsupported(self.artifact, f"an output `{found}` instead of one of {rank} axes")
        return found

    def _shown(self, items: Sequence[Any]) -> list[str]:
        """What stands for each item in a table: its path, or which it was."""
        given = [
            str(one) if isinstance(one, str | os.PathLike) else "" for one in map(self._recording, items)
        ]
        return [
            f"recording {position}"
            if not text or text.startswith("data:") or len(text) > 1024
            else texts.brief(text)
            for position, text in enumerate(given)
        ]
