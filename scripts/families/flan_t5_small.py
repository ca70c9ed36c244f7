"""FLAN-T5 small with the weights that Google trained, in the eight bits that a package carries them in, as a Hub directory.

Its two graphs are those of an exporter that quantised every product: the products' names say which weights they hold.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from families import packages

_ROOM = "traceforge_title_model/data/span"
_PARTS = {"encoder": "enc.", "decoder": "m."}
_PREFIXES = {
    "summarization": {"prefix": "summarize: ", "max_length": 200, "min_length": 30, "num_beams": 4},
    "translation_en_to_de": {"prefix": "translate English to German: ", "max_length": 300, "num_beams": 4},
    "translation_en_to_fr": {"prefix": "translate English to French: ", "max_length": 300, "num_beams": 4},
}  # the published configuration's own


def write(folder: Path) -> dict[str, Any]:
    """Write its directory; every weight of the model is found once."""
    import torch
    from transformers import GenerationConfig, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    room = packages.unpacked(packages.FLAN_T5) / _ROOM
    config = T5Config(
        vocab_size=32128, d_model=512, d_kv=64, d_ff=1024, num_layers=8, num_decoder_layers=8, num_heads=6,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0, n_positions=512,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config).eval()
    # transformers 5 makes them one; the published model has two, and loading it keeps them apart.
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    found = {
        name: weight for part in _PARTS for name, weight in _weights(room / f"{part}.onnx", part).items()
    }
    own = {name: torch.from_numpy(weight) for name, weight in found.items()}
    missing, unexpected = model.load_state_dict(own, strict=False)
    if unexpected or set(missing) - {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}:
        raise ValueError(f"the graphs do not have this network's weights: {missing} {unexpected}")
    model.generation_config = GenerationConfig(decoder_start_token_id=0, eos_token_id=1, pad_token_id=0)
    model.save_pretrained(folder)
    said = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(
        json.dumps({**said, "tie_word_embeddings": False, "task_specific_params": _PREFIXES}, indent=2)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(room / "tokenizer.json"),
        eos_token="</s>", pad_token="<pad>", unk_token="<unk>", model_max_length=512,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)
    shutil.copyfile(room / "tokenizer.json", folder / "tokenizer.json")
    return {"parameters": sum(weight.numel() for weight in model.parameters())}


def _weights(path: Path, part: str) -> dict[str, np.ndarray]:
    """Name in transformers → weight, of one graph."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    found = {}
    for name, tensor in tensors.items():
        if name.startswith(_PARTS[part]) and not name.endswith(("_scale", "_zero_point")):
            plain = name.removesuffix("_quantized")
            found[_name(plain, part)] = _whole(tensors, plain) if plain != name else tensor
    for node in graph.node:
        module = re.fullmatch(r"/(\S+)/MatMul_quant", node.name)
        if module and node.op_type == "MatMulInteger":
            weight = _whole(tensors, node.input[1].removesuffix("_quantized")).T
            found[_name(f"{module[1].replace('/', '.')}.weight", part)] = np.ascontiguousarray(weight)
    return found


def _name(name: str, part: str) -> str:
    own = name.removeprefix(_PARTS[part])
    if own in {"embed_tokens.weight", "shared.weight"}:
        return "shared.weight"
    return own if part == "decoder" else f"encoder.{own}"


def _whole(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    quantised = tensors[f"{name}_quantized"].astype(np.float32)
    return (quantised - tensors[f"{name}_zero_point"].astype(np.float32)) * tensors[f"{name}_scale"]
