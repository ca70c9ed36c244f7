"""Makes repositories that have a vocabulary and no ``tokenizer.json``, converts each, and writes transformers' own ids.

Usage: python slow_tokenizers.py DIRECTORY; writes one directory per model, ``<model>/made/tokenizer.json`` as the exporter
converts it, and ``ids.json``: model → the ids of each text, then of each pair, cut at LIMIT tokens.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import corpus
import sentencepiece
from tiny_models import tokenizer as bert_tokenizer
from tokenizers import ByteLevelBPETokenizer
from transformers import AutoTokenizer

from gpux.export import tokenizer_route

LIMIT = 64
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
DEBERTA = {"pad_piece": "[PAD]", "unk_piece": "[UNK]", "bos_piece": "[CLS]", "eos_piece": "[SEP]"}
PIECES: dict[str, tuple[str, dict[str, Any]]] = {
    "xlm-roberta": ("sentencepiece.bpe", {}),
    "camembert": ("sentencepiece.bpe", {}),
    "albert": (
        "spiece",
        {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]"], "user_defined_symbols": ["[MASK]"]},
    ),
    "deberta-v2": ("spm", {"pad_id": 0, "unk_id": 3, "bos_id": 1, "eos_id": 2, **DEBERTA}),
}  # fmt: skip
PROSE = [" ".join(text.replace("\0", " ").split()) for text in corpus.texts() if len(text) < 400]


def folder(directory: Path, name: str, kind: str, **settings: Any) -> Path:
    made = directory / name
    made.mkdir()
    (made / "config.json").write_text(json.dumps({"model_type": kind, "max_position_embeddings": 514}))
    if settings:
        (made / "tokenizer_config.json").write_text(json.dumps(settings))
    return made


def word_pieces(directory: Path) -> None:
    words = "\n".join(bert_tokenizer(LIMIT).get_vocab()) + "\n"
    for name, kind, settings in (
        ("bert", "bert", {}),
        ("bert-cased", "bert", {"do_lower_case": False}),
        ("electra", "electra", {"do_lower_case": True, "strip_accents": False}),
    ):
        (folder(directory, name, kind, **settings) / "vocab.txt").write_text(words, encoding="utf-8")
    mpnet = "\n".join([*SPECIAL[:4], "[UNK]", *words.split("\n")[5:-1], "<mask>"]) + "\n"
    (folder(directory, "mpnet", "mpnet") / "vocab.txt").write_text(mpnet, encoding="utf-8")


def byte_pairs(directory: Path) -> None:
    pairs = ByteLevelBPETokenizer()
    pairs.train_from_iterator(PROSE, vocab_size=600, special_tokens=SPECIAL, show_progress=False)
    for name in ("roberta", "longformer"):
        pairs.save_model(str(folder(directory, name, name)))


def pieces(directory: Path) -> None:
    for name, (stem, settings) in PIECES.items():
        made = folder(directory, name, name)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(PROSE),
            model_prefix=str(made / stem),
            vocab_size=400,
            hard_vocab_limit=False,
            minloglevel=2,
            **settings,
        )
        (made / f"{stem}.vocab").unlink()


def main(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    word_pieces(directory)
    byte_pairs(directory)
    pieces(directory)
    ids = {}
    for made in sorted(directory.iterdir()):
        words = AutoTokenizer.from_pretrained(made)
        cut = {"truncation": True, "max_length": LIMIT}
        texts = [words(text, **cut)["input_ids"] for text in corpus.texts()]
        both = [words(pair["text"], pair["text_pair"] or "a", **cut)["input_ids"] for pair in corpus.pairs()]
        ids[made.name] = texts + both
        (made / "made").mkdir()
        tokenizer_route.load(made, made / "made", trust_remote_code=False)
    (directory / "ids.json").write_text(json.dumps(ids), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
