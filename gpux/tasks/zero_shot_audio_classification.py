"""``zero-shot-audio-classification``: labels of the caller's own, scored by how near a recording is to each (CLAP).

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/zero_shot_audio_classification.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.head import AUDIO, TEXT, Head
from gpux.pipelines import class_labels, layers
from gpux.pipelines.audio_pipeline import AudioPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.session import Session
from gpux.text import limits, texts, tokens
from gpux.text.tokens import Tokenizer

TEMPLATE = "This is a sound of {}."
"""The sentence that a label is put into when none is given."""

_TEXTS = ("input_ids", "attention_mask")
_KEYS = ("audio", "candidate_labels")
_EXAMPLE = '["a dog", "rain"]'
_LABELS = ("speech", "music", "a dog", "rain")


class TaskPipeline(AudioPipeline):
    """A model of texts and sounds: its scores for a recording and any labels, and the embeddings of both by ``encode``."""

    head: ClassVar[Head] = Head(
        auto="AutoModel",
        suffixes=("ClapModel",),
        outputs=("logits_per_audio", "text_embeds", "audio_embeds"),
        scores=("logits_per_audio",),
        takes=(TEXT, AUDIO),
        classes=("ClapModel",),
    )
    parameters: ClassVar[tuple[str, ...]] = ("candidate_labels", "hypothesis_template")
    others: ClassVar[tuple[str, ...]] = _TEXTS

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._logits = self._output("logits_per_audio", rank=2).name
        self._tokenizer = Tokenizer(artifact, max_length=None)
        self._limit = limits.tokenizer_limit(artifact)
        self._dtypes = {spec.name: np.dtype(spec.dtype) for spec in session.inputs if spec.name in _TEXTS}

    @classmethod
    def prefetch(cls, artifact: Artifact) -> None:
        """Read the tokenizer."""
        tokens.prefetch(artifact)

    @classmethod
    def dimensions(cls, artifact: Artifact) -> Mapping[str, tuple[int, int, int]]:
        """Texts, their tokens and recordings, as the exporter names them."""
        longest = limits.tokenizer_limit(artifact) or 512
        return {"texts": (1, 8, 256), "sequence": (1, min(16, longest), longest), "audios": (1, 1, cls.batch)}

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        candidate_labels: str | Sequence[str] | None = None,
        hypothesis_template: str = TEMPLATE,
    ) -> list[Any]:
        """The labels of each recording, best first.

        Args:
            items: Recordings, or ``{"audio": …, "candidate_labels": […]}`` with labels of their own.
            clock: Where the time goes.
            candidate_labels: The labels, as a list or with commas between.
            hypothesis_template: A sentence with ``{}`` in the label's place.

        Returns:
            Per item a list of ``{"score": float, "label": str}``, whose scores add up to one.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        answers: list[Any] = [None] * len(items)
        for labels, members in _asked(items, candidate_labels).items():
            feeds = self._texts([_sentence(hypothesis_template, label) for label in labels])
            prepared = self._graph.prepared([self._recording(items[i]) for i in members], members)
            for batch in self._graph.run(prepared, clock, [self._logits], others=feeds):
                scores = class_labels.softmax(batch.outputs[self._logits].astype(np.float32, copy=False))
                for row, shares in zip(batch.rows, scores.tolist(), strict=True):
                    scored = [
                        {"score": score, "label": label} for score, label in zip(shares, labels, strict=True)
                    ]
                    answers[members[row]] = sorted(scored, key=lambda one: -float(one["score"]))
        return answers

    def encode(
        self,
        inputs: Any,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize: bool | None = None,
        truncate_dim: int | None = None,
    ) -> np.ndarray:
        """Embeddings of recordings and texts in one space, of unit length as the model makes them.

        Args:
            inputs: A recording, a text as ``{"text": …}``, or a list of both.
            prompt_name: The model has none.
            prompt: Put before every text.
            normalize: Whether to scale to unit length again after ``truncate_dim``.
            truncate_dim: Keep only so many leading dimensions.

        Returns:
            float32 [dimensions] for one, [inputs, dimensions] for a list.

        Raises:
            InvalidInput: An item is neither, or a parameter that the model does not have.
            UnsupportedModel: The graph gives scores only.
        """
        if prompt_name is not None:
            raise InvalidInput(
                f"`{self.artifact.reference}` has no prompt `{prompt_name}`", hint="give the text: prompt=…"
            )
        missing = {"text_embeds", "audio_embeds"} - {spec.name for spec in self.session.outputs}
        if missing:
            raise layers.unsupported(self.artifact, f"a graph without `{min(missing)}`")
        one = self.is_item(inputs)
        items = [inputs] if one else list(inputs)
        written = [i for i, item in enumerate(items) if isinstance(item, Mapping) and "text" in item]
        heard = [i for i in range(len(items)) if i not in set(written)]
        found = {**self._read(items, written, prompt or ""), **self._heard(items, heard)}
        vectors = np.stack([found[i] for i in range(len(items))]) if items else np.empty((0, 0), np.float32)
        vectors = vectors[:, :truncate_dim]
        vectors = layers.unit(vectors) if normalize and len(items) else vectors
        return vectors[0] if one else vectors

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """Token ids of the labels and features of the recordings of each batch, as the task makes and pads them."""
        self.check(parameters)
        template = parameters.get("hypothesis_template", TEMPLATE)
        made = []
        for labels, members in _asked(items, parameters.get("candidate_labels")).items():
            words = self._texts([_sentence(template, label) for label in labels])
            prepared = self._graph.prepared([self._recording(items[i]) for i in members], members)
            made += [{**words, **sounds} for sounds in self._graph.feeds(prepared)]
        return made

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Four recordings of 2 to 5 seconds with four labels each, or with those that are given."""
        recordings = super().samples(length, **parameters)
        if parameters.get("candidate_labels") is not None:
            return recordings
        return [{"audio": recording, "candidate_labels": list(_LABELS)} for recording in recordings]

    def parse(self, text: str) -> Any:
        """A path, URL or base64; a recording with labels of its own where the line is a JSON object of both."""
        if text.lstrip().startswith("{"):
            try:
                item = json.loads(text)
            except (ValueError, RecursionError):
                return text
            return item if isinstance(item, dict) and "audio" in item else text
        return text

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Recording, label and score; one row per label."""
        return class_labels.table("recording", self._shown(items), answers)

    def describe(self) -> Mapping[str, Any]:
        """The maximum length of a label, the feature extractor and its sampling rate."""
        return {**super().describe(), "max_length": self._limit}

    def _recording(self, item: Any) -> Any:
        return item["audio"] if isinstance(item, Mapping) and "audio" in item else item

    def _texts(self, written: Sequence[str]) -> dict[str, np.ndarray]:
        """Token ids and mask [texts, tokens], padded to the longest."""
        ids = [encoding.ids for encoding in self._tokenizer(written)]
        width = max(1, *map(len, ids))
        if self._limit is not None and width > self._limit:
            longest = max(zip(map(len, ids), written, strict=True))[1]
            raise InvalidInput(
                f"`{longest[:80]}` has {width} tokens, and the model takes {self._limit}",
                hint="give a shorter label or hypothesis_template",
                label=longest,
            )
        padding = self._tokenizer.padding
        columns = {
            "input_ids": np.full((len(ids), width), padding.token, np.int64),
            "attention_mask": np.zeros((len(ids), width), np.int64),
        }
        for row, one in enumerate(ids):
            span = slice(width - len(one), width) if padding.left else slice(0, len(one))
            columns["input_ids"][row, span], columns["attention_mask"][row, span] = one, 1
        return {name: columns[name].astype(dtype, copy=False) for name, dtype in self._dtypes.items()}

    def _read(self, items: Sequence[Any], members: Sequence[int], prompt: str) -> dict[int, np.ndarray]:
        """Embeddings of texts; the graph hears a second of silence beside them."""
        found: dict[int, np.ndarray] = {}
        silence = np.zeros(self._graph.extractor.rate, np.float32)
        for start in range(0, len(members), 32):
            some = members[start : start + 32]
            written = [prompt + texts.checked(items[i]["text"], position=i) for i in some]
            prepared = self._graph.prepared([silence])
            for batch in self._graph.run(prepared, Clock(), ["text_embeds"], others=self._texts(written)):
                found.update(zip(some, batch.outputs["text_embeds"].astype(np.float32), strict=True))
        return found

    def _heard(self, items: Sequence[Any], members: Sequence[int]) -> dict[int, np.ndarray]:
        """Embeddings of recordings; the graph reads one word beside them."""
        found: dict[int, np.ndarray] = {}
        prepared = self._graph.prepared([self._recording(items[i]) for i in members], members)
        for batch in self._graph.run(prepared, Clock(), ["audio_embeds"], others=self._texts(["a"])):
            for row, vector in zip(batch.rows, batch.outputs["audio_embeds"].astype(np.float32), strict=True):
                found[members[row]] = vector
        return found


