"""Writes a family as a directory that a Hub could hold: configuration, safetensors, tokenizer, preprocessor. Needs torch."""

from __future__ import annotations

import importlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

from families import tokenizing, vocabularies
from families.record import Family
from families.weights import randomize


def write(family: Family, folder: Path, *, fast: bool) -> dict[str, Any]:
    """Write it; what was made: the number of parameters."""
    torch.manual_seed(zlib.crc32(family.name.encode()))
    folder.mkdir(parents=True, exist_ok=True)
    if family.made:
        made: dict[str, Any] = importlib.import_module(f"families.{family.made}").write(folder)
        return made
    if family.timm:
        return _timm(family.timm, folder)
    kind = getattr(transformers, family.architecture)
    settings = family.settings(fast=fast)
    backbone = settings.get("backbone_config")
    if isinstance(backbone, dict):
        settings["backbone_config"] = transformers.AutoConfig.for_model(**backbone)
    config = kind.config_class(**settings)
    if family.tokenizer:
        maker, arguments = family.tokenizer
        makers = tokenizing if hasattr(tokenizing, maker) else vocabularies
        tokenizer = getattr(makers, maker)(**arguments)
        tokenizer.save_pretrained(folder)
        name_tokenizer(folder / "tokenizer_config.json")
    model = kind(config)
    randomize(model, size=_side(family.processor))
    model.save_pretrained(folder)
    if family.projection:
        _project(folder, family.projection, config.hidden_size)
    if family.processor:
        _json(folder / "preprocessor_config.json", family.processor)
    for path, content in family.files.items():
        if path == "1_Pooling/config.json" and isinstance(content, dict):
            content = {**content, "word_embedding_dimension": config.hidden_size}  # noqa: PLW2901
        _json(folder / path, content)
    return {"parameters": sum(weight.numel() for weight in model.parameters())}


_SAID = (
    "tag", "custom_load", "input_size", "fixed_input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std",
    "num_classes", "pool_size", "first_conv", "classifier",
)  # fmt: skip
"""What the Hub's ``config.json`` of a timm model repeats of its ``pretrained_cfg``."""


def _timm(architecture: str, folder: Path) -> dict[str, Any]:
    """A timm model as its repositories have it: its own weights' names, and a configuration without ``model_type``."""
    import timm

    model = timm.create_model(architecture, pretrained=False)
    randomize(model, size=tuple(model.pretrained_cfg["input_size"][1:]))
    return store_timm(architecture, model, folder, {})


def store_timm(architecture: str, model: Any, folder: Path, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Store a model of timm's, some entries of its ``pretrained_cfg`` changed."""
    from safetensors.torch import save_file

    said = {name: model.pretrained_cfg[name] for name in _SAID if name in model.pretrained_cfg}
    save_file(
        {name: weight.contiguous() for name, weight in model.state_dict().items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    counts = {"num_classes": model.num_classes, "num_features": model.num_features}
    _json(
        folder / "config.json",
        {"architecture": architecture, **counts, "pretrained_cfg": {**said, **changed}},
    )
    return {"parameters": sum(weight.numel() for weight in model.parameters())}


def _project(folder: Path, size: int, width: int) -> None:
    """Make a bare encoder Stanford's ``HF_ColBERT``: its linear layer among the weights, the encoder's under ``bert.``."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = {f"bert.{name}": weight for name, weight in load_file(path).items()}
    weights["linear.weight"] = torch.randn(size, width) / width**0.5
    save_file(weights, path, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    _json(folder / "config.json", {**config, "architectures": ["HF_ColBERT"]})


def _side(processor: Any) -> tuple[int, int] | None:
    """The size of pictures that batch norms are calibrated with; ``None`` where there are no pictures."""
    if not processor or "size" not in processor:
        return None
    size = processor.get("crop_size") or processor["size"]
    if isinstance(size, int):
        return size, size
    return (size["height"], size["width"]) if "height" in size else (224, 224)


def name_tokenizer(path: Path) -> None:
    """Call a tokenizer without a class of its own what published checkpoints call it; older versions know no other name."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("tokenizer_class") == "TokenizersBackend":
        _json(path, {**content, "tokenizer_class": "PreTrainedTokenizerFast"})


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
