"""Models that cannot answer tokens, masks, questions or labels of the caller's own are refused by name when they are opened."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from gpux import tasks
from gpux.artifact import Artifact, File, Manifest, Source
from gpux.errors import UnsupportedModel
from gpux.pipelines.pipeline import Clock
from gpux.planning import Plan
from gpux.provider import Placement
from gpux.session import Session
from gpux.tensors import TensorSpec

TOKENS, QUESTIONS, MASKS, LABELS = (
    "token-classification",
    "question-answering",
    "fill-mask",
    "zero-shot-classification",
)
VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5}
PER_TOKEN = {"logits": ("batch", "sequence", 3)}
PER_TEXT = {"logits": ("batch", 3)}
PLACES = {"start_logits": ("batch", "sequence"), "end_logits": ("batch", "sequence")}


class Zeros:
    """A runtime that answers zeros for every output."""

    def __init__(self, outputs):
        self.inputs = (TensorSpec("input_ids", "int64", ("batch", "sequence")),)
        self.outputs = tuple(TensorSpec(name, "float32", shape) for name, shape in outputs.items())

    def run(self, feeds, outputs=None, /):
        rows, width = feeds["input_ids"].shape
        sizes = {"batch": rows, "sequence": width}
        return {
            spec.name: np.zeros([sizes.get(axis, axis) for axis in spec.shape], np.float32)
            for spec in self.outputs
        }

    def placement(self):
        return Placement("cpu", "a device", "fp32", {"Zeros": 1}, 1.0)

    def close(self):
        """Nothing is open."""


@pytest.fixture
def opened(tmp_path):
    """A task over zeros, with the given ``config.json``, ``tokenizer_config.json`` and words."""

    def make(task, outputs, config=None, settings=None, lacking=(), special=True):
        words = {word: i for i, word in enumerate(word for word in VOCABULARY if word not in lacking)}
        tokenizer = {
            "version": "1.0", "pre_tokenizer": {"type": "Whitespace"},
            "model": {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]} if special else None,
        }  # fmt: skip
        files = {
            "tokenizer.json": tokenizer,
            "config.json": config or {},
            "tokenizer_config.json": settings or {},
        }
        listed = []
        for path, content in files.items():
            data = json.dumps(content).encode()
            (tmp_path / path).write_bytes(data)
            listed.append(File(path, len(data), hashlib.sha256(data).hexdigest()))
        source = Source("file:/model", "sha256:0", None, None, None)
        manifest = Manifest(1, "0", source, task, None, None, (), (), tuple(listed))
        session = Session(Zeros(outputs), Plan("cpu", "fp32", 1, strict=False, reason=""))
        return tasks.find(task)(Artifact(tmp_path, "0" * 64, manifest), session)

    return make


@pytest.mark.parametrize(
    ("task", "outputs", "files", "message"),
    [
        (TOKENS, PER_TEXT, {}, "no row of scores for each token"),
        (TOKENS, PER_TOKEN, {"config": {"id2label": ["O"]}}, "`id2label`"),
        (TOKENS, PER_TOKEN, {"settings": {"unk_token": 5}}, "`unk_token` = 5"),
        (QUESTIONS, PER_TOKEN, {}, "`logits` that is no score for each token"),
        (QUESTIONS, {**PLACES, "end_logits": ("batch", 2, 2)}, {}, "no score for each token"),
        (QUESTIONS, {"start_logits": PLACES["start_logits"], "x": (1,)}, {}, "no output `end_logits`"),
        (QUESTIONS, PLACES, {"settings": {"cls_token": []}}, "`cls_token`"),
        (MASKS, PER_TEXT, {}, "no row of scores for each token"),
        (MASKS, PER_TOKEN, {"lacking": ["[MASK]"]}, "no token that stands for a missing word"),
        (MASKS, PER_TOKEN, {"settings": {"mask_token": {"content": "<gap>"}}}, "no token that stands for"),
        (MASKS, PER_TOKEN, {"settings": {"clean_up_tokenization_spaces": "yes"}}, "`clean_up_tokenization"),
        (LABELS, PER_TOKEN, {}, "no row of scores for each pair"),
        (LABELS, PER_TEXT, {}, "no label that begins with `entail`: it has none at all"),
        (LABELS, PER_TEXT, {"config": {"label2id": {"LABEL_0": 0, "LABEL_1": 1}}}, "it has LABEL_0, LABEL_1"),
        (LABELS, PER_TEXT, {"config": {"label2id": {"entailment": "x"}}}, "`entailment` = 'x'"),
        (LABELS, PER_TEXT, {"config": {"label2id": ["entailment"]}}, "`label2id`"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_answer_is_refused(opened, task, outputs, files, message):
    with pytest.raises(UnsupportedModel, match=message) as caught:
        opened(task, outputs, **files)
    assert caught.value.hint


def test_an_entailment_that_the_scores_lack_is_refused(opened):
    pipeline = opened(LABELS, PER_TEXT, {"label2id": {"entailment": 3}})
    with pytest.raises(UnsupportedModel, match="class 3, which its scores lack"):
        pipeline.answer(["a"], Clock(), candidate_labels=["a"])


@pytest.mark.parametrize(
    "config",
    [
        {"label2id": {"no": 0, "Entails": 2}},
        {"id2label": {"0": "no", "2": "entailment"}},  # written by hand, without the other table
    ],
)
def test_the_entailment_is_found(opened, config):
    assert opened(LABELS, PER_TEXT, config).describe()["entailment"].lower().startswith(("entail", "label_2"))


def test_labels_without_names_are_numbered(opened):
    pipeline = opened(TOKENS, PER_TOKEN)
    (found,) = pipeline.answer(["a a"], Clock(), ignore_labels=[])
    assert [token["entity"] for token in found] == ["LABEL_0", "LABEL_0"]


def test_two_blanks_without_special_tokens_have_no_answer(opened):
    pipeline = opened(QUESTIONS, PLACES, special=False)
    assert pipeline.answer([{"question": " ", "context": "\n"}], Clock()) == [[]]
    (answer,) = pipeline.answer([{"question": "a", "context": " a  a"}], Clock(), max_answer_len=1)
    assert (answer["start"], answer["end"], answer["answer"]) == (1, 2, "a")
