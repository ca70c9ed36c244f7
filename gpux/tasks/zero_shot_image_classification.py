"""``zero-shot-image-classification``: labels of the caller's own, in the shape that the transformers pipeline gives them."""

from __future__ import annotations

from typing import ClassVar

from gpux.head import Head
from gpux.pipelines import pair_embedding
from gpux.pipelines.pair_embedding import PairEmbedding
from gpux.pipelines.zero_shot_pictures import ZeroShotPipeline


class TaskPipeline(ZeroShotPipeline, PairEmbedding):
    """Scores of labels for pictures (CLIP, SigLIP), and the embeddings of both by ``encode``."""

    head: ClassVar[Head] = pair_embedding.HEAD
