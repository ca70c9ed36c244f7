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
from gpux.provider import Opened
from gpux.session import Session


def open_source(
    artifact: Artifact,
    source: Path,
    *,
    task: str | None,
    threads: int | None,
    device: str = "cpu",
    precision: str = "fp32",
) -> Model:
    """Load the checkpoint that an artifact was made from.

    Args:
        artifact: The stored model: its tokenizer, its settings, its graph's inputs and outputs.
        source: The checkpoint's directory.
        task: Another task that the graph can answer; the artifact's own when ``None``.
        threads: Threads inside an operator; the cores that this process may use when ``None``.
        device: Where PyTorch computes, by its own name: ``cpu``, ``cuda:0``, ``mps:0``, ``xpu:0``.
        precision: ``fp32``, or ``fp16`` and ``bf16`` for PyTorch's autocast.

    Raises:
        GpuxError: PyTorch cannot load it or sees no such device, or its code is not built into transformers.
    """
    started = perf_counter()
    from gpux.export.torch_graph import open_torch
    from gpux.export.torch_writer import open_writer

    pipeline = tasks.find(task or artifact.task)
    head = pipeline.head.of(artifact.manifest.architecture)
    component = artifact.manifest.components[0]
    imported = perf_counter()
    count = threads or hardware.cores_allowed()
    opened: Opened
    if head.generates:
        opened = open_writer(source, auto=head.auto, threads=count, device=device, precision=precision)
    else:
        opened = open_torch(
            source,
            auto=head.auto,
            outputs=[*(spec.name for spec in component.outputs), *head.outputs],
            aliases=head.aliases,
            inputs=component.inputs,
            threads=count,
            device=device,
            precision=precision,
        )
    session = Session(opened, _plan(count, device, precision))
    ready = perf_counter()
    timings = {"import": imported - started, "open": ready - imported}
    answering = pipeline(artifact, session)
    timings["task"] = perf_counter() - ready
    return Model(
        artifact,
        Request(provider="pytorch", threads=threads),
        session.plan,
        session,
        answering,
        task=task or artifact.task,
        timings=timings,
    )


def _plan(threads: int, device: str, precision: str) -> Plan:
    asked = {"device": (device, "cpu"), "precision": (precision, "fp32")}
    return Plan(
        provider="pytorch",
        variant="fp32",
        threads=threads,
        strict=False,
        reason="the source model, asked for as mode=torch",
        options={name: value for name, (value, usual) in asked.items() if value != usual},
    )
