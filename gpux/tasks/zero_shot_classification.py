"""``zero-shot-classification``: labels of the caller's own, by a model of inference, as the transformers pipeline scores them.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/zero_shot_classification.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.fields import Fields
from gpux.head import Head
from gpux.pipelines import arguments, class_labels
from gpux.pipelines.pieced_pipeline import PiecedPipeline
from gpux.pipelines.pipeline import Clock, Pipeline, Table
from gpux.pipelines.text_graph import TextGraph
from gpux.session import Session
from gpux.text import pieces, texts
from gpux.text.pieces import Piece
from gpux.text.tokens import Text

TEMPLATE = "This example is {}."
"""The sentence that a label is put into when none is given."""

_LABELS = ("account", "delivery", "travel", "science")
_KEYS = ("sequence", "candidate_labels")
_EXAMPLE = '["travel", "cooking"]'


class TaskPipeline(PiecedPipeline):
    """How well labels fit a text, by asking whether it entails a sentence that holds the label.

    Raises:
        UnsupportedModel: The graph takes something else than text, or none of the model's labels is an entailment.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForSequenceClassification",
        suffixes=("ForSequenceClassification",),
        outputs=("logits",),
        scores=("logits",),
    )
    parameters: ClassVar[tuple[str, ...]] = ("candidate_labels", "hypothesis_template", "multi_label")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._scores = self._output("logits", 2, "row of scores for each pair of texts")
        self._entails = _entailment(artifact)

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        candidate_labels: str | Sequence[str] | None = None,
        hypothesis_template: str = TEMPLATE,
        multi_label: bool = False,
    ) -> list[Any]:
        """The labels of each text, best first.

        Args:
            items: Texts, or ``{"sequence": …, "candidate_labels": […]}`` with labels of their own.
            clock: Where the time goes.
            candidate_labels: The labels, as a list or with commas between.
            hypothesis_template: A sentence with ``{}`` in the label's place.
            multi_label: Whether several labels may be true, each scored by itself; otherwise the scores add up to one.

        Returns:
            Per item ``{"sequence", "labels", "scores"}``.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        several = arguments.flag("multi_label", multi_label)
        asked = {"candidate_labels": candidate_labels, "hypothesis_template": hypothesis_template}
        each = _asked(items, asked)
        _, pairs = self._seen(items, asked)
        read = iter([row for ((_, row),) in self._ask(pairs, clock, [self._scores], _kept, asked)])
        answers = []
        for text, labels in each:
            logits = np.stack([next(read) for _ in labels])
            scores = self._score(logits, alone=several or len(labels) == 1)
            order = scores.argsort()[::-1].tolist()
            answers.append(
                {
                    "sequence": text,
                    "labels": [labels[index] for index in order],
                    "scores": scores[order].tolist(),
                }
            )
        return answers

    def parse(self, text: str) -> Any:
        """A text; a text with labels of its own where the line is a JSON object of both."""
        if text.lstrip().startswith("{"):
            try:
                item = json.loads(text)
            except ValueError:
                return text
            if isinstance(item, dict) and item.keys() & set(_KEYS):
                return item
        return text

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Text, label and score; one row per label."""
        rows = []
        for answer in answers:
            shown = texts.brief(answer["sequence"])
            for label, score in zip(answer["labels"], answer["scores"], strict=True):
                rows.append((shown, label, f"{score:.4f}"))
                shown = ""
        return Table(("text", "label", "score"), tuple(rows))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Eight texts of 1 to 30 words with four labels each, or with those that are given; an item has no one length."""
        if length is not None:
            return Pipeline.samples(self, length)
        self.check(parameters)
        if parameters.get("candidate_labels") is not None:
            return list(texts.SAMPLES)
        return [{"sequence": text, "candidate_labels": list(_LABELS)} for text in texts.SAMPLES]

    def describe(self) -> Mapping[str, Any]:
        """The label that stands for entailment, and the maximum length."""
        labels = class_labels.read(Fields(self.artifact, "config.json"))
        return {"entailment": class_labels.name(labels, self._entails), "max_length": self._limit}

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        template = _template(parameters.get("hypothesis_template", TEMPLATE))
        pairs = [
            (text, template.format(label)) for text, labels in _asked(items, parameters) for label in labels
        ]
        return self._graph, list(pairs)

    def _pieces(self, texts: Sequence[Any], first: int, given: Mapping[str, Any]) -> list[list[Piece]]:
        del first, given
        fixed = self._tokenizer.special(pair=True)
        sequences = pieces.plain(self._tokenizer, [sequence for sequence, _ in texts])
        sentences = pieces.plain(self._tokenizer, [sentence for _, sentence in texts])
        found = []
        for (_, written), sequence, sentence in zip(texts, sequences, sentences, strict=True):
            room = len(sequence) if self._limit is None else self._limit - fixed - len(sentence)
            if room < min(len(sequence), 1):
                raise InvalidInput(
                    f"`{written[:80]}` leaves none of the {self._limit} tokens that the model takes to the text",
                    hint="give a shorter label or hypothesis_template",
                    label=written,
                )
            # Only the text is cut, never the label.
            found.append(pieces.pair(self._tokenizer, sequence, sentence, room=room, cut_first=True)[:1])
        return found

    def _score(self, logits: np.ndarray, *, alone: bool) -> np.ndarray:
        """A score for each label, from logits [labels, classes]."""
        if self._entails >= logits.shape[-1]:
            raise _no_entailment(self.artifact, f"class {self._entails}, which its scores lack")
        if not alone:
            return class_labels.softmax(logits[:, self._entails])
        contradicts = -1 if self._entails == 0 else 0
        return class_labels.softmax(logits[:, [contradicts, self._entails]])[:, 1]


def _kept(piece: Piece, outputs: dict[str, np.ndarray], span: slice) -> np.ndarray:
    del piece, span
    (logits,) = outputs.values()
    return logits.astype(np.float32)


def _entailment(artifact: Artifact) -> int:
    """The class that says that one text follows from the other, found as the pipeline finds it."""
    config = Fields(artifact, "config.json")
    table = config.table("label2id")
    ids = {label: table.whole(label) for label in table.data if _entails(label)}
    labels = class_labels.read(config)
    # transformers writes both tables; one that was written by hand may lack the second.
    found = [*ids.values(), *(index for index, label in labels.items() if _entails(label) and not table.data)]
    if not found or found[0] is None:
        raise _no_entailment(artifact, ", ".join(table.data or labels.values()) or "none at all")
    return found[0]


def _entails(label: str) -> bool:
    return label.lower().startswith("entail")


def _no_entailment(artifact: Artifact, found: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"`{artifact.reference}` has no label that begins with `entail`: it has {found[:200]}",
        hint="zero-shot-classification needs a model of natural language inference, whose config.json names its labels",
        reference=artifact.reference,
    )


def _asked(items: Sequence[Any], given: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Each text with its labels."""
    common = given.get("candidate_labels")
    shared = None if common is None else _labels(common)
    found = []
    for position, item in enumerate(items):
        own: Any = None
        text = item
        if isinstance(item, Mapping):
            texts.keys(item, required=_KEYS[:1], optional=_KEYS[1:], position=position)
            text, own = item["sequence"], item.get("candidate_labels")
        text = texts.checked(text, position=position)
        if not text:
            raise InvalidInput(f"input {position} is empty", hint="give a text", position=position)
        labels = shared if own is None else _labels(own)
        if labels is None:
            raise InvalidInput(
                f"input {position} has no labels to choose from",
                hint=f"give candidate_labels={_EXAMPLE}",
                position=position,
            )
        found.append((text, labels))
    return found


def _labels(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [label.strip() for label in value.split(",") if label.strip()]
    labels = arguments.strings("candidate_labels", value, example=_EXAMPLE)
    if not labels:
        raise InvalidInput("`candidate_labels` is empty", hint=f"give {_EXAMPLE}", candidate_labels=value)
    return [texts.checked(label, position=position) for position, label in enumerate(labels)]


def _template(value: Any) -> str:
    fields: list[tuple[Any, ...]] = []
    try:
        if isinstance(value, str):
            texts.checked(value, position=0)
            fields = [(name, *how) for _, name, *how in Formatter().parse(value) if name is not None]
    except ValueError:
        fields = []
    # Nothing else: a format may ask for any attribute of the label, or for a billion spaces.
    if fields != [("", "", None)] and not (fields and all(one == ("0", "", None) for one in fields)):
        raise InvalidInput(
            f"`hypothesis_template` is {repr(value)[:80]}, which has no place for a label",
            hint=f'write {{}} where the label goes: "{TEMPLATE}"',
            hypothesis_template=value,
        )
    return str(value)
