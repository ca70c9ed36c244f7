"""Families that read a text whole and write another: encoder-decoders with learned, sinusoidal and relative positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from families.record import Family

_SMALL = {
    "d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 128, "decoder_ffn_dim": 128,
}  # fmt: skip
_T5 = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
_ENDS = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0, "decoder_start_token_id": 2}
_T5_ENDS = {"pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1, "tie_word_embeddings": False}
_BIASED = {
    "transformers:openvino": "attention_bias of com.microsoft.GroupQueryAttention, T5's positions, is not translated for OpenVINO"
}
_PIECES = ("unigram", {"size": 1000, "kind": "XLMRobertaTokenizer"})


def _family(name: str, title: str, like: str, architecture: str, config: Mapping[str, Any], reduced: Mapping[str, Any],
            task: str = "text2text-generation", **rest: Any) -> Family:  # fmt: skip
    return Family(
        name=name, title=title, like=like, task=task, architecture=architecture, config={**config, "vocab_size": 1000},
        reduced=reduced, tokenizer=_PIECES, items="prompts", asks="generation", parameters={"max_new_tokens": 16}, **rest,
    )  # fmt: skip


FAMILIES = (
    Family(
        name="flan_t5", title="FLAN-T5", like="google/flan-t5-small", task="text2text-generation",
        architecture="T5ForConditionalGeneration", made="flan_t5_small",
        items="german", asks="generation", parameters={"max_new_tokens": 24}, expects="german", exact=True,
        refused=_BIASED,
    ),
    _family("t5", "T5", "google-t5/t5-small", "T5ForConditionalGeneration", _T5_ENDS, _T5, refused=_BIASED),
    _family("mt5", "mT5", "google/mt5-small", "MT5ForConditionalGeneration", _T5_ENDS, _T5, refused=_BIASED),
    _family("bart", "BART", "facebook/bart-base", "BartForConditionalGeneration", _ENDS, _SMALL),
    _family("mbart", "mBART", "facebook/mbart-large-50", "MBartForConditionalGeneration", _ENDS, _SMALL),
    _family("marian", "Marian", "Helsinki-NLP/opus-mt-en-de", "MarianMTModel", _ENDS, _SMALL, "translation"),
    _family(
        "m2m100", "M2M100, NLLB", "facebook/nllb-200-distilled-600M", "M2M100ForConditionalGeneration", _ENDS, _SMALL,
        "translation",
    ),
    _family("pegasus", "Pegasus", "google/pegasus-xsum", "PegasusForConditionalGeneration", _ENDS, _SMALL),
)  # fmt: skip
