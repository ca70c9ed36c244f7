"""A decoder-only model as one graph, which reads a prompt and adds tokens to it alike."""

from __future__ import annotations

import inspect
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
from gpux.export.generators.attending import Layer, PassThrough, Scene, attending, scene

_MOST = 1 << 20
_TRACED = {"batch": 2, "sequence": 3, "total": 7, "capacity": 16, "kept": 2}


@dataclass(frozen=True, slots=True)
class Traced:
    """What goes through the exporter: a module, its arguments, their free axes, and names for what comes out."""

    module: Any
    arguments: dict[str, Any]
    axes: dict[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def export(model: Any) -> onnx_ir.Model:
    """The graph of a causal language model.

    Inputs are ``input_ids`` int64 [batch, sequence], ``attention_mask`` int64 [batch, total] (each row's sum is its length after
    the run), ``position_ids`` int64 [batch, sequence], ``logits_to_keep`` int64 [kept] (places of the sequence whose scores are
    wanted), and per layer ``past_key_values.N.key`` and ``.value`` float [batch, heads, capacity, size]. Outputs are ``logits``
    float [batch, kept, vocabulary] and ``present.N.key`` and ``.value`` of the past's shape.

    Raises:
        UnsupportedModel: The model's code cannot be traced, or attends in a way of its own.
    """
    with attending(model):
        layers = look(model)
        return to_graph(_traced(model, layers), type(model).__name__)


def look(model: Any) -> dict[int, Layer]:
    """What each layer keeps, found by running the model once.

    Raises:
        UnsupportedModel: Nothing went through the attention interface.
    """
    ids = torch.zeros((1, 2), dtype=torch.long)
    places = torch.arange(2)[None]
    with torch.no_grad(), scene(Scene()) as current:
        model(input_ids=ids, position_ids=places, use_cache=True, **cache(model))
    if sorted(current.seen) != list(range(len(current.seen))) or not current.seen:
        raise UnsupportedModel(
            f"{type(model).__name__} attends in a way of its own",
            hint="see docs/models.md for the families that are known to work",
            architecture=type(model).__name__,
        )
    return dict(sorted(current.seen.items()))


def cache(model: Any) -> dict[str, PassThrough]:
    """The argument by which a model is given its cache."""
    name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
    return {name: PassThrough()}


def _traced(model: Any, layers: dict[int, Layer]) -> Traced:
    size = _TRACED
    batch, sequence, total, capacity, kept = (size[name] for name in size)
    dtype = next(model.parameters()).dtype
    past = [
        torch.zeros(batch, layer.heads, capacity, layer.size, dtype=dtype)
        for layer in layers.values()
        for _ in range(2)
    ]
    free = {name: torch.export.Dim(name, min=1, max=_MOST) for name in size}
    arguments: dict[str, Any] = {
        "input_ids": torch.ones(batch, sequence, dtype=torch.long),
        "attention_mask": torch.ones(batch, total, dtype=torch.long),
        "position_ids": torch.arange(total - sequence, total).expand(batch, sequence).clone(),
        "logits_to_keep": torch.arange(kept),
        "past": past,
    }
    axes: dict[str, Any] = {
        "input_ids": {0: free["batch"], 1: free["sequence"]},
        "attention_mask": {0: free["batch"], 1: free["total"]},
        "position_ids": {0: free["batch"], 1: free["sequence"]},
        "logits_to_keep": {0: free["kept"]},
        "past": [{0: free["batch"], 2: free["capacity"]}] * len(past),
    }
    kinds = [f"{index}.{part}" for index in layers for part in ("key", "value")]
    return Traced(
        _Whole(model, len(layers)),
        arguments,
        axes,
        (*(n for n in arguments if n != "past"), *(f"past_key_values.{kind}" for kind in kinds)),
        ("logits", *(f"present.{kind}" for kind in kinds)),
    )


class _Whole(torch.nn.Module):  # type: ignore[misc]
    """A language model with its cache as plain tensors."""

    def __init__(self, model: Any, layers: int) -> None:
        super().__init__()
        self.model = model
        self.layers = layers
        self.takes = set(inspect.signature(model.forward).parameters)

    def forward(
        self, input_ids: Any, attention_mask: Any, position_ids: Any, logits_to_keep: Any, past: list[Any]
    ) -> tuple[Any, list[Any]]:
        """Scores at the places that are wanted, and the cache after the pass."""
        current = Scene(
            lengths=(attention_mask.sum(1) - 1).to(torch.int32),
            total=torch.scalar_tensor(attention_mask.shape[1], dtype=torch.int32),
            past=[(past[2 * index], past[2 * index + 1]) for index in range(self.layers)],
        )
        keeps = {"logits_to_keep": logits_to_keep} if "logits_to_keep" in self.takes else {}
        with scene(current):
            scores = self.model(
                input_ids=input_ids,
                position_ids=position_ids,
                use_cache=True,
                **cache(self.model),
                **keeps,
            ).logits
        if not keeps:
            scores = scores[:, logits_to_keep]
        present = [tensor for index in range(self.layers) for tensor in current.present[index]]
        return scores.to(torch.float32), present


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
    listed = [axes for name, axes in traced.axes.items() if name not in plain for axes in axes]
    for name, axes in zip(traced.inputs, [*(traced.axes[name] for name in plain), *listed], strict=True):
        flat[name] = {axis: dim.__name__ for axis, dim in axes.items()}
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
