"""What zero-shot tasks over pictures and videos share: labels of the caller's own beside each item, scored by one graph.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/zero_shot_image_classification.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.images.processor import Prepared
from gpux.pipelines import candidates, class_labels, layers, pair_texts
from gpux.pipelines.image_pipeline import Finish
from gpux.pipelines.pair_pipeline import PairPipeline
from gpux.pipelines.pipeline import Table
from gpux.session import Session
from gpux.text import texts

if TYPE_CHECKING:
    from gpux.pipelines.pixel_graph import Batch, Prepare

LABELS = "candidate_labels"
_SAMPLES = ("a beach", "a mountain", "a street at night", "a plate of food")


@dataclass(frozen=True, slots=True)
class Asked(Prepared):
    """A picture or video with what it is asked.

    Attributes:
        labels: The labels to choose from.
        sentences: Each of them in its sentence.
    """

    labels: tuple[str, ...]
    sentences: tuple[str, ...]


class ZeroShotPipeline(PairPipeline):
    """A graph that scores every text of a batch for every picture of it.

    Raises:
        UnsupportedModel: The graph takes no texts, or gives no scores of them.
        CorruptArtifact: A file of the model cannot be read.
    """

    parameters: ClassVar[tuple[str, ...]] = (LABELS, "hypothesis_template")
    template: ClassVar[str] = "This is a photo of {}."
    """The sentence that a label is put into when none is given."""
    logits: ClassVar[str] = "logits_per_image"

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        if all(spec.name != self.logits for spec in session.outputs):
            raise layers.unsupported(artifact, f"a graph without `{self.logits}`")
        self._apart = pair_texts.is_siglip(self.config)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The scores of texts for pictures."""
        return (self.logits,)

    def value(self, item: Any, position: int) -> Any:
        """The picture in ``{"image": …, "candidate_labels": […]}``, or the item itself.

        Raises:
            InvalidInput: A mapping has another key.
        """
        if not isinstance(item, Mapping):
            return item
        texts.keys(item, required=(self.key,), optional=(LABELS,), position=position)
        return item[self.key]

    def preparing(self, parameters: Mapping[str, Any]) -> Prepare:
        """What prepares an item and the labels that it is given.

        Raises:
            InvalidInput: The labels or the template are none.
        """
        template = parameters.get("hypothesis_template", self.template)
        prepare = super().preparing(parameters)
        given = parameters.get(LABELS)
        common = None if given is None else candidates.labels(given)
        asked = candidates.sentences(template, common or (), example=self.template)

        def both(item: Any, position: int) -> Prepared:
            labels, sentences = common, asked
            self.value(item, position)  # another key is told before labels are missed
            own = item.get(LABELS) if isinstance(item, Mapping) else None
            if own is not None:
                labels = candidates.labels(own)
                sentences = candidates.sentences(template, labels, example=self.template)
            if labels is None:
                raise candidates.missing(position)
            made = prepare(item, position)
            return Asked(made.array, made.original, made.resized, labels, sentences)

        return both

    def collate(self, prepared: list[Prepared]) -> dict[str, np.ndarray]:
        """Pictures of one shape, and the sentences of all of them, each once."""
        return {**super().collate(prepared), **self.texts.whole(_sentences(prepared) or ("",))}

    def finish(self, **parameters: Any) -> Finish:
        """The labels of each item.

        Args:
            **parameters: ``candidate_labels``: the labels, as a list or with commas between, for items without labels of
                their own; ``hypothesis_template``: a sentence with ``{}`` in the label's place.

        Returns:
            Per item a list of ``{"score": float, "label": str}``, best first. The scores of an item add up to one; those of
            SigLIP stand each for itself.

        Raises:
            InvalidInput: A parameter that the task cannot take.
        """
        share = class_labels.sigmoid if self._apart else class_labels.softmax

        def answers(batch: Batch) -> list[Any]:
            column = {sentence: i for i, sentence in enumerate(_sentences(batch.prepared))}
            logits = batch.outputs[self.logits].astype(np.float32, copy=False)
            answered = []
            for row, asked in zip(logits, _asked(batch.prepared), strict=True):
                scores = share(row[[column[sentence] for sentence in asked.sentences]]).tolist()
                scored = [
                    {"score": score, "label": label}
                    for score, label in zip(scores, asked.labels, strict=True)
                ]
                answered.append(sorted(scored, key=lambda one: -float(one["score"])))
            return answered

        return answers

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Generated items with four labels each, or with those that are given."""
        items = super().samples(length, **parameters)
        if parameters.get(LABELS) is not None:
            return items
        return [{self.key: item, LABELS: list(_SAMPLES)} for item in items]

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """What was given, label and score; one row per label."""
        return class_labels.table(self.key, [self.shown(item, i) for i, item in enumerate(items)], answers)

    def describe(self) -> Mapping[str, Any]:
        """The processor, what scores become, and the tokens that a label may have in its sentence."""
        return {
            **super().describe(),
            "scores": "sigmoid" if self._apart else "softmax",
            "max_length": self.texts.limit,
        }


def _asked(prepared: Sequence[Prepared]) -> list[Asked]:
    return [one for one in prepared if isinstance(one, Asked)]


def _sentences(prepared: Sequence[Prepared]) -> tuple[str, ...]:
    """Every sentence of a batch once, in the order in which they are first asked."""
    each = dict.fromkeys(one.sentences for one in _asked(prepared))
    return tuple(dict.fromkeys(sentence for sentences in each for sentence in sentences))
