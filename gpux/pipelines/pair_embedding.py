"""Texts and pictures as vectors of one space, by a graph that takes both at once; shared by the tasks that have such graphs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gpux.errors import InvalidInput, RunFailed
from gpux.head import IMAGE, TEXT, Head
from gpux.images import decoding, remote
from gpux.images.loading import ENDINGS
from gpux.images.processor import Prepared
from gpux.pipelines import layers
from gpux.pipelines.pair_pipeline import PairPipeline
from gpux.pipelines.pipeline import Clock
from gpux.text import texts

_TEXTS, IMAGES = "text_embeds", "image_embeds"

HEAD = Head(
    auto="AutoModel",
    suffixes=(),
    outputs=("logits_per_image", _TEXTS, IMAGES),
    scores=("logits_per_image",),
    takes=(TEXT, IMAGE),
    classes=("CLIPModel", "SiglipModel", "AltCLIPModel", "ChineseCLIPModel", "MetaClip2Model"),
)
"""Models of texts and pictures; the tasks over them keep the same outputs, so that one artifact answers all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is done to texts before, and to vectors after.

    Attributes:
        prompt: Put before every text.
        truncate_dim: Leading dimensions that are kept; all when ``None``.
        normalize: Whether what is left is scaled to unit length again.
    """

    prompt: str
    truncate_dim: int | None
    normalize: bool

    def finished(self, vector: np.ndarray) -> layers.Floats:
        """What is answered of one of the graph's vectors."""
        kept: layers.Floats = vector[: self.truncate_dim].astype(np.float32)
        return layers.unit(kept) if self.normalize else kept


