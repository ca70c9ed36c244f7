"""Runs a graph that takes pictures over any number of them: prepares ahead, groups equal shapes, batches. Knows no task."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

from gpux import hardware
from gpux.artifact import Artifact
from gpux.errors import UnsupportedModel
from gpux.images.processor import Prepared
from gpux.pipelines.ahead import ahead
from gpux.pipelines.pipeline import Clock
from gpux.session import Session
from gpux.tensors import TensorSpec

THREADS = 4
"""Most threads that prepare pictures; more only wait for memory."""

MOST = 1 << 21
"""Pixels of a batch whose size nobody chose: larger ones cost memory and no processor computes them faster."""

_HELD = 4 * MOST  # pixels that wait for others of their shape

PIXELS, MASK = "pixel_values", "pixel_mask"

Prepare = Callable[[Any, int], Prepared]
Collate = Callable[[list[Prepared]], dict[str, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What the graph said about some of the pictures.

    Attributes:
        rows: Each row's position among the items.
        prepared: What was made of each, with its sizes.
        outputs: Output name → array, [rows, …].
    """

    rows: list[int]
    prepared: list[Prepared]
    outputs: dict[str, np.ndarray]


class _Waiting:
    """Pictures that wait for others of their shape.

    Attributes:
        groups: Shape → positions and pictures, in the order in which the first of each shape came.
        pixels: What all of them come to.
    """

    def __init__(self) -> None:
        self.groups: dict[tuple[int, ...], tuple[list[int], list[Prepared]]] = {}
        self.pixels = 0

    def add(self, shape: tuple[int, ...], position: int, picture: Prepared) -> int:
        """How many of its shape there are with this one."""
        rows, members = self.groups.setdefault(shape, ([], []))
        rows.append(position)
        members.append(picture)
        self.pixels += _pixels(picture)
        return len(rows)

    def oldest(self) -> int:
        """The first position of all."""
        rows, _ = next(iter(self.groups.values()))
        return rows[0]

    def take(self, shape: tuple[int, ...] | None = None) -> tuple[list[int], list[Prepared]]:
        """Everything of a shape, or of the one that waits longest."""
        rows, members = self.groups.pop(next(iter(self.groups)) if shape is None else shape)
        self.pixels -= sum(map(_pixels, members))
        return rows, members


