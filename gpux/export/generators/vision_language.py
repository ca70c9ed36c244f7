"""Models that read pictures and write texts, as three graphs: ``vision``, ``embedder`` and ``decoder``; runs inside the worker.

Pictures become features, tokens become embeddings, and the decoder is given both in one row. What depends on the sizes of pictures
comes in as tensors, which :mod:`gpux.picture_grids` computes, so that one graph serves every size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx_ir
import torch
from transformers import AttentionInterface

from gpux.errors import UnsupportedModel
from gpux.export.generators import fusing, fusing_linear, fusing_norms
from gpux.export.generators.attending import Layer, Scene, attending, scene
from gpux.export.generators.causal import cache, look
from gpux.export.generators.rewriting import Rewriting
from gpux.export.generators.tracing import Traced, to_graph
from gpux.export.symbolic import sizes_kept
from gpux.export.whole_pictures import whole_pictures
from gpux.picture_grids import Grid, Tower

SEGMENTED = "gpux_flash_segments"
"""The attention of packed pictures; its name makes transformers hand over where each begins instead of splitting them."""

LLAVA, NEXT, QWEN2, QWEN25, QWEN3 = FAMILIES = (
    "llava",
    "llava_next",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
)
"""``model_type`` of the models that this module can take apart."""

VISION, EMBEDDER, DECODER = COMPONENTS = ("vision", "embedder", "decoder")

_MOST = 1 << 20
_TRACED = {"batch": 2, "sequence": 3, "total": 7, "capacity": 16, "kept": 2}


def check(config: Any) -> None:
    """Refuse what cannot be taken apart, by its name.

    Raises:
        UnsupportedModel: It is another family, or one of these with a part of another.
    """
    kind = config.model_type
    if kind not in FAMILIES:
        raise UnsupportedModel(
            f"models of type `{kind}` read pictures and write texts in a way that GPUX does not run yet",
            hint=f"the types that run are {', '.join(FAMILIES)}",
            architecture=kind,
        )
    tower = config.vision_config.model_type
    if kind in {LLAVA, NEXT} and tower == "pixtral":
        raise UnsupportedModel(
            f"`{kind}` over a `{tower}` tower, which sees pictures of several sizes, does not run yet",
            hint="one over CLIP, SigLIP or DINOv2 runs",
            architecture=kind,
        )


def export(model: Any) -> dict[str, onnx_ir.Model]:
    """The graphs of a model, by component.

    Raises:
        UnsupportedModel: It is of no family that is known, or its code cannot be traced.
    """
    check(model.config)
    name = type(model).__name__
    with sizes_kept(model), whole_pictures(model):
        graphs = {VISION: _graph_of_vision(model, name)}
    graphs[EMBEDDER] = to_graph(_traced_embedder(model), name)
    graphs[DECODER] = _graph_of_decoder(model, name)
    return graphs


def language_model(model: Any) -> Any:
    """The language model without its head."""
    return model.model.language_model


def stacked(model: Any) -> int:
    """How many of the decoder's first layers are given features of the picture once more; 0 in most families."""
    return len(getattr(model.config.vision_config, "deepstack_visual_indexes", None) or ())


def rotated_in_three(model: Any) -> bool:
    """Whether positions are told by frame, row and column."""
    return model.config.model_type in {QWEN2, QWEN25, QWEN3}


def _graph_of_vision(model: Any, name: str) -> onnx_ir.Model:
    if model.config.model_type in {LLAVA, NEXT}:
        return to_graph(_traced_whole(model), name)
    with _segmenting(model.model.visual):
        program = to_graph(_traced_packed(model), name)
    for value in (*program.graph.inputs, *program.graph.outputs):
        if value.shape is not None:
            free = {False: "places", True: "patches"}["*" in str(value.shape)]
            value.shape = onnx_ir.Shape([d if isinstance(d, int) else free for d in value.shape])
    return program


