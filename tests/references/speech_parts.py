"""What transformers' own functions make of seeded numbers: texts of chunks, times of words, rules of times, spectrograms."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig, WhisperFeatureExtractor, WhisperTimeStampLogitsProcessor
from transformers.models.whisper.generation_whisper import WhisperGenerationMixin

SAID = [
    "the",
    "cat,",
    "sat:",
    "on",
    "日本",
    "mat.",
    "“and”",
    "(then)",
    "it's",
    "¿no?",
    "—",
    "never;",
    "naïve",
    "😀",
    "said",
]
HEADS = [[0, 1], [1, 0], [2, 1]]
ALIGNED = ((12, 3, 91, 100), (1, 2, 50, 60), (30, 1, 100, 50), (5, 2, 7, 20), (5, 2, -10, 20))
"""Tokens, tokens before them, frames, positions."""


def texts(words: Any) -> list[dict[str, Any]]:
    """Pieces of recordings as a model may write them, and the pipeline's text of each."""
    dice = random.Random(3)
    first = words.convert_tokens_to_ids("<|notimestamps|>") + 1
    spoken = [words(f" {word}", add_special_tokens=False).input_ids for word in SAID]
    cases = []
    for _ in range(60):
        count = dice.choice((1, 1, 2, 3))
        pieces, before = [], []
        for place in range(count):
            tokens = before[-dice.randint(1, 8) :] if before and dice.random() < 0.7 else []
            time = 0
            for _ in range(dice.randint(0, 4)):
                begin = time + dice.randint(0, 9)
                end = begin + dice.randint(0, 30)
                text = [token for _ in range(dice.randint(0, 6)) for token in dice.choice(spoken)]
                tokens = [
                    *tokens,
                    first + min(begin, 100),
                    *text,
                    *([first + min(end, 100)] if dice.random() < 0.9 else []),
                ]
                time = dice.choice((end, end, 0))
            if dice.random() < 0.2:
                tokens = [words.convert_tokens_to_ids(dice.choice(("<|en|>", "<|de|>"))), *tokens]
            stride = None if count == 1 else (2.0, 0.4 * (place > 0), 0.4 * (place < count - 1))
            pieces.append(
                {
                    "tokens": tokens,
                    "times": sorted(round(dice.random() * 2, 2) for _ in tokens),
                    "stride": stride,
                }
            )
            before = [token for token in tokens if token < words.eos_token_id]
        answers = {}
        for times in (None, True, "word"):
            for language in (None, True):
                told = words._decode_asr(
                    [_output(piece) for piece in pieces],
                    return_timestamps=times,
                    return_language=language,
                    time_precision=0.02,
                )
                answers[f"{times} {language}"] = [told[0], told[1].get("chunks")]
        cases.append({"pieces": pieces, "answers": answers})
    return cases


def _output(piece: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "tokens": torch.tensor([piece["tokens"]], dtype=torch.long),
        "token_timestamps": torch.tensor([piece["times"]], dtype=torch.float64),
    }
    return made if piece["stride"] is None else {**made, "stride": piece["stride"]}


class _Outputs(dict):
    __getattr__ = dict.__getitem__


def alignments() -> dict[str, np.ndarray]:
    """Looks of heads, and the times that they come to."""
    dice = np.random.default_rng(0)
    found = {}
    for case, (tokens, before, frames, positions) in enumerate(ALIGNED):
        looks = dice.random((3, 1, 2, before + tokens, positions)).astype(np.float32)
        looks /= looks.sum(-1, keepdims=True)
        given = _Outputs(
            cross_attentions=[tuple(torch.tensor(one) for one in looks)],
            sequences=torch.zeros(1, before + tokens + 1),
        )
        model = SimpleNamespace(config=SimpleNamespace(decoder_layers=3, median_filter_width=7))
        times = WhisperGenerationMixin._extract_token_timestamps(
            model, given, HEADS, num_frames=torch.tensor([frames]), num_input_ids=before
        )
        found[f"looks/{case}"] = np.stack([looks[layer, 0, head] for layer, head in HEADS])[:, before:]
        found[f"times/{case}"] = times[0, before:].numpy()
    return found


def scores() -> dict[str, np.ndarray]:
    """Scores before and after the rules of times, behind answers of up to seven tokens (-1 stands for none)."""
    config = GenerationConfig(eos_token_id=50, bos_token_id=51)
    config.no_timestamps_token_id, config.max_initial_timestamp_index = 60, 10
    rules = WhisperTimeStampLogitsProcessor(config, begin_index=3)
    dice = np.random.default_rng(1)
    answers, before, after = np.full((400, 7), -1), dice.normal(0, 3, (400, 100)).astype(np.float32), []
    before[::3, :50] -= 5
    for row in range(400):
        size = row % 8
        told = np.where(dice.random(size) < 0.5, dice.integers(61, 100, size), dice.integers(0, 60, size))
        answers[row, :size] = told
        after.append(
            rules(torch.tensor([[1, 2, 3, *told]]), torch.from_numpy(before[row : row + 1]))[0].numpy()
        )
    return {"answers": answers, "before": before, "after": np.stack(after)}


def spectrograms(sounds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Log mels of 80 filters of short and long recordings, by an extractor that hears two seconds at once."""
    extractor = WhisperFeatureExtractor(feature_size=80, chunk_length=2)
    found = {}
    for name, sound in sounds.items():
        long = {"truncation": False, "padding": "longest"} if len(sound) > extractor.n_samples else {}
        made = extractor(sound, sampling_rate=16000, return_attention_mask=True, **long)
        found[f"mels/{name}"] = np.asarray(made["input_features"][0])
        found[f"frames/{name}"] = np.asarray(made["attention_mask"].sum())
    return found


def write(words: Any, sounds: dict[str, np.ndarray], directory: Path) -> None:
    """``texts.json`` and ``parts.npz``."""
    (directory / "texts.json").write_text(json.dumps(texts(words)), encoding="utf-8")
    np.savez(directory / "parts.npz", **alignments(), **scores(), **spectrograms(sounds))
