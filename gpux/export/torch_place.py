"""Where PyTorch computes and in which precision: the devices that it sees, by its own names; knows no model."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from gpux.errors import InvalidSetting

_TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
PRECISIONS = ("fp32", *_TYPES)


@dataclass(frozen=True, slots=True)
class TorchPlace:
    """One device, and the precision that is asked of it.

    Attributes:
        device: PyTorch's name for it.
        title: What it is, for people: its maker's name where PyTorch tells one.
        precision: ``fp32``, or what operators are cast to.
    """

    device: str
    title: str
    precision: str = "fp32"

    @classmethod
    def find(cls, device: str, precision: str) -> TorchPlace:
        """The place of that name.

        Raises:
            InvalidSetting: PyTorch sees no such device, or there is no such precision.
        """
        if precision not in PRECISIONS:
            raise InvalidSetting(
                f"PyTorch is not run in `{precision}` here",
                hint=f"precisions are {', '.join(PRECISIONS)}",
                setting="precision",
            )
        seen = devices()
        if device not in seen and f"{device}:0" not in seen:
            raise InvalidSetting(
                f"PyTorch {torch.__version__} sees no device `{device}`",
                hint=f"its devices are {', '.join(seen)}",
                setting="device",
            )
        return cls(device, seen.get(device) or seen[f"{device}:0"], precision)

    def casting(self) -> AbstractContextManager[Any]:
        """What a forward pass runs in: PyTorch's autocast, or nothing for ``fp32``."""
        kind = _TYPES.get(self.precision)
        return nullcontext() if kind is None else torch.autocast(self.device.partition(":")[0], dtype=kind)


CPU = TorchPlace("cpu", "cpu")


def devices() -> dict[str, str]:
    """PyTorch's name → what it is, of every device that it can use here; the CPU last."""
    found: dict[str, str] = {}
    for kind in ("cuda", "xpu"):
        room = getattr(torch, kind, None)
        if room is not None and room.is_available():
            found |= {f"{kind}:{index}": room.get_device_name(index) for index in range(room.device_count())}
    if torch.backends.mps.is_available():
        found["mps"] = "Apple GPU"
    return {**found, CPU.device: CPU.title}
