"""Makes tiny language models that see a window of their tokens, and writes down what transformers' ``generate`` answers.

Usage: python tiny_windows.py DIRECTORY; writes one directory per model, and ``answers.json``: model → prompt's length → tokens.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from tiny_writers import tokenizer
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    MistralConfig,
    MistralForCausalLM,
)
from windows import CALL, LENGTHS, WINDOW


def build(size: int) -> dict[str, torch.nn.Module]:
    common = {
        "vocab_size": size, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
        "head_dim": 16, "intermediate_size": 48, "max_position_embeddings": 512, "sliding_window": WINDOW,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "attn_implementation": "eager",
    }  # fmt: skip
    kinds = ["sliding_attention", "full_attention"]
    return {
        "mistral": MistralForCausalLM(MistralConfig(**common)),
        "gemma2": Gemma2ForCausalLM(Gemma2Config(**common, layer_types=kinds, query_pre_attn_scalar=16)),
        "gemma3": Gemma3ForCausalLM(Gemma3TextConfig(**common, layer_types=kinds, query_pre_attn_scalar=16)),
    }


def main(directory: Path) -> None:
    torch.manual_seed(11)
    words = tokenizer()
    answers = {}
    models = build(len(words))
    models["mistral"].save_pretrained(
        directory / "calm"
    )  # as it is made, so that rounding is not all that shows
    words.save_pretrained(directory / "calm")
    for name, model in models.items():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(5)  # sharper scores: no ties
        model.eval().save_pretrained(directory / name)
        words.save_pretrained(directory / name)
        answers[name] = {}
        for length in LENGTHS:
            text = " ".join(f"{place * 7919 % 977}" for place in range(length))
            ids = words(text)["input_ids"][:length]
            found = model.generate(torch.tensor([ids]), do_sample=False, **CALL)[0, length:]
            answers[name][length] = {"text": words.decode(ids), "tokens": found.tolist()}
            assert words(answers[name][length]["text"])["input_ids"] == ids
    (directory / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
