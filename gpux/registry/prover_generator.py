"""The part of the proof's worker for models that write: the scores of prompts, and of the source model's own answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from gpux.artifact import OutputParity
from gpux.errors import ProofFailed
from gpux.events import Event, Progress
from gpux.export import probes, proof
from gpux.export.generators import answers
from gpux.generation import opening
from gpux.generation.causal import Graph
from gpux.generation.decoder import Decoder
from gpux.generation.encoder_decoder import EncoderDecoder
from gpux.generation.settings import GenerationSettings

_LIMIT = 4096
"""Tokens that a decoder is told it may come to: more than any probe."""


def compare(graphs: Mapping[str, Graph], job: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The figures of ``prefill`` (scores after each prompt) and ``decode`` (after each token of the source's greedy answer).

    Prompts of different lengths are read as one batch, and held to what the source model says to each one alone. That every
    token of an answer is the likeliest here too is the agreement of ``decode``: greedy decoding then gives the same answer.

    Raises:
        ProofFailed: The graph gives other scores than the source model, or none.
    """
    feeds = probes.read(Path(job["probes"]))
    settings = replace(GenerationSettings(), **job["settings"])
    progress(Event("prove", f"reading and writing {sum(len(one['lengths']) for one in feeds)} texts"))
    decoder = opening.decoder(graphs, limit=_LIMIT, settings=settings)
    try:
        actual = [run(decoder, one) for one in feeds]
    finally:
        decoder.close()
    if job["reference"]:
        expected = probes.read(Path(job["reference"]))
    else:
        expected = [_alone(graphs, one, settings) for one in feeds]
    if job["save"]:
        probes.save(Path(job["save"]), actual)
    return {
        "parity": [asdict(_parity(name, feeds, expected, actual)) for name in expected[0]],
        "shapes": [_label(one) for one in feeds],
    }


def run(decoder: Decoder, feeds: probes.Feeds) -> probes.Feeds:
    """The scores of a probe: ``prefill`` float32 [rows, vocabulary], ``decode`` float32 [rows, tokens, vocabulary]."""
    heard = {name: array for name, array in feeds.items() if name not in answers.NAMES}
    if heard and isinstance(decoder, EncoderDecoder):
        decoder.begin(heard)
    prefill = decoder.prefill(answers.rows(feeds))
    steps = [decoder.step(tokens) for tokens in feeds["answer"].T]
    return {"prefill": prefill, "decode": np.stack(steps, 1)}


def _alone(graphs: Mapping[str, Graph], feeds: probes.Feeds, settings: GenerationSettings) -> probes.Feeds:
    """Each row by itself: what a graph without its source model must give in a batch, too."""
    found = []
    for row in range(len(feeds["lengths"])):
        decoder = opening.decoder(graphs, limit=_LIMIT, settings=settings)
        try:
            found.append(run(decoder, {name: array[row : row + 1] for name, array in feeds.items()}))
        finally:
            decoder.close()
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def _parity(
    name: str, feeds: list[probes.Feeds], expected: list[probes.Feeds], actual: list[probes.Feeds]
) -> OutputParity:
    if any(want[name].shape != got[name].shape for want, got in zip(expected, actual, strict=True)):
        raise ProofFailed(
            f"`{name}` has other sizes than the source model's: the vocabulary differs",
            hint="the conversion is broken; try another --exporter",
            output=name,
        )
    # Rows hold tokens of their own, so nothing of them is padding.
    return proof.compare(
        name, [{} for _ in feeds], _centred(name, expected), _centred(name, actual), classes=True
    )


def _centred(name: str, runs: list[probes.Feeds]) -> list[probes.Feeds]:
    """Scores about their mean over the vocabulary: no probability hangs on the mean, and coarse weights move it most."""
    return [{name: run[name] - run[name].mean(-1, keepdims=True, dtype=np.float64)} for run in runs]


def _label(feeds: probes.Feeds) -> str:
    lengths = " and ".join(str(length) for length in feeds["lengths"])
    return f"prompts of {lengths} tokens, {feeds['answer'].shape[1]} tokens of answer"
