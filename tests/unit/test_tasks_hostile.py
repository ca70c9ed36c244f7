"""A model's own files as anybody may write them: what is no setting is refused by name when the model is opened."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from transformers import AutoTokenizer

from gpux import tasks
from gpux.artifact import Artifact, File, Manifest, Source
from gpux.errors import CorruptArtifact, UnsafePath, UnsupportedModel
from gpux.pipelines.pipeline import Clock
from gpux.planning import Plan
from gpux.provider import Placement
from gpux.reference import parse
from gpux.registry import assembly
from gpux.session import Session
from gpux.sources.snapshot import Snapshot, SourceFile
from gpux.tensors import TensorSpec

TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "decoder": None,
    "added_tokens": [
        {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i, token in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
    ],
    "pre_tokenizer": {"type": "Whitespace"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    "model": {"type": "WordLevel", "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5}, "unk_token": "[UNK]"},
}  # fmt: skip


@pytest.fixture
def assembled(tmp_path):
    """The files that an artifact gets of a source's."""

    def make(modules, *paths):
        source, made = tmp_path / "source", tmp_path / "made"
        made.mkdir()
        for path in ("modules.json", *paths):
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(json.dumps(modules) if path == "modules.json" else "{}")
        files = tuple(SourceFile(path, 2, "") for path in ("modules.json", *paths))
        assembly.copy_small_files(Snapshot(parse("org/model"), source, "sha256:0", files), made)
        return {file.relative_to(made).as_posix() for file in made.rglob("*") if file.is_file()}

    return make


def test_the_files_of_every_module_are_kept_wherever_they_lie(assembled):
    modules = [{"path": "0_T"}, {"path": "pooling"}, {"path": "deep/dense/"}, {"path": ""}]
    kept = [
        "config.json",
        "0_T/sentence_bert_config.json",
        "pooling/config.json",
        "deep/dense/config.json",
        "deep/dense/model.safetensors",
    ]
    others = ["other/config.json", "9_Left/config.json", "pooling/pytorch_model.bin", "deep/config.json"]
    assert assembled(modules, *kept, *others) == {"modules.json", *kept}


@pytest.mark.parametrize("folder", ["fp32", "proof", "manifest.json", "stamp.json"])
def test_a_module_takes_no_folder_of_the_artifacts_own(assembled, folder):
    assert assembled([{"path": folder}], f"{folder}/config.json") == {"modules.json"}


@pytest.mark.parametrize("modules", [5, "x", ["a"], [{"path": 5}], {"path": "a"}, [{}]])
def test_a_list_of_modules_that_is_none_copies_nothing(assembled, modules):
    assert assembled(modules, "a/config.json") == {"modules.json"}


def test_a_module_outside_the_model_is_unsafe(assembled):
    with pytest.raises(UnsafePath):
        assembled([{"path": "../.."}])


SENTENCES = "sentence-similarity"
CLASSES = "text-classification"
RANKING = "text-ranking"
SPARSE = "sparse-embedding"
LATE = "late-interaction"
BERT = {"model_type": "bert", "max_position_embeddings": 512}
ROBERTA = {"model_type": "roberta", "max_position_embeddings": 514}
MODULE = "sentence_transformers.models"
MODULES = [{"path": "", "type": f"{MODULE}.Transformer"}, {"path": "1_Pooling", "type": f"{MODULE}.Pooling"}]
POOLING = {"modules.json": MODULES, "1_Pooling/config.json": {"pooling_mode": "mean"}}
TENSOR = {"dtype": "F32", "shape": [2, 8], "data_offsets": [0, 64]}


def tokenizer(**changed):
    return {"tokenizer_config.json": changed}


def prompts(**changed):
    return {"config_sentence_transformers.json": changed}


def sentences(**changed):
    return {"sentence_bert_config.json": changed}


def config(**changed):
    return {"config.json": changed}


def dense(header=None, **settings):
    text = (
        json.dumps({"linear.weight": TENSOR} if header is None else header)
        if not isinstance(header, str)
        else header
    )
    weights = len(text).to_bytes(8, "little") + text.encode() + bytes(64)
    modules = [*MODULES, {"path": "2_Dense", "type": f"{MODULE}.Dense"}]
    return {
        **POOLING,
        "modules.json": modules,
        "2_Dense/config.json": settings,
        "2_Dense/model.safetensors": weights,
    }


