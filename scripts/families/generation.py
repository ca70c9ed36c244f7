"""Families that continue a text: decoders of every kind of attention, position and mixture of experts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from families.record import Family
from families.tokenizing import CHATML, DIALOGUE, GEMMA, LLAMA3

_SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
_GROUPED = {**_SMALL, "num_key_value_heads": 2, "head_dim": 16}
_EXPERTS = {"transformers:openvino": "OpenVINO has no rule for com.microsoft.MoE, which its experts are in"}
_TOKENS = {"max_new_tokens": 16}
_END = "<|endoftext|>"
_GPT2 = {"size": 50257, "limit": 1024, "first": [_END], "bos": _END, "eos": _END}
_GPT2_ENDS = {"bos_token_id": 0, "eos_token_id": 0}
_QWEN = {
    "size": 151936, "limit": 32768, "first": [_END, "<|im_start|>", "<|im_end|>"], "bos": None, "eos": "<|im_end|>",
    "pad": _END, "template": CHATML,
}  # fmt: skip
_QWEN_ENDS = {"vocab_size": 151936, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0}
_PIECES = {"first": ["<unk>", "<s>", "</s>"], "bos": "<s>", "eos": "</s>"}
_GEMMA = {
    "first": ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"], "bos": "<bos>", "eos": "<eos>",
    "pad": "<pad>", "template": GEMMA, "limit": 8192,
}  # fmt: skip
_GLM = {
    "size": 151552, "limit": 131072, "first": [_END, "[gMASK]", "<sop>", "<|user|>"], "bos": None, "eos": _END,
    "pad": _END,
}  # fmt: skip
_QWEN3 = {"rms_norm_eps": 1e-6, "max_position_embeddings": 40960, "tie_word_embeddings": True, **_QWEN_ENDS}


def _family(name: str, title: str, like: str, architecture: str, config: Mapping[str, Any], reduced: Mapping[str, Any],
            tokenizer: tuple[str, Mapping[str, Any]], **rest: Any) -> Family:  # fmt: skip
    return Family(
        name=name, title=title, like=like, task="text-generation", architecture=architecture, config=config,
        reduced=reduced, tokenizer=tokenizer, items="prompts", asks="generation", parameters=_TOKENS, **rest,
    )  # fmt: skip


def _theta(base: float, **rest: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": base, **rest}}


FAMILIES = (
    Family(
        name="smollm2", title="Llama", like="HuggingFaceTB/SmolLM2-135M-Instruct", task="text-generation",
        architecture="LlamaForCausalLM", made="smollm",
        items="asked", asks="generation", parameters={"max_new_tokens": 24}, expects="capitals", exact=True,
    ),
    _family(
        "gpt2", "GPT-2", "openai-community/gpt2", "GPT2LMHeadModel", _GPT2_ENDS, {"n_embd": 64, "n_layer": 2, "n_head": 4},
        ("gpt", _GPT2), exact=True,
    ),
    _family(
        "dialogpt", "DialoGPT", "microsoft/DialoGPT-small", "GPT2LMHeadModel", _GPT2_ENDS,
        {"n_embd": 64, "n_layer": 2, "n_head": 4}, ("gpt", {**_GPT2, "template": DIALOGUE}), exact=True,
    ),
    _family(
        "opt-125m", "OPT", "facebook/opt-125m", "OPTForCausalLM", {},
        {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 128, "word_embed_proj_dim": 64},
        ("gpt", {"size": 50265, "limit": 2048, "first": ["<s>", "<pad>", "</s>"], "bos": "</s>", "eos": "</s>", "pad": "<pad>", "starts": True}),
        exact=True,
    ),
    _family(
        "opt-350m", "OPT", "facebook/opt-350m", "OPTForCausalLM",
        {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "ffn_dim": 4096, "word_embed_proj_dim": 512, "do_layer_norm_before": False},
        {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 128, "word_embed_proj_dim": 32},
        ("gpt", {"size": 50265, "limit": 2048, "first": ["<s>", "<pad>", "</s>"], "bos": "</s>", "eos": "</s>", "pad": "<pad>", "starts": True}),
    ),
    _family(
        "gpt-neox", "GPT-NeoX", "EleutherAI/pythia-70m", "GPTNeoXForCausalLM",
        {"vocab_size": 50304, "hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 2048,
         "bos_token_id": 0, "eos_token_id": 0, **_theta(10000.0, partial_rotary_factor=0.25)},
        _SMALL, ("gpt", {**_GPT2, "size": 50277, "limit": 2048}), exact=True,
    ),
    _family(
        "llama-3.2", "Llama", "meta-llama/Llama-3.2-1B, 2 of 16 layers", "LlamaForCausalLM",
        {"vocab_size": 128256, "hidden_size": 2048, "num_hidden_layers": 2, "num_attention_heads": 32, "num_key_value_heads": 8,
         "head_dim": 64, "intermediate_size": 8192, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
         "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 1,
         "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
                             "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}},
        _GROUPED,
        ("gpt", {"size": 128256, "limit": 131072, "bos": "<|begin_of_text|>", "eos": "<|eot_id|>", "starts": True, "template": LLAMA3,
                 "first": ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]}),
        exact=True, heavy=True,
    ),
    _family(
        "mistral", "Mistral", "mistralai/Mistral-7B-v0.1, with a window of 16 tokens", "MistralForCausalLM",
        {"vocab_size": 32000, "sliding_window": 4096, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5, **_theta(10000.0)},
        {**_GROUPED, "sliding_window": 16}, ("sentencepiece", {"size": 32000, "limit": 32768, **_PIECES}),
    ),
    _family(
        "qwen2", "Qwen2", "Qwen/Qwen2-0.5B", "Qwen2ForCausalLM",
        {"hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864,
         "max_position_embeddings": 32768, "tie_word_embeddings": True, **_QWEN_ENDS, **_theta(1000000.0)},
        {**_SMALL, "num_key_value_heads": 2}, ("gpt", _QWEN), exact=True, heavy=True,
    ),
    _family(
        "qwen3-0.6b", "Qwen3", "Qwen/Qwen3-0.6B", "Qwen3ForCausalLM",
        {"hidden_size": 1024, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128,
         "intermediate_size": 3072, **_QWEN3, **_theta(1000000.0)},
        _GROUPED, ("gpt", _QWEN), exact=True, heavy=True,
    ),
    _family(
        "qwen3-4b", "Qwen3", "Qwen/Qwen3-4B, 2 of 36 layers", "Qwen3ForCausalLM",
        {"hidden_size": 2560, "num_hidden_layers": 2, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
         "intermediate_size": 9728, **_QWEN3, **_theta(1000000.0)},
        _GROUPED, ("gpt", _QWEN), exact=True, heavy=True,
    ),
    _family(
        "qwen3-moe", "Qwen3-MoE", "Qwen/Qwen3-30B-A3B", "Qwen3MoeForCausalLM",
        {"num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "norm_topk_prob": True,
         "max_position_embeddings": 40960, **_QWEN_ENDS, **_theta(1000000.0)},
        {**_GROUPED, "moe_intermediate_size": 32, "num_experts": 8, "num_experts_per_tok": 2}, ("gpt", _QWEN),
        refused=_EXPERTS,
    ),
    _family(
        "gemma", "Gemma", "google/gemma-2b", "GemmaForCausalLM",
        {"hidden_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1, "intermediate_size": 16384},
        {**_GROUPED, "num_key_value_heads": 1}, ("sentencepiece", {"size": 256000, **_GEMMA}),
    ),
    _family(
        "gemma-2", "Gemma 2", "google/gemma-2-2b, with a window of 16 tokens", "Gemma2ForCausalLM", {},
        {**_GROUPED, "sliding_window": 16, "query_pre_attn_scalar": 16}, ("sentencepiece", {"size": 256000, **_GEMMA}),
    ),
    _family(
        "gemma-3", "Gemma 3", "google/gemma-3-270m, with a window of 16 tokens", "Gemma3ForCausalLM",
        {"vocab_size": 262144, "hidden_size": 640, "num_hidden_layers": 18, "num_attention_heads": 4, "num_key_value_heads": 1,
         "intermediate_size": 2048, "max_position_embeddings": 32768, "sliding_window": 512},
        {**_GROUPED, "num_hidden_layers": 3, "num_key_value_heads": 1, "sliding_window": 16, "query_pre_attn_scalar": 16,
         "layer_types": ["sliding_attention", "sliding_attention", "full_attention"]},
        ("sentencepiece", {"size": 262144, **_GEMMA}),
    ),
    _family(
        "phi-3", "Phi-3", "microsoft/Phi-3-mini-4k-instruct", "Phi3ForCausalLM",
        {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "sliding_window": 2047, **_theta(10000.0)},
        {**_SMALL, "num_key_value_heads": 4}, ("sentencepiece", {"size": 32064, "limit": 4096, **_PIECES}),
    ),
    _family(
        "glm-4", "GLM-4", "zai-org/GLM-4-9B-0414", "Glm4ForCausalLM",
        {"bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0, "rms_norm_eps": 1e-5, "attention_bias": False,
         **_theta(10000.0, partial_rotary_factor=0.5)},
        _GROUPED, ("gpt", _GLM),
    ),
    _family(
        "glm-4-moe-lite", "GLM-4-MoE-Lite", "zai-org/GLM-4.7-Flash", "Glm4MoeLiteForCausalLM",
        {"bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0, **_theta(1000000.0)},
        {**_SMALL, "num_key_value_heads": 4, "moe_intermediate_size": 32, "n_routed_experts": 8, "num_experts_per_tok": 2,
         "kv_lora_rank": 16, "q_lora_rank": 24, "qk_rope_head_dim": 8, "v_head_dim": 16, "qk_nope_head_dim": 16},
        ("gpt", {**_GLM, "size": 154880}), refused=_EXPERTS,
    ),
)  # fmt: skip
