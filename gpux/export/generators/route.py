"""Runs inside the worker: exports a model that writes, whose answers to the probes are kept, to the graphs of each variant."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx_ir

from gpux.errors import UnsupportedModel
from gpux.events import Progress
from gpux.export.generators import causal, generator
from gpux.export.generators.generator import Generator
from gpux.head import IMAGE

_PACKAGES = ("torch", "transformers", "onnx", "onnxscript")
_FULL = "fp32"


def run(
    source: Path,
    output: Path,
    *,
    auto: str | Sequence[str],
    outputs: tuple[str, ...],
    takes: tuple[str, ...],
    references_only: bool,
    variants: Sequence[str],
    allow_pickle: bool,
    trust_remote_code: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Export a generator, or only compute its references.

    Args:
        source: The model's directory.
        output: An empty directory for ``probes.npz``, ``reference.npz``, ``tokenizer.json``, and a folder of graphs per variant.
        auto: The transformers auto class.
        outputs: What the task reads: a generator's scores.
        takes: What the task gives it, of :data:`gpux.head.MODALITIES`.
        references_only: Whether to leave the graphs to another route.
        variants: The precisions to make.
        allow_pickle: Whether weights may be a pickle (loaded with ``weights_only``).
        trust_remote_code: Whether the checkpoint's own code may run.
        progress: Receives a line per step.

    Returns:
        JSON-able: ``components`` in the order in which they run, ``parameters``, ``versions``, ``seconds`` by step.

    Raises:
        UnsupportedModel: transformers does not know the architecture, or it cannot be exported.
    """
    if IMAGE in takes:
        from gpux.export.generators import picture_route

        return picture_route.run(
            source,
            output,
            auto=auto,
            references_only=references_only,
            variants=variants,
            allow_pickle=allow_pickle,
            trust_remote_code=trust_remote_code,
            progress=progress,
        )
    del outputs
    made = generator.load(
        source,
        output,
        auto=auto,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )
    generator.ask(made, output)
    components = [] if references_only else _write(made, output, variants)
    return {
        "components": components,
        "parameters": sum(p.numel() for p in made.model.parameters()),
        "versions": {name: version(name) for name in _PACKAGES},
        "seconds": made.clock.finish(),
    }


def _write(made: Generator, output: Path, variants: Sequence[str]) -> list[str]:
    lacking = [name for name in variants if name != _FULL]
    if lacking:
        raise UnsupportedModel(
            f"the transformers exporter makes {_FULL} of a generator, not {lacking[0]}",
            hint="drop --variant",
        )
    made.clock.step("exporting the graph")
    program = causal.export(made.model)
    made.clock.step("writing the graph")
    folder = output / _FULL
    folder.mkdir()
    save(program, folder / "model.onnx")
    return ["model"]


def save(program: onnx_ir.Model, path: Path) -> None:
    """Write a graph, its weights beside it, where a runtime maps them."""
    onnx_ir.save(program, path, external_data=f"{path.name}.data")
