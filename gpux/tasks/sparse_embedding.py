"""``sparse-embedding``: texts to weights of vocabulary tokens, as sentence-transformers' ``SparseEncoder`` makes them with SPLADE.

Source: https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/sparse_encoder
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gpux.artifact import Artifact
from gpux.fields import Fields, modules
from gpux.head import Head
from gpux.pipelines import arguments, comparison, layers, ranking
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.text_graph import TextGraph
from gpux.pipelines.text_pipeline import TextPipeline
from gpux.session import Session
from gpux.text import limits, texts
from gpux.text.prompts import Prompts
from gpux.text.tokens import Text

_LARGEST = 16 << 20
"""Logits of a batch, each of four bytes: [rows, tokens, vocabulary] of one text may be more."""

_ENCODERS = {"Transformer", "MLMTransformer"}


class _Sparse(NamedTuple):
    """The ids of the tokens that have a weight, and the weights."""

    tokens: np.ndarray = np.empty(0, np.int64)
    weights: np.ndarray = np.empty(0, np.float32)


class TaskPipeline(TextPipeline):
    """A masked language model whose logits are pooled: each text gets a weight for every token of the vocabulary, most of them 0.

    Raises:
        UnsupportedModel: The graph's inputs or outputs, or the model's modules, are none that GPUX knows.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForMaskedLM",
        suffixes=("ForMaskedLM",),
        outputs=("logits",),
        kinds=("SparseEncoder",),
    )
    parameters: ClassVar[tuple[str, ...]] = ("top_k", "max_active_dims", "prompt_name", "prompt")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        outputs = {spec.name: spec for spec in session.outputs}
        self._output = "logits" if "logits" in outputs else next(iter(outputs))
        shape = outputs[self._output].shape
        if len(shape) != 3:
            raise layers.unsupported(
                artifact, f"an output `{self._output}` that is no row of logits for each token"
            )
        config = Fields(artifact, "config.json")
        self._vocabulary = (
            shape[2] if isinstance(shape[2], int) else config.whole("vocab_size", least=1) or 1 << 17
        )
        self._sums, self._twice = _pooling(artifact)
        settings = Fields(artifact, "config_sentence_transformers.json")
        self._prompts = Prompts(artifact, settings)
        self._most = settings.whole("max_active_dims", least=1)
        self._similarity = settings.text("similarity_fn_name", among=comparison.SIMILARITIES) or "dot"
        self._graph = TextGraph(
            artifact,
            session,
            max_length=limits.sentence_limit(artifact),
            lower=bool(limits.sentence_settings(artifact).flag("do_lower_case")),
            most=max(1, _LARGEST // self._vocabulary),
        )

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        top_k: int | None = None,
        max_active_dims: int | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
    ) -> list[Any]:
        """One answer per item.

        Args:
            items: Texts, or mappings of ``source_sentence`` (a text) and ``sentences`` (a list of texts).
            clock: Where the time goes.
            top_k: The heaviest tokens of each text; all that have a weight when ``None``.
            max_active_dims: Weights to keep of each text, also before texts are compared; the model's own when ``None``.
            prompt_name: A prompt of ``config_sentence_transformers.json``; its default prompt when ``None``.
            prompt: A text put before every text; wins over ``prompt_name``.

        Returns:
            Per text a mapping of tokens to weights above 0, heaviest first; per comparison a list of floats, one per sentence: the
            similarity that the model's ``config_sentence_transformers.json`` names, the dot product by default.

        Raises:
            InvalidInput: An item is neither, or a parameter is out of range.
        """
        ranking.check_top_k(top_k)
        flat, counts = comparison.flattened(items)
        sparse: list[_Sparse] = [_Sparse()] * len(flat)
        for position, weights in self._weights(flat, clock, max_active_dims, prompt_name, prompt):
            active = np.flatnonzero(weights)
            sparse[position] = _Sparse(active, weights[active])
        answers: list[Any] = []
        start = 0
        for count in counts:
            if count is None:
                answers.append(self._decoded(sparse[start], top_k))
                start += 1
            else:
                source = self._dense(sparse[start])
                others = sparse[start + 1 : start + 1 + count]
                answers.append([self._compared(source, self._dense(other)) for other in others])
                start += 1 + count
        clock.lap("postprocess")
        return answers

    def encode(
        self,
        inputs: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize: bool | None = None,
        truncate_dim: int | None = None,
    ) -> np.ndarray:
        """The weights of one text or of a list, in order, zeros included.

        Args:
            inputs: One text or a list.
            prompt_name: As for :meth:`answer`.
            prompt: As for :meth:`answer`.
            normalize: ``True`` scales to unit length.
            truncate_dim: Weights to keep of each text, the others 0; the model's own number when ``None``.

        Returns:
            float32 [vocabulary] for one text, [texts, vocabulary] for a list.
        """
        one = texts.is_item(inputs)
        listed = [inputs] if one else list(inputs)
        checked = [texts.checked(item, position=i) for i, item in enumerate(listed)]
        vectors = np.zeros((len(checked), self._vocabulary), dtype=np.float32)
        for position, weights in self._weights(checked, Clock(), truncate_dim, prompt_name, prompt):
            vectors[position] = weights
        if normalize:
            vectors = layers.unit(vectors)
        return vectors[0] if one else vectors

    def parse(self, text: str) -> Any:
        """A text, or the mapping of a comparison where the line is a JSON object with its keys."""
        return comparison.parse(text)

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Text, how many tokens have a weight, and the heaviest; for comparisons, sentence and similarity."""
        if any(isinstance(item, Mapping) for item in items):
            rows = comparison.rows(items, answers, _heaviest)
            return Table(("source", "sentence", "similarity"), tuple(rows))
        listed = zip(items, answers, strict=True)
        rows = [(texts.brief(item), str(len(weights)), _heaviest(weights)) for item, weights in listed]
        return Table(("text", "tokens", "heaviest"), tuple(rows))

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``tokens``, and ``texts`` where there are comparisons, each of which is several of them."""
        work = super().work(items, **parameters)
        if not any(isinstance(item, Mapping) for item in items):
            return work
        return {**work, self.noun: len(comparison.flattened(items)[0])}

    def describe(self) -> Mapping[str, Any]:
        """Pooling, vocabulary, maximum length and prompts."""
        return {
            "dimension": self._vocabulary,
            "max_length": self._graph.tokenizer.max_length,
            "pooling": "sum" if self._sums else "max",
            "max_active_dims": self._most,
            "prompts": self._prompts.named,
        }

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        prefix = self._prefix(parameters)
        return self._graph, [prefix + text for text in comparison.flattened(items)[0]]

    def _prefix(self, parameters: Mapping[str, Any]) -> str:
        return self._prompts.find(parameters.get("prompt_name"), parameters.get("prompt"))

    def _weights(
        self, flat: Sequence[str], clock: Clock, most: int | None, prompt_name: str | None, prompt: str | None
    ) -> Iterator[tuple[int, layers.Floats]]:
        """The position of each text and its weights, float32 [vocabulary], batch by batch."""
        if most is not None:
            arguments.whole("max_active_dims", most)
        keep = self._most if most is None else most
        prefix = self._prompts.find(prompt_name, prompt)
        for batch in self._graph.run([prefix + text for text in flat], clock, [self._output]):
            logits = batch.outputs[self._output]
            for row, position in enumerate(batch.rows):
                start, stop = batch.spans[row]
                weights = self._pooled(logits[row, start:stop])
                if keep is not None and np.count_nonzero(weights) > keep:
                    weights[np.argsort(-weights, kind="stable")[keep:]] = 0
                yield position, weights

    def _pooled(self, logits: layers.Floats) -> layers.Floats:
        """Weights [vocabulary] of one text's logits [tokens, vocabulary]."""
        if not len(logits):
            return np.zeros(logits.shape[1], dtype=np.float32)
        # log1p and relu keep the order, so that the largest may be taken before them.
        pooled = (
            logits.astype(np.float32, copy=False) if self._sums else logits.max(axis=0).astype(np.float32)
        )
        weights: layers.Floats = np.log1p(np.maximum(pooled, 0))
        if self._twice:
            weights = np.log1p(weights)
        return weights.sum(axis=0) if self._sums else weights

    def _decoded(self, sparse: _Sparse, top_k: int | None) -> dict[str, float]:
        active, weights = sparse
        order = np.argsort(-weights, kind="stable")[:top_k]
        name = self._graph.tokenizer.backend.id_to_token
        return {
            name(index) or f"[{index}]": weight
            for index, weight in zip(active[order].tolist(), weights[order].tolist(), strict=True)
        }

    def _dense(self, sparse: _Sparse) -> layers.Floats:
        vector = np.zeros(self._vocabulary, dtype=np.float32)
        vector[sparse.tokens] = sparse.weights
        return vector

    def _compared(self, source: layers.Floats, other: layers.Floats) -> float:
        return float(comparison.SIMILARITIES[self._similarity](source, other[None])[0])


def _heaviest(weights: Mapping[str, float]) -> str:
    shown = [f"{token} {weight:.2f}" for token, weight in list(weights.items())[:6]]
    return ", ".join(shown) + (", …" if len(weights) > len(shown) else "")


def _pooling(artifact: Artifact) -> tuple[bool, bool]:
    """Whether weights are summed up over the tokens, instead of taking the largest, and whether the logarithm is taken twice."""
    listed = modules(artifact)
    if listed is None:
        return False, False
    kinds = [name.rpartition(".")[2] for name, _ in listed]
    if len(kinds) != 2 or kinds[0] not in _ENCODERS or kinds[1] != "SpladePooling":
        raise layers.unsupported(artifact, f"modules other than SPLADE's ({', '.join(kinds)})")
    config = Fields(artifact, f"{listed[1][1]}/config.json")
    strategy = config.text("pooling_strategy", among=("max", "sum"))
    activation = config.text("activation_function", among=("relu", "log1p_relu"))
    return strategy == "sum", activation == "log1p_relu"
