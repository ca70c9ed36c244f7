"""Models that read pictures and write texts, as three graphs: ``vision``, ``embedder`` and ``decoder``; runs inside the worker.

Pictures become features, tokens become embeddings, and the decoder is given both in one row. What depends on the sizes of pictures
comes in as tensors, which :mod:`gpux.picture_grids` computes, so that one graph serves every size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gpux.errors import UnsupportedModel
from gpux.export import checkpoint
from gpux.export.symbolic import sizes_kept
from gpux.export.whole_pictures import whole_pictures

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

_MOST = 1 << 20  # of a free dimension


@dataclass(frozen=True, slots=True)
class Part:
    """One component before its export.

    Attributes:
        name: The component's.
        module: What is traced; its ``forward`` takes the inputs by name.
        feeds: What it is traced with.
        axes: Input → its free axes by name.
        outputs: Names of what it gives, in order.
    """

    name: str
    module: torch.nn.Module
    feeds: Mapping[str, np.ndarray]
    axes: Mapping[str, Mapping[int, str]]
    outputs: tuple[str, ...]


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
    if kind in {LLAVA, NEXT} and getattr(config, "vision_feature_select_strategy", "default") not in {
        "default",
        "full",
    }:
        raise UnsupportedModel(
            f"`vision_feature_select_strategy` is `{config.vision_feature_select_strategy}`",
            hint="it may be default or full",
            architecture=kind,
        )


def vision(model: Any) -> Part:
    """The tower and the projector, pixels → features in the language model's space.

    LLaVA: ``pixel_values`` float32 [images, 3, height, width] → ``image_features`` float32 [images, places, hidden], and in
    LLaVA-Next ``image_newline`` float32 [hidden]. Qwen: ``pixel_values`` float32 [patches, values], ``position_ids`` int64
    [patches, 2], ``cu_seqlens`` int64 [pictures + 1] and what else the tower asks for → ``image_features`` float32
    [places, hidden], and in Qwen3 ``deepstack_features`` float32 [layers, places, hidden].
    """
    config = model.config
    if config.model_type in {LLAVA, NEXT}:
        return _whole_vision(model)
    return _packed_vision(model)


def embedder(model: Any) -> Part:
    """Tokens → embeddings: ``input_ids`` int64 [batch, sequence] → ``inputs_embeds`` float32 [batch, sequence, hidden]."""
    ids = np.arange(6, dtype=np.int64).reshape(2, 3)
    return Part(
        "embedder",
        _Embedder(model.get_input_embeddings()),
        {"input_ids": ids},
        {"input_ids": {0: "batch", 1: "sequence"}},
        ("inputs_embeds",),
    )


def language_model(model: Any) -> Any:
    """The language model without its head."""
    return model.model.language_model


def deepstacks(model: Any) -> int:
    """How many of the decoder's first layers are given features of the picture once more; 0 in most families."""
    return len(getattr(model.config.vision_config, "deepstack_visual_indexes", None) or ())


class _Embedder(torch.nn.Module):
    def __init__(self, table: torch.nn.Module) -> None:
        super().__init__()
        self.table = table

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        return self.table(input_ids)


class _Whole(torch.nn.Module):
    """Pictures of one size, each alone (LLaVA, and the tiles of LLaVA-Next)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower = model.model.vision_tower
        self.projector = model.model.multi_modal_projector
        config = model.config
        layers = config.vision_feature_layer
        self.layers = [layers] if isinstance(layers, int) else list(layers)
        self.skipped = 1 if config.vision_feature_select_strategy == "default" else 0
        self.newline = getattr(model.model, "image_newline", None)

    def forward(self, pixel_values: torch.Tensor) -> Any:
        states = self.tower(pixel_values, output_hidden_states=True, return_dict=True).hidden_states
        chosen = torch.cat([states[layer][:, self.skipped :] for layer in self.layers], dim=-1)
        features = self.projector(chosen)
        return features if self.newline is None else (features, self.newline + 0)


def _whole_vision(model: Any) -> Part:
    module = _Whole(model)
    edge = model.config.vision_config.image_size
    tall, wide = (edge, edge) if isinstance(edge, int) else edge
    pixels = np.random.default_rng(0).normal(0, 1, (2, 3, tall, wide)).astype(np.float32)
    outputs = ("image_features",) if module.newline is None else ("image_features", "image_newline")
    return Part("vision", module, {"pixel_values": pixels}, {"pixel_values": {0: "images"}}, outputs)


class _Packed(torch.nn.Module):
    """Patches of any number of pictures in one row (Qwen2-VL and later)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.tower = model.model.visual
        for config in {id(c): c for c in (m.config for m in self.tower.modules() if hasattr(m, "config"))}.values():
            config._attn_implementation = SEGMENTED

    def forward(
        self, pixel_values: torch.Tensor, segments: torch.Tensor, sizes: Mapping[str, torch.Tensor]
    ) -> Any:
        # What stands for the boundaries of pictures in transformers is the number of each patch's picture here: a graph
        # over it serves one picture as well as many.
        given = {**sizes, "cu_seqlens": segments, "max_seqlen": 1}
        if "window_segments" in given:
            given |= {"cu_window_seqlens": given.pop("window_segments"), "max_window_seqlen": 1}
        nothing = torch.zeros((1, 3), dtype=torch.long)
        found = self.tower(pixel_values, nothing, **given, return_dict=True)
        stacked = getattr(found, "deepstack_features", None)
        features = found.pooler_output
        return features if not stacked else (features, torch.stack(list(stacked)))


def _packed_vision(model: Any) -> Part:
    _register()
    module = _Packed(model)
    config = model.config.vision_config
    from gpux import picture_grids as grids

    tower = grids.Tower.of(config.to_dict(), model.config.model_type)
    sizes = [(1, 4 * tower.merge, 6 * tower.merge), (1, 2 * tower.merge, 4 * tower.merge)]
    given = tower.feeds(sizes)
    count = given["position_ids"].shape[0]
    width = config.in_channels * config.temporal_patch_size * config.patch_size**2
    pixels = np.random.default_rng(0).normal(0, 1, (count, width)).astype(np.float32)
    outputs = ("image_features", "deepstack_features") if deepstacks(model) else ("image_features",)
    axes = {"pixel_values": {0: "patches"}, **{name: {0: grids.AXES[name]} for name in given}}
    return Part("vision", module, {"pixel_values": pixels, **given}, axes, outputs)


def _segmented(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, *, scaling: float, **others: Any
) -> tuple[torch.Tensor, None]:
    """Attention of each patch to those of its own segment: query, key, value [1, heads, patches, width]."""
    del module, attention_mask
    segments = others["cu_seq_lens_q"]
    same = segments[:, None] == segments[None, :]
    found = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=same[None, None], scale=scaling
    )
    return found.transpose(1, 2), None


def _register() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(SEGMENTED, _segmented)
    AttentionMaskInterface.register(SEGMENTED, lambda *_, **__: None)