def behind(kind, path="1_X", **settings):
    """A second module with its settings."""
    modules = [MODULES[0], {"path": path, "type": kind}]
    return {"modules.json": modules, f"{path}/config.json": settings}


def splade(**settings):
    return behind("sentence_transformers.sparse_encoder.models.SpladePooling", **settings)


def multi(**settings):
    return {"modules.json": MODULES[:1], **prompts(model_type="MultiVectorEncoder", **settings)}


def masked(**settings):
    kind = "sentence_transformers.multi_vector_encoder.modules.MultiVectorMask"
    return {**multi(), **behind(kind, **settings)}


HOSTILE = [
    (RANKING, behind("sentence_transformers.cross_encoder.modules.LogitScore", true_token_id=1)),
    *[(RANKING, config(**BERT, sentence_transformers=value))
      for value in (5, {"activation_fn": 5}, {"activation_fn": "torch.nn.Unknown"})],
    (RANKING, config(**BERT, sbert_ce_default_activation_function=[])),
    *[(RANKING, prompts(**value)) for value in ({"activation_fn": 1}, {"prompts": [1]}, {"activation_fn": "torch.nn.Unknown"})],
    (SPARSE, POOLING),
    (SPARSE, {"modules.json": MODULES[:1]}),
    *[(SPARSE, splade(**value))
      for value in ({"pooling_strategy": "mean"}, {"pooling_strategy": 1}, {"activation_function": "gelu"})],
    *[(SPARSE, {**splade(), **prompts(**value)})
      for value in ({"max_active_dims": 0}, {"max_active_dims": "x"}, {"similarity_fn_name": "sum"})],
    (LATE, {}),
    (LATE, POOLING),
    (LATE, prompts(model_type="ColBERT")),
    (LATE, {"modules.json": MODULES[:1], **prompts(model_type=["ColBERT"])}),
    *[(LATE, multi(**value))
      for value in (
          {"query_prefix": 5}, {"prompts": 5}, {"query_expansion": 5}, {"query_expansion": {"length": "x"}},
          {"query_expansion": {"attend": True}}, {"query_expansion": {"length": 8, "strategy": "max"}},
          {"query_expansion": {"length": 8, "token": "no token of it"}}, {"query_length": "x"}, {"query_length": 0},
          {"skiplist_words": "abc"}, {"skiplist_words": [1]}, {"document_length": -1},
      )],
    *[(LATE, {**multi(), **sentences(**value)})
      for value in ({"query_expansion": [1]}, {"query_length": 1.5}, {"document_length": True})],
    *[(LATE, masked(**value))
      for value in ({"skiplist_words": 5}, {"skiplist_tasks": 5}, {"keep_only_token_ids": ["x"]}, {"keep_only_token_ids": [-1]},
                    {"keep_only_token_ids": 5})],
    (LATE, {**multi(), **behind("sentence_transformers.models.TokenPooling")}),
    (LATE, {**multi(), **behind("evil.Module")}),
    (LATE, {**multi(), **dense(module_input_name="sentence_embedding")}),
    *[(SENTENCES, {"modules.json": content}) for content in (["a", "b"], {"a": 1}, {}, [MODULES[0], {"path": 5}], [MODULES[0], {}])],
    *[(SENTENCES, {**POOLING, "1_Pooling/config.json": content})
      for content in ({"pooling_mode": 5}, {"pooling_mode": [["x"]]}, [1], {}, {"pooling_mode": "mean", "include_prompt": "no"})],
    *[(SENTENCES, sentences(**{name: value}))
      for name in ("processor_kwargs", "tokenizer_args") for value in (["x"], "x", {"model_max_length": "x"})],
    *[(SENTENCES, sentences(max_seq_length=value)) for value in (0.5, 0, -1, 1.5, True, "x", [], float("nan"), 1)],
    (SENTENCES, sentences(do_lower_case="yes")),
    (SENTENCES, {"sentence_bert_config.json": [1]}),
    *[(task, tokenizer(**{name: value}))
      for task in (SENTENCES, CLASSES)
      for name, value in (
          ("truncation_side", 5), ("truncation_side", "up"), ("padding_side", []), ("tokenizer_class", []),
          ("do_lower_case", "yes"), ("strip_accents", 1), ("tokenize_chinese_chars", "x"), ("pad_token", {"content": []}),
          ("pad_token", 5), ("pad_token_type_id", "x"), ("pad_token_type_id", 10**30), ("pad_token_type_id", -1),
          ("model_max_length", "x"), ("model_max_length", 0), ("model_max_length", 1),
      )],
    (CLASSES, {"tokenizer_config.json": [1]}),
    (CLASSES, {"special_tokens_map.json": [1]}),
    (CLASSES, {"special_tokens_map.json": {"pad_token": ["x"]}}),
    *[(SENTENCES, prompts(**{name: value}))
      for name, value in (
          ("prompts", [1]), ("prompts", {"a": 5}), ("prompts", {"a": "\ud800"}), ("default_prompt_name", []),
          ("truncate_dim", -5), ("truncate_dim", 0), ("truncate_dim", "x"), ("truncate_dim", 10**30),
          ("similarity_fn_name", []), ("similarity_fn_name", "sum"),
      )],
    *[(task, config(**content))
      for task in (SENTENCES, CLASSES)
      for content in (
          {**BERT, "text_config": "x"}, {**BERT, "model_type": ["x"]}, {**ROBERTA, "pad_token_id": "x"},
          {**ROBERTA, "pad_token_id": float("nan")}, {**ROBERTA, "pad_token_id": 10**400},
      )],
    *[(task, tokenizer(added_tokens_decoder=value))
      for task in (SENTENCES, CLASSES)
      for value in ([1], {"x": {"content": "y"}}, {"6": "y"}, {"6": {"content": 5}}, {"6": {"content": "y", "special": 1}},
                    {"9": {"content": "y"}}, {"9" * 5000: {"content": "y"}})],
    *[(CLASSES, {"added_tokens.json": value}) for value in ([1], {"y": "6"}, {"y": 9}, {"": 6})],
    *[(CLASSES, config(**BERT, id2label=value)) for value in (["a"], {"x": "y"}, "x")],
    (CLASSES, config(**BERT, problem_type=[])),
    (SENTENCES, dense(activation_function=5)),
    (SENTENCES, dense(use_residual="yes")),
    (SENTENCES, dense(module_input_name=[])),
    (SENTENCES, dense("[" * 10**5)),
    (SENTENCES, dense({"linear.weight": {**TENSOR, "shape": [16]}})),
    (SENTENCES, dense({"linear.weight": {**TENSOR, "shape": [4, 4]}})),
    (SENTENCES, dense({"linear.weight": {**TENSOR, "shape": [10**30, 0]}})),
    (SENTENCES, dense({"linear.weight": TENSOR}, use_residual=True)),
]  # fmt: skip


