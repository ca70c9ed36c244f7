"""A module, its arguments and which of their axes are free → a graph in ONNX, or an error that says what cannot be traced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx_ir
import torch
from transformers.exporters.exporter_onnx import (
    _ONNX_TRANSLATION_TABLE,
    apply_fx_node_fixes,
    apply_onnx_ir_fixes,
)
from transformers.exporters.utils import apply_patches

from gpux.errors import UnsupportedModel
from gpux.export import checkpoint


@dataclass(frozen=True, slots=True)
class Traced:
    """What goes through the exporter: a module, its arguments, their free axes, and names for what comes out.

    ``labels`` are names of the axes, shaped like ``axes``, where those are left to the exporter.
    """

    module: Any
    arguments: dict[str, Any]
    axes: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    labels: dict[str, Any] | None = None


def to_graph(traced: Traced, architecture: str) -> onnx_ir.Model:
    """Trace a module and write it down in ONNX.

    Raises:
        UnsupportedModel: The model's code cannot be traced.
    """
    try:
        with torch.no_grad(), apply_patches("onnx"):
            program = torch.export.export(
                traced.module, (), kwargs=traced.arguments, dynamic_shapes=traced.axes, strict=False
            )
            apply_fx_node_fixes("onnx", program.graph_module)
            made = torch.onnx.export(
                program,
                args=(),
                kwargs=traced.arguments,
                input_names=list(traced.inputs),
                output_names=list(traced.outputs),
                custom_translation_table=_ONNX_TRANSLATION_TABLE,
                dynamo=True,
                verbose=False,
            )
        apply_onnx_ir_fixes(made)
    except MemoryError:
        raise
    except Exception as error:
        raise UnsupportedModel(
            f"{architecture} cannot be exported: {checkpoint.first_line(error)}",
            hint="see docs/models.md for the families that are known to work",
            architecture=architecture,
        ) from error
    graph: onnx_ir.Model = made.model
    _name_axes(graph, traced)
    return graph


def _name_axes(program: onnx_ir.Model, traced: Traced) -> None:
    flat: dict[str, dict[int, str]] = {}
    plain = [name for name in traced.arguments if not isinstance(traced.arguments[name], list)]
    told = traced.labels or traced.axes
    listed = [axes for name, axes in told.items() if name not in plain for axes in axes]
    for name, axes in zip(traced.inputs, [*(told[name] for name in plain), *listed], strict=True):
        flat[name] = {axis: dim if isinstance(dim, str) else dim.__name__ for axis, dim in axes.items()}
    names = {
        str(size): flat[value.name][axis]
        for value in program.graph.inputs
        for axis, size in enumerate(value.shape or ())
        if not isinstance(size, int) and axis in flat.get(value.name or "", {})
    }
    for value in (*program.graph.inputs, *program.graph.outputs):
        if value.shape is not None:
            value.shape = onnx_ir.Shape(
                [d if isinstance(d, int) else names.get(str(d), str(d)) for d in value.shape]
            )
