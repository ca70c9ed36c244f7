"""Makes tiny models of random weights with transformers and sentence-transformers, each with a real tokenizer.

Usage: python tiny_models.py DIRECTORY; writes one directory per model, named as in tests/models.py.
"""

from __future__ import annotations

import string
import sys
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

WORDS = "the of and to in is you that it for on are with this have from not what all were when your can said"
SIZES = {
    "vocab_size": 1000,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
}


def tokenizer(limit: int, *extra: str) -> BertTokenizer:
    letters = [
        *string.ascii_lowercase,
        *string.digits,
        *string.punctuation,
        *"éñüßабвгдעברתمرحبا漢字今日",
        "…",
        "—",
    ]
    suffixes = ["##" + letter for letter in letters[:36]]
    vocabulary = dict.fromkeys(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *WORDS.split(), *suffixes, *extra]
    )
    return BertTokenizer(vocab={token: i for i, token in enumerate(vocabulary)}, model_max_length=limit)


def bert(labels: int, problem: str | None, names: list[str]) -> BertForSequenceClassification:
    config = BertConfig(**SIZES, max_position_embeddings=64, num_labels=labels, problem_type=problem)
    config.id2label = dict(enumerate(names))
    config.label2id = {name: i for i, name in enumerate(names)}
    return sharpened(BertForSequenceClassification(config))


def distilbert() -> DistilBertForSequenceClassification:
    names = ["toxic", "insult", "threat", "clean"]
    config = DistilBertConfig(
        vocab_size=1000, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64,
        num_labels=4, problem_type="multi_label_classification", id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
    )  # fmt: skip
    return sharpened(DistilBertForSequenceClassification(config))


def sharpened(model: torch.nn.Module) -> torch.nn.Module:
    """Random weights large enough that different texts get clearly different scores."""
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and "LayerNorm" not in name:
            torch.nn.init.normal_(weight, std=0.25)
    return model.eval()


def sentences(directory: Path) -> None:
    """Every pooling mode joined, a prompt that does not count, a projection with tanh, unit length."""
    encoder = directory / "encoder"
    sharpened(BertModel(BertConfig(**SIZES, max_position_embeddings=64))).save_pretrained(encoder)
    tokenizer(64).save_pretrained(encoder)
    transformer = Transformer(str(encoder), max_seq_length=48)
    pooling = Pooling(32, pooling_mode=Pooling.POOLING_MODES, include_prompt=False)
    model = SentenceTransformer(
        modules=[transformer, pooling, Dense(32 * 6, 24), Normalize()],
        prompts={"query": "search the query: ", "passage": "passage — "},
        default_prompt_name="passage",
    )
    model.save(str(directory / "sentences"))


def main(directory: Path) -> None:
    torch.manual_seed(0)
    made = {
        "single_label": bert(3, None, ["negative", "neutral", "positive"]),
        "multi_label": distilbert(),
        "one_label": bert(1, None, ["score"]),
        "regression": bert(1, "regression", ["stars"]),
    }
    for name, model in made.items():
        model.save_pretrained(directory / name)
        tokenizer(64).save_pretrained(directory / name)
    sentences(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