class PixelGraph:
    """One open graph with what makes its tensors; safe to call from several threads.

    Pictures of different shapes are never padded to fit one batch: each gets the answer that it gets alone.

    Args:
        artifact: The model.
        session: Its open graph.
        collate: Prepared pictures of one shape → ``pixel_values`` and, where the processor makes one, ``pixel_mask``.
        alike: Whether all pictures have one shape, or are given it by ``collate``.
        batch: Most pictures of a batch where the plan says nothing.
        rank: Axes of ``pixel_values``.
        others: Inputs that are not made from pictures and that ``collate`` gives, where the graph takes them.

    Raises:
        UnsupportedModel: The graph takes an input that is neither.
    """

    def __init__(
        self,
        artifact: Artifact,
        session: Session,
        *,
        collate: Collate,
        alike: bool,
        batch: int,
        rank: int = 4,
        others: Sequence[str] = (),
    ) -> None:
        self._artifact = artifact
        self._session = session
        self._collate, self._alike = collate, alike
        self._others = [spec for spec in session.inputs if spec.name in others]
        self._pixels = self._find([spec for spec in session.inputs if spec not in self._others], rank)
        self._mask = next((spec for spec in session.inputs if spec.name == MASK), None)
        fixed = self._pixels.shape[0]
        self._fill = fixed if isinstance(fixed, int) else None
        self._chosen = self._fill or session.plan.batch
        self._usual = batch
        # Graphs from TensorFlow have the colours last.
        self._last = rank == 4 and self._pixels.shape[-1] == 3 and self._pixels.shape[1] != 3

    @property
    def shape(self) -> tuple[int | str | None, ...]:
        """Sizes of what the graph takes, the batch first."""
        return self._pixels.shape

    def run(
        self, items: Iterable[Any], clock: Clock, outputs: Sequence[str], prepare: Prepare, *, window: int
    ) -> Generator[Batch, None, None]:
        """Run every picture and yield batches; their ``rows`` say whose they are.

        The time that is spent waiting for pictures is booked to ``preprocess``, the graph's to ``infer``, the caller's to
        ``postprocess``.

        Args:
            items: Any number of items, taken as they are needed.
            clock: Where the time goes.
            outputs: Outputs of the graph.
            prepare: An item and its position → one prepared picture; called from several threads.
            window: Most items between the first that waits for its batch and the last that was taken.

        Raises:
            InvalidInput: An item is no picture.
            RunFailed: The runtime failed.
        """
        with closing(self._batches(items, prepare, window)) as batches:
            for rows, prepared in batches:
                feeds = self._feeds(prepared)
                clock.lap("preprocess")
                found = self._session.run(feeds, outputs)
                clock.lap("infer")
                if self._fill:
                    found = {name: array[: len(rows)] for name, array in found.items()}
                yield Batch(rows, prepared, found)
                clock.lap("postprocess")

    def feeds(
        self, items: Iterable[Any], prepare: Prepare, *, window: int
    ) -> Generator[dict[str, np.ndarray], None, None]:
        """What :meth:`run` would give the graph, batch after batch."""
        with closing(self._batches(items, prepare, window)) as batches:
            for _, prepared in batches:
                yield self._feeds(prepared)

    def count(self, items: Iterable[Any], prepare: Prepare) -> int:
        """Pixels of all pictures as the graph sees them."""
        with closing(self._prepared(items, prepare)) as pictures:
            return sum(map(_pixels, pictures))

    def _batches(
        self, items: Iterable[Any], prepare: Prepare, window: int
    ) -> Generator[tuple[list[int], list[Prepared]], None, None]:
        waiting = _Waiting()
        with closing(self._prepared(items, prepare)) as pictures:
            for position, picture in enumerate(pictures):
                shape = () if self._alike else picture.array.shape
                if waiting.add(shape, position, picture) >= self._rows(picture):
                    yield waiting.take(shape)
                # The first that came waits longest, and with it everything behind it.
                while waiting.groups and (
                    waiting.pixels > _HELD or position + 1 - waiting.oldest() >= window
                ):
                    yield waiting.take()
        while waiting.groups:
            yield waiting.take()

    def _rows(self, picture: Prepared) -> int:
        """Pictures of a batch of such ones."""
        return self._chosen or max(1, min(self._usual, MOST // max(1, _pixels(picture))))

    def _prepared(self, items: Iterable[Any], prepare: Prepare) -> Generator[Prepared, None, None]:
        def call(numbered: tuple[int, Any]) -> Prepared:
            position, item = numbered
            return prepare(item, position)

        numbered = enumerate(items)
        first = list(islice(numbered, 2))
        if len(first) < 2:  # one picture alone pays for no threads
            return (call(each) for each in first)
        threads = min(THREADS, hardware.cores_allowed())
        return ahead(
            call, chain(first, numbered), threads=threads, depth=(self._chosen or self._usual) + threads
        )

    def _feeds(self, prepared: list[Prepared]) -> dict[str, np.ndarray]:
        short = self._fill - len(prepared) if self._fill else 0
        made = self._collate(prepared + prepared[-1:] * short)
        pixels = made[PIXELS]
        if self._last:
            pixels = np.ascontiguousarray(np.moveaxis(pixels, 1, -1))
        self._check(pixels.shape)
        feeds = {self._pixels.name: pixels.astype(self._pixels.dtype, copy=False)}
        if self._mask is not None:
            mask = made.get(MASK)
            if mask is None:
                mask = np.ones((len(pixels), *pixels.shape[-2:]), np.int64)
            feeds[MASK] = mask.astype(self._mask.dtype, copy=False)
        feeds.update((spec.name, made[spec.name].astype(spec.dtype, copy=False)) for spec in self._others)
        return feeds

    def _check(self, shape: tuple[int, ...]) -> None:
        for wanted, size in zip(self._pixels.shape[1:], shape[1:], strict=True):
            if isinstance(wanted, int) and wanted != size:
                raise UnsupportedModel(
                    f"the graph of `{self._artifact.reference}` takes {self._pixels}, and its processor makes "
                    f"{'×'.join(map(str, shape[1:]))}",
                    hint="mend `preprocessor_config.json` at its source, or feed tensors: model.session.run({...})",
                    reference=self._artifact.reference,
                )

    def _find(self, inputs: Sequence[TensorSpec], rank: int) -> TensorSpec:
        named = {spec.name: spec for spec in inputs}
        # A graph of one input may call it as it likes.
        pixels = named.get(PIXELS) or (inputs[0] if len(inputs) == 1 else None)
        foreign = [spec.name for spec in inputs if spec is not pixels and spec.name != MASK]
        if pixels is None or foreign or len(pixels.shape) != rank:
            what = (
                f"takes `{foreign[0]}`, which is not made from a picture" if foreign else "takes no pictures"
            )
            if pixels is not None and not foreign:
                what = f"takes {pixels}, which is no array of {rank} axes"
            raise UnsupportedModel(
                f"the graph of `{self._artifact.reference}` {what}",
                hint="feed it tensors: model.session.run({...})",
                reference=self._artifact.reference,
            )
        return pixels


def _pixels(picture: Prepared) -> int:
    return picture.array.size // 3
