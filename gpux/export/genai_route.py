"""Runs inside the worker: makes a decoder's graph with onnxruntime-genai's model builder, and keeps the source model's answers to the probes.

The builder writes layers out by hand for the families that it knows; the graph is put into the form of
:mod:`gpux.export.generators.causal`. https://github.com/microsoft/onnxruntime-genai/tree/main/src/python/py/models
"""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx_ir as ir
from onnxruntime_genai.models import builder

from gpux.errors import UnknownVariant, UnsupportedModel
from gpux.events import Progress
from gpux.export import checkpoint
from gpux.export.generators import generator

_FULL = "fp32"
_PACKAGES = ("onnxruntime-genai", "torch", "transformers", "onnx")
_KEPT = "logits_to_keep"
_PRODUCTS = {"MatMul", "MatMulNBits", "Gemm"}
_AXES = {
    "input_ids": ("batch", "sequence"),
    "attention_mask": ("batch", "total"),
    "position_ids": ("batch", "sequence"),
}


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
    """Make the fp32 graph of a decoder; arguments and result as of :func:`gpux.export.generators.route.run`.

    Raises:
        UnsupportedModel: The builder does not know the architecture, or transformers does not.
        UnknownVariant: Another precision was asked for.
    """
    del outputs, takes, references_only
    if lacking := [name for name in variants if name != _FULL]:
        raise UnknownVariant(
            f"the genai exporter makes {_FULL}, not {lacking[0]}",
            hint="drop --exporter genai",
            variant=lacking[0],
        )
    made = generator.load(
        source,
        output,
        auto=auto,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
        progress=progress,
    )
    generator.ask(made, output)
    parameters, architecture = sum(p.numel() for p in made.model.parameters()), type(made.model).__name__
    clock = made.clock
    del made  # the builder loads the checkpoint itself
    gc.collect()
    clock.step("building the graph with onnxruntime-genai")
    _build(source, output / "genai", architecture)
    clock.step("writing the graph")
    _bring(output / "genai", output / _FULL, architecture)
    return {
        "components": ["model"],
        "parameters": parameters,
        "versions": {name: version(name) for name in _PACKAGES},
        "seconds": clock.finish(),
    }


def _build(source: Path, folder: Path, architecture: str) -> None:
    where = (source.name, str(source), str(folder), _FULL, "cpu", str(folder / "cache"))
    try:
        options = builder.parse_extra_options(*where, ["hf_token=false"])
        builder.create_model(*where, **options)
    except MemoryError:
        raise
    except NotImplementedError as error:
        raise _uncovered(architecture, "its builder does not know the family") from error
    except Exception as error:
        raise _uncovered(architecture, checkpoint.first_line(error)) from error


def _bring(built: Path, folder: Path, architecture: str) -> None:
    """Move the graph and its weights, the graph in our form; what else the builder writes is for its own runtime."""
    decoder = json.loads((built / "genai_config.json").read_bytes())["model"]["decoder"]
    model = ir.load(built / "model.onnx")
    names = {value.name for value in model.graph.inputs}
    if "input_ids" not in names or not any(str(name).startswith("past_key_values.") for name in names):
        raise _uncovered(architecture, f"its graph takes {', '.join(map(str, sorted(names)))}")
    _name_axes(model, int(decoder["head_size"]))
    _keep_few(model)
    folder.mkdir()
    ir.save(model, built / "model.onnx")
    for made in built.glob("model.onnx*"):
        made.rename(folder / made.name)
    shutil.rmtree(built)


def _name_axes(model: ir.Model, size: int) -> None:
    for value in (*model.graph.inputs, *model.graph.outputs):
        name, shape = value.name or "", value.shape
        if shape is None:
            continue
        if name in _AXES:
            value.shape = ir.Shape(_AXES[name])
        elif name.startswith(("past_key_values.", "present.")):
            value.shape = ir.Shape(["batch", shape[1], "capacity", size])
        elif name == "logits":
            value.shape = ir.Shape(["batch", "kept", shape[2]])


def _keep_few(model: ir.Model) -> None:
    """Scores of the places that ``logits_to_keep`` lists alone: the last product is the largest of all."""
    graph = model.graph
    scores = next(value for value in graph.outputs if value.name == "logits")
    node = scores.producer()
    while node is not None and node.op_type not in _PRODUCTS:
        node = next((each.producer() for each in node.inputs if each and each.producer()), None)
    hidden = node.inputs[0] if node is not None else None
    if node is None or hidden is None:
        return
    kept = ir.Input(_KEPT, shape=ir.Shape(["kept"]), type=ir.TensorType(ir.DataType.INT64))
    few = ir.node("Gather", [hidden, kept], attributes={"axis": 1})
    few.outputs[0].name = "hidden_to_keep"
    node.replace_input_with(0, few.outputs[0])
    graph.insert_before(node, few)
    graph.inputs.append(kept)


def _uncovered(architecture: str, said: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"onnxruntime-genai cannot build {architecture}: {said}",
        hint="pull it without --exporter genai",
        architecture=architecture,
    )
