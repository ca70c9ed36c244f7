"""``audio-classification``: labels with scores of a recording, in the shapes that the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/pipelines/audio_classification.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.head import AUDIO, Head
from gpux.session import Session
from gpux.tasks import layers
from gpux.tasks.audio_pipeline import AudioPipeline
from gpux.tasks.pipeline import Clock, Table


class TaskPipeline(AudioPipeline):
    """A classifier of recordings: one label, several labels, or a regression.

    Raises:
        UnsupportedModel: The graph takes something else than sound, or gives no row of scores.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForAudioClassification",
        suffixes=("ForSequenceClassification", "ForAudioClassification"),
        outputs=("logits",),
        scores=("logits",),
        takes=(AUDIO,),
    )
    parameters: ClassVar[tuple[str, ...]] = ("function_to_apply", "top_k")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        config = Fields(artifact, "config.json")
        outputs = {spec.name: spec for spec in session.outputs}
        self._output = "logits" if "logits" in outputs else next(iter(outputs))
        if len(outputs[self._output].shape) != 2:
            raise layers.unsupported(
                artifact, f"an output `{self._output}` that is no row of scores for each recording"
            )
        self._labels = _labels(config)
        self._problem = config.text("problem_type")

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        top_k: int | None = None,
        function_to_apply: str | None = None,
    ) -> list[Any]:
        """Labels of each recording, best first.

        Args:
            items: Recordings.
            clock: Where the time goes.
            top_k: That many labels; all of them when ``None``.
            function_to_apply: ``sigmoid``, ``softmax`` or ``none``; as the model's configuration says when ``None``.

        Returns:
            Per item a list of ``{"score": float, "label": str}``.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        if top_k is not None and (not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 1):
            raise InvalidInput(
                f"`top_k` is {top_k!r}",
                hint="give a whole number from 1, or None for all labels",
                top_k=top_k,
            )
        apply = self._apply(function_to_apply)
        answers: list[Any] = [None] * len(items)
        for batch in self._graph.run(self._prepared(items), clock, [self._output]):
            scores = apply(batch.outputs[self._output].astype(np.float32, copy=False))
            for position, row in zip(batch.rows, scores, strict=True):
                answers[position] = self._ranked(row)[:top_k]
        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Recording, label and score; one row per label."""
        rows = []
        for i, (item, answer) in enumerate(zip(items, answers, strict=True)):
            shown = self._shown(item, i)
            for scored in answer:
                rows.append((shown, scored["label"], f"{scored['score']:.4f}"))
                shown = ""
        return Table(("recording", "label", "score"), tuple(rows))

    def describe(self) -> Mapping[str, Any]:
        """Labels, the kind of problem, the feature extractor and its sampling rate."""
        return {
            "labels": [self._labels[index] for index in sorted(self._labels)],
            "problem_type": self._problem,
            **super().describe(),
        }

    def _apply(self, name: str | None) -> Callable[[np.ndarray], np.ndarray]:
        if name is None:
            name = {"regression": "none", "multi_label_classification": "sigmoid"}.get(
                self._problem or "", "softmax"
            )
        if name not in _FUNCTIONS:
            raise InvalidInput(
                f"`function_to_apply` is {name!r}",
                hint=f"use one of {', '.join(_FUNCTIONS)}",
                function_to_apply=name,
            )
        return _FUNCTIONS[name]

    def _ranked(self, scores: np.ndarray) -> list[dict[str, Any]]:
        order = np.argsort(-scores, kind="stable").tolist()
        return [
            {"score": scores[index].item(), "label": self._labels.get(index, f"LABEL_{index}")}
            for index in order
        ]


def _labels(config: Fields) -> dict[int, str]:
    try:
        return {int(index): str(label) for index, label in config.table("id2label").data.items()}
    except ValueError as error:
        raise config.refused("id2label", "a table of numbers and labels") from error


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # 1 / (1 + exp(-x)) without its overflow for large negative x.
    half: np.ndarray = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * logits))
    return half


def _none(logits: np.ndarray) -> np.ndarray:
    return logits


_FUNCTIONS = {"sigmoid": _sigmoid, "softmax": _softmax, "none": _none}
