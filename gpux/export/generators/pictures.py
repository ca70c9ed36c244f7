"""Models that read pictures and write: which way each is taken apart and asked; knows no family's parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx_ir

from gpux.export.generators import captioning, picture_answers, vision_language
from gpux.export.generators.generator import Generator


def ask(made: Generator, output: Path) -> None:
    """Write ``probes.npz`` and ``reference.npz``.

    Raises:
        UnsupportedModel: GPUX does not run its family.
    """
    if made.model.config.model_type in captioning.FAMILIES:
        captioning.ask(made, output)
        return
    vision_language.check(made.model.config)
    picture_answers.ask(made, output)


def programs(model: Any) -> dict[str, onnx_ir.Model]:
    """The graphs of a model by component, in the order in which they run.

    Raises:
        UnsupportedModel: It cannot be traced.
    """
    if model.config.model_type in captioning.FAMILIES:
        return captioning.export(model)
    return vision_language.export(model)
