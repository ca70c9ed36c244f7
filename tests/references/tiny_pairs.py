"""Makes tiny models of texts and pictures, of random weights, and asks transformers' pipelines, processors and models.

Usage: python tiny_pairs.py DIRECTORY; every picture of DIRECTORY/pictures and every film of DIRECTORY/films is shown. Per model a
directory as a repository holds it; what transformers answers is in ``answers.json``, its vectors in ``vectors.npz``.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as hf
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}
LABELS = ["cat", "a dog", "Photo of the sea", "x"]
CALLS: dict[str, dict[str, Any]] = {
    "usual": {"candidate_labels": LABELS},
    "template": {"candidate_labels": LABELS[:2], "hypothesis_template": "cat {} dog"},
    "one": {"candidate_labels": ["a dog"]},
}
TEXTS = ["a cat", "Photo of a dog, as of a cat.", "", "x"]
WORDS = [
    ("Invoice", [40, 30, 260, 60]), ("number", [270, 30, 420, 60]), ("us-001", [430, 30, 560, 62]), ("Date", [40, 90, 120, 120]),
    ("11/02/2019", [130, 90, 330, 122]), ("Total", [600, 800, 700, 830]), ("$154.06", [720, 800, 880, 832]),
]  # fmt: skip
QUESTIONS = ["What is the total?", "Which invoice number is it, please?"]
DOCUMENT_CALLS: dict[str, dict[str, Any]] = {
    "usual": {},
    "three": {"top_k": 3, "max_answer_len": 4},
    "cut": {"max_seq_len": 32, "doc_stride": 5, "top_k": 4},
    "none": {"handle_impossible_answer": True, "top_k": 2},
}


def clip_tokenizer() -> Any:
    """CLIP's own, of bytes and a few merges."""
    merges = [("c", "a"), ("ca", "t</w>"), ("d", "o"), ("do", "g</w>"), ("p", "h"), ("o", "f</w>")]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    ends = [letter + "</w>" for letter in alphabet]
    words = [*alphabet, *ends, *(a + b for a, b in merges), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    return hf.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=40)


def siglip_tokenizer() -> Any:
    """Pieces of letters with an end and no mask, as SigLIP's."""
    pieces = [("</s>", 0.0), ("<unk>", -9.0), *((letter, -3.0) for letter in "▁abcdefghijklmnopqrstuvwxyz.,")]
    backend = Tokenizer(models.Unigram([*pieces, ("▁cat", -2.0), ("▁dog", -2.0), ("▁a", -2.0)], unk_id=1))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 0)]
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="</s>",
        pad_token="</s>",
        unk_token="<unk>",
        model_max_length=64,
        model_input_names=["input_ids"],
    )


def bert_tokenizer() -> Any:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789$./-?,"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + letter for letter in letters)]
    words += ["invoice", "number", "total", "date", "what", "is", "the", "us", "which", "it", "please"]
    return hf.BertTokenizer(
        vocab={word: index for index, word in enumerate(words)}, model_max_length=64, model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )  # fmt: skip


