"""What a model is given, from its own files and its graph's types: which tensors, of which sizes, and which axes are free.

Knows no framework, so that a graph that comes without one is described as a checkpoint is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpux.head import AUDIO, IMAGE, LAYOUT, TEXT, VIDEO

TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
IMAGE_INPUTS = ("pixel_values", "pixel_mask")
AUDIO_INPUTS = ("input_values", "input_features", "is_longer")
BOXES = "bbox"
KNOWN = (*TEXT_INPUTS, BOXES, *IMAGE_INPUTS, *AUDIO_INPUTS)
"""Every tensor that a task can make, in the order in which models take them."""

Shape = Sequence[int | str | None]

_FROM_PADDING = re.compile("roberta|mpnet|camembert|longformer")
_MOST = 2**31
_LARGEST = 4096  # pixels of a side, mel frames: a probe of more proves nothing more
_PROCESSORS = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
_PARTS = ("image_processor", "feature_extractor", "video_processor")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids: the vocabulary's size, the padding token, the longest sequence, and the number of token types."""

    vocabulary: int
    pad: int
    maximum: int
    types: int


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pictures: channels, height and width of one, frames of a video (0 for a picture); free sizes are multiples of ``divisor``."""

    channels: int
    height: int
    width: int
    frames: int = 0
    free: bool = False
    divisor: int = 1


@dataclass(frozen=True, slots=True)
class Sound:
    """Recordings: the shape of one without the batch, and whether its first axis (samples, frames) varies."""

    shape: tuple[int, ...]
    free: bool


@dataclass(frozen=True, slots=True)
class Inputs:
    """The tensors of a model.

    Attributes:
        names: Those of :data:`KNOWN` that it takes, in order.
        tokens: Its texts, where it takes some.
        pixels: Its pictures or videos.
        sound: Its recordings.
        plane: How many places a page has along a side, where the model takes a box of each token; else 0.
        apart: Whether texts and pictures (or recordings) are no pairs, so that each has a batch of its own.
    """

    names: tuple[str, ...]
    tokens: Tokens | None = None
    pixels: Pixels | None = None
    sound: Sound | None = None
    plane: int = 0
    apart: bool = False


def describe(
    takes: Sequence[str],
    config: Mapping[str, Any],
    processor: Mapping[str, Any],
    names: Mapping[str, Shape],
    *,
    outputs: Sequence[str] = (),
    tokens: Tokens | None = None,
) -> Inputs:
    """What a model is given.

    Args:
        takes: What the task gives it, of :data:`gpux.head.MODALITIES`.
        config: Its ``config.json``.
        processor: Its processor's settings, as :func:`read_processor` gives them.
        names: The inputs that it knows, with their shapes where a graph tells them (``()`` where nothing does).
        outputs: What it gives; ``logits_per_…`` are scores of every text for every picture or recording.
        tokens: Its texts, where a tokenizer told more than the configuration.
    """
    wanted: list[str] = []
    if TEXT in takes:
        # The mask says where the padding is, to the proof too where the graph does not take it.
        wanted += [name for name in TEXT_INPUTS if name in names or name == "attention_mask"]
    if LAYOUT in takes:
        wanted.append(BOXES)
    if {IMAGE, VIDEO} & set(takes):
        # Beside texts, pictures of one size make a batch, and none is padded.
        padded = "pixel_mask" in names and _pads(processor) and TEXT not in takes
        wanted += ["pixel_values"] + ["pixel_mask"] * padded
    if AUDIO in takes:
        wanted += [name for name in AUDIO_INPUTS if name in names]
        masked = bool(processor.get("return_attention_mask")) or _told(names.get("attention_mask"))
        wanted += ["attention_mask"] * ("attention_mask" in names and masked and TEXT not in takes)
    return Inputs(
        names=tuple(dict.fromkeys(wanted)),
        tokens=(tokens or read_tokens(config)) if TEXT in takes else None,
        pixels=_pixels(config, processor, names.get("pixel_values", ()), video=VIDEO in takes)
        if {IMAGE, VIDEO} & set(takes)
        else None,
        sound=_sound(config, processor, names) if AUDIO in takes else None,
        plane=(_whole(config.get("max_2d_position_embeddings"), least=1) or 1024) if LAYOUT in takes else 0,
        apart=len(takes) > 1 and any(name.startswith("logits_per_") for name in outputs),
    )


def read_processor(directory: Path) -> dict[str, Any]:
    """The settings of a model's processors in one mapping, whichever of their files it has; broken ones say nothing."""
    merged: dict[str, Any] = {}
    for name in _PROCESSORS:
        try:
            data = json.loads((directory / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if not isinstance(data, dict):
            continue
        for part in (data, *(data[key] for key in _PARTS if isinstance(data.get(key), dict))):
            merged.update({key: value for key, value in part.items() if key not in merged})
    return merged


def read_tokens(config: Mapping[str, Any]) -> Tokens:
    """Texts as a configuration alone describes them."""
    inner = config.get("text_config")
    config = inner if isinstance(inner, dict) else config
    pad = _whole(config.get("pad_token_id"), least=0) or 0
    # RoBERTa's family numbers positions from the padding id on, so that many of the table are never reached.
    offset = pad + 1 if _FROM_PADDING.search(str(config.get("model_type", ""))) else 0
    return Tokens(
        vocabulary=_whole(config.get("vocab_size"), least=1) or 1000,
        pad=pad,
        maximum=max(1, (_whole(config.get("max_position_embeddings"), least=1) or 512) - offset),
        types=_whole(config.get("type_vocab_size"), least=0) or 1,
    )


def _pixels(config: Mapping[str, Any], processor: Mapping[str, Any], shape: Shape, *, video: bool) -> Pixels:
    inner = config.get("vision_config")
    vision = inner if isinstance(inner, dict) else config
    fixed = [size if isinstance(size, int) else None for size in shape]
    channels, height, width = fixed[-3:] if len(fixed) >= 4 else (None, None, None)
    frames = fixed[1] if len(fixed) == 5 else None
    free = _free(processor) and not (height and width)
    size = _size(processor) or _square(vision.get("image_size")) or _timm_size(config) or (224, 224)
    step = _divisor(processor)
    size = (-(-size[0] // step) * step, -(-size[1] // step) * step)
    many = _whole(vision.get("num_frames"), least=1) or _whole(config.get("num_frames"), least=1) or 16
    return Pixels(
        channels=channels or _whole(vision.get("num_channels"), least=1) or 3,
        height=height or size[0],
        width=width or size[1],
        frames=(frames or min(many, 64)) if video else 0,
        free=free,
        divisor=step,
    )


def _divisor(processor: Mapping[str, Any]) -> int:
    """What the sides of every picture are multiples of, where the processor sees to it."""
    for key in ("size_divisor", "ensure_multiple_of"):
        if found := _whole(processor.get(key), least=1):
            return min(found, _LARGEST)
    padded = processor.get("do_pad") and not isinstance(processor.get("pad_size"), dict)
    return (_whole(processor.get("pad_size"), least=1) or 1) if padded else 1


def _free(processor: Mapping[str, Any]) -> bool:
    """Whether pictures keep their proportions, so that each may come out at a size of its own."""
    if processor.get("do_center_crop") and processor.get("crop_size"):
        return False
    if processor.get("do_resize") is False:
        return True
    size = processor.get("size")
    keys = set(size) if isinstance(size, dict) else set()
    never_resized = size is None and _divisor(processor) > 1
    if processor.get("keep_aspect_ratio") or never_resized:
        return True
    if processor.get("size_divisor"):
        return not {"height", "width"} <= keys
    if keys & {"longest_edge", "max_height", "max_width"}:
        return True
    # ConvNeXt crops what is smaller than 384 by a share of its own.
    return keys == {"shortest_edge"} and not processor.get("do_center_crop") and "crop_pct" not in processor


def _size(processor: Mapping[str, Any]) -> tuple[int, int] | None:
    crop = processor.get("crop_size") if processor.get("do_center_crop", True) else None
    for value in (crop, processor.get("size")):
        if isinstance(value, dict):
            height, width = (_whole(value.get(name), least=1) for name in ("height", "width"))
            if height and width:
                return min(height, _LARGEST), min(width, _LARGEST)
        square = _square(value.get("shortest_edge") if isinstance(value, dict) else value)
        if square:
            return square
    return None


def _square(value: Any) -> tuple[int, int] | None:
    if isinstance(value, list | tuple) and len(value) == 2:
        first, second = (_whole(one, least=1) for one in value)
        return (min(first, _LARGEST), min(second, _LARGEST)) if first and second else None
    side = _whole(value, least=1)
    return (min(side, _LARGEST), min(side, _LARGEST)) if side else None


def _timm_size(config: Mapping[str, Any]) -> tuple[int, int] | None:
    pretrained = config.get("pretrained_cfg")
    size = pretrained.get("input_size") if isinstance(pretrained, dict) else None
    return _square(size[1:]) if isinstance(size, list | tuple) and len(size) == 3 else None


def _pads(processor: Mapping[str, Any]) -> bool:
    return bool(processor.get("do_pad") or processor.get("pad_size") or processor.get("size_divisor"))


def _sound(config: Mapping[str, Any], processor: Mapping[str, Any], names: Mapping[str, Shape]) -> Sound:
    inner = config.get("audio_config")
    audio = inner if isinstance(inner, dict) else config
    shape = next((names[name] for name in ("input_features", "input_values") if names.get(name)), ())
    if shape and all(isinstance(size, int) for size in shape[1:]):
        return Sound(tuple(int(size) for size in shape[1:] if isinstance(size, int)), free=False)
    mels = _whole(audio.get("num_mel_bins"), least=1) or _whole(processor.get("num_mel_bins"), least=1)
    positions = _whole(audio.get("max_source_positions"), least=1)
    if "input_features" in names and positions:  # Whisper's encoder halves the frames
        return Sound((mels or 80, min(2 * positions, _LARGEST)), free=False)
    if "input_features" in names:
        mels = mels or _whole(processor.get("feature_size"), least=1) or 64
        samples = _whole(processor.get("nb_max_samples"), least=1) or 480_000
        hop = _whole(processor.get("hop_length"), least=1) or 480
        channels = 4 if audio.get("enable_fusion") else 1
        return Sound((channels, min(samples // hop + 1, _LARGEST), mels), free=False)
    if mels and not audio.get("conv_kernel"):
        frames = _whole(audio.get("max_length"), least=1) or _whole(processor.get("max_length"), least=1)
        return Sound((min(frames or 1024, _LARGEST), mels), free=False)
    return Sound((16_000,), free=True)


def _told(shape: Shape | None) -> bool:
    """Whether a graph, and not only a signature, has the input."""
    return bool(shape)


def _whole(value: Any, *, least: int) -> int | None:
    """A whole number of a configuration that anybody may have written, or ``None`` where it is none."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return int(value) if whole and least <= value < _MOST else None
