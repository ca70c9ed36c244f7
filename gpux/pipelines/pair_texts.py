"""Texts to the tensors of a graph that takes pictures beside them: tokenised, padded as the model was trained; knows no task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.fields import Fields
from gpux.session import Session
from gpux.text import batching, limits
from gpux.text.tokens import Tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""Inputs that are made from texts."""

_SIGLIP = 64  # https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/zero_shot_image_classification.py

Feeds = dict[str, np.ndarray]


def is_siglip(config: Fields) -> bool:
    """Whether a model was trained as SigLIP was: each text by itself, padded to one length."""
    return "siglip" in (config.text("model_type") or "")


class PairTexts:
    """The tokenizer of a model of texts and pictures; safe to call from several threads.

    Args:
        artifact: The model.
        session: Its open graph.

    Raises:
        UnsupportedModel: The graph takes no texts of its own.
        CorruptArtifact: The tokenizer cannot be used.
    """

    def __init__(self, artifact: Artifact, session: Session) -> None:
        specs = {spec.name: spec for spec in session.inputs if spec.name in INPUTS}
        if "input_ids" not in specs or any(len(spec.shape) != 2 for spec in specs.values()):
            raise UnsupportedModel(
                f"the graph of `{artifact.reference}` takes no texts beside its pictures",
                hint="pull it again as what it is: gpux pull … --task image-feature-extraction",
                reference=artifact.reference,
            )
        self._dtypes = {name: np.dtype(spec.dtype) for name, spec in specs.items()}
        self._cuts = is_siglip(Fields(artifact, "config.json"))
        limit = limits.tokenizer_limit(artifact)
        fixed = specs["input_ids"].shape[1]
        self._width = fixed if isinstance(fixed, int) else None
        if self._cuts and self._width is None:
            self._width = min(_SIGLIP, limit or _SIGLIP)
        self.limit = limit if self._width is None else self._width
        self._tokens, self._rows = batching.limits(session.plan.batch)
        self._tokenizer = Tokenizer(artifact, max_length=self.limit)
        self._last: tuple[tuple[str, ...], Feeds] | None = None

    def whole(self, sentences: tuple[str, ...]) -> Feeds:
        """The tensors of all sentences, [texts, tokens]; those of the last call are kept, as labels are asked for again.

        Raises:
            InvalidInput: One is too long, and the model's pipeline does not cut it.
        """
        last = self._last
        if last is not None and last[0] == sentences:
            return last[1]
        encodings = self._tokenizer(sentences)
        for sentence, encoding in zip(sentences, encodings, strict=True):
            if encoding.overflowing and not self._cuts:
                raise InvalidInput(
                    f"`{sentence[:80]}` has more than the {self.limit} tokens that the model takes",
                    hint="give a shorter label or hypothesis_template",
                    label=sentence,
                )
        feeds = self._padded(encodings)
        self._last = sentences, feeds
        return feeds

    def rows(self, written: Sequence[str]) -> Feeds:
        """The tensors of a text for each row of a batch; what is too long is cut."""
        return self._padded(self._tokenizer(written))

    def batches(self, written: Sequence[str]) -> list[tuple[list[int], Feeds]]:
        """Texts in batches that waste little padding, each with the positions of its texts; what is too long is cut."""
        encodings = self._tokenizer(written) if written else []
        lengths = [self._width or len(encoding) for encoding in encodings]
        cut = batching.cut(lengths, tokens=self._tokens, rows=self._rows) if written else ()
        return [(members, self._padded([encodings[i] for i in members])) for members in cut]

    def count(self, written: Sequence[str]) -> int:
        """Tokens of all texts as the model sees them, padding that it was trained with included."""
        return sum(self._width or len(encoding) for encoding in self._tokenizer(written)) if written else 0

    def _padded(self, encodings: Sequence[Encoding]) -> Feeds:
        # A tokenizer without special tokens makes nothing of an empty text.
        width = self._width or max(1, *map(len, encodings))
        padding = self._tokenizer.padding
        shape = len(encodings), width
        columns = {
            "input_ids": np.full(shape, padding.token, np.int64),
            "attention_mask": np.zeros(shape, np.int64),
            "token_type_ids": np.full(shape, padding.type, np.int64),
        }
        for row, encoding in enumerate(encodings):
            start = width - len(encoding) if padding.left else 0
            span = slice(start, start + len(encoding))
            columns["input_ids"][row, span] = encoding.ids
            columns["attention_mask"][row, span] = 1
            columns["token_type_ids"][row, span] = encoding.type_ids
        return {name: columns[name].astype(dtype, copy=False) for name, dtype in self._dtypes.items()}