class PairEmbedding(PairPipeline):
    """Embeddings of pictures and texts, of unit length as the model makes them.

    The graph takes both at once: beside pictures it is given one empty text a batch, beside texts no picture, or a blank one
    where that cannot be computed.
    """

    def encode(
        self,
        inputs: Any,
        *,
        normalize: bool | None = None,
        truncate_dim: int | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
    ) -> np.ndarray:
        """Embeddings of one input or a list of them, in order.

        Args:
            inputs: Texts, pictures, or both mixed. A string is a picture if it names a file, is an address or a data URL,
                or is one word that ends as files of pictures do; else it is a text. ``{"text": …}`` and ``{"image": …}``
                leave no doubt.
            normalize: Whether to scale to unit length again after ``truncate_dim``; the model's own vectors have it.
            truncate_dim: Keep only so many leading dimensions.
            prompt_name: Refused: such models have no prompts.
            prompt: Put before every text.

        Returns:
            float32 [dimensions] for one input, [inputs, dimensions] for a list.

        Raises:
            InvalidInput: An input is neither, or a parameter is none that the model takes.
            UnsupportedModel: The graph gives scores only.
        """
        if prompt_name is not None:
            raise InvalidInput(
                f"`{self.artifact.reference}` has no prompt `{prompt_name}`",
                hint='give the text itself: prompt="…"',
                prompt_name=prompt_name,
            )
        one = self.is_item(inputs)
        items = [inputs] if one else inputs
        wanted = self.wanted(normalize=normalize, truncate_dim=truncate_dim, prompt=prompt)
        rows = list(self.vectors(items, Clock(), wanted, self.window))
        vectors = np.stack(rows) if rows else np.zeros((0, truncate_dim or self.dimension()), np.float32)
        return vectors[0] if one else vectors

    def similarity(self, first: Any, second: Any) -> np.ndarray:
        """The cosine of each of the first inputs with each of the second, pictures or texts: float32 [first, second].

        Raises:
            InvalidInput: An input is neither picture nor text.
        """
        rows, columns = (np.atleast_2d(self.encode(inputs)) for inputs in (first, second))
        cosines: np.ndarray = layers.unit(rows) @ layers.unit(columns).T
        return cosines

    def wanted(self, *, normalize: Any = None, truncate_dim: Any = None, prompt: Any = None) -> Wanted:
        """The parameters of a call, checked.

        Raises:
            InvalidInput: One is none that the model takes.
            UnsupportedModel: The graph gives scores only.
        """
        size = self.dimension()
        if truncate_dim is not None and (type(truncate_dim) is not int or not 1 <= truncate_dim <= size):
            raise InvalidInput(
                f"`truncate_dim` is {truncate_dim!r}",
                hint=f"give a whole number from 1 to {size}",
                truncate_dim=truncate_dim,
            )
        if normalize not in {None, True}:
            raise InvalidInput(
                f"`normalize` is {normalize!r}, and the graph's own vectors are of unit length already",
                hint="leave it out",
                normalize=normalize,
            )
        return Wanted(
            "" if prompt is None else texts.checked(prompt, position=0), truncate_dim, bool(normalize)
        )

    def dimension(self) -> int:
        """Size of a vector.

        Raises:
            UnsupportedModel: The graph gives none, or does not say how large.
        """
        sizes = {spec.name: spec.shape[-1] for spec in self.session.outputs if len(spec.shape) == 2}
        for name in (_TEXTS, IMAGES):
            if not isinstance(sizes.get(name), int):
                raise layers.unsupported(self.artifact, f"a graph without `{name}` of a known size")
        return int(sizes[_TEXTS])  # type: ignore[arg-type]  # the loop has seen that it is one

    def vectors(
        self, items: Iterable[Any], clock: Clock, wanted: Wanted, window: int
    ) -> Iterator[layers.Floats]:
        """One vector per item, in order, float32 [dimensions]; at most a window of items is held.

        Raises:
            InvalidInput: An item is neither picture nor text.
        """
        source, first = iter(items), 0
        while some := list(islice(source, window)):
            found = self._window(some, first, clock, wanted)
            yield from (found.pop(row) for row in range(len(some)))
            first += len(some)

    def apart(
        self, items: Sequence[Any], first: int, wanted: Wanted
    ) -> tuple[dict[int, str], dict[int, Any]]:
        """The texts among the items as the model reads them, and the pictures, each by its row.

        Args:
            items: Some of a call's items.
            first: The position of the first, for errors.
            wanted: The parameters of the call.

        Raises:
            InvalidInput: An item is neither.
        """
        written: dict[int, str] = {}
        pictures: dict[int, Any] = {}
        for row, item in enumerate(items):
            text = written_text(item, first + row)
            if text is None:
                pictures[row] = item
            else:
                written[row] = wanted.prompt + text
        return written, pictures

    def read_feeds(self, written: Sequence[str]) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
        """Positions of the texts of each batch, and what the graph is given for them."""
        for members, feeds in self.texts.batches(written):
            shown = _none(self._blank) if self._without else self._blank
            yield members, {**feeds, **shown}

    def _window(
        self, items: Sequence[Any], first: int, clock: Clock, wanted: Wanted
    ) -> dict[int, layers.Floats]:
        written, pictures = self.apart(items, first, wanted)
        found: dict[int, layers.Floats] = {}
        rows = list(written)
        for members, feeds in self.read_feeds(list(written.values())):
            clock.lap("preprocess")
            vectors = self.session.run(feeds, (_TEXTS,))[_TEXTS]
            clock.lap("infer")
            found.update((rows[member], wanted.finished(vectors[i])) for i, member in enumerate(members))
            clock.lap("postprocess")
        shown = list(pictures)

        def prepare(item: Any, position: int) -> Prepared:
            return self.prepare(item, first + shown[position])

        for batch in self.graph.run(pictures.values(), clock, (IMAGES,), prepare, window=self.window):
            for row, vector in zip(batch.rows, batch.outputs[IMAGES], strict=True):
                found[shown[row]] = wanted.finished(vector)
        return found

    @cached_property
    def _without(self) -> bool:
        """Whether texts are given no picture beside them: tried once, on a CPU, which refuses without harm what it cannot do."""
        if isinstance(self.graph.shape[0], int) or self.session.placement.device.lower() != "cpu":
            return False
        try:
            self.session.run({**self.texts.whole(("",)), **_none(self._blank)}, (_TEXTS,))
        except RunFailed:  # graphs of other exporters may not reckon with it
            return False
        return True

    @cached_property
    def _blank(self) -> dict[str, np.ndarray]:
        """A picture of nothing, as the graph takes it."""

        def prepare(image: Any, position: int) -> Prepared:
            return self.processor.prepare(image, position=position)

        nothing = decoding.pillow().new("RGB", (64, 64))
        feeds = next(self.graph.feeds([nothing], prepare, window=1))
        return {name: array for name, array in feeds.items() if name not in self.others}


def written_text(item: Any, position: int) -> str | None:
    """The text that an item is, or ``None`` where it is a picture.

    Raises:
        InvalidInput: A mapping has neither, or another key.
    """
    if isinstance(item, Mapping):
        key = "text" if "text" in item else "image"
        texts.keys(item, required=(key,), position=position)
        return texts.checked(item["text"], position=position) if key == "text" else None
    if not isinstance(item, str) or _is_picture(item):
        return None
    return texts.checked(item, position=position)


def _none(pictures: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array[:0] for name, array in pictures.items()}


def _is_picture(text: str) -> bool:
    if remote.is_address(text) or text[:5].lower() == "data:":
        return True
    # A path that is wrong by a letter must not become a text that is searched for in vain.
    if text.lower().endswith(ENDINGS) and not any(character.isspace() for character in text):
        return True
    try:
        return Path(text).expanduser().is_file()
    except (
        OSError,
        ValueError,
        RuntimeError,
    ):  # longer than a name may be, half a character, a home of nobody
        return False
