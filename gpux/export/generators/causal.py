"""A decoder-only model as one graph, which reads a prompt and adds tokens to it alike."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

import onnx_ir
import torch

from gpux.export.generators import growing
from gpux.export.generators.attending import Layer, PassThrough, Scene, attending, scene
from gpux.export.generators.mixing import mixing
from gpux.export.generators.tracing import Traced, to_graph

_MOST = 1 << 20
_TRACED = {"batch": 2, "sequence": 3, "total": 7, "capacity": 16, "kept": 2}


def export(model: Any) -> onnx_ir.Model:
    """The graph of a causal language model.

    Inputs are ``input_ids`` int64 [batch, sequence], ``attention_mask`` int64 [batch, total] (each row's sum is its length after
    the run), ``position_ids`` int64 [batch, sequence], ``logits_to_keep`` int64 [kept] (places of the sequence whose scores are
    wanted), and per layer ``past_key_values.N.key`` and ``.value`` float [batch, heads, capacity, size]. Outputs are ``logits``
    float [batch, kept, vocabulary] and ``present.N.key`` and ``.value`` of the past's shape.

    A model that attends in a way of its own keeps its own cache: the past's axis is called ``past``, and what is present is longer
    by the sequence.

    Raises:
        UnsupportedModel: The model's code cannot be traced.
    """
    with attending(model), mixing(model):
        layers = look(model)
        if layers:
            return to_graph(_traced(model, layers), type(model).__name__)
    return to_graph(growing.traced(model), type(model).__name__)


def look(model: Any) -> dict[int, Layer]:
    """What each layer keeps, found by running the model once; nothing where it attends in a way of its own."""
    ids = torch.zeros((1, 2), dtype=torch.long)
    places = torch.arange(2)[None]
    current = Scene()
    own = contextlib.suppress(TypeError, AttributeError, NotImplementedError)
    with own, torch.no_grad(), scene(current):
        model(input_ids=ids, position_ids=places, use_cache=True, **cache(model))
    whole = sorted(current.seen) == list(range(len(current.seen)))
    return dict(sorted(current.seen.items())) if whole else {}


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
