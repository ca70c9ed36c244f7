"""A decoder's keys and values in 8 bits: a quarter of the cache's memory, by one scale for each tensor.

One per tensor, not per channel: what is greater than anything that was measured is cut off, and of a whole tensor more was measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from gpux.errors import UnsupportedModel
from gpux.export.generators.rewriting import Rewriting, attribute

_MARGIN = 1.25
"""How much greater than what was measured a key or value may be."""
_LONG = 256
"""Tokens of chance that are measured besides the texts: channels that stand out do so for any token."""
_SCALES = (12, 13)
"""The operator's inputs for the scales of keys and of values."""


def measure(model: Any, texts: Sequence[Sequence[int]]) -> dict[str, float]:
    """The greatest magnitude of each layer's keys and values (``0.key`` → number), as the PyTorch model computes them.

    Args:
        model: The PyTorch module, in fp32.
        texts: Tokens of some texts.
    """
    vocabulary = int(model.config.get_text_config(decoder=True).vocab_size)
    chance = np.random.default_rng(0).integers(0, vocabulary, _LONG).tolist()
    found: dict[str, float] = {}
    for text in (*texts, chance):
        ids = [token for token in text if token < vocabulary]
        if not ids:
            continue
        with torch.inference_mode():
            cache = model(input_ids=torch.tensor([ids]), use_cache=True).past_key_values
        for number, layer in enumerate(cache.layers):
            for name, tensor in (("key", layer.keys), ("value", layer.values)):
                kind = f"{number}.{name}"
                found[kind] = max(found.get(kind, 0.0), float(tensor.abs().max()))
    return found


def narrow(model: ir.Model, greatest: Mapping[str, float]) -> None:
    """Rewrite a graph in place.

    Args:
        model: The graph, of the form that :mod:`gpux.export.generators.causal` gives.
        greatest: What :func:`measure` found.

    Raises:
        UnsupportedModel: The graph keeps its cache in a way of its own.
    """
    rewriting = Rewriting(model, "narrowed")
    nodes = [
        node for node in rewriting.nodes("GroupQueryAttention") if not attribute(node, "k_quant_type", "")
    ]
    if not nodes or len(greatest) != 2 * len(nodes):
        raise UnsupportedModel(
            "this model keeps its keys and values in a way of its own, which has no 8 bits",
            hint="pull it in q4, or in int8",
        )
    for node in nodes:
        if len(node.inputs) <= _SCALES[1]:
            node.resize_inputs(_SCALES[1] + 1)
        for slot, past, present in zip(_SCALES, node.inputs[3:5], node.outputs[1:3], strict=True):
            assert past is not None  # noqa: S101 - every layer has a cache
            kind = str(past.name).removeprefix("past_key_values.")
            scale = np.array([greatest[kind] * _MARGIN / 127 or 1.0], np.float32)
            node.replace_input_with(slot, rewriting.numbers(f"scale.{kind}", scale))
            past.dtype = present.dtype = ir.DataType.INT8
        for name in ("k_quant_type", "v_quant_type"):
            node.attributes[name] = ir.AttrString(name, "PER_TENSOR")
        node.attributes["kv_cache_bit_width"] = ir.AttrInt64("kv_cache_bit_width", 8)
    rewriting.sweep()
