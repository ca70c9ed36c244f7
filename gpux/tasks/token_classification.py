"""``token-classification``: a label for every token, or the entities that they spell, as the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/token_classification.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.head import Head
from gpux.pipelines import arguments, class_labels, entities
from gpux.pipelines.pieced_pipeline import PiecedPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.text_graph import TextGraph
from gpux.session import Session
from gpux.text import pieces, special_tokens, texts
from gpux.text.pieces import Piece
from gpux.text.tokens import Text


class TaskPipeline(PiecedPipeline):
    """Named entities, parts of speech and the like.

    Raises:
        UnsupportedModel: The graph takes something else than text, or gives no scores for each token.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForTokenClassification",
        suffixes=("ForTokenClassification",),
        outputs=("logits",),
        scores=("logits",),
    )
    parameters: ClassVar[tuple[str, ...]] = ("aggregation_strategy", "ignore_labels", "stride", "truncation")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._scores = self._output("logits", 3, "row of scores for each token")
        self._labels = class_labels.read(Fields(artifact, "config.json"))
        unknown = special_tokens.find(artifact, self._tokenizer, *special_tokens.UNKNOWN)
        self._speller = entities.Speller(self._tokenizer, unknown and unknown[1])

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        aggregation_strategy: str | None = None,
        ignore_labels: Sequence[str] | None = None,
        stride: int | None = None,
        truncation: bool = True,
    ) -> list[Any]:
        """Tokens or entities of each text.

        Args:
            items: Texts.
            clock: Where the time goes.
            aggregation_strategy: ``none`` for tokens, the default; ``simple``, ``first``, ``average`` or ``max`` for entities.
            ignore_labels: Labels to leave out; ``["O"]`` when ``None``.
            stride: Read a text of too many tokens in pieces that share so many tokens.
            truncation: Whether such a text is cut where there is no ``stride``; otherwise it is an error.

        Returns:
            Per item a list of ``{"entity", "score", "index", "word", "start", "end"}``, or of entities
            ``{"entity_group", "score", "word", "start", "end"}``; places are characters of the text.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        asked = {"aggregation_strategy": aggregation_strategy, "stride": stride, "truncation": truncation}
        strategy = _strategy(asked)
        ignored = {"O"} if ignore_labels is None else set(
            arguments.strings("ignore_labels", ignore_labels, example='["O", "MISC"]')
        )  # fmt: skip
        _, checked = self._seen(items, asked)
        answers = []
        for text, read in zip(
            checked, self._ask(checked, clock, [self._scores], self._kept, asked), strict=True
        ):
            found = [
                entity
                for piece, scores in read
                for entity in entities.spell(
                    self._speller.tokens(str(text), piece.encoding, scores),
                    strategy,
                    self._labels,
                    self._speller.join,
                )
                if entity.get("entity", entity.get("entity_group")) not in ignored
            ]
            answers.append(entities.without_overlaps(found) if len(read) > 1 else found)
        return answers

    def parse(self, text: str) -> Any:
        """A text."""
        return text

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Text, word, label, score and place; one row per token or entity."""
        rows: list[tuple[str, ...]] = []
        for item, answer in zip(items, answers, strict=True):
            shown = texts.brief(item)
            for found in answer:
                label = found.get("entity", found.get("entity_group"))
                place = f"{found['start']}-{found['end']}"
                rows.append((shown, texts.brief(found["word"]), label, f"{found['score']:.4f}", place))
                shown = ""
            if not answer:
                rows.append((shown, "", "", "", ""))
        return Table(("text", "word", "label", "score", "place"), tuple(rows))

    def describe(self) -> Mapping[str, Any]:
        """Labels and the maximum length."""
        labels = [self._labels[index] for index in sorted(self._labels)]
        return {"labels": labels, "max_length": self._limit}

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        return self._graph, [texts.checked(item, position=i) for i, item in enumerate(items)]

    def _pieces(self, texts: Sequence[Any], first: int, given: Mapping[str, Any]) -> list[list[Piece]]:
        _strategy(given)
        stride, limit = self._stride(given), self._limit
        cut = arguments.flag("truncation", given.get("truncation", True))
        found = []
        for position, text in enumerate(pieces.plain(self._tokenizer, texts), first):
            own = pieces.single(self._tokenizer, text, limit=limit, stride=stride or 0)
            if len(own) > 1 and stride is None and not cut:
                raise InvalidInput(
                    f"text {position} has more than the {limit} tokens that the model takes",
                    hint="stride=16 with an aggregation_strategy reads all of it, truncation cuts it",
                    position=position,
                )
            found.append(own if stride is not None else own[:1])
        return found

    def _stride(self, given: Mapping[str, Any]) -> int | None:
        stride = given.get("stride")
        if stride is None:
            return None
        arguments.whole("stride", stride, least=0)
        if self._limit is not None and stride >= (room := self._limit - self._tokenizer.special()):
            raise InvalidInput(
                f"`stride` is {stride}, and a piece has {room} tokens of the text",
                hint=f"give a whole number below {room}",
                stride=stride,
            )
        return int(stride)

    @staticmethod
    def _kept(piece: Piece, outputs: dict[str, np.ndarray], span: slice) -> np.ndarray:
        del piece
        (logits,) = outputs.values()
        return class_labels.softmax(logits[span].astype(np.float32))


def _strategy(given: Mapping[str, Any]) -> str:
    """The aggregation strategy, if it goes with the other parameters."""
    strategy = given.get("aggregation_strategy")
    strategy = (
        "none" if strategy is None else arguments.among("aggregation_strategy", strategy, entities.STRATEGIES)
    )
    if strategy == "none" and given.get("stride") is not None:
        raise InvalidInput(
            "`stride` reads a text in pieces, whose tokens have no common numbers",
            hint=f"add aggregation_strategy, one of {', '.join(entities.STRATEGIES[1:])}",
            stride=given["stride"],
        )
    return strategy
