"""Decoder-only models that attend in a way of their own: their cache as they keep it, longer after each run by what was read."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import DynamicCache

from gpux.errors import UnsupportedModel
from gpux.export.generators.attending import Layer
from gpux.export.generators.tracing import Traced

_BATCH, _SEQUENCE, _PAST, _KEPT = 2, 3, 5, 2


def traced(model: Any) -> Traced:
    """What the exporter is given; inputs and outputs as of :func:`gpux.export.generators.causal.export`.

    Rows of a batch end together: shorter ones begin later, where ``attention_mask`` [batch, total] holds zeros.

    Raises:
        UnsupportedModel: The model keeps something else than keys and values.
    """
    layers = _look(model)
    takes = set(inspect.signature(model.forward).parameters)
    total = _PAST + _SEQUENCE
    mask = torch.ones(_BATCH, total, dtype=torch.long)
    mask[1, 0] = 0  # without a real pad the mask would be traced away
    dtype = next(model.parameters()).dtype
    past = [
        torch.zeros(_BATCH, layer.heads, _PAST, layer.size, dtype=dtype) for layer in layers for _ in range(2)
    ]
    arguments: dict[str, Any] = {
        "input_ids": torch.ones(_BATCH, _SEQUENCE, dtype=torch.long),
        "attention_mask": mask,
        **({"position_ids": _places(mask)} if "position_ids" in takes else {}),
        "logits_to_keep": torch.arange(_KEPT),
        "past": past,
    }
    named = {
        "input_ids": {0: "batch", 1: "sequence"},
        "attention_mask": {0: "batch", 1: "total"},
        "position_ids": {0: "batch", 1: "sequence"},
        "logits_to_keep": {0: "kept"},
    }
    labels: dict[str, Any] = {name: axes for name, axes in named.items() if name in arguments}
    labels["past"] = [{0: "batch", 2: "past"}] * len(past)
    free = torch.export.Dim.AUTO
    axes: dict[str, Any] = {
        name: [dict.fromkeys(each, free) for each in told] if name == "past" else dict.fromkeys(told, free)
        for name, told in labels.items()
    }
    kinds = [f"{index}.{part}" for index in range(len(layers)) for part in ("key", "value")]
    return Traced(
        _Whole(model, takes),
        arguments,
        axes,
        (*(n for n in arguments if n != "past"), *(f"past_key_values.{kind}" for kind in kinds)),
        ("logits", *(f"present.{kind}" for kind in kinds)),
        labels,
    )


def _places(mask: Any) -> Any:
    return (mask.cumsum(1) - 1).clamp(min=0)[:, -_SEQUENCE:].contiguous()


def _look(model: Any) -> list[Layer]:
    kept = DynamicCache()
    with torch.no_grad():
        model(input_ids=torch.zeros((1, 2), dtype=torch.long), past_key_values=kept, use_cache=True)
    shapes = [
        (tuple(layer.keys.shape), tuple(layer.values.shape))
        for layer in kept.layers
        if getattr(layer, "keys", None) is not None
    ]
    plain = all(key == value and len(key) == 4 and key[0] == 1 and key[2] == 2 for key, value in shapes)
    if not shapes or len(shapes) != len(kept.layers) or not plain:
        raise UnsupportedModel(
            f"{type(model).__name__} keeps something else of what it has read than keys and values",
            hint="see docs/models.md for the families that are known to work",
            architecture=type(model).__name__,
        )
    return [Layer(key[1], key[3]) for key, _ in shapes]


class _Whole(torch.nn.Module):  # type: ignore[misc]
    """A language model with its cache as plain tensors."""

    def __init__(self, model: Any, takes: set[str]) -> None:
        super().__init__()
        self.model = model
        self.takes = takes

    def forward(
        self,
        input_ids: Any,
        attention_mask: Any,
        logits_to_keep: Any,
        past: list[Any],
        position_ids: Any = None,
    ) -> tuple[Any, list[Any]]:
        """Scores at the places that are wanted, and the cache after the pass."""
        kept = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
        given = {"position_ids": position_ids, "logits_to_keep": logits_to_keep}
        taken = {name: value for name, value in given.items() if name in self.takes}
        scores = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            past_key_values=kept,
            use_cache=True,
            **taken,
        ).logits
        if "logits_to_keep" not in taken:
            scores = scores[:, logits_to_keep]
        present = [tensor for layer in kept.layers for tensor in (layer.keys, layer.values)]
        return scores.to(torch.float32), present
