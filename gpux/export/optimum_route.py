"""Runs inside the worker: exports a checkpoint, whose answers to the probes are kept, with optimum-onnx.

Its environment has the transformers version that optimum-onnx is held to, so that the reference outputs are that version's.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optimum.exporters.onnx import onnx_export_from_model
from optimum.exporters.tasks import TasksManager

from gpux.errors import UnsupportedModel
from gpux.events import Progress
from gpux.export import checkpoint
from gpux.export.encoder import examine

GRAPH = "model.onnx"
"""What optimum calls an encoder's graph, and ``ORTModel.from_pretrained`` looks for beside ``config.json``."""

_PACKAGES = ("optimum-onnx", "optimum", "torch", "transformers", "onnx")


def run(
    source: Path,
    output: Path,
    *,
    auto: str | Sequence[str],
    outputs: tuple[str, ...],
    takes: tuple[str, ...],
    allow_pickle: bool,
    trust_remote_code: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Export one encoder.

    Args:
        source: The model's directory.
        output: An empty directory for ``model.onnx``, beside the probes and the references.
        auto: The transformers auto class.
        outputs: Names of the model's outputs that the task reads.
        takes: What the task gives it, of :data:`gpux.head.MODALITIES`.
        allow_pickle: Whether weights may be a pickle (loaded with ``weights_only``).
        trust_remote_code: Whether the checkpoint's own code may run.
        progress: Receives a line per step.

    Returns:
        What :meth:`gpux.export.encoder.Encoder.answer` gives.

    Raises:
        UnsupportedModel: This transformers version cannot load the model, or optimum cannot export it to one graph.
    """
    encoder = examine(
        source,
        output,
        auto=auto,
        outputs=outputs,
        takes=takes,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )
    encoder.clock.step("exporting the graph with optimum")
    made = output / "optimum"
    made.mkdir()
    _export(encoder.model, made)
    # optimum writes configuration and tokenizer too; the artifact has the source's own.
    for path in made.glob(f"{GRAPH}*"):
        path.rename(output / path.name)
    shutil.rmtree(made)
    return encoder.answer(_PACKAGES)


def _export(model: Any, folder: Path) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a trace fixes, the probes at other shapes show
            onnx_export_from_model(
                model, folder, task=TasksManager.infer_task_from_model(model), do_validation=False
            )
    except MemoryError:
        raise
    except Exception as error:
        raise _unexportable(model, checkpoint.first_line(error)) from error
    graphs = sorted(path.name for path in folder.glob("*.onnx"))
    if graphs != [GRAPH]:
        raise _unexportable(model, f"it makes {', '.join(graphs) or 'no graph'} of it")


def _unexportable(model: Any, said: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"optimum cannot export {type(model).__name__} to one graph: {said}",
        hint="pull it without --exporter optimum",
        architecture=type(model).__name__,
    )
