"""Pooled vectors by sentence-transformers' own ``Pooling`` module.

Usage: python pooling.py IN.npz OUT.npz; IN holds ``tokens`` [texts, tokens, hidden], ``mask`` [texts, tokens] and
``prompt``; OUT one array per mode, and ``<mode> without prompt``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from sentence_transformers.sentence_transformer.modules import Pooling


def main(source: Path, out: Path) -> None:
    given = np.load(source)
    found = {}
    for mode in Pooling.POOLING_MODES:
        for suffix, include in (("", True), (" without prompt", False)):
            features = {
                "token_embeddings": torch.from_numpy(given["tokens"]),
                "attention_mask": torch.from_numpy(given["mask"]),
                "prompt_length": int(given["prompt"]),
            }
            module = Pooling(given["tokens"].shape[-1], pooling_mode=mode, include_prompt=include)
            found[mode + suffix] = module(features)["sentence_embedding"].numpy()
    np.savez(out, **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
