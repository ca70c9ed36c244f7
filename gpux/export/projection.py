"""Keeps the projection that a Stanford ColBERT checkpoint has among its weights, which no class of transformers takes.

Imported only where a framework is: in the exporter's environment. It is written as sentence-transformers' Dense module is.
"""

from __future__ import annotations

import json
from pathlib import Path

from gpux.errors import UnsupportedModel

FOLDER, NAME = "linear", "linear.weight"


def keep(source: Path, output: Path, *, allow_pickle: bool) -> None:
    """Write the projection to a folder of ``output``; of any other model, nothing.

    Args:
        source: The model's directory.
        output: Where the exporter writes.
        allow_pickle: Whether weights may be a pickle (loaded with ``weights_only``).

    Raises:
        UnsupportedModel: The checkpoint says that it has one, and has none.
    """
    config = json.loads((source / "config.json").read_bytes())
    if "HF_ColBERT" not in (config.get("architectures") or []):
        return
    from safetensors import safe_open
    from safetensors.torch import save_file

    weight = None
    for path in sorted(source.glob("*.safetensors")):
        with safe_open(path, "pt") as weights:
            if NAME in weights.keys():  # noqa: SIM118 - no mapping, and not iterable
                weight = weights.get_tensor(NAME)
    if weight is None and allow_pickle:
        import torch

        for path in sorted(source.glob("pytorch_model*.bin")):
            weight = torch.load(path, map_location="cpu", weights_only=True).get(NAME, weight)
    if weight is None:
        raise UnsupportedModel(
            f"the checkpoint has no `{NAME}`, which projects a ColBERT model's vectors",
            hint="pull a checkpoint that was trained for late interaction",
            architecture="HF_ColBERT",
        )
    folder = output / FOLDER
    folder.mkdir()
    save_file({NAME: weight.float().contiguous()}, folder / "model.safetensors")
    settings = {"activation_function": "torch.nn.modules.linear.Identity", "bias": False}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
