"""Tokenizers of the kinds that generating models have, trained on a few lines each."""

from __future__ import annotations

import json
from functools import cache

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

LINES = [
    "the quick brown fox jumps over the lazy dog. it's fine, isn't it?",
    '{"name": "Ada", "age": 36, "tags": ["a", "b"]}',
    "héllo wörld 日本語 🙂 don't stop",
] * 20  # fmt: skip


@cache
def byte_level() -> Tokenizer:
    """As GPT-2, Llama 3, Qwen and Whisper have it: every byte is a token."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>", "<end>"]
    backend.train_from_iterator(
        LINES,
        trainers.BpeTrainer(
            vocab_size=330, initial_alphabet=alphabet, special_tokens=special, show_progress=False
        ),
    )
    backend.add_tokens(["<think>", "   "])
    return backend


@cache
def byte_fallback(*, strip: bool = True) -> Tokenizer:
    """As Llama 2, Mistral and Gemma have it: bytes stand for what has no token."""
    special = ["<unk>", "<s>", "</s>"]
    everything = [*special, *(f"<0x{byte:02X}>" for byte in range(256))]
    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    words = [word for line in LINES[:2] for word in ("▁" + line.replace(" ", " ▁")).split(" ")]
    backend.train_from_iterator(
        words, trainers.BpeTrainer(vocab_size=400, special_tokens=everything, show_progress=False)
    )
    saved = json.loads(backend.to_str())
    saved["added_tokens"] = saved["added_tokens"][: len(special)]
    backend = Tokenizer.from_str(json.dumps(saved))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strip else steps)
    return backend


@cache
def metaspace() -> Tokenizer:
    """As T5 has it."""
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    backend.train_from_iterator(
        LINES,
        trainers.UnigramTrainer(
            vocab_size=120, special_tokens=special, unk_token="<unk>", show_progress=False
        ),
    )
    return backend


@cache
def word_piece() -> Tokenizer:
    """As BERT's relatives that write have it."""
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[SEP]"]
    backend.train_from_iterator(
        LINES, trainers.WordPieceTrainer(vocab_size=150, special_tokens=special, show_progress=False)
    )
    return backend


def unstripped() -> Tokenizer:
    """As :func:`byte_fallback`, and a text keeps the space that it begins with."""
    return byte_fallback(strip=False)


ALL = (byte_level, byte_fallback, unstripped, metaspace, word_piece)
