"""Makes tiny models of random weights for the tasks over tokens, pairs and masks, each with a tokenizer of another kind.

Usage: python tiny_text_models.py DIRECTORY; writes one directory per model. The weights come from numpy's frozen generator,
so that they are the same in every version of torch, and stored answers stay true.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForPreTraining,
    BertForQuestionAnswering,
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertForQuestionAnswering,
    ModernBertForSequenceClassification,
    ModernBertForTokenClassification,
    PreTrainedTokenizerFast,
)

WORDS = "the of and to in is you that it for on are with this have from not what all were when your can said paris"
INPUTS = ["input_ids", "attention_mask"]
SIZES: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
}
ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]


def wordpiece(*inputs: str) -> PreTrainedTokenizerFast:
    """As BERT's: words in pieces, lower case, what the vocabulary lacks unknown."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    marks = ".,;:!?'\"()-éñß漢今"
    listed = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *marks, *WORDS.split()]
    vocabulary = dict.fromkeys([*listed, *(f"##{letter}" for letter in letters)])
    made = Tokenizer(models.WordPiece({token: i for i, token in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(strip_accents=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=64, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", clean_up_tokenization_spaces=True, model_input_names=[*INPUTS, *inputs],
    )  # fmt: skip


def bytepairs() -> PreTrainedTokenizerFast:
    """As RoBERTa's: bytes that merge, a space part of the word behind it, no token types."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("Ġ", "in"), ("o", "n"), ("e", "r")]
    tokens = dict.fromkeys([*special, *letters, *("".join(pair) for pair in merges)])
    made = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=64, bos_token="<s>", pad_token="<pad>", eos_token="</s>",
        unk_token="<unk>", cls_token="<s>", sep_token="</s>", mask_token="<mask>",
        model_input_names=INPUTS,
    )  # fmt: skip


def unigram() -> PreTrainedTokenizerFast:
    """As DeBERTa's: SentencePiece's pieces, the likeliest first."""
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    pieces = ["▁", *(f"▁{word}" for word in WORDS.split()), *"abcdefghijklmnopqrstuvwxyz.,'!?0123456789"]
    scored = [(token, 0.0) for token in special] + [(p, -2.0 - i / 50) for i, p in enumerate(pieces)]
    made = Tokenizer(models.Unigram(scored, unk_id=3))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=64, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_input_names=INPUTS,
    )  # fmt: skip


def named(labels: list[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}}


def filled(model: torch.nn.Module, seed: int) -> Any:
    """Weights large enough that different texts get clearly different scores."""
    random = np.random.RandomState(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.ndim > 1 and "norm" not in name.lower():
                weight.copy_(torch.from_numpy(random.standard_normal(tuple(weight.shape)) * 0.25))
    return model.eval()


def modern(**more: Any) -> ModernBertConfig:
    return ModernBertConfig(
        **SIZES, pad_token_id=1, bos_token_id=0, eos_token_id=2, cls_token_id=0, sep_token_id=2,
        global_attn_every_n_layers=2, local_attention=8, **more,
    )  # fmt: skip


def tokens_words() -> tuple[Any, Any]:
    return ModernBertForTokenClassification(modern(**named(ENTITIES))), wordpiece()


def tokens_bytes() -> tuple[Any, Any]:
    """Labels without names."""
    return ModernBertForTokenClassification(modern(num_labels=4)), bytepairs()


def answers_words() -> tuple[Any, Any]:
    return BertForQuestionAnswering(BertConfig(**SIZES)), wordpiece("token_type_ids")


def answers_bytes() -> tuple[Any, Any]:
    """Padded on the left, as XLNet and decoders are: the pipeline then puts the context first."""
    words = bytepairs()
    words.padding_side = "left"
    return ModernBertForQuestionAnswering(modern()), words


def masks_words() -> tuple[Any, Any]:
    """Saved with the head of the next sentence beside it."""
    return BertForPreTraining(BertConfig(**SIZES)), wordpiece("token_type_ids")


def masks_bytes() -> tuple[Any, Any]:
    return ModernBertForMaskedLM(modern()), bytepairs()


def entails_last() -> tuple[Any, Any]:
    labels = named(["contradiction", "neutral", "ENTAILMENT"])
    return ModernBertForSequenceClassification(modern(**labels)), unigram()


def entails_first() -> tuple[Any, Any]:
    labels = named(["entails", "neutral", "contradicts"])
    return ModernBertForSequenceClassification(modern(**labels)), bytepairs()


MODELS = (
    tokens_words, tokens_bytes, answers_words, answers_bytes, masks_words, masks_bytes, entails_last, entails_first,
)  # fmt: skip


def graph(model: Any, path: Path) -> None:
    """The older exporter's graph: of these models a right one, and quickly made."""
    ids = torch.tensor([[5, 6, 7, 8, 9], [9, 8, 7, 1, 1]])
    names = ["start_logits", "end_logits"] if "Answering" in type(model).__name__ else ["logits"]
    axes = {name: {0: "batch", 1: "sequence"} for name in (*INPUTS, *names)}
    if "Sequence" in type(model).__name__:
        axes["logits"] = {0: "batch"}
    model.config._attn_implementation = "eager"
    path.parent.mkdir()
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            Listed(model), (ids, (ids != 1).long()), path, input_names=INPUTS, output_names=names,
            dynamic_axes=axes, dynamo=False,
        )  # fmt: skip


class Listed(torch.nn.Module):
    """A model that gives its outputs as a tuple."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)


def save(directory: Path, names: Sequence[str]) -> dict[str, Any]:
    """Some of the models as a checkpoint each, in a directory of its name."""
    saved = {}
    for seed, make in enumerate(MODELS):
        if make.__name__ in names:
            model, tokenizer = make()
            filled(model, seed).save_pretrained(directory / make.__name__)
            tokenizer.save_pretrained(directory / make.__name__)
            saved[make.__name__] = model, tokenizer
    return saved


def main(directory: Path) -> None:
    """All of an architecture that exports in a second get a directory beside it: the graph, without the weights."""
    for name, (model, tokenizer) in save(directory, [make.__name__ for make in MODELS]).items():
        if isinstance(model.config, ModernBertConfig):
            ready = directory / f"{name}_ready"
            tokenizer.save_pretrained(ready)
            model.config.save_pretrained(ready)
            graph(model, ready / "onnx" / "model.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
