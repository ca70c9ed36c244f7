"""``image-feature-extraction``: the vectors of every patch, as the transformers pipeline gives them, and ``encode``.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/image_feature_extraction.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.head import IMAGE, Head
from gpux.pipelines import arguments, layers
from gpux.pipelines.image_pipeline import Finish, ImagePipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.pixel_graph import Batch
from gpux.session import Session
from gpux.text import texts

_HIDDEN, _POOLED = "last_hidden_state", "pooler_output"


class TaskPipeline(ImagePipeline):
    """Patch vectors when called, one vector per picture by ``encode``."""

    # Every checkpoint has an encoder, so any class of model carries its weights.
    head: ClassVar[Head] = Head(
        auto="AutoModel", suffixes=("Model", ""), outputs=(_HIDDEN, _POOLED), takes=(IMAGE,)
    )
    parameters: ClassVar[tuple[str, ...]] = ("pool", "return_tensors")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        have = {spec.name for spec in session.outputs}
        self._hidden = self.output(_HIDDEN).name
        self._pooled = _POOLED if _POOLED in have else None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The hidden state, and the pooled one where there is one."""
        return tuple(dict.fromkeys(name for name in (self._hidden, self._pooled) if name))

    def finish(self, *, pool: bool = False, return_tensors: bool = False) -> Finish:
        """Vectors of each picture.

        Args:
            pool: Give the model's pooled vector instead of those of its patches.
            return_tensors: Give arrays instead of nested lists.

        Returns:
            Per picture a nested list [1][patches][hidden] of floats, [1][hidden] where pooled, as many axes as the model's
            own output; or a float32 array of that shape.

        Raises:
            InvalidInput: A parameter is no flag, or the model pools nothing.
        """
        arguments.flag("return_tensors", return_tensors)
        if arguments.flag("pool", pool) and self._pooled is None:
            raise InvalidInput(
                f"`{self.artifact.reference}` has no pooled output",
                hint="leave `pool` out, or take model.encode(...)",
                pool=pool,
            )
        output = self._pooled if pool and self._pooled else self._hidden

        def answers(batch: Batch) -> list[Any]:
            vectors = batch.outputs[output].astype(np.float32, copy=False)
            rows = [vectors[row : row + 1] for row in range(len(vectors))]
            return [row.copy() for row in rows] if return_tensors else [row.tolist() for row in rows]

        return answers

    def encode(
        self,
        inputs: Any,
        *,
        normalize: bool | None = None,
        truncate_dim: int | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
    ) -> np.ndarray:
        """One vector per picture: the model's pooled one, else its class token's, else the mean over the picture.

        Args:
            inputs: One picture or a list of them.
            normalize: Scale to unit length, after truncation.
            truncate_dim: Keep only so many leading dimensions.
            prompt_name: Refused: pictures have no prompt.
            prompt: Refused as well.

        Returns:
            float32 [dimensions] for one picture, [pictures, dimensions] for a list.

        Raises:
            InvalidInput: An input is no picture, there is a prompt, or ``truncate_dim`` is out of range.
        """
        if prompt_name is not None or prompt is not None:
            raise InvalidInput("a picture has no prompt", hint="leave `prompt` and `prompt_name` out")
        one = self.is_item(inputs)
        items = [inputs] if one else list(inputs)
        rows = list(self.ordered(items, Clock(), self.prepare, self._vectors, self.window))
        vectors = np.stack(rows) if rows else np.zeros((0, self._dimension()), np.float32)
        if truncate_dim is not None:
            size = vectors.shape[1]
            if type(truncate_dim) is not int or not 1 <= truncate_dim <= max(size, 1):
                raise InvalidInput(
                    f"`truncate_dim` is {truncate_dim!r}",
                    hint=f"give a whole number from 1 to {size}",
                    truncate_dim=truncate_dim,
                )
            vectors = vectors[:, :truncate_dim]
        vectors = layers.unit(vectors) if normalize and len(vectors) else vectors
        return vectors[0] if one else vectors

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Picture, shape, and the first values."""
        rows = []
        for position, (item, answer) in enumerate(zip(items, answers, strict=True)):
            vectors = np.asarray(answer)[0]
            shape = " × ".join(map(str, vectors.shape))
            rows.append((self.shown(item, position), shape, texts.numbers(vectors.ravel()[:5].tolist())))
        return Table((self.key, "shape", "first values"), tuple(rows))

    def describe(self) -> Mapping[str, Any]:
        """The processor, and whether the model pools."""
        return {**super().describe(), "pooled": self._pooled is not None}

    def _vectors(self, batch: Batch) -> list[Any]:
        if self._pooled:
            found = batch.outputs[self._pooled].reshape(len(batch.rows), -1)
        else:
            hidden = batch.outputs[self._hidden]
            if hidden.ndim == 4:
                found = hidden.mean(axis=(2, 3))
            else:
                found = hidden[:, 0] if hidden.ndim == 3 else hidden.reshape(len(hidden), -1)
        return list(found.astype(np.float32))

    def _dimension(self) -> int:
        spec = next(s for s in self.session.outputs if s.name == (self._pooled or self._hidden))
        size = spec.shape[1] if len(spec.shape) in {2, 4} else spec.shape[-1]
        return size if isinstance(size, int) else 0
