"""Exports tiny decoders as the generators' route does, in every precision, and writes down transformers' own scores.

Usage: python fused_decoders.py DIRECTORY; writes per model a folder of variants, ``scores.npz``, and ``counts.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

from gpux.export.generators import causal, fusing
from gpux.export.generators.route import tidied
from gpux.export.generators.variants import save, write

SIZES = {
    "vocab_size": 160,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "experts": lambda: Qwen3MoeForCausalLM(
        Qwen3MoeConfig(**SIZES, head_dim=16, moe_intermediate_size=32, num_experts=4, num_experts_per_tok=2)
    ),
}
VARIANTS = {"llama": ("fp16", "int8", "q4", "q4f16"), "experts": ("int8", "q4")}


def main(directory: Path) -> None:
    """Write every model."""
    ids = torch.arange(12)[None] * 7 % 150
    for name, make in MODELS.items():
        torch.manual_seed(3)
        model = make().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                # Norms that are no identity, and scores that differ.
                parameter.copy_(
                    parameter + torch.rand_like(parameter) if parameter.dim() == 1 else parameter * 3
                )
            scores = model(ids, use_cache=False).logits[0].numpy()
        folder = directory / name
        program = causal.export(model)
        counts = fusing.fuse(program, positions=64)
        save(tidied(program), folder / "fp32" / "model.onnx")
        for variant in VARIANTS[name]:
            write(folder / "fp32" / "model.onnx", folder / variant / "model.onnx", variant)
        np.savez(folder / "scores.npz", ids=ids.numpy(), scores=scores)
        (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
