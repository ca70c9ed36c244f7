"""What transformers does with one family, in a process of its own: ``write`` its directory, or ``answer`` its task.

Usage: python validate_transformers.py write|answer JOB.json OUT.json. Where transformers has a pipeline of the task, that
answers; else its processor and model do, as their documentation shows.
"""

from __future__ import annotations

import json
import sys
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import families
import numpy as np
import validate_answers

_CANDIDATES = 12  # spans that the pipeline looked at for one answer


def write(job: Mapping[str, Any]) -> dict[str, Any]:
    """Write a family's directory."""
    from families.writing import write as written

    return written(families.find(job["family"]), Path(job["folder"]), fast=job["fast"])


def answer(job: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the inputs; the answers go to a file."""
    import transformers

    answered = _ASKS[job["asks"]](job["folder"], job["items"], job["parameters"], job["task"])
    validate_answers.save(Path(job["answers"]), answered)
    return {"transformers": transformers.__version__}


def _pipeline(folder: str, items: list[Any], parameters: Mapping[str, Any], task: str) -> Any:
    from transformers import pipeline

    run = pipeline(task, model=folder, device="cpu")
    # A pipeline reads sound files with ffmpeg, which is not everywhere.
    given = [_sound(one) if isinstance(one, str) and one.endswith(".wav") else one for one in items]
    return run(given, **parameters)


def _sentences(folder: str, items: list[Any], parameters: Mapping[str, Any], _: str) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(folder, device="cpu").encode(items, **parameters)


def _sparse(folder: str, items: list[Any], parameters: Mapping[str, Any], _: str) -> Any:
    from sentence_transformers import SparseEncoder

    return SparseEncoder(folder, device="cpu").encode(items, convert_to_tensor=True, **parameters).to_dense()


def _late(folder: str, items: list[Any], parameters: Mapping[str, Any], _: str) -> Any:
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(folder, device="cpu")
    sides = {"query": model.encode_query, "document": model.encode_document}
    return {side: list(encode(items, convert_to_numpy=True, **parameters)) for side, encode in sides.items()}


def _ranking(folder: str, items: list[Any], parameters: Mapping[str, Any], _: str) -> Any:
    from sentence_transformers import CrossEncoder

    pairs = [(one["text"], one["text_pair"]) for one in items]
    return CrossEncoder(folder, device="cpu").predict(pairs, **parameters).tolist()


def _questions(folder: str, items: list[Any], _: Mapping[str, Any], __: str) -> Any:
    """Extractive answers as the pipeline gave them until transformers 5 dropped it: the best span of 15 tokens at most."""
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    answered = []
    for item in items:
        encoded = words(item["question"], item["context"], return_tensors="pt", return_offsets_mapping=True)
        offsets, kinds = encoded.pop("offset_mapping")[0].numpy(), encoded.sequence_ids(0)
        with torch.inference_mode():
            found = model(**encoded)
        # The first token, which some models point at where there is no answer, takes part in the chances and is none.
        inside = np.array([kind == 1 or place == 0 for place, kind in enumerate(kinds)])
        chances = [
            _softmax(np.where(inside, logits[0].double().numpy(), -1e4))
            for logits in (found.start_logits, found.end_logits)
        ]
        for chance in chances:
            chance[0] = 0.0
        spans = np.tril(np.triu(np.outer(*chances)), 14)
        found_spans: dict[str, dict[str, Any]] = {}
        for flat in np.argsort(-spans, axis=None)[:_CANDIDATES]:
            start, end = np.unravel_index(flat, spans.shape)
            # Answers are whole words, as far as the tokenizer knows words, and what falls into the same words is added up.
            ends = [encoded.token_to_word(0, int(token)) for token in (start, end)]
            first, last = int(offsets[start][0]), int(offsets[end][1])
            if None not in ends:
                first, last = (encoded.word_to_chars(0, word, 1)[side] for side, word in enumerate(ends))
            text = item["context"][first:last]
            one = found_spans.setdefault(
                text.lower(), {"score": 0.0, "start": first, "end": last, "answer": text}
            )
            one["score"] += float(spans[start, end])
        answered.append(max(found_spans.values(), key=lambda one: one["score"]))
    return answered


def _resolution(folder: str, items: list[Any], _: Mapping[str, Any], __: str) -> Any:
    """Pictures as the pipeline gave them until transformers 5 dropped it, without what its processor had padded."""
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageToImage

    processor = AutoImageProcessor.from_pretrained(folder)
    model = AutoModelForImageToImage.from_pretrained(folder).eval()
    answered = []
    for item in items:
        with Image.open(item) as picture:
            inputs = processor(picture.convert("RGB"), return_tensors="pt")
            width, height = picture.size
        with torch.inference_mode():
            made = model(**inputs).reconstruction[0].float().clamp(0, 1).numpy()
        scale = made.shape[-1] // inputs["pixel_values"].shape[-1]
        made = made[:, : height * scale, : width * scale]
        answered.append(np.moveaxis((made * 255.0).round().astype(np.uint8), 0, -1))
    return answered


def _asked_pictures(folder: str, items: list[Any], _: Mapping[str, Any], __: str) -> Any:
    """Answers to questions as the pipeline gave them until transformers 5 dropped it: the five likeliest."""
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForVisualQuestionAnswering, AutoTokenizer

    words, pictures = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    model = AutoModelForVisualQuestionAnswering.from_pretrained(folder).eval()
    answered = []
    for item in items:
        with Image.open(item["image"]) as picture:
            seen = pictures(picture.convert("RGB"), return_tensors="pt")
        with torch.inference_mode():
            chances = model(**words(item["question"], return_tensors="pt"), **seen).logits[0].sigmoid()
        best = chances.topk(5)
        answered.append(
            [
                {"score": float(score), "answer": model.config.id2label[int(index)]}
                for score, index in zip(best.values, best.indices, strict=True)
            ]
        )
    return answered


def _described_videos(folder: str, items: list[Any], parameters: Mapping[str, Any], _: str) -> Any:
    """Which description fits a film, as X-CLIP's model card does it: eight frames evenly over it."""
    import av
    import torch
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    words, pictures = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    described = list(parameters["candidate_labels"])
    answered = []
    for item in items:
        with av.open(item) as film:
            frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        count = model.config.vision_config.num_frames
        chosen = np.linspace(0, len(frames) - 1, num=count, dtype=np.int64)
        seen = pictures([frames[index] for index in chosen], return_tensors="pt")["pixel_values"]
        seen = seen if seen.ndim == 5 else seen[None]  # batch, frames, channels, height, width
        with torch.inference_mode():
            found = model(**words(described, padding=True, return_tensors="pt"), pixel_values=seen)
        chances = _softmax(found.logits_per_video[0].double().numpy())
        order = np.argsort(-chances, kind="stable")
        answered.append([{"score": float(chances[i]), "label": described[i]} for i in order])
    return answered


def _documents(folder: str, items: list[Any], parameters: Mapping[str, Any], task: str) -> Any:
    from transformers import AutoModelForDocumentQuestionAnswering, AutoTokenizer, pipeline

    words = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForDocumentQuestionAnswering.from_pretrained(folder)
    run = pipeline(task, model=model, tokenizer=words, device="cpu")
    pages = [list(zip(item["words"], item["boxes"], strict=True)) for item in items]
    return [
        run({"image": None, "question": item["question"], "word_boxes": page}, **parameters)
        for item, page in zip(items, pages, strict=True)
    ]


def _generation(folder: str, items: list[Any], parameters: Mapping[str, Any], _: str) -> Any:
    """Each by itself, so that nothing is filled up; tokens as text, for one that is near another is another."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    reads = AutoConfig.from_pretrained(folder).is_encoder_decoder
    kind = AutoModelForSeq2SeqLM if reads else AutoModelForCausalLM
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    answered = []
    for item in items:
        if isinstance(item, str):
            encoded = words(item, return_tensors="pt", return_token_type_ids=False)
        else:
            encoded = words.apply_chat_template(
                item, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        with torch.inference_mode():
            found = model.generate(**encoded, do_sample=False, pad_token_id=0, **parameters)
        # What an encoder reads is no part of the answer, the token that it begins with is.
        answered.append(_written(words, found[0], 1 if reads else encoded["input_ids"].shape[1]))
    return answered


def _shown(folder: str, items: list[Any], parameters: Mapping[str, Any], _: str) -> Any:
    """Conversations with pictures in them, each by itself."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    words = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    encode = _packed if hasattr(model.config, "vision_start_token_id") else _processed
    answered = []
    for item in items:
        encoded = encode(folder, words, item, model.config)
        with torch.inference_mode():
            found = model.generate(**encoded, do_sample=False, **parameters)
        answered.append(_written(words, found[0], encoded["input_ids"].shape[1]))
    return answered


def _processed(folder: str, _: Any, conversation: list[Any], __: Any) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(folder).apply_chat_template(
        conversation, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )


def _packed(folder: str, words: Any, conversation: list[Any], config: Any) -> dict[str, Any]:
    """What Qwen's processors do, which cannot be made without torchvision: they read films too."""
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor

    text = words.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
    parts = [part for message in conversation for part in message["content"]]
    paths = [part["path"] for part in parts if part["type"] == "image"]
    seen: dict[str, Any] = {}
    if paths:
        pictures = [Image.open(path).convert("RGB") for path in paths]
        seen = dict(AutoImageProcessor.from_pretrained(folder)(pictures, return_tensors="pt"))
        mark, before = "<|image_pad|>", text.split("<|image_pad|>")
        counts = [
            int(grid.prod()) // config.vision_config.spatial_merge_size**2 for grid in seen["image_grid_thw"]
        ]
        text = before[0] + "".join(mark * n + rest for n, rest in zip(counts, before[1:], strict=True))
    encoded = words(text, return_tensors="pt", return_token_type_ids=False)
    return {
        **encoded,
        **seen,
        "mm_token_type_ids": (encoded["input_ids"] == config.image_token_id).to(torch.int32),
    }


def _captions(folder: str, items: list[Any], parameters: Mapping[str, Any], _: str) -> Any:
    """What is on pictures, each by itself."""
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    words, pictures = AutoTokenizer.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    answered = []
    for item in items:
        with Image.open(item) as picture:
            seen = pictures(picture.convert("RGB"), return_tensors="pt")
        with torch.inference_mode():
            found = model.generate(pixel_values=seen["pixel_values"], do_sample=False, **parameters)
        answered.append(_written(words, found[0], 1))
    return answered


def _written(words: Any, found: Any, begins: int) -> dict[str, str]:
    """The tokens from there on, and what they add to the text before them: by itself a word has no space before it."""
    tokens = found.tolist()
    whole, before = (words.decode(part, skip_special_tokens=True) for part in (tokens, tokens[:begins]))
    if not whole.startswith(before):
        raise ValueError(f"{whole!r} does not begin with {before!r}")
    return {"tokens": " ".join(map(str, tokens[begins:])), "text": whole[len(before) :]}


def _sound(path: str) -> Any:
    with wave.open(path, "rb") as file:
        rate, frames = file.getframerate(), file.readframes(file.getnframes())
    samples = np.frombuffer(frames, "<i2").astype(np.float32) / 32768
    # CLAP's pipeline takes samples at the model's own rate and nothing else.
    return samples if rate != 16_000 else {"raw": samples, "sampling_rate": rate}


def _softmax(values: np.ndarray) -> np.ndarray:
    grown = np.exp(values - values.max())
    return grown / grown.sum()


_ASKS = {
    "pipeline": _pipeline,
    "sentences": _sentences,
    "sparse": _sparse,
    "late": _late,
    "ranking": _ranking,
    "questions": _questions,
    "resolution": _resolution,
    "asked_pictures": _asked_pictures,
    "described_videos": _described_videos,
    "documents": _documents,
    "generation": _generation,
    "shown": _shown,
    "captions": _captions,
}


def main(role: str, job: Path, out: Path) -> None:
    result = {"write": write, "answer": answer}[role](json.loads(job.read_text(encoding="utf-8")))
    out.write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
