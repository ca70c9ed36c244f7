"""Makes tiny models that read pictures and write, of random weights, exports them, and asks transformers for their answers.

Usage: python tiny_pictured.py DIRECTORY; every model's checkpoint is a folder in DIRECTORY with its graphs, probes and references in
it, ``pictures`` holds a.png and b.png, and ``answers.json`` what transformers says to each of :data:`CALLS`.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers as hf
from PIL import Image
from transformers import pipeline

from gpux.events import silent
from gpux.export.encoder import Clock
from gpux.export.generators import pictures
from gpux.export.generators.generator import Generator
from gpux.export.generators.route import tidied
from gpux.export.generators.variants import save

WORDS = [
    "<unk>",
    "<s>",
    "</s>",
    "<image>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "user",
    "assistant",
    ":",
    "what",
    "is",
    "this",
    "and",
    "that",
    "a",
    "the",
    "cat",
    "dog",
    "?",
    ".",
]
TEXT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 48,
    "vocab_size": 96, "max_position_embeddings": 512, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "initializer_range": 0.3,
}  # fmt: skip
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
SQUARE = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}}
IDS = {"image_token_id": 4, "video_token_id": 5, "vision_start_token_id": 6, "vision_end_token_id": 7}
TOWER = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4, "out_hidden_size": 32, "patch_size": 4,
    "spatial_merge_size": 2, "in_channels": 3,
}  # fmt: skip
POINTS = [[32, 64], [64, 32], [64, 64]]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] + ' : ' }}"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for p in m['content'] %}"
    "{% if p['type'] == 'image' %}{{ 'MARK' + ' ' }}{% else %}{{ p['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ ' ' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant :' }}{% endif %}"
)
SPECIAL = {"vocab_size": 96, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SIZES = {"a": (61, 45), "b": (40, 90)}
NEW = {"max_new_tokens": 12, "do_sample": False}


def tokenizer(mark: str) -> Any:
    backend = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    backend.add_special_tokens(WORDS[:8])
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<unk>",
        chat_template=TEMPLATE.replace("MARK", mark),
    )


def whole(tower: Any, **changed: Any) -> tuple[Any, Any]:
    config = hf.LlavaConfig(
        vision_config=tower, text_config=hf.LlamaConfig(**TEXT), image_token_id=3, **changed
    )
    processor = hf.LlavaProcessor(
        hf.LlavaImageProcessorPil(**SQUARE),
        tokenizer("<image>"),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("MARK", "<image>"),
    )
    return hf.LlavaForConditionalGeneration(config), processor


def tiled() -> tuple[Any, Any]:
    config = hf.LlavaNextConfig(
        vision_config=hf.CLIPVisionConfig(**VISION, intermediate_size=48), text_config=hf.LlamaConfig(**TEXT),
        image_token_id=3, image_grid_pinpoints=POINTS,
    )  # fmt: skip
    processor = hf.LlavaNextProcessor(
        hf.LlavaNextImageProcessorPil(**SQUARE, image_grid_pinpoints=POINTS),
        tokenizer("<image>"),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("MARK", "<image>"),
    )
    return hf.LlavaNextForConditionalGeneration(config), processor


def qwen25() -> tuple[Any, Any]:
    tower = {**TOWER, "window_size": 16, "fullatt_block_indexes": [1]}
    config = hf.Qwen2_5_VLConfig(text_config={**TEXT, **ROPE}, vision_config=tower, **IDS)
    return hf.Qwen2_5_VLForConditionalGeneration(config), patches()


def qwen3() -> tuple[Any, Any]:
    tower = {**TOWER, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    config = hf.Qwen3VLConfig(text_config={**TEXT, **ROPE, "head_dim": 16}, vision_config=tower, **IDS)
    return hf.Qwen3VLForConditionalGeneration(config), patches()


def patches() -> Any:
    images = hf.Qwen2VLImageProcessorPil(
        patch_size=4, merge_size=2, size={"shortest_edge": 256, "longest_edge": 3000}
    )
    return images, tokenizer("<|vision_start|><|image_pad|><|vision_end|>")


def blip() -> tuple[Any, Any]:
    text = {
        **TEXT,
        "max_position_embeddings": 64,
        "sep_token_id": 2,
        "encoder_hidden_size": 32,
        "num_key_value_heads": None,
    }
    del text["num_key_value_heads"]
    config = hf.BlipConfig(text_config=text, vision_config={**VISION, "intermediate_size": 48})
    return hf.BlipForConditionalGeneration(config), hf.BlipImageProcessorPil(size={"height": 32, "width": 32})


def encoder_decoder(encoder: Any, decoder: Any, images: Any) -> tuple[Any, Any]:
    config = hf.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder, decoder, decoder_start_token_id=1, pad_token_id=0
    )
    model = hf.VisionEncoderDecoderModel(config=config)
    model.generation_config.decoder_start_token_id = 1
    return model, images


def trocr() -> tuple[Any, Any]:
    decoder = hf.TrOCRConfig(
        d_model=32, decoder_layers=2, decoder_attention_heads=2, decoder_ffn_dim=48, cross_attention_hidden_size=32,
        max_position_embeddings=64, is_decoder=True, add_cross_attention=True, init_std=0.3, **SPECIAL,
    )  # fmt: skip
    images = hf.ViTImageProcessorPil(size={"height": 32, "width": 32})
    return encoder_decoder(hf.ViTConfig(**VISION, intermediate_size=48), decoder, images)


CAPTIONERS = {"blip": blip, "trocr": trocr}
MODELS = {
    "llava": lambda: whole(hf.CLIPVisionConfig(**VISION, intermediate_size=48)),
    "maira": lambda: whole(hf.Dinov2Config(**VISION), vision_feature_layer=[-1, 1]),
    "llava_next": tiled,
    "qwen25": qwen25,
    "qwen3": qwen3,
}
CHAT = [
    {"role": "user", "content": [{"type": "image", "path": "a"}, {"type": "text", "text": "what is this ?"}]}
]
CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "chat": (CHAT, {}),
    "two": (
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is"},
                    {"type": "image", "path": "b"},
                    {"type": "text", "text": "and"},
                    {"type": "image", "path": "a"},
                ],
            }
        ],
        {"return_full_text": False},
    ),
    "goes on": ([*CHAT, {"role": "assistant", "content": [{"type": "text", "text": "this is a"}]}], {}),
    "placed": ({"images": ["b"], "text": "MARK what is that ?"}, {}),
}  # fmt: skip


def located(value: Any, directory: Path, mark: str) -> Any:
    """A call with the paths of its pictures and the model's own mark."""
    if isinstance(value, dict):
        return {
            key: str(directory / "pictures" / f"{part}.png")
            if key == "path"
            else [str(directory / "pictures" / f"{each}.png") for each in part]
            if key == "images"
            else located(part, directory, mark)
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [located(part, directory, mark) for part in value]
    return value.replace("MARK", mark) if isinstance(value, str) else value


def by_hand(model: Any, images: Any, words: Any, call: Any, full: bool) -> Any:
    """What the pipeline would say: Qwen's processors cannot be made without torchvision, for films."""
    if isinstance(call, dict):
        text, paths, said = call["text"], call["images"], call["text"]
    else:
        parts = [p for m in call for p in m["content"]]
        paths = [p["path"] for p in parts if p["type"] == "image"]
        continued = call[-1]["role"] == "assistant"
        text = words.apply_chat_template(
            call, tokenize=False, add_generation_prompt=not continued, continue_final_message=continued
        )
        said = call
    seen = images([Image.open(path).convert("RGB") for path in paths], return_tensors="pt")
    pieces = text.split("<|image_pad|>")
    counts = [int(grid.prod()) // 4 for grid in seen["image_grid_thw"]]
    text = pieces[0] + "".join("<|image_pad|>" * n + p for n, p in zip(counts, pieces[1:], strict=True))
    ids = words(text, return_tensors="pt", add_special_tokens=not text.startswith("<s>"))["input_ids"]
    found = model.generate(
        ids, attention_mask=torch.ones_like(ids), **seen, mm_token_type_ids=(ids == 4).int(), **NEW
    )
    answer = words.batch_decode(found[:, ids.shape[1] :], skip_special_tokens=True)[0]
    whole_text = words.batch_decode(found, skip_special_tokens=True)[0]
    prompt = words.batch_decode(ids, skip_special_tokens=True)[0]
    new = whole_text[len(prompt) :] if whole_text.startswith(prompt) else answer
    if not full:
        return [{"input_text": said, "generated_text": new}]
    if isinstance(said, str):
        return [{"input_text": said, "generated_text": said + new}]
    if continued:
        last = [{"type": "text", "text": said[-1]["content"][-1]["text"] + new}]
        whole_chat = [*said[:-1], {"role": "assistant", "content": last}]
    else:
        whole_chat = [*said, {"role": "assistant", "content": new}]
    return [{"input_text": said, "generated_text": whole_chat}]


def export(model: Any, words: Any, folder: Path) -> None:
    """Graphs, probes and references, as a pull makes them."""
    model.config.use_cache = True
    pictures.ask(Generator(model, words, Clock(silent)), folder)
    for component, program in pictures.programs(model).items():
        save(tidied(program), folder / "fp32" / f"{component}.onnx")


def captions(name: str, folder: Path, pictures: Path) -> dict[str, Any]:
    """A captioner's checkpoint, and its answers as the pipeline of transformers 4 made them."""
    torch.manual_seed(5)
    model, images = CAPTIONERS[name]()
    model, words = model.eval(), tokenizer("<image>")
    model.save_pretrained(folder)
    images.save_pretrained(folder)
    words.save_pretrained(folder)
    answers = {}
    for stem in SIZES:
        pixels = images(Image.open(pictures / f"{stem}.png").convert("RGB"), return_tensors="pt")
        found = model.generate(**pixels, **NEW)
        answers[f"{name}/{stem}"] = [
            {"generated_text": words.batch_decode(found, skip_special_tokens=True)[0]}
        ]
        if name == "blip":
            ids = torch.tensor([[*words("a cat")["input_ids"], 2]])
            found = model.generate(**pixels, input_ids=ids, **NEW)
            said = words.batch_decode(found, skip_special_tokens=True)[0]
            answers[f"{name}/{stem}/a cat"] = [{"generated_text": said}]
    export(model, words, folder)
    return answers


def make(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    warnings.simplefilter("ignore")
    (directory / "pictures").mkdir(exist_ok=True)
    answers = {}
    for seed, (stem, (width, height)) in enumerate(SIZES.items()):
        torch.manual_seed(seed)
        soft = torch.nn.functional.interpolate(torch.rand(1, 3, 5, 5), (height, width), mode="bicubic")[0]
        array = (soft.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(array).save(directory / "pictures" / f"{stem}.png")
    for name, build in MODELS.items():
        torch.manual_seed(5)
        model, processor = build()
        model = model.eval()
        model.generation_config.eos_token_id = 2
        model.generation_config.pad_token_id = 0
        folder = directory / name
        model.save_pretrained(folder)
        byhand = isinstance(processor, tuple)
        for one in processor if byhand else (processor,):
            one.save_pretrained(folder)
        mark = "<|image_pad|>" if byhand else "<image>"
        for call, (item, parameters) in CALLS.items():
            given = located(item, directory, mark)
            full = parameters.get("return_full_text", True)
            if byhand:
                answers[f"{name}/{call}"] = by_hand(model, *processor, given, full)
                continue
            ask = pipeline("image-text-to-text", model=model, processor=processor)
            told = {"text": given} if isinstance(given, list) else given
            found = ask(**told, **parameters, **NEW)
            answers[f"{name}/{call}"] = [
                {
                    key: [dict(m) for m in part] if isinstance(part, list) else part
                    for key, part in one.items()
                }
                for one in found
            ]
        if name != "llava":  # which is pulled
            export(model, processor[1] if byhand else processor.tokenizer, folder)
    for name in CAPTIONERS:
        answers |= captions(name, directory / name, directory / "pictures")
    (directory / "answers.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