class _Whole(torch.nn.Module):  # type: ignore[misc]
    """Pictures of one size, each alone (LLaVA, and the tiles of LLaVA-NeXT)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower = model.model.vision_tower
        self.projector = model.model.multi_modal_projector
        layers = model.config.vision_feature_layer
        self.layers = [layers] if isinstance(layers, int) else list(layers)
        self.skipped = 1 if model.config.vision_feature_select_strategy == "default" else 0
        self.newline = getattr(model.model, "image_newline", None)

    def forward(self, pixel_values: Any) -> Any:
        """``pixel_values`` float [images, 3, height, width] → features [images, places, hidden], and the newline [hidden]."""
        states = self.tower(pixel_values, output_hidden_states=True, return_dict=True).hidden_states
        chosen = torch.cat([states[layer][:, self.skipped :] for layer in self.layers], dim=-1)
        features = self.projector(chosen).to(torch.float32)
        return features if self.newline is None else (features, self.newline.to(torch.float32) + 0)


def _traced_whole(model: Any) -> Traced:
    module = _Whole(model)
    edge = model.config.vision_config.image_size
    tall, wide = (edge, edge) if isinstance(edge, int) else edge
    outputs = ("image_features",) if module.newline is None else ("image_features", "image_newline")
    return Traced(
        module,
        {"pixel_values": torch.rand(2, 3, tall, wide)},
        {"pixel_values": {0: torch.export.Dim("images", min=1, max=_MOST)}},
        ("pixel_values",),
        outputs,
    )


class _Packed(torch.nn.Module):  # type: ignore[misc]
    """Patches of any number of pictures in one row (Qwen2-VL and later)."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.tower = model.model.visual
        self.names = tuple(names)

    def forward(self, pixel_values: Any, sizes: list[Any]) -> Any:
        """Patches float [patches, values] → features [places, hidden], and of deeper layers [layers, places, hidden]."""
        given: dict[str, Any] = dict(zip(self.names, sizes, strict=True))
        # What stands for the boundaries of pictures in transformers is the number of each patch's picture here: a graph
        # over it serves one picture as well as many.
        given |= {"cu_seqlens": given.pop("segments"), "max_seqlen": 1}
        if "window_segments" in given:
            given |= {"cu_window_seqlens": given.pop("window_segments"), "max_window_seqlen": 1}
        order = given.pop("order", None)
        nothing = torch.zeros((1, 3), dtype=torch.long)
        found = self.tower(pixel_values, nothing, **given, return_dict=True)
        deeper = getattr(found, "deepstack_features", None)
        every = [found.pooler_output, *([torch.stack(list(deeper))] if deeper else [])]
        if order is not None:
            every = [each.index_select(each.ndim - 2, order) for each in every]
        every = [each.to(torch.float32) for each in every]
        return tuple(every) if deeper else every[0]


def _traced_packed(model: Any) -> Traced:
    config = model.config.vision_config
    tower = Tower.of(config.to_dict(), model.config.model_type)
    grids: list[Grid] = [(1, 4 * tower.merge, 6 * tower.merge), (1, 2 * tower.merge, 4 * tower.merge)]
    given = tower.feeds(grids)
    width = config.in_channels * config.temporal_patch_size * config.patch_size**2
    places = torch.export.Dim("places", min=1, max=_MOST)
    sizes = {len(given["segments"]): tower.merge**2 * places, sum(map(tower.places, grids)): places}
    axes = {0: sizes[len(given["segments"])]}
    return Traced(
        _Packed(model, tuple(given)),
        {
            "pixel_values": torch.rand(len(given["segments"]), width),
            "sizes": [torch.from_numpy(array) for array in given.values()],
        },
        {"pixel_values": axes, "sizes": [{0: sizes[len(array)]} for array in given.values()]},
        ("pixel_values", *given),
        ("image_features", "deepstack_features") if stacked(model) else ("image_features",),
    )


@contextmanager
def _segmenting(tower: Any) -> Iterator[None]:
    """Let a tower's patches attend to those of their own segment, by the number of it."""
    AttentionInterface.register(SEGMENTED, _attend)
    before = tower.config._attn_implementation  # noqa: SLF001
    tower.config._attn_implementation = SEGMENTED  # noqa: SLF001 - set_attn_implementation asks for the flash package
    try:
        yield
    finally:
        tower.config._attn_implementation = before  # noqa: SLF001


def _attend(  # noqa: PLR0917 - transformers calls it so
    module: Any,  # noqa: ARG001
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,  # noqa: ARG001
    scaling: float | None = None,
    dropout: float = 0.0,  # noqa: ARG001
    *,
    cu_seq_lens_q: Any,
    **_: Any,
) -> tuple[Any, None]:
    """Query, key and value float [1, heads, patches, size] → [1, patches, heads, size]; segments int64 [patches]."""
    same = cu_seq_lens_q[:, None] == cu_seq_lens_q[None, :]
    found = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=same[None, None], scale=scaling
    )
    return found.transpose(1, 2), None


class _Embedder(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, table: Any) -> None:
        super().__init__()
        self.table = table

    def forward(self, input_ids: Any) -> Any:
        return self.table(input_ids).to(torch.float32)


def _traced_embedder(model: Any) -> Traced:
    free = {name: torch.export.Dim(name, min=1, max=_MOST) for name in ("batch", "sequence")}
    return Traced(
        _Embedder(model.get_input_embeddings()),
        {"input_ids": torch.ones(2, 3, dtype=torch.long)},
        {"input_ids": {0: free["batch"], 1: free["sequence"]}},
        ("input_ids",),
        ("inputs_embeds",),
    )


