"""The longest sequence a model takes, as sentence-transformers and transformers resolve it from the model's files."""

from __future__ import annotations

import json

import pytest

from gpux.artifact import Artifact, File, Manifest, Source
from gpux.errors import CorruptArtifact
from gpux.text import limits, tokens

BERT = {"model_type": "bert", "max_position_embeddings": 512}
ROBERTA = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}


@pytest.fixture
def artifact(tmp_path):
    """An artifact of the given JSON files."""

    def make(files):
        listed = []
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content if isinstance(content, str) else json.dumps(content))
            listed.append(File(path, 0, ""))
        source = Source("file:/model", "sha256:0", None, None, None)
        return Artifact(
            tmp_path,
            "0" * 64,
            Manifest(1, "0", source, "feature-extraction", None, None, (), (), tuple(listed)),
        )

    return make


@pytest.mark.parametrize(
    ("files", "tokenizer", "sentence"),
    [
        ({}, None, None),
        ({"config.json": BERT}, 512, 512),
        ({"config.json": BERT, "tokenizer_config.json": {"model_max_length": 128}}, 128, 128),
        ({"config.json": BERT, "tokenizer_config.json": {"model_max_length": 1e30}}, 512, 512),
        ({"config.json": BERT, "sentence_bert_config.json": {"max_seq_length": 256}}, 512, 256),
        ({"config.json": BERT, "sentence_bert_config.json": {"max_seq_length": None}}, 512, 512),
        ({"config.json": ROBERTA}, 512, 512),
        ({"config.json": {**BERT, "max_position_embeddings": -1}}, None, None),
        ({"config.json": {"text_config": BERT}}, 512, 512),
        (
            {
                "config.json": BERT,
                "modules.json": [{**TRANSFORMER, "path": "0_Transformer"}],
                "0_Transformer/sentence_bert_config.json": {"max_seq_length": 75},
            },
            512,
            75,
        ),
    ],
)
def test_limits(artifact, files, tokenizer, sentence):
    made = artifact(files)
    assert limits.tokenizer_limit(made) == tokenizer
    assert limits.sentence_limit(made) == sentence


WORDS = {
    "version": "1.0",
    "truncation": {"max_length": 3, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
    "padding": {
        "strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 4, "pad_type_id": 1, "pad_token": "<p>",
    },
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"<u>": 0, "a": 1, "b": 2, "A": 3, "<p>": 4, "<q>": 5}, "unk_token": "<u>"},
}  # fmt: skip


def test_the_files_own_truncation_and_padding_are_dropped(artifact):
    made = tokens.Tokenizer(artifact({"tokenizer.json": WORDS}), max_length=None)
    assert [encoding.ids for encoding in made(["a b a b a", "a"])] == [[1, 2, 1, 2, 1], [1]]
    assert made.padding == tokens.Padding(token=4, type=1, left=True)


def test_the_configuration_wins_over_the_files_padding(artifact):
    settings = {"pad_token": {"content": "<q>"}, "padding_side": "right", "truncation_side": "left"}
    made = tokens.Tokenizer(
        artifact({"tokenizer.json": WORDS, "tokenizer_config.json": settings}), max_length=2
    )
    assert made.padding == tokens.Padding(token=5, type=1, left=False)
    assert [encoding.ids for encoding in made(["A a b", "b"])] == [[1, 2], [2]]


def test_one_text_and_several_are_tokenised_alike(artifact):
    made = tokens.Tokenizer(artifact({"tokenizer.json": WORDS}), max_length=5, lower=True)
    for text in ("A b x", "", ("A", "b b b b b b"), ("a", "")):
        assert made([text])[0].ids == made([text, "a"])[0].ids
    assert made(["A"])[0].ids == [1]


POST = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[X]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {}}  # fmt: skip
UNIGRAM = {"type": "Unigram", "unk_id": None, "vocab": [["a", -1.0]], "byte_fallback": False}
BACKTRACKS = {"type": "Split", "pattern": {"Regex": "^(a+)+$"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    "damage",
    [
        {"post_processor": POST},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAAAA=="}},
        {"model": UNIGRAM},
        {"pre_tokenizer": BACKTRACKS},
    ],
    ids=["template", "charsmap", "unigram", "regex"],
)
@pytest.mark.parametrize("others", [[], ["a"]], ids=["one text", "two texts"])
def test_a_panic_of_the_tokenizer_is_a_corrupt_artifact(artifact, damage, others):
    with pytest.raises(CorruptArtifact, match=r"tokenizer\.json` cannot be used") as caught:
        tokens.Tokenizer(artifact({"tokenizer.json": {**WORDS, **damage}}), max_length=None)(
            ["a" * 60 + "! x", *others]
        )
    assert "\n" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "content", ["", "{", "{}", "[1]", json.dumps({**WORDS, "model": {"type": "Nonesuch"}})]
)
def test_a_damaged_tokenizer_is_a_corrupt_artifact(artifact, content):
    with pytest.raises(CorruptArtifact, match=r"tokenizer\.json") as caught:
        tokens.Tokenizer(artifact({"tokenizer.json": content}), max_length=None)
    assert caught.value.hint
