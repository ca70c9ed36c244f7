"""Makes checkpoints of random weights as repositories hold them, and what PyTorch computes from each.

Usage: python checkpoints.py DIRECTORY; writes one directory per checkpoint and ``expected.npz``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    RobertaConfig,
    RobertaForSequenceClassification,
)

WORDS = [
    "a",
    "cat",
    "sits",
    "on",
    "the",
    "mat",
    "one",
    "kitten",
    "rests",
    "rug",
    "dogs",
    "bark",
    "loudly",
    "at",
    "night",
]
TEXTS = ["a cat sits on the mat", "dogs bark", "one kitten rests on the rug at night loudly"]
SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}


def tokenizer(special: tuple[str, str, str, str], **names: str) -> PreTrainedTokenizerFast:
    """Words split at white space; ``special`` is begin, pad, end, unknown, in the order of their ids."""
    begin, pad, end, unknown = special
    vocabulary = {token: i for i, token in enumerate([*special, *WORDS])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} $B {end}",
        special_tokens=[(begin, vocabulary[begin]), (end, vocabulary[end])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=pad, unk_token=unknown, model_max_length=32, **names
    )


def sharpened(model: torch.nn.Module) -> torch.nn.Module:
    for name, weight in model.named_parameters():
        if weight.ndim > 1 and "norm" not in name.lower():
            torch.nn.init.normal_(weight, std=0.2)
    return model.eval()


def outputs(model: torch.nn.Module, words: PreTrainedTokenizerFast, name: str) -> dict[str, np.ndarray]:
    takes = {"input_ids", "attention_mask"}
    encoded = {k: v for k, v in words(TEXTS, padding=True, return_tensors="pt").items() if k in takes}
    with torch.inference_mode():
        found = model(**encoded)[name].numpy()
    return {"mask": encoded["attention_mask"].numpy(), "ids": encoded["input_ids"].numpy(), "out": found}


def roberta(directory: Path) -> dict[str, np.ndarray]:
    """Half precision, in shards, with positions that begin behind the padding id."""
    names = {"id2label": {0: "no", 1: "perhaps", 2: "yes"}, "label2id": {"no": 0, "perhaps": 1, "yes": 2}}
    config = RobertaConfig(**SIZES, pad_token_id=1, type_vocab_size=1, num_labels=3, **names)
    model = sharpened(RobertaForSequenceClassification(config))
    words = tokenizer(("<s>", "<pad>", "</s>", "<unk>"))
    model.half().save_pretrained(directory, max_shard_size="30KB")
    assert len(list(directory.glob("model-*.safetensors"))) > 1
    words.save_pretrained(directory)
    return outputs(model.float(), words, "logits")


def mpnet(directory: Path) -> dict[str, np.ndarray]:
    """Code of its own beside it, which transformers has long had built in."""
    model = sharpened(MPNetModel(MPNetConfig(**SIZES, pad_token_id=1)))
    words = tokenizer(("<s>", "<pad>", "</s>", "<unk>"))
    model.save_pretrained(directory)
    words.save_pretrained(directory)
    alter(directory, auto_map={"AutoModel": "modeling_old.OldModel"})
    (directory / "modeling_old.py").write_text("raise SystemExit('this must not run')\n")
    return outputs(model, words, "last_hidden_state")


def qwen(directory: Path) -> dict[str, np.ndarray]:
    """An embedding model of the decoder kind: the last token's vector, of unit length."""
    config = Qwen3Config(**SIZES, num_key_value_heads=2, head_dim=8, pad_token_id=1, use_cache=False)
    model = sharpened(Qwen3Model(config))
    words = tokenizer(("<s>", "<pad>", "</s>", "<unk>"))
    model.save_pretrained(directory)
    words.save_pretrained(directory)
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{kind}" if i else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for i, kind in enumerate(kinds)
    ]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    pooling = {
        "word_embedding_dimension": 32,
        "pooling_mode_mean_tokens": False,
        "pooling_mode_lasttoken": True,
    }
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    found = outputs(model, words, "last_hidden_state")
    last = found["out"][np.arange(len(TEXTS)), found["mask"].sum(1) - 1]
    return {**found, "vectors": last / np.linalg.norm(last, axis=1, keepdims=True)}


def old_bert(directory: Path) -> dict[str, np.ndarray]:
    """Pickled weights and a vocabulary without tokenizer.json, as before 2020."""
    model = sharpened(BertModel(BertConfig(**SIZES)))
    directory.mkdir()
    model.config.architectures = ["BertModel"]
    model.config.save_pretrained(directory)
    torch.save(model.state_dict(), directory / "pytorch_model.bin")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (directory / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 32})
    )
    ids = [[2, *(vocabulary.index(word) for word in text.split()), 3] for text in TEXTS]
    length = max(map(len, ids))
    mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in ids])
    padded = np.array([row + [0] * (length - len(row)) for row in ids])
    with torch.inference_mode():
        out = model(input_ids=torch.tensor(padded), attention_mask=torch.tensor(mask)).last_hidden_state
    return {"ids": padded, "mask": mask, "out": out.numpy()}


def headless(directory: Path) -> None:
    """Says that it is a classifier and has no weights of one."""
    BertModel(BertConfig(**SIZES)).save_pretrained(directory)
    tokenizer(("<s>", "<pad>", "</s>", "<unk>")).save_pretrained(directory)
    alter(directory, architectures=["BertForSequenceClassification"])


def unknown(directory: Path) -> None:
    """A model type that nobody knows."""
    BertForSequenceClassification(BertConfig(**SIZES)).save_pretrained(directory)
    tokenizer(("<s>", "<pad>", "</s>", "<unk>")).save_pretrained(directory)
    alter(directory, model_type="zebranet", architectures=["ZebraForSequenceClassification"])


def alter(directory: Path, **entries: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def main(directory: Path) -> None:
    torch.manual_seed(0)
    directory.mkdir(parents=True)
    # Names that say something else than the files: nobody may believe them.
    made = {
        "fill-mask-bert": roberta(directory / "fill-mask-bert"),
        "sst2-text-classification": mpnet(directory / "sst2-text-classification"),
        "text-generation-qwen": qwen(directory / "text-generation-qwen"),
        "old-bert": old_bert(directory / "old-bert"),
    }
    headless(directory / "headless")
    unknown(directory / "unknown")
    flat = {f"{name}/{key}": array for name, found in made.items() for key, array in found.items()}
    np.savez(directory / "expected.npz", **flat)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
