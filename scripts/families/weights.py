"""Seeded random weights under which a network behaves as a trained one does: nothing vanishes, explodes or stays constant.

A class's own initialisation leaves biases at zero, norms at one and layer scales near zero, where a conversion that
drops them would go unnoticed.
"""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@torch.no_grad()
def randomize(model: nn.Module, *, size: tuple[int, int] | None) -> None:
    """Give every parameter a value, and batch norms the statistics of pictures of noise.

    Args:
        model: The network.
        size: Height and width of pictures that it takes; ``None`` where it takes none.
    """
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            _fill(module, name, weight)
    if size and any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        _calibrate(model, size)
    model.eval()


def _fill(module: nn.Module, name: str, weight: nn.Parameter) -> None:
    if "Parametrization" in type(module).__name__ or weight.ndim == 0 or not weight.is_floating_point():
        return  # a weight norm's parts belong together; a logit's scale is as published
    if isinstance(module, nn.Embedding):
        nn.init.normal_(weight, std=0.1)
        if module.padding_idx is not None:
            weight[module.padding_idx] = 0
    elif isinstance(module, (nn.Linear, *_CONVOLUTIONS)) and name == "weight":
        gain = 1.0 if isinstance(module, nn.Linear) else math.sqrt(2)
        nn.init.normal_(weight, std=gain / math.sqrt(weight[0].numel()))
    elif weight.ndim == 1 and "bias" not in name and float(weight.abs().mean()) > 0.5:
        nn.init.uniform_(weight, 0.8, 1.2)
    elif weight.ndim > 1 or "bias" in name:
        nn.init.normal_(weight, std=0.1 if weight.ndim > 1 else 0.02)
    else:
        nn.init.uniform_(weight, 0.05, 0.15)


def _calibrate(model: Any, size: tuple[int, int]) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
            module.train()
    pictures = torch.randn(2, 3, *size)
    named = "pixel_values" in inspect.signature(model.forward).parameters
    model(pixel_values=pictures) if named else model(pictures)
