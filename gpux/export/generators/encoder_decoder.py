"""Exports a model that reads with an encoder and writes with a decoder to two graphs.

``encoder`` gives every decoder layer's cross attention its keys and values, projected once; ``decoder`` reads them with every
token, its own past in one buffer. Knows no family: text, sound and pictures differ in what the encoder is given.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx_ir
import torch
from transformers.cache_utils import EncoderDecoderCache
from transformers.exporters.exporter_onnx import _ONNX_TRANSLATION_TABLE
from transformers.exporters.utils import apply_fx_node_fixes, apply_patches
from transformers.modeling_outputs import BaseModelOutput

from gpux.errors import UnsupportedModel
from gpux.export import checkpoint
from gpux.export.generators.attending import PassThrough, attending
from gpux.export.generators.crossing import Crossing, Kept, Pair, crossing
from gpux.export.symbolic import sizes_kept

Feeds = Mapping[str, Any]
Axes = Mapping[str, Mapping[int, str]]

ALIGNMENT = "alignment"
"""How much some heads of the decoder looked at each position of the encoder, float32 [batch, heads, sequence, source]."""

_LONGEST = 65_535
_BATCH = 2  # what a trace sees; one row would be folded into the graph
_STEP = 8  # the attention node takes heads of multiples of it; `attending` pads the others
_KINDS = ("key", "value")


@dataclass(frozen=True, slots=True)
class Source:
    """What an encoder is given.

    Attributes:
        feeds: Tensors by input name, two rows each, with real padding where rows can differ in length.
        axes: Input name → axis → name of what is free on it; ``batch`` is on axis 0 of each.
        mask: The input that masks the encoder's outputs position by position, which the decoder then reads as
            ``encoder_attention_mask``; ``None`` where every position counts.
        longest: The most that the free axes behind ``batch`` can be.
        free: Whether the number of positions that the encoder gives is free.
        heads: Layers and heads whose look at those positions the decoder gives as ``alignment``.
    """

    feeds: Feeds
    axes: Axes
    mask: str | None = None
    longest: int = _LONGEST
    free: bool = True
    heads: Sequence[tuple[int, int]] = ()


def text_source(config: Any) -> Source:
    """What an encoder of texts is given: ``input_ids`` and ``attention_mask``, padded on the right."""
    pad = config.pad_token_id or 0
    row = torch.arange(3, 10) % config.vocab_size
    mask = torch.ones(_BATCH, len(row), dtype=torch.long)
    mask[1, 5:] = 0
    ids = torch.where(mask > 0, row, pad)
    longest = getattr(config, "max_position_embeddings", None) or _LONGEST
    axes = {name: {0: "batch", 1: "source"} for name in ("input_ids", "attention_mask")}
    return Source({"input_ids": ids, "attention_mask": mask}, axes, mask="attention_mask", longest=longest)


def sound_source(model: Any) -> Source:
    """What an encoder of sound of one length is given: ``input_features`` [batch, mels, frames]."""
    config = model.config
    strides = [int(getattr(model.get_encoder(), name).stride[0]) for name in ("conv1", "conv2")]
    frames = math.prod(strides) * int(config.max_source_positions)
    noise = torch.randn(_BATCH, config.num_mel_bins, frames, generator=torch.Generator().manual_seed(0))
    heads = getattr(model.generation_config, "alignment_heads", None) or ()
    return Source(
        {"input_features": noise},
        {"input_features": {0: "batch"}},
        free=False,
        heads=[(layer, head) for layer, head in heads],
    )


class Encoding(torch.nn.Module):  # type: ignore[misc]
    """What is given → the keys and values of every cross attention, layer by layer.

    The decoder is run on one token for them; nothing else of it is left in the graph.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, feeds: dict[str, Any]) -> list[Any]:
        """Inputs by name → ``[key, value, key, …]``, each [batch, heads, source, head_dim]."""
        states = self.model.get_encoder()(**feeds)
        crossed = Kept()
        cache = EncoderDecoderCache(PassThrough(), crossed)
        one = torch.zeros(states.last_hidden_state.shape[0], 1, dtype=torch.long)
        with attending(self.model, _unread):
            self.model(
                encoder_outputs=states,
                decoder_input_ids=one,
                use_cache=True,
                **{cache_name(self.model): cache},
            )
        return [tensor for layer in sorted(crossed.pairs) for tensor in crossed.pairs[layer]]


