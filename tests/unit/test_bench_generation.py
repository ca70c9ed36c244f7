"""The script that measures generation: what it makes of moments and tokens, what it keeps of each part, what it refuses."""

from __future__ import annotations

import argparse
import importlib.machinery
import importlib.util
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from bench_record import figure, median

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "bench_generation"


@pytest.fixture(scope="module")
def script():
    loader = importlib.machinery.SourceFileLoader("bench_generation", str(SCRIPT))
    spec = importlib.util.spec_from_loader("bench_generation", loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_generation"] = module  # where dataclasses look names up
    loader.exec_module(module)
    yield module
    del sys.modules["bench_generation"]


def test_a_step_outside_the_runtime_is_what_no_session_ran_in(script):
    moments, inside = (0.5, 0.510, 0.520, 0.540), [0.0099, 0.0098, 0.0197]
    assert script._outside(moments, inside) == pytest.approx(200)
    with pytest.raises(script.Broken, match="no run of ONNX Runtime"):
        script._outside(moments, [0.0, 0.0, 0.0])


def test_tokens_are_compared_up_to_the_first_that_differs(script):
    said = script._same([[1, 2, 3, 4], [5, 6]], [[1, 2, 9, 4], [5, 6, 7]], "one", "other")
    assert "the same 4 of 6 tokens" in said


def test_a_part_stays_until_it_is_measured_again(script, tmp_path):
    found = script.Found(
        samples={"gpux, decoded tokens/s": [10.0, 12.0]},
        figures=[figure("decoded: gpux / PyTorch", median, [2.5, 2.7], least=2.0)],
        notes=["the same tokens"],
        versions={"both": {"torch": "2"}},
        date="2026-11-26T06:00",
    )
    (tmp_path / "opt.json").write_text(json.dumps(asdict(found)))
    parts = script.stored(tmp_path)
    assert parts == {"opt": found}
    names = ("threads", "turns", "prompt", "new", "pulls", "provider", "variant", "quick")
    record = script.record(parts, argparse.Namespace(**dict.fromkeys(names, 1)))
    assert [(one.name, one.met) for one in record.figures] == [("OPT-125m: decoded: gpux / PyTorch", True)]
    assert record.samples == {"OPT-125m: gpux, decoded tokens/s": [10.0, 12.0]}
    assert record.versions == {"gpux": {"torch": "2"}}
    assert record.notes == ["OPT-125m, 2026-11-26T06:00: the same tokens"]


def test_the_bound_counts_every_matrix_once(script, tmp_path):
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "embed": {"dtype": "F32", "shape": [10, 4], "data_offsets": [0, 160]},
            "norm": {"dtype": "F32", "shape": [4], "data_offsets": [160, 176]},
        }
    ).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert script._parameters(tmp_path) == 40


def test_a_part_that_there_is_not_is_named():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--only", "gpt2,gpt3"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no part gpt3; parts are smollm2, qwen3" in done.stderr