class _Decoder(torch.nn.Module):  # type: ignore[misc]
    """A language model that is given embeddings, with its head and its cache as plain tensors."""

    def __init__(self, model: Any, layers: int) -> None:
        super().__init__()
        self.model = language_model(model)
        self.head = model.get_output_embeddings()
        self.layers = layers

    def forward(
        self,
        inputs_embeds: Any,
        attention_mask: Any,
        position_ids: Any,
        logits_to_keep: Any,
        past: list[Any],
        **more: Any,
    ) -> tuple[Any, list[Any]]:
        """Scores at the places that are wanted, and the cache after the pass."""
        current = Scene(
            lengths=(attention_mask.sum(1) - 1).to(torch.int32),
            total=torch.scalar_tensor(attention_mask.shape[1], dtype=torch.int32),
            past=[(past[2 * index], past[2 * index + 1]) for index in range(self.layers)],
        )
        dtype = self.head.weight.dtype
        with scene(current):
            states = self.model(
                inputs_embeds=inputs_embeds.to(dtype),
                position_ids=position_ids,
                use_cache=True,
                **cache(self.model),
                **more,
            ).last_hidden_state
        scores = self.head(states[:, logits_to_keep])
        present = [tensor for index in range(self.layers) for tensor in current.present[index]]
        return scores.to(torch.float32), present


class _StackedDecoder(_Decoder):
    """The same, whose first layers are given features of the picture once more: float [layers, batch, sequence, hidden]."""

    def forward(  # type: ignore[override]  # noqa: PLR0917 - one argument for each input
        self,
        inputs_embeds: Any,
        attention_mask: Any,
        position_ids: Any,
        logits_to_keep: Any,
        deepstack_embeds: Any,
        past: list[Any],
    ) -> tuple[Any, list[Any]]:
        """Scores at the places that are wanted, and the cache after the pass."""
        deeper = {"deepstack_visual_embeds": list(deepstack_embeds.unbind(0)), "visual_pos_masks": True}
        return super().forward(inputs_embeds, attention_mask, position_ids, logits_to_keep, past, **deeper)


def _graph_of_decoder(model: Any, name: str) -> onnx_ir.Model:
    inner = language_model(model)
    with attending(inner), _added_densely(inner):
        layers = look(inner)
        if not layers:
            raise UnsupportedModel(
                f"the language model of {name} attends in a way of its own",
                hint="see docs/models.md for the families that are known to work",
                architecture=name,
            )
        program = to_graph(_traced_decoder(model, layers), name)
    if rotated_in_three(model):
        # The attention operator rotates by one position, so that the rotation stays outside of it.
        rewriting = Rewriting(program, "fused")
        fusing_norms.fuse_norms(rewriting)
        fusing_linear.fuse_gates(rewriting)
        fusing_norms.fuse_skips(rewriting)
        fusing_linear.fuse_head(rewriting)
    else:
        fusing.fuse(program, positions=int(getattr(inner.config, "max_position_embeddings", 0) or 0))
    return program


@contextmanager
def _added_densely(inner: Any) -> Iterator[None]:
    """Qwen3-VL's deeper features added at every place, with zeros where there is no picture, so that nothing depends on where."""
    if not hasattr(inner, "_deepstack_process"):
        yield
        return
    inner._deepstack_process = lambda states, _, features: states + features.to(states.dtype)  # noqa: SLF001
    try:
        yield
    finally:
        del inner._deepstack_process  # noqa: SLF001


def _traced_decoder(model: Any, layers: dict[int, Layer]) -> Traced:
    batch, sequence, total, capacity, kept = (_TRACED[name] for name in _TRACED)
    hidden, dtype = model.get_input_embeddings().weight.shape[1], next(model.parameters()).dtype
    past = [
        torch.zeros(batch, layer.heads, capacity, layer.size, dtype=dtype)
        for layer in layers.values()
        for _ in range(2)
    ]
    free = {name: torch.export.Dim(name, min=1, max=_MOST) for name in _TRACED}
    rows = {0: free["batch"], 1: free["sequence"]}
    places = torch.arange(total - sequence, total).expand(batch, sequence).clone()
    three = rotated_in_three(model)
    arguments: dict[str, Any] = {
        "inputs_embeds": torch.rand(batch, sequence, hidden),
        "attention_mask": torch.ones(batch, total, dtype=torch.long),
        "position_ids": places.expand(3, batch, sequence).clone() if three else places,
        "logits_to_keep": torch.arange(kept),
    }
    moved = {axis + 1: size for axis, size in rows.items()}
    axes: dict[str, Any] = {
        "inputs_embeds": rows,
        "attention_mask": {0: free["batch"], 1: free["total"]},
        "position_ids": moved if three else rows,
        "logits_to_keep": {0: free["kept"]},
    }
    if deeper := stacked(model):
        arguments["deepstack_embeds"] = torch.rand(deeper, batch, sequence, hidden)
        axes["deepstack_embeds"] = moved
    names = tuple(arguments)
    arguments["past"] = past
    axes["past"] = [{0: free["batch"], 2: free["capacity"]}] * len(past)
    kinds = [f"{index}.{part}" for index in layers for part in ("key", "value")]
    return Traced(
        (_StackedDecoder if deeper else _Decoder)(model, len(layers)),
        arguments,
        axes,
        (*names, *(f"past_key_values.{kind}" for kind in kinds)),
        ("logits", *(f"present.{kind}" for kind in kinds)),
    )
