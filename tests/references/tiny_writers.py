"""Makes tiny language models of random weights with transformers, and writes down what their ``generate`` answers.

Usage: python tiny_writers.py DIRECTORY; writes one directory per model, and ``answers.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)
from writers import CALLS, CHAT, PROMPTS

TEMPLATE = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
PLAIN = {"max_new_tokens": 12, "do_sample": False}


def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level, so that characters fall into several tokens."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(["the cat sat on the mat", "one two three four five"] * 3, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
    )


def build(size: int) -> dict[str, torch.nn.Module]:
    """Llama has grouped heads, GPT-2 a learned position for each token, BLOOM a cache of its own."""
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    llama = LlamaConfig(
        vocab_size=size,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,  # the least that ONNX Runtime turns by position inside of its attention
        intermediate_size=64,
        max_position_embeddings=128,
        **ids,
    )
    gpt2 = GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=128, **ids)
    bloom = BloomConfig(vocab_size=size, hidden_size=32, n_layer=2, n_head=4, **ids)
    made = {
        "llama": LlamaForCausalLM(llama),
        "gpt2": GPT2LMHeadModel(gpt2),
        "bloom": BloomForCausalLM(bloom),
    }
    for model in made.values():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(6)  # sharper scores: no ties
    return made


def main(directory: Path) -> None:
    torch.manual_seed(7)
    words = tokenizer()
    answers = {}
    for name, model in build(len(words)).items():
        model.eval().save_pretrained(directory / name)
        words.save_pretrained(directory / name)
        told = {}
        for call, settings in CALLS.items():
            told[call] = [_generate(model, words, words(text)["input_ids"], settings) for text in PROMPTS]
        chat = words.apply_chat_template(CHAT, add_generation_prompt=True)["input_ids"]
        told["chat"] = [_generate(model, words, chat, {})]
        answers[name] = told
    (directory / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


def _generate(model, words, ids, settings):
    found = model.generate(torch.tensor([ids]), **PLAIN, **settings)
    rows = [row[len(ids) :].tolist() for row in found]
    rows = [row[: row.index(2) + 1] if 2 in row else row for row in rows]
    return [{"tokens": row, "text": words.decode(row, skip_special_tokens=True)} for row in rows]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
