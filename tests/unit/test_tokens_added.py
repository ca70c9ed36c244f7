"""Tokens that other files add to tokenizer.json get the ids that transformers' AutoTokenizer gives them."""

from __future__ import annotations

import json

import pytest
from transformers import AutoTokenizer

from gpux.artifact import Artifact, File, Manifest, Source
from gpux.text import tokens

SPECIAL = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "decoder": None, "pre_tokenizer": {"type": "BertPreTokenizer"},
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    "added_tokens": [{"id": i, "content": token, **SPECIAL} for i, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]"))],
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    "model": {
        "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "z": 4, "##z": 5, "##f": 6, "##o": 7, "a": 8},
    },
}  # fmt: skip
NAMES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
OWN = {
    str(token["id"]): {name: token[name] for name in token if name != "id"}
    for token in TOKENIZER["added_tokens"]
}
TEXTS = ["zzfoo", "a zzfoo a", "ZZFOO zzFoo", "azzfooa", "a <x>", "a<x> z", "[SEP] a", "a  zzfoo"]


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config.json": {"added_tokens_decoder": {**OWN, "9": {**SPECIAL, "content": "zzfoo", "special": False}}}},
        {"tokenizer_config.json": {"added_tokens_decoder": {"9": {"content": "zzfoo", "normalized": True}}}},
        {"tokenizer_config.json": {"added_tokens_decoder": {
            "10": {**SPECIAL, "content": "<x>", "lstrip": True}, "9": {"content": "zzfoo", "single_word": True}}}},
        {"tokenizer_config.json": {"added_tokens_decoder": {"8": {**SPECIAL, "content": "a"}}}},
        {"added_tokens.json": {"zzfoo": 9, "<x>": 10}},
        {"added_tokens.json": {"<x>": 10, "zzfoo": 9}, "special_tokens_map.json": {"mask_token": "<x>"}},
        {"added_tokens.json": {"zzfoo": 9}, "tokenizer_config.json": {"mask_token": {"content": "zzfoo", "__type": "AddedToken"}}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["PreTrainedTokenizerFast", "BertTokenizerFast"])
def test_added_tokens_have_transformers_ids(tmp_path, files, kind):
    settings = {"tokenizer_class": kind, **NAMES, **files.get("tokenizer_config.json", {})}
    written = {
        **files,
        "tokenizer_config.json": settings,
        "tokenizer.json": TOKENIZER,
        "config.json": {"model_type": "bert"},
    }
    for path, content in written.items():
        (tmp_path / path).write_text(json.dumps(content))
    source = Source("file:/model", "sha256:0", None, None, None)
    listed = tuple(File(path, 0, "") for path in written)
    manifest = Manifest(1, "0", source, "feature-extraction", None, None, (), (), listed)
    ours = tokens.Tokenizer(Artifact(tmp_path, "0" * 64, manifest), max_length=None)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert [encoding.ids for encoding in ours(TEXTS)] == theirs(TEXTS)["input_ids"]
