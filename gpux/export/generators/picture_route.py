"""Runs inside the worker: exports a model that reads pictures and writes, with its answers to the probes, component by component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx_ir

from gpux.errors import UnsupportedModel
from gpux.events import Progress
from gpux.export.generators import generator, picture_answers, vision_language

_PACKAGES = ("torch", "transformers", "onnx", "onnxscript")
_FULL = "fp32"


def run(
    source: Path,
    output: Path,
    *,
    auto: str | Sequence[str],
    references_only: bool,
    variants: Sequence[str],
    allow_pickle: bool,
    trust_remote_code: bool,
    progress: Progress,
    **_: Any,
) -> dict[str, Any]:
    """Export a model, or only compute its references; arguments, result and errors as of :func:`gpux.export.generators.route.run`."""
    made = generator.load(
        source,
        output,
        auto=auto,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )
    vision_language.check(made.model.config)
    picture_answers.ask(made, output)
    components: list[str] = []
    if not references_only:
        made.clock.step("exporting the graphs")
        graphs = vision_language.export(made.model)
        made.clock.step("writing the graphs")
        write(graphs, output, variants)
        components = list(graphs)
    return {
        "components": components,
        "parameters": sum(p.numel() for p in made.model.parameters()),
        "versions": {name: version(name) for name in _PACKAGES},
        "seconds": made.clock.finish(),
    }


def write(graphs: Mapping[str, onnx_ir.Model], output: Path, variants: Sequence[str]) -> None:
    """Each component of each variant, its weights beside it, where a runtime maps them.

    Raises:
        UnsupportedModel: A variant cannot be made.
    """
    lacking = [name for name in variants if name != _FULL]
    if lacking:
        raise UnsupportedModel(
            f"the transformers exporter makes {_FULL} of a model that reads pictures, not {lacking[0]}",
            hint="drop --variant",
        )
    folder = output / _FULL
    folder.mkdir()
    for name, program in graphs.items():
        onnx_ir.save(program, folder / f"{name}.onnx", external_data=f"{name}.onnx.data")
