"""Tiny models and expected values, made by transformers and sentence-transformers in processes of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import gpux
from gpux.artifact import Artifact

REFERENCES = Path(__file__).parent / "references"
CLASSIFIERS = ("single_label", "multi_label", "one_label", "regression")


def tiny_models(directory: Path) -> Path:
    """Make the four classifiers and ``sentences``, each in a directory of its own, unless they are there."""
    if not directory.exists():
        run("tiny_models.py", directory)
    return directory


def rankers(directory: Path) -> Path:
    """Make the cross-encoders, sparse encoders and late-interaction models with their answers, unless they are there."""
    if not directory.exists():
        run("rankers.py", directory)
    return directory


def tiny_writers(directory: Path) -> Path:
    """Make the tiny language models with their answers, unless they are there."""
    if not directory.exists():
        run("tiny_writers.py", directory)
    return directory


def pull_as_ready(folder: Path, graph: Path, task: str | None = None) -> Artifact:
    """Store a model that has the same weights as another one, by that one's graph instead of an export of its own."""
    (folder / "onnx").mkdir()
    shutil.copyfile(graph, folder / "onnx" / "model.onnx")
    (folder / "model.safetensors").unlink()
    return gpux.pull(str(folder), exporter="ready", task=task)


def sentence_embeddings(
    texts: Sequence[str], calls: Mapping[Path, Mapping[str, Mapping[str, Any]]], work: Path
) -> dict[str, np.ndarray]:
    """What sentence-transformers' ``encode`` gives, as ``<model's directory name>/<call>``."""
    job, out = work / "encode.json", work / "encode.npz"
    jobs = {str(model): named for model, named in calls.items()}
    job.write_text(json.dumps({"texts": texts, "models": jobs}), encoding="utf-8")
    run("sentence_transformers_encode.py", job, out)
    with np.load(out) as found:
        return dict(found)


def pipeline_answers(jobs: Sequence[Mapping[str, Any]], work: Path) -> list[list[Any]]:
    """What the transformers pipelines answer, per job and call."""
    job, out = work / "pipelines.json", work / "answers.json"
    job.write_text(json.dumps(jobs), encoding="utf-8")
    run("transformers_pipelines.py", job, out)
    answers: list[list[Any]] = json.loads(out.read_text(encoding="utf-8"))
    return answers


def run(script: str, *arguments: Path) -> None:
    """Run a script of tests/references."""
    command = [sys.executable, str(REFERENCES / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
