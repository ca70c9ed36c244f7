"""The source model in PyTorch as a loaded model: the same task, the same pre- and post-processing, another engine.

Imported in the exporter's environment only.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from gpux import hardware, tasks
from gpux.artifact import Artifact
from gpux.model import Model
from gpux.planning import Plan, Request
from gpux.session import Session


def open_source(artifact: Artifact, source: Path, *, task: str | None, threads: int | None) -> Model:
    """Load the checkpoint that an artifact was made from.

    Args:
        artifact: The stored model: its tokenizer, its settings, its graph's inputs and outputs.
        source: The checkpoint's directory.
        task: Another task that the graph can answer; the artifact's own when ``None``.
        threads: Threads inside an operator; the cores that this process may use when ``None``.

    Raises:
        GpuxError: PyTorch cannot load it, or its code is not built into transformers.
    """
    started = perf_counter()
    from gpux.export.torch_graph import open_torch

    pipeline = tasks.find(task or artifact.task)
    component = artifact.manifest.components[0]
    imported = perf_counter()
    count = threads or hardware.cores_allowed()
    opened = open_torch(
        source,
        auto=pipeline.head.auto,
        outputs=[*(spec.name for spec in component.outputs), *pipeline.head.outputs],
        aliases=pipeline.head.aliases,
        inputs=component.inputs,
        threads=count,
    )
    plan = Plan(
        provider="pytorch",
        variant="fp32",
        threads=count,
        strict=False,
        reason="the source model, asked for as mode=torch",
    )
    session = Session(opened, plan)
    ready = perf_counter()
    timings = {"import": imported - started, "open": ready - imported}
    answering = pipeline(artifact, session)
    timings["task"] = perf_counter() - ready
    return Model(
        artifact,
        Request(provider="pytorch", threads=threads),
        plan,
        session,
        answering,
        task=task or artifact.task,
        timings=timings,
    )
