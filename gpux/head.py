"""What a task needs of a model's class; each task declares its own, the exporter and the proof follow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Head:
    """What a task needs of a model class.

    Attributes:
        auto: The transformers auto class that builds it.
        suffixes: Endings of class names in ``config.architectures`` that carry trained weights for it.
        outputs: The model's outputs that the task reads.
        aliases: Other names that published graphs give them → the model's own.
        classes: Whether the outputs are class scores, whose largest entry must agree in the proof.
    """

    auto: str
    suffixes: tuple[str, ...]
    outputs: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    classes: bool = False
