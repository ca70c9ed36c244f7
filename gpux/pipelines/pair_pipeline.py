"""What the tasks share whose graph takes texts beside pictures or videos, each with a batch of its own; knows no answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from gpux.artifact import Artifact
from gpux.images import decoding
from gpux.pipelines import pair_texts
from gpux.pipelines.image_pipeline import ImagePipeline
from gpux.pipelines.pair_texts import PairTexts
from gpux.session import Session
from gpux.text import limits, tokens

_LONGEST = 512  # tokens of a model that does not say


class PairPipeline(ImagePipeline):
    """A task over pictures and texts.

    Raises:
        UnsupportedModel: The graph takes no texts.
        CorruptArtifact: A file of the model cannot be read.
    """

    others: ClassVar[tuple[str, ...]] = pair_texts.INPUTS

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self.texts = PairTexts(artifact, session)

    @classmethod
    def prefetch(cls, artifact: Artifact) -> None:
        """Read the tokenizer, and import what reads pictures."""
        tokens.prefetch(artifact)
        decoding.pillow()

    @classmethod
    def dimensions(cls, artifact: Artifact) -> Mapping[str, tuple[int, int, int]]:
        """Texts, their tokens and pictures, as the exporter names them."""
        pictures = dict(super().dimensions(artifact))
        longest = limits.tokenizer_limit(artifact) or _LONGEST
        return {
            "texts": (1, 8, 256),
            "sequence": (1, min(16, longest), longest),
            "images": pictures.pop("batch"),
            **pictures,
        }
