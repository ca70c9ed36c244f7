"""How large a picture becomes: height and width in, height and width out, as each processor of transformers rounds it.

Each rule's arithmetic, order and rounding are those of ``transformers.image_transforms`` or of the processor it is named
for, since one pixel more or less shifts every other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Size: TypeAlias = tuple[int, int]
"""Height and width."""
Rule: TypeAlias = Callable[[int, int], Size]
"""Height and width of a picture → those that it is resized to."""

_LONG, _SHORT = 1333, 800  # ViLT and BridgeTower allow edges of this proportion


def exact(_height: int, _width: int, *, size: Size) -> Size:
    """That size, whatever the proportions."""
    return size


def shortest(height: int, width: int, *, edge: int) -> Size:
    """The shorter edge becomes ``edge``, the longer keeps the proportions (``get_resize_output_image_size``)."""
    if width <= height:
        return int(edge * height / width), edge
    return edge, int(edge * width / height)


def bounded(height: int, width: int, *, edge: int, longest: int) -> Size:
    """The shorter edge becomes ``edge``, or less where the longer would pass ``longest`` (``get_size_with_aspect_ratio``)."""
    raw, edge = _bounds(height, width, edge=edge, longest=longest)
    if min(height, width) == edge:
        return height, width
    return _proportions(height, width, raw=raw, edge=edge)


def bounded_to_sixteen(height: int, width: int, *, edge: int, longest: int) -> Size:
    """Nearly the same, then down to multiples of 16 (YOLOS)."""
    raw, edge = _bounds(height, width, edge=edge, longest=longest)
    if height <= width and height == edge:
        tall, wide = height, width
    else:
        tall, wide = _proportions(height, width, raw=raw, edge=edge)
    return tall - tall % 16, wide - wide % 16


def _bounds(height: int, width: int, *, edge: int, longest: int) -> tuple[float, int]:
    if max(height, width) / min(height, width) * edge <= longest:
        return edge, edge
    raw = longest * float(min(height, width)) / max(height, width)
    return raw, round(raw)


def _proportions(height: int, width: int, *, raw: float, edge: int) -> Size:
    if width < height:
        return int(raw * height / width), edge
    return edge, int(raw * width / height)


def within(height: int, width: int, *, tallest: int, widest: int) -> Size:
    """As large as fits into both (``get_image_size_for_max_height_width``)."""
    scale = min(tallest / height, widest / width)
    return int(height * scale), int(width * scale)


def raised(height: int, width: int, *, rule: Rule, divisor: int) -> Size:
    """As a rule says, then up to multiples of ``divisor`` (MaskFormer, Mask2Former, TextNet)."""
    tall, wide = rule(height, width)
    return math.ceil(tall / divisor) * divisor, math.ceil(wide / divisor) * divisor


def lowered(height: int, width: int, *, divisor: int) -> Size:
    """Down to multiples of ``divisor`` (GLPN)."""
    return height // divisor * divisor, width // divisor * divisor


def shortest_lowered(height: int, width: int, *, edge: int, divisor: int) -> Size:
    """The shorter edge becomes ``edge``, the longer at most 1333/800 of it, both down to multiples (ViLT, BridgeTower)."""
    longest = int(_LONG / _SHORT * edge)
    scale = edge / min(height, width)
    tall: float = edge if height < width else scale * height
    wide: float = scale * width if height < width else edge
    if max(tall, wide) > longest:
        scale = longest / max(tall, wide)
        tall, wide = scale * tall, scale * wide
    return int(tall + 0.5) // divisor * divisor, int(wide + 0.5) // divisor * divisor


def multiple(height: int, width: int, *, size: Size, of: int, keep: bool) -> Size:
    """The nearest multiples of ``of`` to a size, or to the one of the picture's proportions that changes it least (DPT)."""
    tall, wide = size[0] / height, size[1] / width
    if keep:
        tall = wide = wide if abs(1 - wide) < abs(1 - tall) else tall
    return round(tall * height / of) * of, round(wide * width / of) * of


def patched(height: int, width: int, *, of: int, least: int, most: int) -> Size:
    """The nearest multiples of ``of``, scaled to between ``least`` and ``most`` pixels in all (Qwen2-VL's ``smart_resize``)."""
    tall, wide = round(height / of) * of, round(width / of) * of
    if tall * wide > most:
        share = math.sqrt((height * width) / most)
        return max(of, math.floor(height / share / of) * of), max(of, math.floor(width / share / of) * of)
    if tall * wide < least:
        share = math.sqrt(least / (height * width))
        return math.ceil(height * share / of) * of, math.ceil(width * share / of) * of
    return tall, wide


def fitted(height: int, width: int, *, target: Size) -> Size:
    """As large as fits into a size, rounded up (``get_patch_output_size`` of LLaVA-NeXT)."""
    tall, wide = target
    down, across = tall / height, wide / width
    if across < down:
        return min(math.ceil(height * across), tall), wide
    return tall, min(math.ceil(width * down), wide)


def proportional(height: int, width: int, *, size: Size, longest: bool) -> Size:
    """One scale for both edges: the larger that fits ``size``, or the smaller that covers it (timm's ``ResizeKeepRatio``)."""
    ratios = height / size[0], width / size[1]
    ratio = max(ratios) if longest else min(ratios)
    return round(height / ratio), round(width / ratio)


def centred(inner: int, outer: int) -> int:
    """Where a crop of ``inner`` pixels begins in ``outer``; negative where it is larger (``center_crop``)."""
    return (outer - inner) // 2


def centred_to_even(inner: int, outer: int) -> int:
    """The same as torchvision's ``CenterCrop`` rounds it, which timm uses."""
    return -((inner - outer) // 2) if inner > outer else round((outer - inner) / 2)
