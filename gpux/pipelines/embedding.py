"""Texts to sentence embeddings, as sentence-transformers' ``encode`` makes them; shared by the two tasks that embed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.head import Head
from gpux.pipelines import layers, pooling, sentence_modules
from gpux.pipelines.pipeline import Clock
from gpux.pipelines.text_graph import TextGraph
from gpux.pipelines.text_pipeline import TextPipeline
from gpux.session import Session
from gpux.tensors import TensorSpec
from gpux.text import limits, texts
from gpux.text.prompts import Prompts
from gpux.text.tokens import Text

_TOKEN_OUTPUTS = ("last_hidden_state", "token_embeddings")
_SENTENCE_OUTPUT = "sentence_embedding"


class EmbeddingPipeline(TextPipeline):
    """A session whose graph gives token vectors, or whole sentence vectors, with the modules that follow.

    Raises:
        UnsupportedModel: The graph's inputs or the model's modules are none that GPUX knows.
        CorruptArtifact: A file of the model cannot be read.
    """

    # Every checkpoint has an encoder, so any class of model carries its weights.
    head: ClassVar[Head] = Head(
        auto="AutoModel",
        suffixes=("Model", ""),
        outputs=("last_hidden_state",),
        aliases={"token_embeddings": "last_hidden_state"},
    )

    noun: ClassVar[str] = "sentences"

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._output = _output(artifact, session)
        self._lower = bool(limits.sentence_settings(artifact).flag("do_lower_case"))
        self._graph = TextGraph(
            artifact, session, max_length=limits.sentence_limit(artifact), lower=self._lower
        )
        self._settings = Fields(artifact, "config_sentence_transformers.json")
        self._prompts = Prompts(artifact, self._settings)
        self._truncate_dim = self._settings.whole("truncate_dim", least=1)
        # A graph that ends in sentence vectors has the modules inside.
        ready = len(self._output.shape) == 2
        self._modules = sentence_modules.SentenceModules() if ready else sentence_modules.read(artifact)
        takes = self._modules.takes
        if takes is not None and takes != self._pooled_size():
            raise layers.unsupported(artifact, f"layers for vectors of {takes}, not {self._pooled_size()}")

    @cached_property
    def dimension(self) -> int:
        """Size of an embedding before any truncation."""
        if self._modules.dimension is not None:
            return self._modules.dimension
        return self._pooled_size()

    def _pooled_size(self) -> int:
        hidden = self._output.shape[-1]
        if not isinstance(hidden, int):
            hidden = self.session_dimension()
        return hidden if len(self._output.shape) == 2 else hidden * len(self._modules.modes)

    def session_dimension(self) -> int:
        """Size of the graph's vectors, found by running it where its own types do not tell."""
        batch = next(self._graph.run([""], Clock(), [self._output.name]))
        return int(batch.outputs[self._output.name].shape[-1])

    def encode(
        self,
        inputs: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize: bool | None = None,
        truncate_dim: int | None = None,
    ) -> np.ndarray:
        """Embeddings of one text or of a list, in order; the arguments are those of :meth:`embed`.

        Returns:
            float32 [dimensions] for one text, [texts, dimensions] for a list.
        """
        one = texts.is_item(inputs)
        vectors = self.embed(
            [inputs] if one else list(inputs),
            Clock(),
            prompt_name=prompt_name,
            prompt=prompt,
            normalize=normalize,
            truncate_dim=truncate_dim,
        )
        return vectors[0] if one else vectors

    def embed(
        self,
        items: Sequence[Any],
        clock: Clock,
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize: bool | None = None,
        truncate_dim: int | None = None,
    ) -> np.ndarray:
        """Embeddings of a list of texts.

        Args:
            items: The texts.
            clock: Where the time goes.
            prompt_name: A prompt of ``config_sentence_transformers.json``; its default prompt when ``None``.
            prompt: A text put before every text; wins over ``prompt_name``.
            normalize: ``True`` scales to unit length after truncation, ``False`` leaves out the model's own scaling,
                ``None`` does what the model's modules say.
            truncate_dim: Keep only so many leading dimensions, cut after the modules; the model's own when ``None``.

        Returns:
            float32 [texts, dimensions].

        Raises:
            InvalidInput: A text is none, the prompt is unknown, or ``truncate_dim`` is out of range.
            RunFailed: The runtime failed.
        """
        keep = self._keep(truncate_dim)
        prefix = self._prompts.find(prompt_name, prompt)
        checked = [prefix + texts.checked(item, position=i) for i, item in enumerate(items)]
        vectors = np.empty((len(checked), keep), dtype=np.float32)
        skip = (
            self._graph.tokenizer.prompt_length(prefix) if prefix and not self._modules.include_prompt else 0
        )
        name = self._output.name
        for batch in self._graph.run(checked, clock, [name]):
            pooled = self._pool(batch.outputs[name], batch.spans, skip)
            for kind, step in self._modules.steps:
                if kind != "Normalize" or normalize is not False:
                    pooled = step(pooled)
            if keep < pooled.shape[1]:
                pooled = pooled[:, :keep]
            if normalize:
                pooled = layers.unit(pooled)
            if len(checked) == 1:
                clock.lap("postprocess")
                return pooled
            vectors[batch.rows] = pooled
        return vectors

    def describe(self) -> Mapping[str, Any]:
        """Pooling, scaling, maximum length and prompts."""
        return {
            "dimension": self.dimension,
            "max_length": self._graph.tokenizer.max_length,
            "pooling": "in the graph" if len(self._output.shape) == 2 else " + ".join(self._modules.modes),
            "normalize": self._modules.normalizes,
            "prompts": self._prompts.named,
        }

    def parse(self, text: str) -> str:
        """The line itself."""
        return text

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        prefix = self._prefix(parameters)
        return self._graph, [prefix + texts.checked(item, position=i) for i, item in enumerate(items)]

    def _prefix(self, parameters: Mapping[str, Any]) -> str:
        return self._prompts.find(parameters.get("prompt_name"), parameters.get("prompt"))

    def _pool(self, outputs: np.ndarray, spans: Sequence[tuple[int, int]], skip: int) -> np.ndarray:
        outputs = outputs.astype(np.float32, copy=False)
        if outputs.ndim == 2:
            return outputs
        modes = self._modules.modes
        pooled = [
            pooling.pool(outputs[i, start:stop], modes, skip=skip) for i, (start, stop) in enumerate(spans)
        ]
        return pooled[0][None] if len(pooled) == 1 else np.stack(pooled)

    def _keep(self, truncate_dim: int | None) -> int:
        if truncate_dim is None:
            own = self._truncate_dim
            return self.dimension if own is None else min(own, self.dimension)
        if (
            not isinstance(truncate_dim, int)
            or isinstance(truncate_dim, bool)
            or not 0 < truncate_dim <= self.dimension
        ):
            raise InvalidInput(
                f"`truncate_dim` is {truncate_dim!r}",
                hint=f"give a whole number from 1 to {self.dimension}",
                truncate_dim=truncate_dim,
            )
        return truncate_dim


def _output(artifact: Artifact, session: Session) -> TensorSpec:
    """The output to embed with: token vectors by name, else sentence vectors, else the first of rank three."""
    named = {spec.name: spec for spec in session.outputs}
    for name in (*_TOKEN_OUTPUTS, _SENTENCE_OUTPUT):
        if name in named and len(named[name].shape) in {2, 3}:
            return named[name]
    for spec in session.outputs:
        if len(spec.shape) == 3:
            return spec
    raise layers.unsupported(artifact, f"no output of token or sentence vectors among `{'`, `'.join(named)}`")