class Zeros:
    """A runtime that answers zeros: what is tested is refused before anything runs."""

    def __init__(self, task, inputs):
        shape = ("batch", 3) if task in {CLASSES, RANKING} else ("batch", "sequence", 8)
        self.name = "last_hidden_state" if task in {SENTENCES, LATE} else "logits"
        self.inputs = tuple(TensorSpec(name, "int64", shape) for name, shape in inputs.items())
        self.outputs = (TensorSpec(self.name, "float32", shape),)

    def run(self, feeds, outputs=None, /):
        rows, width = feeds["input_ids"].shape
        return {self.name: np.zeros((rows, width, 8) if len(self.outputs[0].shape) == 3 else (rows, 3), "f4")}

    def placement(self):
        return Placement("cpu", "a device", "fp32", {"Zeros": 1}, 1.0)

    def close(self):
        """Nothing is open."""


INPUTS = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), ("batch", "sequence"))


@pytest.fixture
def opened(tmp_path):
    """A task over zeros and the given files."""

    def make(task, files, inputs=INPUTS):
        listed = []
        for path, content in {"tokenizer.json": TOKENIZER, "config.json": BERT, **files}.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)
            listed.append(File(path, len(data), hashlib.sha256(data).hexdigest()))
        source = Source("file:/model", "sha256:0", None, None, None)
        manifest = Manifest(1, "0", source, task, None, None, (), (), tuple(listed))
        session = Session(Zeros(task, inputs), Plan("cpu", "fp32", 1, strict=False, reason=""))
        return tasks.find(task)(Artifact(tmp_path, "0" * 64, manifest), session)

    return make


