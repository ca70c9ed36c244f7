"""What the tasks over pictures share: what an item is, how answers come in order, what the work comes to; knows no answers."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.images import decoding
from gpux.images.loading import ENDINGS, open_image
from gpux.images.processor import ImageProcessor, Prepared
from gpux.pipelines import layers
from gpux.pipelines.pipeline import Clock, Pipeline
from gpux.pipelines.pixel_graph import Batch, PixelGraph, Prepare
from gpux.session import Session
from gpux.tensors import TensorSpec
from gpux.text import texts

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Finish = Callable[[Batch], list[Any]]
"""What the graph said about a batch → one answer per row."""

_BATCH = 8
_USUAL, _LARGEST = 640, 1344  # sides of pictures that keep their own shape


class ImagePipeline(Pipeline):
    """A task whose items are pictures: a path, a URL, a data URL, base64, bytes, a PIL image, an array, or ``{"image": …}``."""

    noun: ClassVar[str] = "images"
    window: ClassVar[int] = 64
    batch: ClassVar[int] = _BATCH
    files: ClassVar[tuple[str, ...]] = ENDINGS
    key: ClassVar[str] = "image"
    rank: ClassVar[int] = 4
    others: ClassVar[tuple[str, ...]] = ()
    """Inputs of the graph that are not made from pictures, which :meth:`collate` gives."""

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self.config = Fields(artifact, "config.json")
        self.processor = ImageProcessor.read(artifact)
        self.graph = PixelGraph(
            artifact,
            session,
            collate=self.collate,
            alike=self.processor.fixed is not None,
            batch=self.batch,
            rank=self.rank,
            others=self.others,
        )

    @classmethod
    def prefetch(cls, artifact: Artifact) -> None:
        """Import what reads pictures."""
        del artifact
        decoding.pillow()

    @classmethod
    def dimensions(cls, artifact: Artifact) -> Mapping[str, tuple[int, int, int]]:
        """A batch of pictures and their sides, as the exporter names them."""
        fixed = ImageProcessor.read(artifact).fixed
        sides = zip(("height", "width"), fixed or (None, None), strict=True)
        ranges = {name: (side, side, side) if side else (32, _USUAL, _LARGEST) for name, side in sides}
        return {"batch": (1, cls.batch, 4 * cls.batch), **ranges}

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """The graph's outputs that the task reads."""

    @abstractmethod
    def finish(self, *_: Any, **parameters: Any) -> Finish:
        """Check the parameters of a call, and say what makes answers of the graph's outputs.

        Raises:
            InvalidInput: A parameter that the task cannot take.
        """

    def prepare(self, item: Any, position: int) -> Prepared:
        """Open one picture and make of it what the model sees; called from several threads.

        Raises:
            InvalidInput: The item is no picture that can be read.
        """
        image = open_image(self.value(item, position), position=position)
        return self.processor.prepare(image, position=position)

    def preparing(self, parameters: Mapping[str, Any]) -> Prepare:
        """What prepares an item at a position, for the parameters of a call."""
        del parameters
        return self.prepare

    def collate(self, prepared: list[Prepared]) -> dict[str, np.ndarray]:
        """Prepared pictures of one shape as the tensors of a batch."""
        return self.processor.batch(prepared)

    def opened(self, item: Any) -> Image.Image:
        """The picture of one item, to draw on.

        Raises:
            InvalidInput: The item is no picture that can be read.
        """
        return open_image(self.value(item, 0), position=0)

    def value(self, item: Any, position: int) -> Any:
        """The picture in ``{"image": …}``, or the item itself.

        Raises:
            InvalidInput: A mapping has another key.
        """
        if not isinstance(item, Mapping):
            return item
        texts.keys(item, required=(self.key,), position=position)
        return item[self.key]

    def is_item(self, inputs: Any) -> bool:
        """A path, bytes, a picture, an array of one, or a mapping is one item; a list of them is not."""
        if isinstance(inputs, str | bytes | bytearray | memoryview | Mapping):
            return True
        axes = getattr(inputs, "ndim", None)
        return axes < self.rank if isinstance(axes, int) else not isinstance(inputs, Iterable)

    def answer(self, items: Sequence[Any], clock: Clock, /, *_: Any, **parameters: Any) -> list[Any]:
        """One answer per picture, in order; what it is and takes says :meth:`finish`.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        return list(self._answers(items, clock, parameters, self.window))

    def parse(self, text: str) -> Any:
        """A path or URL as it stands; a mapping where the line is a JSON object with the picture in it."""
        if text.lstrip().startswith("{"):
            try:
                item = json.loads(text)
            except (ValueError, RecursionError):
                return text
            return item if isinstance(item, dict) and self.key in item else text
        return text

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Four generated photographs of 640 × 480 as data URLs, one of them upright."""
        super().samples(length)
        self.check(parameters)
        return list(_photographs())

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``pixels``: what the model sees of the pictures, after resizing and cropping."""
        self.check(parameters)
        return {"pixels": self.graph.count(items, self.preparing(parameters))}

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """Pixels, and masks where the graph takes some, of each batch as the task makes them."""
        self.check(parameters)
        return list(self.graph.feeds(items, self.preparing(parameters), window=self.window))

    def describe(self) -> Mapping[str, Any]:
        """The processor, and the size of what the model sees."""
        fixed = self.processor.fixed
        return {"processor": self.processor.name, "size": list(fixed) if fixed else None}

    def output(self, *names: str, rank: int | None = None) -> TensorSpec:
        """The first of these outputs that the graph has; its first where it has none.

        Raises:
            UnsupportedModel: It has not so many axes.
        """
        have = {spec.name: spec for spec in self.session.outputs}
        found = next((have[name] for name in names if name in have), self.session.outputs[0])
        if rank is not None and len(found.shape) != rank:
            raise layers.unsupported(self.artifact, f"an output `{found}` instead of one of {rank} axes")
        return found

    def shown(self, item: Any, position: int) -> str:
        """An item in a table: its path, or which it was."""
        value = item.get(self.key) if isinstance(item, Mapping) else item
        text = str(value) if isinstance(value, str) or hasattr(value, "__fspath__") else ""
        encoded = not text or text.startswith("data:") or len(text) > 1024
        return f"{self.key} {position}" if encoded else texts.brief(text)

    def _stream(self, items: Iterator[Any], window: int, parameters: Mapping[str, Any]) -> Iterator[Any]:
        return self._answers(items, Clock(), parameters, window)

    def _answers(
        self, items: Iterable[Any], clock: Clock, parameters: Mapping[str, Any], window: int
    ) -> Iterator[Any]:
        return self.ordered(items, clock, self.preparing(parameters), self.finish(**parameters), window)

    def ordered(
        self, items: Iterable[Any], clock: Clock, prepare: Prepare, finish: Finish, window: int
    ) -> Iterator[Any]:
        """Answers in the order of the items, while the batches come in the order in which they fill."""
        ready: dict[int, Any] = {}
        following = 0
        with closing(self.graph.run(items, clock, self.outputs, prepare, window=window)) as batches:
            for batch in batches:
                ready.update(zip(batch.rows, finish(batch), strict=True))
                while following in ready:
                    yield ready.pop(following)
                    following += 1


@cache
def _photographs() -> tuple[str, ...]:
    from gpux.images.photographs import photograph_url

    return *map(photograph_url, range(3)), photograph_url(3, width=480, height=640)


def share(name: str, value: Any) -> float:
    """A parameter, if it is a number from 0 to 1.

    Raises:
        InvalidInput: It is none.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:
        raise InvalidInput(f"`{name}` is {value!r}", hint="give a number from 0 to 1", **{name: value})
    return float(value)