class Decoding(torch.nn.Module):  # type: ignore[misc]
    """New tokens, what their rows have written and what they read → logits, and the buffers with the new tokens in them."""

    def __init__(self, model: Any, width: int, heads: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.model = model
        self.width = width
        self.heads = tuple(heads)

    def forward(
        self,
        *,
        input_ids: Any,
        attention_mask: Any,
        logits_to_keep: Any,
        past: list[Any],
        cross: list[Any],
        encoder_attention_mask: Any | None = None,
    ) -> tuple[Any, ...]:
        """Logits [batch, kept, vocabulary], ``[key, value, key, …]``, and the heads' looks [batch, heads, sequence, source]."""
        current = Crossing(
            past=_pairs(past),
            cross=_pairs(cross),
            attention_mask=attention_mask,
            sequence=input_ids.shape[1],
            source_mask=encoder_attention_mask,
        )
        # Never read, for what the decoder wants of it is projected already; its shape is.
        states = torch.zeros(cross[0].shape[0], cross[0].shape[2], self.width)
        arguments: dict[str, Any] = {cache_name(self.model): current.cache()}
        if "position_ids" in inspect.signature(self.model.get_decoder().forward).parameters:
            arguments["decoder_position_ids"] = current.positions
        head = self.model.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda _, given: (given[0].index_select(1, logits_to_keep),))
        try:
            with crossing(self.model, current):
                logits = self.model(
                    encoder_outputs=BaseModelOutput(last_hidden_state=states),
                    decoder_input_ids=input_ids,
                    use_cache=True,
                    **arguments,
                ).logits
        finally:
            hook.remove()
        present = [current.scene.present[layer] for layer in range(len(current.past))]
        looks = [current.looked[layer][:, head] for layer, head in self.heads]
        told = [torch.stack(looks, 1).to(torch.float32)] if looks else []
        return logits.to(torch.float32), [tensor for pair in present for tensor in pair], told


def export(model: Any, source: Source) -> dict[str, onnx_ir.Model]:
    """The graphs of a model by component: ``encoder`` and ``decoder``.

    Raises:
        UnsupportedModel: PyTorch cannot trace it, or a decoder layer has no cross attention.
    """
    with torch.inference_mode():
        crossed = Encoding(model)(dict(source.feeds))
    return {"encoder": _encoder(model, source, crossed), "decoder": _decoder(model, source, crossed)}