def _asked(items: Sequence[Any], common: Any) -> dict[tuple[str, ...], list[int]]:
    """Labels → the positions of the items that are asked for them."""
    shared = None if common is None else _labels(common)
    asked: dict[tuple[str, ...], list[int]] = {}
    for position, item in enumerate(items):
        labels = shared
        if isinstance(item, Mapping) and "audio" in item:
            texts.keys(item, required=_KEYS[:1], optional=_KEYS[1:], position=position)
            own = item.get("candidate_labels")
            labels = shared if own is None else _labels(own)
        if labels is None:
            raise InvalidInput(
                f"input {position} has no labels to choose from",
                hint=f"give candidate_labels={_EXAMPLE}",
                position=position,
            )
        asked.setdefault(labels, []).append(position)
    return asked


def _labels(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [label.strip() for label in value.split(",") if label.strip()]
    if not isinstance(value, list | tuple) or not value or not all(isinstance(one, str) for one in value):
        raise InvalidInput(
            f"`candidate_labels` is {repr(value)[:80]}",
            hint=f"give a list: {_EXAMPLE}",
            candidate_labels=value,
        )
    return tuple(texts.checked(label, position=position) for position, label in enumerate(value))


def _sentence(template: Any, label: str) -> str:
    if not isinstance(template, str) or "{}" not in template:
        raise InvalidInput(
            f"`hypothesis_template` is {repr(template)[:80]}, which has no place for a label",
            hint=f'write {{}} where the label goes: "{TEMPLATE}"',
            hypothesis_template=template,
        )
    return template.replace("{}", label)