@pytest.mark.parametrize(("task", "files"), HOSTILE, ids=lambda value: str(value)[:90])
def test_what_is_no_setting_is_refused_when_the_model_is_opened(opened, task, files):
    with pytest.raises((UnsupportedModel, CorruptArtifact)) as caught:
        opened(task, files)
    assert caught.value.hint
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("task", [SENTENCES, CLASSES])
@pytest.mark.parametrize("shape", [(), ("batch",), ("batch", 1, "sequence")])
def test_inputs_without_two_axes_are_refused(opened, task, shape):
    with pytest.raises(UnsupportedModel, match="`attention_mask`") as caught:
        opened(task, {}, {**INPUTS, "attention_mask": shape})
    assert caught.value.hint


def test_an_input_that_no_proof_feeds_is_refused(opened):
    with pytest.raises(UnsupportedModel, match="takes `position_ids`, which is not made from text"):
        opened(SENTENCES, {}, {**INPUTS, "position_ids": ("batch", "sequence")})


@pytest.mark.parametrize(
    "files",
    [
        {},
        POOLING,
        dense(activation_function=None),
        sentences(max_seq_length=2, processor_kwargs=None),
        sentences(max_seq_length=128.0),
        tokenizer(
            model_max_length=1e30, strip_accents=None, pad_token={"content": "[PAD]"}, padding_side="left"
        ),
        prompts(
            prompts={"a": None, "b": "x"},
            default_prompt_name="b",
            truncate_dim=None,
            similarity_fn_name="dot",
        ),
        config(**ROBERTA, pad_token_id=None, text_config=None),
    ],
    ids=lambda value: str(value)[:90],
)
def test_settings_that_models_have_are_taken(opened, files):
    assert len(opened(SENTENCES, files).encode(["a", "b a"])) == 2


@pytest.mark.parametrize("limit", [2, 3, 5])
def test_a_short_limit_cuts_as_sentence_transformers_does(opened, tmp_path, limit):
    pipeline = opened(
        SENTENCES, {**sentences(max_seq_length=limit), **tokenizer(tokenizer_class="TokenizersBackend")}
    )
    theirs = AutoTokenizer.from_pretrained(
        tmp_path, model_max_length=limit
    )  # all that sentence-transformers does
    expected = theirs(["a b a b"], truncation="longest_first", max_length=limit)["input_ids"]
    assert [encoding.ids for encoding in pipeline._graph.tokenizer(["a b a b"])] == expected


MASK = {"query_expansion": {"length": 6, "token": "b"}}
PUNCTUATION = {
    "skiplist_words": ["a", "no token of it"],
    "skiplist_tasks": "query",
    "keep_only_token_ids": [5],
}


def test_token_vectors_without_a_layer_behind_them_are_taken(opened):
    model = opened(LATE, {**masked(**PUNCTUATION), **multi(**MASK), "modules.json": masked()["modules.json"]})
    query, document = (model.encode("a b", prompt_name=side) for side in ("query", "document"))
    assert query.shape == (5, 8)  # six tokens, one of them skipped
    assert document.shape == (1, 8)  # the only one that is kept
    (nothing,) = model.rank("b", ["a"], top_k=None, return_documents=False)
    assert nothing == {"corpus_id": 0, "score": -1e9}


def test_several_labels_score_pairs_and_rank_nothing(opened):
    model = opened(RANKING, {})
    assert model.answer([{"text": "a", "text_pair": "b"}], Clock()) == [[0.0, 0.0, 0.0]]
    with pytest.raises(UnsupportedModel, match="gives 3 scores per pair") as caught:
        model.rank("a", ["b"], top_k=None, return_documents=False)
    assert "text_pair" in caught.value.hint


def test_a_text_without_tokens_has_no_weights(opened):
    bare = {**TOKENIZER, "post_processor": None}
    model = opened(SPARSE, {"tokenizer.json": bare})
    assert model.answer(["", "a"], Clock()) == [{}, {}]
