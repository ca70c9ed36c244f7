"""``text-ranking``: how well texts answer a query, read together by one model, as sentence-transformers' ``CrossEncoder`` scores them.

Source: https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/cross_encoder/model.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput, InvalidSetting, UnsupportedModel
from gpux.fields import Fields, modules
from gpux.head import Head
from gpux.pipelines import arguments, class_labels, layers, ranking
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.text_graph import TextGraph
from gpux.pipelines.text_pipeline import TextPipeline
from gpux.session import Session
from gpux.text import limits, text_samples, texts
from gpux.text.prompts import Prompts
from gpux.text.tokens import Text

_PAIR = ("text", "text_pair")
_EXAMPLE = 'give {"query": "…", "documents": ["…", "…"]}, or a pair: {"text": "…", "text_pair": "…"}'


class TaskPipeline(TextPipeline, ranking.Ranks):
    """A cross-encoder: a query with documents gives a ranking, a pair of texts its score.

    Raises:
        UnsupportedModel: The graph takes something else than text, or the model ends in modules that GPUX does not compute.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForSequenceClassification",
        suffixes=("ForSequenceClassification",),
        outputs=("logits",),
        scores=("logits",),
        kinds=("CrossEncoder",),
    )
    noun: ClassVar[str] = "pairs"
    parameters: ClassVar[tuple[str, ...]] = (
        "top_k", "return_documents", "function_to_apply", "prompt_name", "prompt", "truncation",
    )  # fmt: skip

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        outputs = {spec.name: spec for spec in session.outputs}
        self._output = "logits" if "logits" in outputs else next(iter(outputs))
        shape = outputs[self._output].shape
        if len(shape) != 2:
            raise layers.unsupported(
                artifact, f"an output `{self._output}` that is no row of scores for each pair"
            )
        for name, path in (modules(artifact) or [])[1:]:
            raise layers.unsupported(artifact, f"module `{name}` ({path}) behind its scores")
        settings = Fields(artifact, "config_sentence_transformers.json")
        self._prompts = Prompts(artifact, settings, usual={})
        self._labels = shape[1] if isinstance(shape[1], int) else _labels(artifact)
        self._activation = _activation(artifact, settings, one=self._labels == 1)
        self._graph = TextGraph(artifact, session, max_length=limits.sentence_limit(artifact))

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        top_k: int | None = None,
        return_documents: bool = False,
        function_to_apply: str | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        truncation: bool = True,
    ) -> list[Any]:
        """One answer per item.

        Args:
            items: ``{"query": …, "documents": […]}``, or pairs ``{"text": …, "text_pair": …}``.
            clock: Where the time goes.
            top_k: That many documents, best first; all of them when ``None``.
            return_documents: Whether each document stands beside its score.
            function_to_apply: ``sigmoid``, ``softmax`` or ``none``; the model's own activation when ``None``.
            prompt_name: A prompt of ``config_sentence_transformers.json``; its default prompt when ``None``.
            prompt: A text put before the query, or before the first text of a pair; wins over ``prompt_name``.
            truncation: Whether a pair of too many tokens is cut; otherwise it is an error.

        Returns:
            Per query a list of ``{"corpus_id": int, "score": float}``, best first; per pair a float, or a list of floats where
            the model has several labels.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
            UnsupportedModel: Documents are to be ranked by a model of several labels.
        """
        ranking.check_top_k(top_k)
        apply = self._activation if function_to_apply is None else _function(function_to_apply)
        pairs, counts = self._pairs(items, self._prompts.find(prompt_name, prompt))
        found = np.empty((len(pairs), self._labels), dtype=np.float32)
        for batch in self._graph.run(pairs, clock, [self._output], truncate=truncation):
            found[batch.rows] = apply(batch.outputs[self._output].astype(np.float32, copy=False))
        answers: list[Any] = []
        start = 0
        for item, count in zip(items, counts, strict=True):
            mine = found[start : start + (1 if count is None else count)]
            start += len(mine)
            if count is None:
                answers.append(mine[0].tolist() if self._labels > 1 else mine[0, 0].item())
            else:
                answers.append(
                    ranking.ranked(
                        mine[:, 0].tolist(),
                        list(item["documents"]),
                        top_k=top_k,
                        return_documents=return_documents,
                    )
                )
        clock.lap("postprocess")
        return answers

    def parse(self, text: str) -> Any:
        """A JSON object with a query and documents, or with a pair; two texts with a tab between are a pair too."""
        item = ranking.parse(text, (*ranking.KEYS, *_PAIR))
        if isinstance(item, str):
            first, tab, second = text.partition("\t")
            return {"text": first, "text_pair": second} if tab and first and second else text
        return item

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Query, document and score, best first; one row per pair."""
        rows: list[tuple[str, ...]] = []
        for item, answer in zip(items, answers, strict=True):
            if ranking.is_ranking(item):
                rows += ranking.rows(item, answer)
            else:
                shown = texts.numbers(answer if isinstance(answer, list) else [answer])
                rows.append((texts.brief(item["text"]), texts.brief(item["text_pair"]), shown))
        return Table(("query", "document", "score"), tuple(rows))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """A short query paired with each of eight texts, or with texts that bring the pair to a length in tokens."""
        query = texts.SAMPLES[0]
        if length is None:
            return [{"text": query, "text_pair": text} for text in texts.SAMPLES]
        self.check(parameters)
        tokenizer = self._graph.tokenizer
        prefix = self._prefix(parameters)
        empty = len(tokenizer([(prefix + query, "")])[0])
        most = tokenizer.max_length
        if not isinstance(length, int) or not empty < length <= (most or length):
            upper = f"to {most}" if most else "on"
            raise InvalidSetting(
                f"no pair with this query has {length!r} tokens",
                hint=f"give a length from {empty + 1} {upper}",
                length=length,
            )
        alone = len(tokenizer([""])[0])
        documents = text_samples.of_length(tokenizer, texts.SAMPLES, length - empty + alone)
        pairs = [{"text": query, "text_pair": text} for text in documents]
        exact = [p for p in pairs if len(tokenizer([(prefix + query, p["text_pair"])])[0]) == length]
        if not exact:
            raise InvalidSetting(
                f"no pair comes to exactly {length} tokens with this model's tokenizer",
                hint="try a length near it, or give pairs of your own",
                length=length,
            )
        return exact

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``tokens``, and ``pairs`` where there are documents, each of which makes one with its query."""
        work = super().work(items, **parameters)
        if not any(ranking.is_ranking(item) for item in items):
            return work
        return {**work, self.noun: len(self._pairs(items, "")[0])}

    def describe(self) -> Mapping[str, Any]:
        """The number of scores, the maximum length, and prompts."""
        return {
            "labels": self._labels,
            "max_length": self._graph.tokenizer.max_length,
            "prompts": self._prompts.named,
        }

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        return self._graph, self._pairs(items, self._prefix(parameters))[0]

    def _prefix(self, parameters: Mapping[str, Any]) -> str:
        return self._prompts.find(parameters.get("prompt_name"), parameters.get("prompt"))

    def _pairs(self, items: Sequence[Any], prefix: str) -> tuple[list[Text], list[int | None]]:
        """The pairs that the model reads, and for each item the number of its documents, ``None`` where it is a pair."""
        pairs: list[Text] = []
        counts: list[int | None] = []
        for position, item in enumerate(items):
            if ranking.is_ranking(item):
                self._refuse_labels()
                query, documents = ranking.read(item, position=position)
                pairs += [(prefix + query, document) for document in documents]
                counts.append(len(documents))
            elif isinstance(item, Mapping):
                texts.keys(item, required=_PAIR, position=position)
                first, second = (texts.checked(item[key], position=position) for key in _PAIR)
                pairs.append((prefix + first, second))
                counts.append(None)
            else:
                raise InvalidInput(
                    f"input {position} is no query with documents and no pair",
                    hint=_EXAMPLE,
                    position=position,
                )
        return pairs, counts

    def _refuse_labels(self) -> None:
        if self._labels != 1:
            raise UnsupportedModel(
                f"`{self.artifact.reference}` gives {self._labels} scores per pair, and documents are ranked by one",
                hint='score pairs instead: model({"text": "…", "text_pair": "…"})',
                labels=self._labels,
            )


