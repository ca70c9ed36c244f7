"""scripts/gpu_check on this machine: prepared, run on OpenVINO's CPU device as if it were an accelerator, and stopped midway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/gpu_check"
TRY = ("--provider", "openvino", "--any-device")


def run(*words, home, timeout=120):
    variables = {**os.environ, "GPUX_HOME": str(home)}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, words)],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )


@pytest.fixture(scope="module")
def prepared(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu-check") / "prepared"
    done = run("--prepare", folder, "--model", "random:tiny", home=store)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_prepared_folder_is_small_and_checked_without_the_store_it_came_from(prepared, tmp_path):
    assert sum(path.stat().st_size for path in prepared.iterdir()) < 1 << 20
    out = tmp_path / "report"
    done = run(
        *TRY, "--from", prepared, "--rounds", 1, "--budget", 200, "--output", out, home=tmp_path / "empty"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "gpu-check.json").read_text(encoding="utf-8"))
    assert report["state"] == "complete", done.stderr
    rows = {row["label"]: row for row in report["rows"]}
    mine = rows["openvino fp32"]
    assert mine["reason"] is None
    assert mine["placement"]["share"] == 1
    assert mine["proof"]["quality"] == "exact"
    assert mine["opened"]["first"] > 0
    assert mine["opened"]["again"] > 0
    assert mine["agreement"] > 0.99999
    one = mine["batches"]["1"]
    cpu = rows["cpu fp32"]["batches"]["1"]
    assert one["per_item"] > 0
    assert one["times"]["cpu"]["value"] == pytest.approx(cpu["per_item"] / one["per_item"], rel=1e-6)
    assert rows["pytorch fp32 on cpu"]["placement"]["provider"] == "pytorch"
    troubles = {one["what"]: one for one in report["troubles"]}
    assert troubles["a device that is not there"]["met"]
    assert troubles["a second process on the same device"]["met"]
    text = (out / "gpu-check.md").read_text(encoding="utf-8")
    assert "| openvino fp32 |" in text
    assert "## Bad luck" in text


def test_stopped_midway_it_keeps_what_there_is(prepared, tmp_path):
    out = tmp_path / "report"
    command = [sys.executable, str(SCRIPT), *TRY, "--from", str(prepared), "--output", str(out)]
    process = subprocess.Popen(
        command, env={**os.environ, "GPUX_HOME": str(tmp_path / "empty")}, stderr=subprocess.PIPE, text=True
    )
    path = out / "gpu-check.json"
    ends = time.monotonic() + 60
    while not (path.exists() and json.loads(path.read_text(encoding="utf-8"))["rows"]):
        assert time.monotonic() < ends
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["state"] == "interrupted"
    assert report["rows"]
    assert "interrupted" in (out / "gpu-check.md").read_text(encoding="utf-8")


def test_a_step_that_outlasts_the_budget_is_ended(prepared, tmp_path):
    out = tmp_path / "report"
    done = run(*TRY, "--from", prepared, "--budget", 0.5, "--output", out, home=tmp_path / "empty")
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "gpu-check.json").read_text(encoding="utf-8"))
    assert report["state"] in {"complete", "budget"}
    assert report["seconds"] < 25
    assert any("budget" in one["reason"] for one in report["skipped"]) or report["state"] == "budget"


def test_what_is_no_accelerator_is_not_checked_and_said_so(prepared, tmp_path):
    out = tmp_path / "report"
    done = run("--provider", "cpu", "--from", prepared, "--output", out, home=tmp_path / "empty")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert "no accelerator provider works here" in done.stdout
    report = json.loads((out / "gpu-check.json").read_text(encoding="utf-8"))
    assert report["state"] == "nothing"
    assert report["rows"] == []
    assert {one["what"]: one["reason"] for one in report["skipped"]}["provider cpu"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--provider", "cdua"), "there is no provider `cdua`"),
        ((*TRY, "--from", "nowhere"), "is no folder that --prepare wrote"),
        ((*TRY, "--model", "random:huge"), "there is no model to check with"),
    ],
)
def test_what_cannot_be_done_is_an_error_with_a_hint(tmp_path, words, message):
    done = run(*words, "--output", tmp_path, home=tmp_path / "empty")
    assert done.returncode == 1
    assert message in done.stderr
    assert "hint: " in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "gpu-check.json").read_text(encoding="utf-8"))["state"] == "failed"
