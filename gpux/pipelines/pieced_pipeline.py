"""What the tasks share that cut their texts by themselves: a piece is one row of the graph, a text has one or more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gpux.artifact import Artifact
from gpux.pipelines import layers
from gpux.pipelines.pipeline import Clock
from gpux.pipelines.text_graph import WINDOW, TextGraph
from gpux.pipelines.text_pipeline import TextPipeline
from gpux.session import Session
from gpux.text import limits
from gpux.text.pieces import Piece
from gpux.text.tokens import Text

if TYPE_CHECKING:
    import numpy as np

Keep = Callable[[Piece, "dict[str, np.ndarray]", slice], Any]
"""What is kept of one piece, of the graph's outputs for it, and of where its tokens stand among them."""


class PiecedPipeline(TextPipeline):
    """A task over texts that it cuts by itself.

    Raises:
        UnsupportedModel: The graph takes something else than text.
        CorruptArtifact: A file of the model cannot be read.
    """

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._limit = limits.tokenizer_limit(artifact)
        self._graph = TextGraph(artifact, session, max_length=self._limit, whole=True)
        self._tokenizer = self._graph.tokenizer

    @abstractmethod
    def _pieces(self, texts: Sequence[Any], first: int, parameters: Mapping[str, Any]) -> list[list[Piece]]:
        """The pieces of each text; ``first`` is the position of the first one, for errors.

        Raises:
            InvalidInput: A text or a parameter that the task cannot take.
        """

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``tokens``: what the model sees of all pieces, special tokens and repeated ones counted, without padding."""
        return {
            "tokens": sum(len(one.encoding) for pieces in self._windows(items, parameters) for one in pieces)
        }

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """Token ids and masks of each batch of pieces, as the task makes and pads them."""
        return [
            feeds
            for pieces in self._windows(items, parameters)
            for feeds in self._graph.feeds_encoded([one.encoding for one in pieces])
        ]

    def _windows(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> Iterator[list[Piece]]:
        self.check(parameters)
        _, texts = self._seen(items, parameters)
        for first in range(0, len(texts), WINDOW):
            own = self._pieces(texts[first : first + WINDOW], first, parameters)
            yield [piece for pieces in own for piece in pieces]

    def _ask(
        self,
        texts: Sequence[Text],
        clock: Clock,
        outputs: Sequence[str],
        keep: Keep,
        parameters: Mapping[str, Any],
    ) -> Iterator[list[tuple[Piece, Any]]]:
        """Run every piece; per text, in order, its pieces and what was kept of each."""
        for first in range(0, len(texts), WINDOW):
            own = self._pieces(texts[first : first + WINDOW], first, parameters)
            flat = [piece for pieces in own for piece in pieces]
            found: list[Any] = [None] * len(flat)
            for batch in self._graph.run_encoded([piece.encoding for piece in flat], clock, outputs):
                for row, (position, span) in enumerate(zip(batch.rows, batch.spans, strict=True)):
                    rows = {name: batch.outputs[name][row] for name in outputs}
                    found[position] = keep(flat[position], rows, slice(*span))
            start = 0
            for pieces in own:
                stop = start + len(pieces)
                yield list(zip(pieces, found[start:stop], strict=True))
                start = stop
            clock.lap("postprocess")

    def _output(self, name: str, axes: int, what: str) -> str:
        """The name of an output of so many axes.

        Raises:
            UnsupportedModel: The graph has none such.
        """
        outputs = {spec.name: spec for spec in self.session.outputs}
        found = name if name in outputs or len(outputs) > 1 else next(iter(outputs))
        if found not in outputs:
            raise layers.unsupported(self.artifact, f"no output `{name}`")
        if len(outputs[found].shape) != axes:
            raise layers.unsupported(self.artifact, f"an output `{found}` that is no {what}")
        return found
