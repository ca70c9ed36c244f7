"""Runs a graph that takes sound over any number of recordings: decodes, extracts features, batches, pads. Knows no task."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gpux import hardware
from gpux.artifact import Artifact
from gpux.audio import features, loading
from gpux.audio.prepared import Prepared, too_short
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.pipelines import audio_frames
from gpux.pipelines.ahead import ahead
from gpux.pipelines.pipeline import Clock
from gpux.session import Session
from gpux.text import batching

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 8
"""Recordings of a batch, where no plan says otherwise."""

SECONDS = 30
"""Padded seconds of that batch, of graphs whose work grows with the length; a longer recording makes one of its own."""

WHOLE = 300
"""Most seconds that such a graph is given in one piece: attention over 15,000 frames takes gigabytes a layer."""

THREADS = 4
"""Recordings that are decoded at once, while the graph runs."""

HELD = 1 << 24
"""Numbers of prepared recordings that are held at once, 64 MiB; what bounds memory however long the list is."""


Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Batch:
    """What the graph said about some of the recordings.

    Attributes:
        rows: Each row's position among the prepared.
        frames: Frames of each row's own, the rest is padding; ``None`` where all are.
        outputs: Output name → array, [rows, …].
    """

    rows: list[int]
    frames: list[int] | None
    outputs: dict[str, np.ndarray]


class AudioGraph:
    """One open graph with its feature extractor; safe to call from several threads.

    Args:
        artifact: The model.
        session: Its open graph.
        others: Inputs of the graph that are not made from sound, which the task gives.

    Raises:
        UnsupportedModel: The graph takes an input that is neither, or none that is made from sound.
    """

    def __init__(self, artifact: Artifact, session: Session, *, others: Sequence[str] = ()) -> None:
        self._session = session
        self.extractor = features.read(artifact)
        self.convolutions = audio_frames.read(artifact)
        size = session.plan.batch or ROWS
        self._rows, self._samples = size, SECONDS * self.extractor.rate * size // ROWS
        made = set(self.extractor.makes) - set(others)
        self._dtypes = {spec.name: np.dtype(spec.dtype) for spec in session.inputs if spec.name in made}
        foreign = [spec.name for spec in session.inputs if spec.name not in {*made, *others}]
        if foreign or self.extractor.makes[0] not in self._dtypes:
            what = f"`{foreign[0]}`, which is" if foreign else f"no `{self.extractor.makes[0]}`, and nothing"
            raise UnsupportedModel(
                f"the graph of `{artifact.reference}` takes {what} {'not ' * bool(foreign)}made from sound",
                hint="feed it tensors: model.session.run({...})",
                reference=artifact.reference,
            )
        # Without a mask the padding is heard, and a recording's answer would depend on its neighbours'.
        blind = self.convolutions is not None and self.convolutions.blind
        self._mixes = blind and "attention_mask" in self._dtypes

    def open(self, item: Any, *, position: int) -> NDArray[np.float32]:
        """The waveform of a recording at the model's rate; see :func:`gpux.audio.loading.open_audio`."""
        return loading.open_audio(item, rate=self.extractor.rate, position=position)

    def prepare(self, waveform: np.ndarray, *, position: int, hint: str = "cut it into parts") -> Prepared:
        """The features of one waveform.

        Raises:
            InvalidInput: It is too short for one frame, or too long to be answered in one piece.
        """
        rate = self.extractor.rate
        if not self.extractor.fixed and len(waveform) > WHOLE * rate:
            raise InvalidInput(
                f"input {position} lasts {len(waveform) / rate:.0f} s, and the model hears at most {WHOLE} s in one piece",
                hint=hint,
                position=position,
            )
        if self.convolutions and len(waveform) < self.convolutions.least:
            raise too_short(len(waveform), self.convolutions.least, rate, position)
        return self.extractor.prepare(waveform, position=position)

    def waveforms(
        self, items: Iterable[Any], positions: Iterable[int] | None = None
    ) -> Generator[NDArray[np.float32], None, None]:
        """The waveforms of recordings in order, some decoded ahead in threads.

        Args:
            items: The recordings.
            positions: Where each stood in the caller's list, for the error; from 0 on when ``None``.
        """
        return _ahead(lambda position, item: self.open(item, position=position), items, positions)

    def prepared(
        self, items: Iterable[Any], positions: Iterable[int] | None = None
    ) -> Generator[Prepared, None, None]:
        """The features of recordings in order, some made ahead in threads; arguments as for :meth:`waveforms`."""

        def call(position: int, item: Any) -> Prepared:
            return self.prepare(self.open(item, position=position), position=position)

        return _ahead(call, items, positions)

    def run(
        self,
        prepared: Generator[Prepared, None, None],
        clock: Clock,
        outputs: Sequence[str],
        *,
        others: Mapping[str, np.ndarray] | None = None,
    ) -> Iterator[Batch]:
        """Run all and yield batches in the order that wastes least; their ``rows`` say whose they are.

        Time until a batch is yielded is booked to ``preprocess`` and ``infer``, the caller's time to ``postprocess``.

        Raises:
            RunFailed: The runtime failed.
        """
        for rows, some in self._batches(prepared):
            feeds = {**self._feed(some), **(others or {})}
            clock.lap("preprocess")
            answer = self._session.run(feeds, outputs)
            clock.lap("infer")
            yield Batch(rows, self._frames(some), answer)
            clock.lap("postprocess")

    def feeds(self, prepared: Generator[Prepared, None, None]) -> Iterator[dict[str, np.ndarray]]:
        """What :meth:`run` would give the graph, batch after batch."""
        for _, some in self._batches(prepared):
            yield self._feed(some)

    def _feed(self, prepared: Sequence[Prepared]) -> dict[str, np.ndarray]:
        made = self.extractor.batch(prepared)
        return {name: made[name].astype(dtype, copy=False) for name, dtype in self._dtypes.items()}

    def _frames(self, prepared: Sequence[Prepared]) -> list[int] | None:
        lengths = {one.samples for one in prepared}
        if self.extractor.fixed or len(lengths) == 1 or self.convolutions is None:
            return None
        return [self.convolutions.frames(one.samples) for one in prepared]

    def _batches(
        self, prepared: Generator[Prepared, None, None]
    ) -> Iterator[tuple[list[int], list[Prepared]]]:
        """Positions and recordings of each batch."""
        with closing(_windows(prepared)) as windows:
            for first, window in windows:
                for members in self._cut([one.samples for one in window]):
                    yield [first + i for i in members], [window[i] for i in members]

    def _cut(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        if self.extractor.fixed:
            for start in range(0, len(lengths), self._rows):
                yield list(range(start, min(start + self._rows, len(lengths))))
        elif self._mixes:
            yield from batching.cut(lengths, tokens=self._samples, rows=self._rows)
        else:
            alike: dict[int, list[int]] = {}
            for position, length in enumerate(lengths):
                alike.setdefault(length, []).append(position)
            for members in alike.values():
                same = [lengths[i] for i in members]
                for part in batching.cut(same, tokens=self._samples, rows=self._rows):
                    yield [members[i] for i in part]


def _windows(
    prepared: Generator[Prepared, None, None],
) -> Generator[tuple[int, list[Prepared]], None, None]:
    """As many as are sorted and held together, with the position of the first."""
    first, held, window = 0, 0, list[Prepared]()
    with closing(prepared):
        for one in prepared:
            window.append(one)
            held += one.array.size
            if held >= HELD:
                yield first, window
                first, held, window = first + len(window), 0, []
    if window:
        yield first, window


def _ahead(
    call: Callable[[int, Any], Made], items: Iterable[Any], positions: Iterable[int] | None
) -> Generator[Made, None, None]:
    numbered = zip(count() if positions is None else positions, items, strict=False)
    first = list(islice(numbered, 2))
    if len(first) < 2:  # one recording alone pays for no threads
        return (call(*each) for each in first)
    threads = min(THREADS, hardware.cores_allowed())
    return ahead(lambda each: call(*each), chain(first, numbered), threads=threads, depth=2 * threads)
