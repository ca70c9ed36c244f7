"""What a model is given (text, images, video, sound, layout), from its configuration and its processor's settings; never from its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpux.head import AUDIO, IMAGE, LAYOUT, TEXT, VIDEO

_SOUND = {"conv_kernel", "num_mel_bins", "audio_config"}
_PICTURES = {"image_size", "patch_size", "num_channels", "vision_config", "backbone_config", "pretrained_cfg"}
_FRAMES = {"num_frames", "tubelet_size"}
_PLANE = "max_2d_position_embeddings"
TIMM = "timm_wrapper"
"""What transformers calls the models of timm, whose own configuration names no type."""


def given(config: Mapping[str, Any], processor: Mapping[str, Any]) -> frozenset[str]:
    """What a model is given, of :data:`gpux.head.MODALITIES`; empty where its files do not say.

    Args:
        config: Its ``config.json``.
        processor: Its processor's settings, as :func:`gpux.export.inputs.read_processor` gives them.
    """
    known = {key for key, value in config.items() if value is not None}
    found = set()
    if known & _SOUND or (not known & _PICTURES and "sampling_rate" in processor):
        found.add(AUDIO)
    elif known & _PICTURES or "image_mean" in processor or "image_processor_type" in processor:
        vision = config.get("vision_config")
        inner = set(vision) if isinstance(vision, dict) else set()
        # Image models that were made from video ones keep their settings; a video model says its frames.
        found.add(VIDEO if _FRAMES & (known | inner) else IMAGE)
    # The vocabulary of a speech model is that of its answers, BEiT's is of pieces of pictures: neither numbers positions of text.
    words = "vocab_size" in known and (
        not found or (AUDIO not in found and "max_position_embeddings" in known)
    )
    if "text_config" in known or words:
        found.add(TEXT)
    if _PLANE in known:
        found.add(LAYOUT)
    return frozenset(found)


def model_type(config: Mapping[str, Any]) -> str | None:
    """The name that transformers knows the model by, or ``None``."""
    named = config.get("model_type")
    return str(named) if named else TIMM if "pretrained_cfg" in config else None
