"""Loads a model that writes, asks it for answers, and keeps its scores: what every route for such models begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

from gpux.events import Progress
from gpux.export import checkpoint, probes, tokenizer_route
from gpux.export.encoder import Clock
from gpux.export.generators.answers import ANSWER, BATCHES, probe, prompts


@dataclass(frozen=True, slots=True)
class Generator:
    """A model with its probes and its own answers to them.

    Attributes:
        model: The PyTorch module, in fp32 and ready for inference.
        tokenizer: Its tokenizer in transformers.
        clock: Where the seconds go.
    """

    model: Any
    tokenizer: Any
    clock: Clock


def load(
    source: Path,
    output: Path,
    *,
    auto: str | Sequence[str],
    allow_pickle: bool,
    trust_remote_code: bool,
    progress: Progress,
) -> Generator:
    """Load a model and its tokenizer, whose ``tokenizer.json`` is written to ``output``.

    Raises:
        UnsupportedModel: transformers cannot load it.
    """
    torch.manual_seed(0)
    clock = Clock(progress)
    clock.step("loading the tokenizer")
    tokenizer = tokenizer_route.load(source, output, trust_remote_code=trust_remote_code)
    clock.step("loading the checkpoint")
    model = checkpoint.load(source, auto, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code)
    model.config.use_cache = True
    return Generator(model, tokenizer, clock)


def ask(generator: Generator, output: Path) -> None:
    """Write ``probes.npz`` and ``reference.npz``: prompts, the model's own greedy answers to each one alone, and its scores."""
    generator.clock.step("computing the reference outputs")
    vocabulary = int(generator.model.config.get_text_config(decoder=True).vocab_size)
    encoded = [ids for text in prompts() if (ids := _tokens(generator.tokenizer, text, vocabulary))]
    feeds, references = [], []
    for rows in BATCHES:
        texts = [encoded[row % len(encoded)][: rows[row]] for row in rows]
        told = [answer(generator.model, ids) for ids in texts]
        feeds.append(probe(texts, [tokens for tokens, _ in told]))
        scores = np.stack([each for _, each in told])
        references.append({"prefill": scores[:, 0], "decode": scores[:, 1:]})
    probes.save(output / "probes.npz", feeds)
    probes.save(output / "reference.npz", references)


def answer(model: Any, ids: Sequence[int], **inputs: Any) -> tuple[list[int], np.ndarray]:
    """The model's greedy answer to one prompt.

    Args:
        model: The PyTorch module.
        ids: The prompt.
        **inputs: What else it is given.

    Returns:
        ``ANSWER`` tokens, and float32 [``ANSWER`` + 1, vocabulary]: the scores from which each was taken, and those after the last.
    """
    plain = GenerationConfig(
        max_new_tokens=ANSWER + 1,
        do_sample=False,
        return_dict_in_generate=True,
        output_logits=True,
        pad_token_id=0,
    )
    own = model.generation_config
    # The model's own would fill in what is not said: it shall write on behind an end, and as its scores alone say.
    model.generation_config = GenerationConfig(decoder_start_token_id=own.decoder_start_token_id)
    with torch.inference_mode():
        given = torch.tensor([list(ids)])
        found = model.generate(
            input_ids=given, attention_mask=torch.ones_like(given), generation_config=plain, **inputs
        )
    model.generation_config = own
    tokens = found.sequences[0, -(ANSWER + 1) : -1].tolist()
    return tokens, torch.cat(found.logits).to(torch.float32).numpy()


def _tokens(tokenizer: Any, text: str, vocabulary: int) -> list[int]:
    return [token for token in tokenizer(text)["input_ids"] if token < vocabulary]
