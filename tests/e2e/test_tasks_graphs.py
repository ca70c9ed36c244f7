"""Graphs as other exporters make them, and sentence-transformers modules that GPUX does not compute."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from onnx import TensorProto, helper

from gpux import tasks
from gpux.artifact import Artifact, File, Manifest, Source
from gpux.discovery import discover
from gpux.errors import CorruptArtifact, UnsupportedModel
from gpux.pipelines.pipeline import Clock
from gpux.planning import Plan
from gpux.provider import Options
from gpux.session import Session

TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"<u>": 0, "a": 1, "b": 2, "c": 3}, "unk_token": "<u>"},
}  # fmt: skip
POOLING = {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}
MEAN = {"1_Pooling/config.json": {"pooling_mode": "mean"}}
TRANSFORMER = {"path": "", "type": "sentence_transformers.models.Transformer"}


@pytest.fixture
def opened(tmp_path):
    """A task over a graph that gives each token the vector [id, mask, 1]."""

    def make(
        files=None,
        *,
        task="sentence-similarity",
        dtype=TensorProto.INT64,
        shape=("batch", "sequence"),
        output="token_embeddings",
    ):
        listed = []
        for path, content in {"tokenizer.json": TOKENIZER, **(files or {})}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(
                content if isinstance(content, bytes) else json.dumps(content).encode()
            )
            listed.append(File(path, (tmp_path / path).stat().st_size, _digest(tmp_path / path)))
        graph = tmp_path / "model.onnx"
        graph.write_bytes(_graph(dtype, shape, output))
        source = Source("file:/model", "sha256:0", None, None, None)
        artifact = Artifact(
            tmp_path, "0" * 64, Manifest(1, "0", source, task, None, None, (), (), tuple(listed))
        )
        plan = Plan("cpu", "fp32", 1, strict=False, reason="the test's own")
        session = Session(discover()["cpu"].open(graph, Options(threads=1)), plan)
        return tasks.find(task)(artifact, session)

    return make


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _graph(dtype, shape, output):
    inputs = [helper.make_tensor_value_info(name, dtype, shape) for name in ("input_ids", "attention_mask")]
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Equal", ["mask", "mask"], ["always"]),
        helper.make_node("Cast", ["always"], ["ones"], to=TensorProto.FLOAT),
    ]
    nodes += [helper.make_node("Unsqueeze", [name, "last"], [name + "3"]) for name in ("ids", "mask", "ones")]
    joined = output if output != "sentence_embedding" else "joined"
    nodes.append(helper.make_node("Concat", ["ids3", "mask3", "ones3"], [joined], axis=2))
    last_shape = (*shape, 3)
    if output == "sentence_embedding":
        nodes.append(helper.make_node("ReduceSum", ["joined", "first"], [output], keepdims=0))
        last_shape = (shape[0], 3)
    constants = [
        helper.make_tensor("last", TensorProto.INT64, [1], [2]),
        helper.make_tensor("first", TensorProto.INT64, [1], [1]),
    ]
    made = helper.make_graph(
        nodes, "g", inputs, [helper.make_tensor_value_info(output, TensorProto.FLOAT, last_shape)], constants
    )
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


def test_int32_inputs_without_token_types(opened):
    found = opened(dtype=TensorProto.INT32).encode(["a b", "c", "a b c"])
    np.testing.assert_allclose(found, [[1.5, 1, 1], [3, 1, 1], [2, 1, 1]])


def test_a_graph_that_ends_in_sentence_vectors(opened):
    pipeline = opened(output="sentence_embedding")
    np.testing.assert_allclose(pipeline.encode(["a b", "c"], normalize=False), [[3, 2, 2], [3, 1, 2]])
    assert pipeline.describe()["pooling"] == "in the graph"


def test_token_vectors_lose_their_padding(opened):
    short, long = opened(task="feature-extraction").answer(["a", "a b c"], Clock())
    assert short == [[[1.0, 1.0, 1.0]]]
    assert np.shape(long) == (1, 3, 3)


def test_an_empty_text_of_a_tokenizer_without_special_tokens_is_zero(opened):
    np.testing.assert_array_equal(opened().encode(["", "a"]), [[0, 0, 0], [1, 1, 1]])


def _dense(activation):
    return {
        "modules.json": [
            TRANSFORMER,
            POOLING,
            {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
        ],
        **MEAN,
        "2_Dense/config.json": {
            "in_features": 3,
            "out_features": 1,
            "bias": False,
            "activation_function": activation,
        },
    }


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"modules.json": [TRANSFORMER, {"path": "1_CNN", "type": "sentence_transformers.models.CNN"}]},
            r"models\.CNN",
        ),
        (
            {"modules.json": [TRANSFORMER, {"path": "1_X", "type": "custom_code.Pooler"}]},
            r"custom_code\.Pooler",
        ),
        ({"modules.json": [TRANSFORMER]}, "without a Pooling module"),
        (
            {"modules.json": [TRANSFORMER, POOLING], "1_Pooling/config.json": {"pooling_mode": "median"}},
            "mode `median`",
        ),
        ({"modules.json": [TRANSFORMER, POOLING]}, "a Pooling module without a mode"),
        (_dense("torch.nn.modules.activation.Softmin"), "Softmin"),
        (_dense("custom.Tanh"), r"custom\.Tanh"),
        (_dense("torch.nn.modules.activation.Tanh"), r"without `model\.safetensors`"),
    ],
)
def test_a_module_that_is_not_computed_is_named(opened, files, message):
    with pytest.raises(UnsupportedModel, match=message) as caught:
        opened(files)
    assert caught.value.hint


def test_a_damaged_layer_is_a_corrupt_artifact(opened):
    files = {**_dense("torch.nn.modules.activation.Tanh"), "2_Dense/model.safetensors": b"\x10\x00\x00"}
    with pytest.raises(CorruptArtifact, match="2_Dense"):
        opened(files)
