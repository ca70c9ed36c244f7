"""Families that write about pictures: language models that are shown them, captioners, and readers of lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from families.record import Family
from families.tokenizing import PICTURED, PICTURED_CHATML
from families.vision import HALVES, processor, square

_CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
_SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
_TEXT = {
    **_SMALL, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 4096, "bos_token_id": 1, "eos_token_id": 2,
    "pad_token_id": 4,
}  # fmt: skip
_TOWER = {**_SMALL, "image_size": 112, "patch_size": 14}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 4}
_PIECES = ("sentencepiece", {
    "size": 32064, "limit": 4096, "first": ["<unk>", "<s>", "</s>", "<image>", "<pad>"], "bos": "<s>", "eos": "</s>",
    "pad": "<pad>", "template": PICTURED,
})  # fmt: skip
_CROP = {"do_center_crop": True, "crop_size": square(112), "do_convert_rgb": True}
_POINTS = [[112, 224], [224, 112], [224, 224]]
_QWEN = ("gpt", {
    "size": 151936, "limit": 32768, "bos": None, "eos": "<|im_end|>", "pad": "<|endoftext|>", "template": PICTURED_CHATML,
    "first": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"],
})  # fmt: skip
_QWEN_IDS = {
    "vision_start_token_id": 3, "vision_end_token_id": 4, "image_token_id": 5, "video_token_id": 6,
    "tie_word_embeddings": False,
}  # fmt: skip
_QWEN_ENDS = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 0}
_QWEN_TEXT = {
    **_TEXT, **_QWEN_ENDS, "vocab_size": 151936,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1000000.0, "mrope_section": [2, 3, 3]},
}  # fmt: skip
_QWEN_TOWER = {
    "depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4, "out_hidden_size": 64, "spatial_merge_size": 2,
    "temporal_patch_size": 2,
}  # fmt: skip


def _shown(name: str, title: str, like: str, architecture: str, config: Mapping[str, Any],
           tokenizer: tuple[str, Mapping[str, Any]], prepared: Mapping[str, Any], files: Mapping[str, Any]) -> Family:  # fmt: skip
    return Family(
        name=name, title=title, like=like, task="image-text-to-text", architecture=architecture, config=config,
        tokenizer=tokenizer, processor=prepared, files=files, items="shown", asks="shown", parameters={"max_new_tokens": 16},
    )  # fmt: skip


def _llava(
    name: str,
    title: str,
    like: str,
    tower: Mapping[str, Any],
    prepared: Mapping[str, Any],
    *,
    tiled: bool = False,
) -> Family:
    kind = "LlavaNext" if tiled else "Llava"
    config = {
        "vision_config": tower, "text_config": {"model_type": "llama", **_TEXT, "vocab_size": 32064}, "image_token_id": 3,
        "vision_feature_layer": -2 if "clip" in tower["model_type"] else -1, "vision_feature_select_strategy": "default",
    }  # fmt: skip
    counts = {
        "image_token": "<image>",
        "patch_size": 14,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
    }
    files = {
        "generation_config.json": _ENDS,
        "processor_config.json": {"processor_class": f"{kind}Processor", **counts},
    }
    return _shown(
        name, title, like, f"{kind}ForConditionalGeneration", {**config, "image_grid_pinpoints": _POINTS} if tiled else config,
        _PIECES, {**prepared, "processor_class": f"{kind}Processor"}, files,
    )  # fmt: skip


def _qwen(
    name: str, title: str, like: str, kind: str, tower: Mapping[str, Any], prepared: Mapping[str, Any]
) -> Family:
    config = {"text_config": _QWEN_TEXT, "vision_config": {**_QWEN_TOWER, **tower}, **_QWEN_IDS}
    seen = {
        "image_processor_type": "Qwen2VLImageProcessor", "processor_class": f"{kind}Processor", "merge_size": 2,
        "temporal_patch_size": 2, **prepared,
    }  # fmt: skip
    files = {"generation_config.json": _QWEN_ENDS}
    return _shown(name, title, like, f"{kind}ForConditionalGeneration", config, _QWEN, seen, files)


FAMILIES = (
    _llava(
        "llava", "LLaVA", "llava-hf/llava-1.5-7b-hf", {"model_type": "clip_vision_model", **_TOWER},
        processor("CLIPImageProcessor", {"shortest_edge": 112}, 3, _CLIP, **_CROP),
    ),
    _llava(
        "llava-next", "LLaVA-NeXT", "llava-hf/llava-v1.6-vicuna-7b-hf", {"model_type": "clip_vision_model", **_TOWER},
        processor("LlavaNextImageProcessor", {"shortest_edge": 112}, 3, _CLIP, **_CROP, do_pad=True, image_grid_pinpoints=_POINTS),
        tiled=True,
    ),
    _llava(
        "maira-2", "LLaVA over DINOv2", "microsoft/maira-2, its design without the code of its repository",
        {"model_type": "dinov2", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 112, "patch_size": 14},
        processor("BitImageProcessor", {"shortest_edge": 112}, 3, HALVES, **_CROP),
    ),
    _qwen(
        "qwen2.5-vl", "Qwen2.5-VL", "Qwen/Qwen2.5-VL-3B-Instruct", "Qwen2_5_VL",
        {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1]},
        {"patch_size": 14, "min_pixels": 3136, "max_pixels": 50176, "resample": 3, **_CLIP},
    ),
    _qwen(
        "qwen3-vl", "Qwen3-VL", "Qwen/Qwen3-VL-4B-Instruct", "Qwen3VL",
        {"patch_size": 16, "num_position_embeddings": 2304, "deepstack_visual_indexes": [0]},
        {"patch_size": 16, "size": {"shortest_edge": 65536, "longest_edge": 16777216}, "resample": 3, **HALVES},
    ),
    Family(
        name="blip", title="BLIP", like="Salesforce/blip-image-captioning-base", task="image-to-text",
        architecture="BlipForConditionalGeneration", tokenizer=("wordpiece", {"size": 30522, "more": ("[DEC]", "[ENC]")}), items="captioned", asks="captions",
        config={
            "text_config": {**_SMALL, "encoder_hidden_size": 64, "vocab_size": 30524, "bos_token_id": 30522, "eos_token_id": 2, "sep_token_id": 102, "pad_token_id": 0},
            "vision_config": {**_SMALL, "image_size": 112, "patch_size": 16},
        },
        processor=processor("BlipImageProcessor", square(112), 3, _CLIP, do_convert_rgb=True),
        parameters={"max_new_tokens": 16},
    ),
    Family(
        name="trocr", title="TrOCR", like="microsoft/trocr-base-handwritten", task="image-to-text",
        architecture="VisionEncoderDecoderModel", tokenizer=("bytes_bpe", {"size": 50265}), items="captioned", asks="captions",
        config={
            "encoder": {"model_type": "vit", **_SMALL, "image_size": 112, "patch_size": 16, "qkv_bias": False},
            "decoder": {
                "model_type": "trocr", "d_model": 64, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 128,
                "cross_attention_hidden_size": 64, "is_decoder": True, "add_cross_attention": True, "activation_function": "gelu",
                "vocab_size": 50265, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": 2,
            },
            "decoder_start_token_id": 2, "eos_token_id": 2, "pad_token_id": 1,
        },
        files={"generation_config.json": {"bos_token_id": 0, "decoder_start_token_id": 2, "eos_token_id": 2, "pad_token_id": 1}},
        processor=processor("ViTImageProcessor", square(112), 2, HALVES),
        parameters={"max_new_tokens": 16},
    ),
)  # fmt: skip
