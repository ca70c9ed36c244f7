"""Runs inside the worker: exports a checkpoint, whose answers to the probes are kept, to one ONNX graph.

The graph comes from ``transformers.exporters`` (transformers ≥ 5.23, torch ≥ 2.13) with explicit dynamic shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx_ir
import torch
from transformers.exporters import OnnxConfig, OnnxExporter

from gpux.errors import UnsupportedModel
from gpux.events import Progress
from gpux.export import checkpoint, probes
from gpux.export.encoder import Encoder, examine
from gpux.export.inputs import Inputs
from gpux.export.symbolic import sizes_kept
from gpux.export.whole_pictures import whole_pictures

_EXTERNAL_ABOVE = (
    128 << 20
)  # bytes: beside the graph, weights are mapped instead of being parsed out of it, a copy less at opening
_LONGEST = {"samples": 16_000 * 3_600, "height": 8_192, "width": 8_192}
_PACKAGES = ("torch", "transformers", "onnx", "onnxscript")


def run(
    source: Path,
    output: Path,
    *,
    auto: str | Sequence[str],
    outputs: tuple[str, ...],
    takes: tuple[str, ...],
    references_only: bool,
    allow_pickle: bool,
    trust_remote_code: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Export one encoder, or only compute its references.

    Args:
        source: The model's directory.
        output: An empty directory for ``model.onnx``, ``probes.npz``, ``reference.npz`` and ``tokenizer.json``.
        auto: The transformers auto class.
        outputs: Names of the model's outputs to keep, those that exist.
        takes: What the task gives it, of :data:`gpux.head.MODALITIES`.
        references_only: Whether to leave the graph to another route.
        allow_pickle: Whether weights may be a pickle (loaded with ``weights_only``).
        trust_remote_code: Whether the checkpoint's own code may run.
        progress: Receives a line per step.

    Returns:
        JSON-able: ``outputs``, ``parameters``, ``versions``, ``seconds`` by step.

    Raises:
        UnsupportedModel: transformers does not know the architecture, the head has no weights, or the export fails.
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
    if not references_only:
        encoder.clock.step("exporting the graph")
        program = _export(encoder.model, encoder.inputs)
        encoder.clock.step("writing the graph")
        _write(program, encoder, output / "model.onnx")
    return encoder.answer(_PACKAGES)


def _export(model: Any, inputs: Inputs) -> onnx_ir.Model:
    tensors = {name: torch.from_numpy(array) for name, array in probes.traced(inputs).items()}
    axes = probes.axes(inputs)
    dims = {
        name: _dimension(name, inputs)
        for name in dict.fromkeys(name for free in axes.values() for name in free.values())
    }
    named = {tensor: {axis: dims[name] for axis, name in axes[tensor].items()} for tensor in tensors}
    free = {tensor: dict.fromkeys(axes[tensor], torch.export.Dim.AUTO) for tensor in tensors}
    failure: Exception | None = None
    # Some architectures put guards on their lengths that named dimensions cannot meet; the proof, at other shapes than
    # the traced one, decides whether what the free dimensions became is right.
    for shapes in (named, free):
        config = OnnxConfig(dynamic=True, dynamic_shapes=shapes)
        try:
            with sizes_kept(model), whole_pictures(model):
                return OnnxExporter().export(model, tensors, config=config).program
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - torch.export raises what the model's own code raises
            failure = error
    raise UnsupportedModel(
        f"{type(model).__name__} cannot be exported: {checkpoint.first_line(failure)}",
        hint="see docs/models.md for the families that are known to work",
        architecture=type(model).__name__,
    ) from failure


def _dimension(name: str, inputs: Inputs) -> Any:
    """A free dimension; sides that are multiples of something are told to be, which spares the trace most of its guards."""
    step = inputs.pixels.divisor if inputs.pixels and name in {"height", "width"} else 1
    longest = _longest(name, inputs) // step
    if step == 1:
        return torch.export.Dim(name, min=1, max=longest)
    return step * torch.export.Dim(f"{name}_steps", min=1, max=longest)


def _longest(dimension: str, inputs: Inputs) -> int:
    if dimension == "sequence" and inputs.tokens:
        return inputs.tokens.maximum
    return _LONGEST.get(dimension, 65_535)


def _write(program: onnx_ir.Model, encoder: Encoder, path: Path) -> None:
    graph = program.graph
    kept = {value.name: value for value in graph.outputs}
    graph.outputs[:] = [kept[name] for name in encoder.outputs]
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    RemoveUnusedNodesPass()(program)
    _name_dimensions(program, probes.axes(encoder.inputs))
    _strip(program)
    size = sum(
        value.const_value.nbytes for value in graph.initializers.values() if value.const_value is not None
    )
    onnx_ir.save(program, path, external_data=f"{path.name}.data" if size > _EXTERNAL_ABOVE else None)


def _name_dimensions(program: onnx_ir.Model, axes: Mapping[str, Mapping[int, str]]) -> None:
    # A mask can keep a batch symbol of its own through the export; the proof's batches show that both are one.
    names = {
        str(size): axes[value.name][axis]
        for value in program.graph.inputs
        for axis, size in enumerate(value.shape or ())
        if not isinstance(size, int) and axis in axes.get(value.name or "", {})
    }
    for value in (*program.graph.inputs, *program.graph.outputs):
        if value.shape is not None:
            value.shape = onnx_ir.Shape(
                [d if isinstance(d, int) else names.get(str(d), str(d)) for d in value.shape]
            )
    # What the exporter noted between them is partly stale once it has optimised the graph, and ONNX Runtime plans its
    # memory by it; its own inference finds the same and is right.
    outside = {*program.graph.inputs, *program.graph.outputs}
    for node in program.graph.all_nodes():
        for value in node.outputs:
            if value not in outside:
                value.shape = None


def _strip(program: onnx_ir.Model) -> None:
    # The exporter notes source lines of this machine at every node: private, and a third of a small graph's size.
    program.metadata_props.clear()
    program.graph.metadata_props.clear()
    for node in program.graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*program.graph.inputs, *program.graph.initializers.values()):
        value.metadata_props.clear()
