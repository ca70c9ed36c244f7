"""A Hub directory as the files of other runtimes, made by an interpreter that has their packages; measures nothing.

Usage: python bench_generation_files.py gguf|genai FOLDER TARGET.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_LAYER = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
_OUTER = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf(folder, target):
    """llama.cpp's file of a Qwen3 model, every matrix in Q4_0, embeddings too: they are the head's weights."""
    from gguf import GGMLQuantizationType, GGUFWriter, TokenType, quants
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    writer = GGUFWriter(target, "qwen3")
    writer.add_name(folder.name)
    writer.add_file_type(2)  # mostly Q4_0
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    words = json.loads((folder / "tokenizer.json").read_text())
    special = {token["id"] for token in words["added_tokens"]}
    tokens = [token for token, _ in sorted(words["model"]["vocab"].items(), key=lambda pair: pair[1])]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [TokenType.CONTROL if i in special else TokenType.NORMAL for i in range(len(tokens))]
    )
    writer.add_token_merges([" ".join(pair) for pair in words["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    for name, weight in load_file(folder / "model.safetensors").items():
        kind = GGMLQuantizationType.Q4_0 if weight.ndim == 2 else GGMLQuantizationType.F32
        packed = quants.quantize(weight.astype("float32"), kind)
        writer.add_tensor(_name(name), packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _name(stored):
    module, _, part = stored.rpartition(".")
    if module in _OUTER:
        return f"{_OUTER[module]}.{part}"
    _, _, index, layer = module.split(".", 3)
    return f"blk.{index}.{_LAYER[layer]}.{part}"


def genai(folder, target):
    """onnxruntime-genai's directory in int4, blocks of 32, computed as its builder does by default."""
    options = ["--extra_options", "int4_block_size=32", "int4_accuracy_level=4"]
    cache = target.with_name(f"{target.name}-cache")
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder", "-p", "int4", "-e", "cpu"]
    subprocess.run([*command, "-m", folder, "-o", target, "-c", cache, *options], check=True)


if __name__ == "__main__":
    {"gguf": gguf, "genai": genai}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
