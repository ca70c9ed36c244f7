"""What a model that hears and writes is asked in its proof: made-up spectrograms, and its own greedy answers to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import BaseModelOutput

from gpux.export import probes
from gpux.export.generators import encoder_decoder
from gpux.export.generators.answers import ANSWER, probe
from gpux.export.generators.generator import Generator

_BATCHES = ((1,), (3, 1, 2))
"""Per probe, how many tokens each row begins with: one alone, then rows of different lengths."""


def ask(generator: Generator, output: Path, features: torch.Tensor) -> None:
    """Write ``probes.npz`` and ``reference.npz``, as :func:`gpux.export.generators.generator.ask` does for texts.

    Args:
        generator: The model.
        output: Where to.
        features: float32 [rows, mels, frames]: what tells how large a spectrogram is.
    """
    generator.clock.step("computing the reference outputs")
    model = generator.model
    start = int(model.generation_config.decoder_start_token_id or model.config.decoder_start_token_id)
    vocabulary = int(model.config.vocab_size)
    random = np.random.default_rng(20261126)
    feeds, references = [], []
    for rows in _BATCHES:
        heard = np.stack([_spectrogram(random, *features.shape[1:]) for _ in rows])
        begun = [[start, *random.integers(0, vocabulary, size - 1).tolist()] for size in rows]
        told = [
            answer(model, torch.from_numpy(one[None]), ids) for one, ids in zip(heard, begun, strict=True)
        ]
        feeds.append({**probe(begun, [tokens for tokens, _ in told]), "input_features": heard})
        scores = np.stack([each for _, each in told])
        references.append({"prefill": scores[:, 0], "decode": scores[:, 1:]})
    probes.save(output / "probes.npz", feeds)
    probes.save(output / "reference.npz", references)


def answer(model: Any, features: torch.Tensor, begun: list[int]) -> tuple[list[int], np.ndarray]:
    """The model's greedy answer: ``ANSWER`` tokens, and float32 [``ANSWER`` + 1, vocabulary], the scores that each was taken from.

    The model's own ``generate`` would suppress tokens, and cut the recording.
    """
    tokens: list[int] = []
    scores = []
    kept = {encoder_decoder.cache_name(model): EncoderDecoderCache(DynamicCache(), DynamicCache())}
    with torch.inference_mode():
        heard = BaseModelOutput(last_hidden_state=model.get_encoder()(features).last_hidden_state)
        for _ in range(ANSWER + 1):
            ids = torch.tensor([tokens[-1:] or begun])
            found = model(encoder_outputs=heard, decoder_input_ids=ids, use_cache=True, **kept)
            scores.append(found.logits[0, -1].to(torch.float32).numpy())
            tokens.append(int(scores[-1].argmax()))
    return tokens[:ANSWER], np.stack(scores)


def _spectrogram(random: np.random.Generator, mels: int, frames: int) -> np.ndarray:
    """Sounds that come and go over noise, as loud as features of speech are."""
    time, pitch = np.arange(frames) / 100, np.arange(mels)[:, None] / mels
    told = random.normal(-0.3, 0.15, (mels, frames))
    for _ in range(12):
        at, begins, lasts = random.uniform(0, 1), random.uniform(0, frames / 100), random.uniform(0.1, 2)
        told += np.exp(-(((pitch - at) * 12) ** 2)) * np.exp(-(((time - begins) / lasts) ** 2))
    return told.clip(-1, 1.5).astype(np.float32)