def made() -> dict[str, tuple[Any, Any, Any]]:
    """Model → itself, its tokenizer and its processor of pictures."""
    clip, siglip = clip_tokenizer(), siglip_tokenizer()
    vision = {**SMALL, "image_size": 32, "patch_size": 8}
    ends = {
        "bos_token_id": clip.bos_token_id,
        "eos_token_id": clip.eos_token_id,
        "pad_token_id": clip.pad_token_id,
    }
    reads = {**SMALL, **ends, "vocab_size": len(clip), "max_position_embeddings": 40}
    crop = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    films = {
        **vision,
        "num_frames": 4,
        "mit_hidden_size": 32,
        "mit_intermediate_size": 48,
        "mit_num_attention_heads": 2,
    }
    return {
        "clip": (
            hf.CLIPModel(hf.CLIPConfig(text_config=reads, vision_config=vision, projection_dim=16)),
            clip,
            hf.CLIPImageProcessorPil(**crop),
        ),
        "siglip": (
            hf.SiglipModel(
                hf.SiglipConfig(
                    text_config={**SMALL, "vocab_size": len(siglip), "max_position_embeddings": 64, "projection_size": 32, "pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0},
                    vision_config=vision,
                )
            ),
            siglip,
            hf.SiglipImageProcessorPil(size={"height": 32, "width": 32}),
        ),
        "xclip": (
            hf.XCLIPModel(hf.XCLIPConfig(text_config=reads, vision_config=films, projection_dim=32, prompt_num_attention_heads=2)),
            clip,
            hf.VideoMAEImageProcessorPil(**crop),
        ),
    }  # fmt: skip


def scored(scores: list[float], labels: list[str]) -> list[dict[str, Any]]:
    each = [{"score": score, "label": label} for score, label in zip(scores, labels, strict=True)]
    return sorted(each, key=lambda one: -one["score"])


def vectors(model: Any, tokenizer: Any, processor: Any, images: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Of the texts, and of the pictures."""
    apart = tokenizer.model_input_names == ["input_ids"]  # as SigLIP's
    padded = {"padding": "max_length", "max_length": 64} if apart else {"padding": True}
    feeds = {
        **tokenizer(TEXTS, return_tensors="pt", **padded),
        **processor(images=images, return_tensors="pt"),
    }
    with torch.no_grad():
        found = model(**feeds)
    return found.text_embeds.numpy(), found.image_embeds.numpy()


def films(model: Any, tokenizer: Any, processor: Any, frames: Any, call: dict[str, Any]) -> Any:
    labels = call["candidate_labels"]
    sentences = [call.get("hypothesis_template", "{}").format(label) for label in labels]
    both = hf.XCLIPProcessor(processor, tokenizer)
    feeds = both(text=sentences, videos=list(frames), return_tensors="pt", padding=True)
    with torch.no_grad():
        found = model(**feeds)
    return scored(found.logits_per_video[0].softmax(-1).tolist(), labels)


def asked(directory: Path, pictures: dict[str, Any], answers: dict[str, Any]) -> None:
    """A ViLT, with what its own processor and model say of each picture by itself."""
    tokenizer, processor = bert_tokenizer(), hf.ViltImageProcessorPil(size={"shortest_edge": 64})
    config = hf.ViltConfig(
        **SMALL, vocab_size=len(tokenizer), image_size=64, patch_size=16, max_position_embeddings=64, max_image_length=-1,
        id2label={index: f"answer {index}" for index in range(9)},
    )  # fmt: skip
    model = hf.ViltForQuestionAnswering(config)
    weights(model)
    for part in (model, tokenizer, processor):
        part.save_pretrained(directory)
    for stem, image in pictures.items():
        for index, question in enumerate(QUESTIONS):
            feeds = {
                **tokenizer(question, return_tensors="pt"),
                **processor(images=image, return_tensors="pt"),
            }
            with torch.no_grad():
                scores, places = model(**feeds).logits.sigmoid()[0].topk(5)
            answers[f"vilt/{index}/{stem}"] = [
                {"score": score, "answer": config.id2label[place]}
                for score, place in zip(scores.tolist(), places.tolist(), strict=True)
            ]


class Both(torch.nn.Module):
    """A model of texts and pictures with its outputs as a tuple."""

    names = ("logits_per_image", "text_embeds", "image_embeds")

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, pixel_values: Any) -> Any:
        found = self.model(input_ids=input_ids, pixel_values=pixel_values)
        return tuple(found[name] for name in self.names)


def graph(model: Any, path: Path) -> None:
    """By the exporter that is quickest for tiny models."""
    axes = {
        "input_ids": {0: "texts", 1: "sequence"},
        "pixel_values": {0: "images"},
        "logits_per_image": {0: "images", 1: "texts"},
    }
    torch.onnx.export(
        Both(model).eval(), (torch.randint(1, 30, (3, 64)), torch.randn(2, 3, 32, 32)), path, input_names=["input_ids", "pixel_values"],
        output_names=list(Both.names), dynamic_axes={**axes, "text_embeds": {0: "texts"}, "image_embeds": {0: "images"}},
        dynamo=False, opset_version=17,
    )  # fmt: skip


class Spans(torch.nn.Module):
    """A reader of documents with its outputs as a tuple."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, bbox: Any, attention_mask: Any, token_type_ids: Any) -> Any:
        found = self.model(input_ids, bbox=bbox, attention_mask=attention_mask, token_type_ids=token_type_ids)
        return found.start_logits, found.end_logits


def document(directory: Path, answers: dict[str, Any]) -> None:
    """A LayoutLM as a graph, with what its pipeline answers."""
    tokenizer = bert_tokenizer()
    config = hf.LayoutLMConfig(**SMALL, vocab_size=len(tokenizer), max_position_embeddings=64)
    model = hf.LayoutLMForQuestionAnswering(config)
    weights(model)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    ids = torch.randint(5, len(tokenizer), (2, 12))
    mask, boxes = torch.ones_like(ids), torch.randint(0, 500, (2, 12, 4)).cumsum(-1).clamp(max=1000)
    mask[1, -3:] = 0
    names = ["input_ids", "bbox", "attention_mask", "token_type_ids"]
    ends = ["start_logits", "end_logits"]
    torch.onnx.export(
        Spans(model).eval(), (ids, boxes, mask, torch.zeros_like(ids)), directory / "graph.onnx", input_names=names, output_names=ends,
        dynamic_axes={name: {0: "batch", 1: "sequence"} for name in [*names, *ends]}, dynamo=False, opset_version=17,
    )  # fmt: skip
    run = hf.pipeline("document-question-answering", model=model, tokenizer=tokenizer, device="cpu")
    for call, parameters in DOCUMENT_CALLS.items():
        for index, question in enumerate(QUESTIONS):
            answers[f"document/{call}/{index}"] = run(
                {"image": None, "question": question, "word_boxes": WORDS}, **parameters
            )


def weights(model: Any) -> None:
    """Large enough that what is asked changes the answer."""
    torch.manual_seed(4)
    for key, weight in model.named_parameters():
        if weight.ndim > 1 and "norm" not in key.lower():
            torch.nn.init.normal_(weight, std=0.25)
        elif key == "logit_scale":
            torch.nn.init.constant_(weight, 2.6)
    model.eval()


def main(directory: Path) -> None:
    from PIL import Image

    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    answers: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    pictures = {
        path.stem: Image.open(path).convert("RGB") for path in sorted((directory / "pictures").iterdir())
    }
    moving = {path.stem: np.load(path) for path in sorted((directory / "films").iterdir())}
    for name, (model, tokenizer, processor) in made().items():
        weights(model)
        for part in (model, tokenizer, processor):
            part.save_pretrained(directory / name)
        if name == "xclip":
            for call, parameters in CALLS.items():
                for stem, frames in moving.items():
                    answers[f"{name}/{call}/{stem}"] = films(model, tokenizer, processor, frames, parameters)
            continue
        if name == "siglip":
            graph(model, directory / name / "graph.onnx")
        run = hf.pipeline(
            "zero-shot-image-classification",
            model=model,
            tokenizer=tokenizer,
            image_processor=processor,
            device="cpu",
        )
        for call, parameters in CALLS.items():
            for stem, image in pictures.items():
                answers[f"{name}/{call}/{stem}"] = run(image, **parameters)
        arrays[f"{name}/texts"], arrays[f"{name}/pictures"] = vectors(
            model, tokenizer, processor, list(pictures.values())
        )
    document(directory / "document", answers)
    asked(directory / "vilt", pictures, answers)
    (directory / "answers.json").write_text(json.dumps(answers), encoding="utf-8")
    np.savez(directory / "vectors.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
