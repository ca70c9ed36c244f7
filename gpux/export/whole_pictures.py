"""Lets ViLT be traced: pictures that fill their batch, so that nothing of them is masked and every patch is read.

Its own code counts the patches that are no padding and draws as many in random order, which no graph can; where none is
padding, that is all of them, and the order changes nothing, since each patch knows its place.
Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/vilt/modeling_vilt.py
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch

_EMBEDS = "visual_embed"


@contextmanager
def whole_pictures(model: torch.nn.Module) -> Iterator[None]:
    """Read every patch, for as long as the model is traced; the proof compares with what its own code answers."""
    changed: list[Any] = []
    for part in model.modules():
        config = getattr(part, "config", None)
        if type(part).__name__ == "ViltEmbeddings" and getattr(config, "max_image_length", 0) < 0:
            setattr(part, _EMBEDS, MethodType(_every_patch, part))
            changed.append(part)
    try:
        yield
    finally:
        for part in changed:
            delattr(part, _EMBEDS)


def _every_patch(
    self: Any, pixel_values: torch.Tensor, pixel_mask: torch.Tensor, max_image_length: int = -1
) -> tuple[torch.Tensor, torch.Tensor, tuple[None, tuple[int, int]]]:
    """Patches with their places, the class token first; the mask, all ones; and the number of patches down and across."""
    del pixel_mask, max_image_length
    patches = self.patch_embeddings(pixel_values)
    batch, hidden, down, across = patches.shape
    side = self.config.image_size // self.config.patch_size
    places = self.position_embeddings[:, 1:, :].transpose(1, 2).reshape(1, hidden, side, side)
    places = torch.nn.functional.interpolate(places, size=(down, across), mode="bilinear", align_corners=True)
    first = (self.cls_token + self.position_embeddings[:, :1, :]).expand(batch, -1, -1)
    read = torch.cat([first, (patches + places).flatten(2).transpose(1, 2)], dim=1)
    mask = torch.ones(read.shape[:2], dtype=torch.long, device=read.device)
    return self.dropout(read), mask, (None, (down, across))
