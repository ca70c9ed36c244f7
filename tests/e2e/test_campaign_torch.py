"""The real MiniLM in PyTorch and in ONNX Runtime, side by side: the same answers, each in its own process."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

import gpux
from gpux import artifact


@pytest.fixture(scope="module")
def suite(minilm):
    return gpux.sweep(minilm, ["mode=torch,onnx"], ["A cat sits on the mat", "A kitten"], runs=20, warmup=2)


def test_both_are_measured_and_agree_on_the_answers(suite):
    torch, onnx = suite.rows
    assert (torch.label, onnx.label) == ("torch", "onnx")
    assert torch.reason is None
    assert onnx.reason is None
    assert onnx.agreement > 0.99999
    assert len(torch.report.samples.steady) == len(onnx.report.samples.steady) == 20


def test_the_source_model_is_its_own_reference_and_says_what_ran(suite):
    who = suite.rows[0].report.identity
    assert (who.mode, who.provider, who.precision, who.quality) == ("torch", "pytorch", "fp32", "reference")
    assert {"torch", "transformers"} <= set(who.versions)
    other = suite.rows[1].report.identity
    assert (other.mode, other.provider, other.quality) == ("onnx", "cpu", "exact")
    assert "torch" not in other.versions
    assert who.digest == other.digest
    assert who.workload == other.workload
    assert who.threads == other.threads


def test_both_book_the_same_stages_and_their_memory_from_before_the_load(suite):
    for row in suite.rows:
        assert set(row.report.samples.steady.stages) == {"preprocess", "infer", "postprocess"}
        memory = row.report.memory
        assert memory.before < 60 << 20 < memory.loaded <= memory.peak
    assert suite.rows[0].report.memory.peak > suite.rows[1].report.memory.peak


def test_ranking_says_how_much_faster(suite):
    found = gpux.rank(suite)
    assert {standing.label for standing in found.standings} == {"torch", "onnx"}
    assert any("torch" in sentence and "onnx" in sentence for sentence in found.sentences)


def test_the_process_that_asks_never_loads_a_framework(minilm):
    code = (
        "import sys, gpux; suite = gpux.sweep(sys.argv[1], ['mode=torch'], 'a cat', runs=2, warmup=0);"
        "assert suite.rows[0].report, suite.rows[0].reason;"
        "assert not {'torch', 'transformers', 'onnxruntime'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, minilm.reference], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_another_revision_than_the_stored_one_is_no_reference(minilm, tmp_path):
    moved = replace(minilm.manifest, source=replace(minilm.manifest.source, resolved="sha256:" + "0" * 64))
    data = moved.to_json()
    folder = tmp_path / hashlib.sha256(data).hexdigest()
    shutil.copytree(minilm.directory, folder)
    (folder / "manifest.json").write_bytes(data)
    (row,) = gpux.sweep(artifact.read(folder), ["mode=torch"], "a cat", runs=2, warmup=0).rows
    assert row.report is None
    assert "by now" in row.reason.message
    assert "--force" in row.reason.hint