def _labels(artifact: Artifact) -> int:
    config = Fields(artifact, "config.json")
    return config.whole("num_labels", least=1) or len(config.table("id2label").data) or 1


def _activation(artifact: Artifact, settings: Fields, *, one: bool) -> layers.Layer:
    """The activation that the model was saved with; without one it is the sigmoid of a single score, and nothing else.

    The paths of other packages' functions are not trusted, as sentence-transformers does not trust them.
    """
    config = Fields(artifact, "config.json")
    saved = config.table("sentence_transformers")
    named = (
        saved.text("activation_fn")
        if "activation_fn" in saved
        else config.text("sbert_ce_default_activation_function")
    )
    for name in (settings.text("activation_fn"), named):
        if name is not None and name.startswith("torch."):
            return layers.activation(artifact, name, "its scores")
    return class_labels.sigmoid if one else _unchanged


def _unchanged(logits: layers.Floats) -> layers.Floats:
    return logits


def _function(name: str) -> layers.Layer:
    return _FUNCTIONS[arguments.among("function_to_apply", name, tuple(_FUNCTIONS))]


_FUNCTIONS: dict[str, layers.Layer] = {
    "sigmoid": class_labels.sigmoid,
    "softmax": class_labels.softmax,
    "none": _unchanged,
}
