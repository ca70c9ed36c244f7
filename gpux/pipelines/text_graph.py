"""Runs a graph that takes token ids over any number of texts: tokenises, sorts, batches, pads. Knows no task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.pipelines.pipeline import Clock
from gpux.session import Session
from gpux.text import batching
from gpux.text.tokens import Text, Tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding

WINDOW = 2048
"""Texts that are tokenised and sorted together; what bounds memory however long the list is."""

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


@dataclass(frozen=True, slots=True)
class Batch:
    """What the graph said about some of the texts.

    Attributes:
        rows: Each row's position in the caller's list.
        spans: Where each row's own tokens start and stop; the rest is padding.
        outputs: Output name → array, [rows, …].
        ids: What the graph was given as ``input_ids``, [rows, tokens].
    """

    rows: list[int]
    spans: list[tuple[int, int]]
    outputs: dict[str, np.ndarray]
    ids: np.ndarray


@dataclass(frozen=True, slots=True)
class Expansion:
    """Texts filled up with a token that counts as their own, as ColBERT does with queries.

    Attributes:
        token: The token's id.
        length: Tokens that each text has at least.
        attend: Whether the other tokens see it.
    """

    token: int
    length: int
    attend: bool


class TextGraph:
    """One open graph with its tokenizer; safe to call from several threads.

    Args:
        artifact: The model.
        session: Its open graph.
        max_length: Longest sequence in tokens, ``None`` for no limit.
        lower: Lower-case every text first.
        whole: Leave texts uncut; the task does that.
        markers: As :class:`gpux.text.tokens.Tokenizer` takes them.
        most: Most padded tokens of a batch, where the graph's outputs per token are so large that memory is in question.

    Attributes:
        tokenizer: The model's tokenizer.
        expansion: What every text is filled up with, or ``None``.

    Raises:
        UnsupportedModel: The graph takes an input that is not made from text.
    """

    def __init__(
        self,
        artifact: Artifact,
        session: Session,
        *,
        max_length: int | None,
        lower: bool = False,
        whole: bool = False,
        markers: Sequence[str] = (),
        most: int | None = None,
    ) -> None:
        self._session = session
        tokens, self._rows = batching.limits(session.plan.batch)
        self._tokens = tokens if most is None else min(tokens, most)
        self._dtypes = {spec.name: np.dtype(spec.dtype) for spec in session.inputs if spec.name in _INPUTS}
        foreign = [spec.name for spec in session.inputs if spec.name not in _INPUTS]
        shapeless = [spec.name for spec in session.inputs if len(spec.shape) != 2]
        if foreign or shapeless or "input_ids" not in self._dtypes:
            what = f"takes `{foreign[0]}`, which is not made from text" if foreign else "takes no `input_ids`"
            if shapeless and not foreign:
                what = f"does not say that `{shapeless[0]}` has an axis of texts and one of tokens"
            raise UnsupportedModel(
                f"the graph of `{artifact.reference}` {what}",
                hint="feed it tensors: model.session.run({...})",
                reference=artifact.reference,
            )
        self.tokenizer = Tokenizer(artifact, max_length=max_length, lower=lower, whole=whole, markers=markers)
        self.expansion: Expansion | None = None

    def run(
        self, texts: Sequence[Text], clock: Clock, outputs: Sequence[str], *, truncate: bool = True
    ) -> Iterator[Batch]:
        """Run every text and yield batches in the order that wastes least; their ``rows`` say whose they are.

        Time until a batch is yielded is booked to ``preprocess`` and ``infer``, the caller's time to ``postprocess``.

        Raises:
            InvalidInput: A text is too long and must not be truncated.
            RunFailed: The runtime failed.
        """
        for first, encodings in self._windows(texts):
            if not truncate:
                self._refuse_cut(encodings, first)
            yield from self.run_encoded(encodings, clock, outputs, first=first)

    def run_encoded(
        self, encodings: Sequence[Encoding], clock: Clock, outputs: Sequence[str], *, first: int = 0
    ) -> Iterator[Batch]:
        """As :meth:`run`, for texts that were made into tokens already; their ``rows`` are numbered from ``first``."""
        for members in self._batches(encodings):
            feeds, spans = self._pad([encodings[i] for i in members])
            clock.lap("preprocess")
            answer = self._session.run(feeds, outputs)
            clock.lap("infer")
            yield Batch([first + i for i in members], spans, answer, feeds["input_ids"])
            clock.lap("postprocess")

    def feeds(self, texts: Sequence[Text]) -> Iterator[dict[str, np.ndarray]]:
        """What :meth:`run` would give the graph: one array [rows, tokens] per input, batch after batch."""
        for _, encodings in self._windows(texts):
            yield from self.feeds_encoded(encodings)

    def feeds_encoded(self, encodings: Sequence[Encoding]) -> Iterator[dict[str, np.ndarray]]:
        """What :meth:`run_encoded` would give the graph."""
        for members in self._batches(encodings):
            yield self._pad([encodings[i] for i in members])[0]

    def count(self, texts: Sequence[Text]) -> int:
        """Tokens of all texts as the graph sees them: truncated, with special tokens, without padding."""
        return sum(len(encoding) for _, encodings in self._windows(texts) for encoding in encodings)

    def _windows(self, texts: Sequence[Text]) -> Iterator[tuple[int, list[Encoding]]]:
        for first in range(0, len(texts), WINDOW):
            encodings = self.tokenizer(texts[first : first + WINDOW])
            if self.expansion is not None:
                self._expand(encodings, self.expansion)
            yield first, encodings

    def _expand(self, encodings: Sequence[Encoding], expansion: Expansion) -> None:
        padding = self.tokenizer.padding
        for encoding in encodings:
            encoding.pad(
                expansion.length,
                direction="left" if padding.left else "right",
                pad_id=expansion.token,
                pad_type_id=padding.type,
            )

    def _mask(self, encoding: Encoding) -> Sequence[int] | int:
        """The attention mask of a text's own tokens."""
        mask: list[int] = encoding.attention_mask if self.expansion and not self.expansion.attend else []
        return mask or 1

    def _refuse_cut(self, encodings: Sequence[Encoding], first: int) -> None:
        for position, encoding in enumerate(encodings, first):
            if encoding.overflowing:
                raise InvalidInput(
                    f"text {position} has more than the {self.tokenizer.max_length} tokens that the model takes",
                    hint="split it, or leave truncation on to cut it",
                    position=position,
                )

    def _pad(self, encodings: Sequence[Encoding]) -> tuple[dict[str, np.ndarray], list[tuple[int, int]]]:
        # A tokenizer without special tokens makes nothing of an empty text.
        width = max(1, *map(len, encodings))
        if len(encodings) == 1 and len(encodings[0]) == width:
            return self._alone(encodings[0], width)
        padding = self.tokenizer.padding
        shape = (len(encodings), width)
        feeds = {name: np.zeros(shape, dtype) for name, dtype in self._dtypes.items()}
        ids, mask, types = feeds["input_ids"], feeds.get("attention_mask"), feeds.get("token_type_ids")
        if padding.token:
            ids.fill(padding.token)
        if types is not None and padding.type:
            types.fill(padding.type)
        spans = []
        for row, encoding in enumerate(encodings):
            length = len(encoding)
            start = width - length if padding.left else 0
            stop = start + length
            ids[row, start:stop] = encoding.ids
            if mask is not None:
                mask[row, start:stop] = self._mask(encoding)
            if types is not None:
                types[row, start:stop] = encoding.type_ids
            spans.append((start, stop))
        return feeds, spans

    def _alone(self, encoding: Encoding, width: int) -> tuple[dict[str, np.ndarray], list[tuple[int, int]]]:
        """What :meth:`_pad` makes of one text, with the fewest calls: the path of every single request."""
        feeds = {}
        for name, dtype in self._dtypes.items():
            if name == "input_ids":
                feeds[name] = np.array((encoding.ids,), dtype)
            elif name == "attention_mask":
                feeds[name] = np.full((1, width), self._mask(encoding), dtype)
            else:
                feeds[name] = np.array((encoding.type_ids,), dtype)
        return feeds, [(0, width)]

    def _batches(self, encodings: Sequence[Encoding]) -> Iterator[list[int]]:
        return batching.cut([len(encoding) for encoding in encodings], tokens=self._tokens, rows=self._rows)
