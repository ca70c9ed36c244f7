"""``text-classification``: labels with scores, in the shapes that the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/pipelines/text_classification.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.head import Head
from gpux.pipelines import class_labels, layers
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.text_graph import TextGraph
from gpux.pipelines.text_pipeline import TextPipeline
from gpux.session import Session
from gpux.text import limits, texts
from gpux.text.tokens import Text

BEST = "best"
"""``top_k`` when it is not given: the best label as a mapping of its own instead of a list of one."""


class TaskPipeline(TextPipeline):
    """A sequence classifier: one label, several labels, or a regression.

    Raises:
        UnsupportedModel: The graph takes something else than text.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForSequenceClassification",
        suffixes=("ForSequenceClassification",),
        outputs=("logits",),
        scores=("logits",),
    )
    parameters: ClassVar[tuple[str, ...]] = ("function_to_apply", "top_k", "truncation")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        config = Fields(artifact, "config.json")
        outputs = {spec.name: spec for spec in session.outputs}
        self._output = "logits" if "logits" in outputs else next(iter(outputs))
        if len(outputs[self._output].shape) != 2:
            raise layers.unsupported(
                artifact, f"an output `{self._output}` that is no row of scores for each text"
            )
        self._labels = _labels(config)
        self._problem = config.text("problem_type")
        self._config = config
        self._graph = TextGraph(artifact, session, max_length=limits.tokenizer_limit(artifact))

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        top_k: int | str | None = BEST,
        function_to_apply: str | None = None,
        truncation: bool = True,
    ) -> list[Any]:
        """Labels of each text or pair.

        Args:
            items: Texts, or ``{"text": …, "text_pair": …}``.
            clock: Where the time goes.
            top_k: That many labels, best first; all of them when ``None``.
            function_to_apply: ``sigmoid``, ``softmax`` or ``none``; as the model's configuration says when ``None``.
            truncation: Whether an input of too many tokens is cut; otherwise it is an error.

        Returns:
            Per item a list of ``{"label": str, "score": float}``, or the best one alone where ``top_k`` is not given.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        keep = _top_k(top_k)
        graph, checked = self._seen(items, {})
        apply = class_labels.function(function_to_apply, self._config, one_label=class_labels.sigmoid)
        answers: list[Any] = [None] * len(checked)
        for batch in graph.run(checked, clock, [self._output], truncate=truncation):
            found = apply(batch.outputs[self._output].astype(np.float32, copy=False))
            for position, row in zip(batch.rows, found, strict=True):
                answers[position] = self._best(row) if top_k == BEST else self._ranked(row)[:keep]
        return answers

    def answer_alone(self, item: Any, clock: Clock, /, **parameters: Any) -> Any:
        """The answer to one item; the pipeline puts the best label of a lone text, but not of a lone pair, in a list."""
        answer = self.answer([item], clock, **parameters)[0]
        return [answer] if isinstance(item, str) and isinstance(answer, dict) else answer

    def parse(self, text: str) -> Any:
        """A text; a pair where the line is a JSON object with ``text``, or two texts with a tab between."""
        if text.lstrip().startswith("{"):
            try:
                item = json.loads(text)
            except ValueError:
                return text
            return item if isinstance(item, dict) and "text" in item else text
        first, tab, second = text.partition("\t")
        return {"text": first, "text_pair": second} if tab and first and second else text

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Text, label and score; one row per label."""
        rows = []
        for item, answer in zip(items, answers, strict=True):
            shown = (
                texts.brief(item) if isinstance(item, str) else " | ".join(map(texts.brief, item.values()))
            )
            for scored in [answer] if isinstance(answer, dict) else answer:
                rows.append((shown, scored["label"], f"{scored['score']:.4f}"))
                shown = ""
        return Table(("text", "label", "score"), tuple(rows))

    def describe(self) -> Mapping[str, Any]:
        """Labels, the kind of problem, and the maximum length."""
        return {
            "labels": [self._labels[index] for index in sorted(self._labels)],
            "problem_type": self._problem,
            "max_length": self._graph.tokenizer.max_length,
        }

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        return self._graph, [texts.text_or_pair(item, position=i) for i, item in enumerate(items)]

    def _label(self, index: int) -> str:
        return self._labels.get(index, f"LABEL_{index}")

    def _best(self, found: np.ndarray) -> dict[str, Any]:
        index = int(found.argmax())
        return {"label": self._label(index), "score": found[index].item()}

    def _ranked(self, found: np.ndarray) -> list[dict[str, Any]]:
        order = np.argsort(-found, kind="stable").tolist()
        return [{"label": self._label(index), "score": found[index].item()} for index in order]


def _labels(config: Fields) -> dict[int, str]:
    try:
        return {int(index): str(label) for index, label in config.table("id2label").data.items()}
    except ValueError as error:
        raise config.refused("id2label", "a table of numbers and labels") from error


def _top_k(top_k: Any) -> int | None:
    if top_k is None or top_k == BEST:
        return None
    if not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 1:
        raise InvalidInput(
            f"`top_k` is {top_k!r}", hint="give a whole number from 1, or None for all labels", top_k=top_k
        )
    return top_k
