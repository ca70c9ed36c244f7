"""Decoders with fused operators give transformers' scores, and their coarser variants stay as close as their bits allow."""

from __future__ import annotations

import json
from itertools import pairwise

import models
import numpy as np
import onnx_ir
import pytest

from gpux.discovery import discover
from gpux.provider import Options, find

CUTS = (0, 5, 6, 12)  # a prompt, one token, several tokens
NEAR = {"fp16": 0.9999, "int8": 0.995, "q4": 0.93, "q4f16": 0.93}
COARSE = [
    ("llama", "fp16"),
    ("llama", "int8"),
    ("llama", "q4"),
    ("llama", "q4f16"),
    ("experts", "int8"),
    ("experts", "q4"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fused")
    models.run("fused_decoders.py", directory)
    return directory


def scores(graph, ids):
    """The scores of every token, read in pieces; a past goes in as the last run's present."""
    opened = find("cpu", discover()).open(graph, Options(threads=1))
    held = {
        spec.name: np.zeros((1, spec.shape[1], 16, spec.shape[3]), spec.dtype)
        for spec in opened.inputs
        if spec.name.startswith("past")
    }
    found = []
    for start, end in pairwise(CUTS):
        feeds = {
            "input_ids": ids[:, start:end],
            "attention_mask": np.ones((1, end), np.int64),
            "position_ids": np.arange(start, end)[None],
            "logits_to_keep": np.arange(end - start),
        }
        given = opened.run({**feeds, **held})
        found.append(given["logits"][0])
        held = {name: given[name.replace("past_key_values", "present")] for name in held}
    opened.close()
    return np.concatenate(found)


@pytest.mark.parametrize("name", ["llama", "experts"])
def test_fused_graphs_give_the_scores_of_transformers(folder, name):
    want = np.load(folder / name / "scores.npz")
    got = scores(folder / name / "fp32" / "model.onnx", want["ids"])
    assert np.abs(got - want["scores"]).max() < 1e-5 * np.abs(want["scores"]).max()
    counts = json.loads((folder / name / "counts.json").read_text(encoding="utf-8"))
    layers = {
        "llama": {"rotary": 2, "attention": 2, "gates": 2, "head": 1},
        "experts": {"rotary": 2, "experts": 2},
    }
    assert counts.items() >= {**layers[name], "skips": 4}.items()
    nodes = [node.op_type for node in onnx_ir.load(folder / name / "fp32" / "model.onnx").graph]
    assert not {"Pow", "Cos", "Neg"} & set(nodes)


@pytest.mark.parametrize(("name", "variant"), COARSE)
def test_coarser_variants_stay_close(folder, name, variant):
    want = np.load(folder / name / "scores.npz")
    got = scores(folder / name / variant / "model.onnx", want["ids"])
    a, b = (each - each.mean(-1, keepdims=True) for each in (want["scores"], got))
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    assert got.dtype == np.float32
    assert NEAR[variant] < cosine.min() < 1 - 1e-9  # closer would be another precision than it says


def test_a_table_that_scores_too_is_stored_once(folder):
    graph = onnx_ir.load(folder / "llama" / "q4" / "model.onnx").graph
    read = {
        node.op_type: node.inputs for node in graph if node.op_type in {"GatherBlockQuantized", "MatMulNBits"}
    }
    table, head = read["GatherBlockQuantized"][0].const_value, read["MatMulNBits"][1].const_value
    assert (table.offset, table.length) == (head.offset, head.length)
    assert table.nbytes == head.nbytes


def test_experts_and_layers_are_all_in_blocks_but_the_router(folder):
    graph = onnx_ir.load(folder / "experts" / "q4" / "model.onnx").graph
    whole = [node for node in graph if node.op_type in {"MatMul", "Gemm", "MoE"}]
    assert len([node for node in graph if node.op_type == "QMoE"]) == 2
    assert [node.op_type for node in whole] == ["MatMul"] * 2  # which expert is asked is decided in full