def _encoder(model: Any, source: Source, crossed: Sequence[Any]) -> onnx_ir.Model:
    dims = _dims(source.longest, *{name: None for free in source.axes.values() for name in free.values()})
    shapes = {
        name: {axis: dims[free] for axis, free in source.axes.get(name, {}).items()} for name in source.feeds
    }
    outputs = _named("cross", len(crossed) // 2)
    program = _traced(
        Encoding(model), {"feeds": dict(source.feeds)}, {"feeds": shapes}, tuple(source.feeds), outputs
    )
    sizes = {0: "batch", 2: "source"} if source.free else {0: "batch"}
    _name(program, {**source.axes, **dict.fromkeys(outputs, sizes)})
    return program


def _decoder(model: Any, source: Source, crossed: Sequence[Any]) -> onnx_ir.Model:
    config = model.get_decoder().config
    layers, tokens, total, capacity = len(crossed) // 2, 3, 5, 8
    heads, width = _self_attention(model, layers)
    dims = _dims(_LONGEST, "batch", "sequence", "total", "kept", "capacity", "source")
    past = [torch.zeros(_BATCH, heads, capacity, width) for _ in range(2 * layers)]
    mask = torch.ones(_BATCH, total, dtype=torch.long)
    mask[1, -1] = 0  # a row is one token behind the other
    arguments: dict[str, Any] = {
        "input_ids": torch.arange(3, 3 + tokens).expand(_BATCH, tokens) % config.vocab_size,
        "attention_mask": mask,
        "logits_to_keep": torch.tensor([1, 2]),
        "past": past,
        "cross": [tensor.clone() for tensor in crossed],
    }
    cross_axes = {0: "batch", 2: "source"} if source.free else {0: "batch"}
    axes: dict[str, Any] = {
        "input_ids": {0: "batch", 1: "sequence"},
        "attention_mask": {0: "batch", 1: "total"},
        "logits_to_keep": {0: "kept"},
        "past": [{0: "batch", 2: "capacity"}] * (2 * layers),
        "cross": [cross_axes] * (2 * layers),
    }
    pasts, crosses = _named("past_key_values", layers), _named("cross", layers)
    names = ["input_ids", "attention_mask", "logits_to_keep", *pasts, *crosses]
    if source.mask:
        arguments["encoder_attention_mask"] = source.feeds[source.mask].clone()
        axes["encoder_attention_mask"] = cross_axes if 1 in cross_axes else {0: "batch", 1: "source"}
        names.append("encoder_attention_mask")
    shapes = {
        name: [{axis: dims[free] for axis, free in one.items()} for one in given]
        if isinstance(given, list)
        else {axis: dims[free] for axis, free in given.items()}
        for name, given in axes.items()
    }
    outputs = ("logits", *_named("present", layers), *[ALIGNMENT] * bool(source.heads))
    program = _traced(Decoding(model, _hidden(model), source.heads), arguments, shapes, names, outputs)
    flat = {name: axes[name] for name in axes if name not in {"past", "cross"}}
    buffers = dict.fromkeys((*pasts, *_named("present", layers)), axes["past"][0])
    _name(
        program,
        {
            **flat,
            **buffers,
            **dict.fromkeys(crosses, cross_axes),
            "logits": {0: "batch", 1: "kept"},
            ALIGNMENT: {0: "batch", 2: "sequence"},
        },
    )
    return program


def _traced(
    module: torch.nn.Module,
    arguments: dict[str, Any],
    shapes: dict[str, Any],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> onnx_ir.Model:
    model: Any = module.model
    try:
        with torch.no_grad(), apply_patches("onnx"), sizes_kept(model):
            traced = torch.export.export(module, (), kwargs=arguments, dynamic_shapes=shapes, strict=False)
            apply_fx_node_fixes("onnx", traced.graph_module)
            program = torch.onnx.export(
                traced,
                args=(),
                kwargs=arguments,
                input_names=list(inputs),
                output_names=list(outputs),
                custom_translation_table=dict(_ONNX_TRANSLATION_TABLE),
                optimize=True,
                dynamo=True,
            )
    except MemoryError:
        raise
    except Exception as error:
        raise UnsupportedModel(
            f"{type(model).__name__} cannot be exported: {checkpoint.first_line(error)}",
            hint="see docs/models.md for the families that are known to work",
            architecture=type(model).__name__,
        ) from error
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    graph: onnx_ir.Model = program.model
    RemoveUnusedNodesPass()(graph)
    return graph


def _name(program: onnx_ir.Model, axes: Axes) -> None:
    """Give free axes the contract's names, and forget what the exporter noted of sizes in between, which is partly stale."""
    outside = (*program.graph.inputs, *program.graph.outputs)
    for value in outside:
        if value.shape is not None:
            free = axes.get(value.name or "", {})
            sizes = [free.get(axis, size) for axis, size in enumerate(value.shape)]
            value.shape = onnx_ir.Shape([size if isinstance(size, int) else str(size) for size in sizes])
    for node in program.graph.all_nodes():
        for value in node.outputs:
            if value not in outside:
                value.shape = None


def _dims(longest: int, *names: str) -> dict[str, Any]:
    return {
        name: torch.export.Dim(name, min=1, max=_LONGEST if name == "batch" else longest) for name in names
    }


def _pairs(tensors: Sequence[Any]) -> list[Pair]:
    return list(zip(tensors[::2], tensors[1::2], strict=True))


def _named(prefix: str, layers: int) -> tuple[str, ...]:
    return tuple(f"{prefix}.{layer}.{kind}" for layer in range(layers) for kind in _KINDS)


def _unread(_module: Any, query: Any, *_: Any, **__: Any) -> tuple[Any, None]:
    """The attention of a decoder whose outputs nobody reads: the shortest to trace."""
    return query.transpose(1, 2), None


def cache_name(model: Any) -> str:
    """What the model calls the cache that it is given."""
    # transformers 5.24 renamed it; the old name warns.
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def _hidden(model: Any) -> int:
    return int(model.get_encoder().config.hidden_size)


def _self_attention(model: Any, layers: int) -> tuple[int, int]:
    """Heads and head size of the decoder's own keys, seen in a run on one token."""
    seen = Kept()
    cache = EncoderDecoderCache(seen, PassThrough())
    states = torch.zeros(1, 2, _hidden(model))
    with torch.inference_mode():
        model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            decoder_input_ids=torch.zeros(1, 1, dtype=torch.long),
            use_cache=True,
            **{cache_name(model): cache},
        )
    if len(seen.pairs) != layers:
        raise UnsupportedModel(
            f"{type(model).__name__} cannot be exported: {layers} of its {len(seen.pairs)} decoder layers read the encoder",
            hint="see docs/models.md for the families that are known to work",
            architecture=type(model).__name__,
        )
    key = seen.pairs[0][0]
    return int(key.shape[1]), -(-int(key.shape[3]) // _STEP) * _STEP
