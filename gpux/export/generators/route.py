"""Runs inside the worker: exports a model that writes, whose answers to the probes are kept, to the graphs of each variant."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx_ir

from gpux.events import Progress
from gpux.export.generators import (
    causal,
    encoder_decoder,
    fusing,
    generator,
    hearing,
    narrowing,
    pictures,
)
from gpux.export.generators.answers import prompts
from gpux.export.generators.generator import Generator
from gpux.export.generators.precisions import FULL, NARROW
from gpux.export.generators.variants import save, write
from gpux.head import IMAGE

_PACKAGES = ("torch", "transformers", "onnx", "onnxscript")


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
    del outputs
    made = generator.load(
        source,
        output,
        auto=auto,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )
    sees = IMAGE in takes
    if sees:
        pictures.ask(made, output)
    elif made.model.main_input_name == "input_features":
        hearing.ask(made, output, encoder_decoder.sound_source(made.model).feeds["input_features"])
    else:
        generator.ask(made, output)
    components = [] if references_only else _export(made, output, variants, sees=sees)
    return {
        "components": components,
        "parameters": sum(p.numel() for p in made.model.parameters()),
        "versions": {name: version(name) for name in _PACKAGES},
        "seconds": made.clock.finish(),
    }


def _export(made: Generator, output: Path, wanted: Sequence[str], *, sees: bool) -> list[str]:
    made.clock.step("exporting the graph")
    programs = pictures.programs(made.model) if sees else _programs(made.model)
    made.clock.step("writing the graph")
    for component, program in programs.items():
        save(tidied(program), output / FULL / f"{component}.onnx")
    for name in wanted:
        if name != FULL:
            made.clock.step(f"writing the {name} graph")
            greatest = _greatest(made) if name.endswith(NARROW) and set(programs) == {"model"} else {}
            for component in programs:
                graph = f"{component}.onnx"
                write(output / FULL / graph, output / name / graph, name, greatest=greatest)
    if FULL not in wanted:
        shutil.rmtree(output / FULL)
    return list(programs)


def _greatest(made: Generator) -> dict[str, float]:
    return narrowing.measure(made.model, [made.tokenizer(text)["input_ids"] for text in prompts()])


def _programs(model: Any) -> dict[str, onnx_ir.Model]:
    if model.config.is_encoder_decoder:
        sound = model.main_input_name == "input_features"
        source = encoder_decoder.sound_source(model) if sound else encoder_decoder.text_source(model.config)
        return encoder_decoder.export(model, source)
    program = causal.export(model)
    config = model.config.get_text_config(decoder=True)
    fusing.fuse(program, positions=int(getattr(config, "max_position_embeddings", 0) or 0))
    return {"model": program}


def tidied(program: onnx_ir.Model) -> onnx_ir.Model:
    """The graph without what the exporter noted of this machine and of shapes, which are partly stale after a rewrite."""
    outside = {*program.graph.inputs, *program.graph.outputs}
    program.metadata_props.clear()
    program.graph.metadata_props.clear()
    for node in program.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
            if value not in outside:
                value.shape = None
    for value in (*program.graph.inputs, *program.graph.initializers.values()):
        value.metadata_props.clear()
    return program
