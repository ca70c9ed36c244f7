"""Makes tiny embedders of families that transformers has built in of late, and what sentence-transformers embeds with each.

Usage: python embedders.py DIRECTORY; writes one directory per model, and ``vectors.npz`` with the embeddings of the corpus.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import corpus
import numpy as np
import tiny_models
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import AutoModel, GteConfig, NomicBertConfig

FAMILIES = {"gte": GteConfig, "nomic": NomicBertConfig}


def main(directory: Path) -> None:
    torch.manual_seed(0)
    vectors = {}
    for name, kind in FAMILIES.items():
        encoder = directory / "encoder"
        model = AutoModel.from_config(kind(**tiny_models.SIZES, max_position_embeddings=64))
        tiny_models.sharpened(model).save_pretrained(encoder)
        tiny_models.tokenizer(64).save_pretrained(encoder)
        modules = [
            Transformer(str(encoder), max_seq_length=48),
            Pooling(32, pooling_mode="mean"),
            Normalize(),
        ]
        embedder = SentenceTransformer(modules=modules, prompts={"query": "what is: "})
        embedder.save(str(directory / name))
        vectors[f"{name}/texts"] = embedder.encode(corpus.texts())
        vectors[f"{name}/queries"] = embedder.encode(corpus.texts(), prompt_name="query")
        shutil.rmtree(encoder)
    np.savez(directory / "vectors.npz", **vectors)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
