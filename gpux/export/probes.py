"""Task-shaped inputs for the proof: several batch sizes and lengths, really padded; seeded, so that they can be repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Feeds = dict[str, np.ndarray]

TRACED = (2, 16)
"""The shape that the exporter traces with; no probe has it."""

SHAPES = ((1, 5), (1, 24), (3, 11), (4, 40), (2, 96), (1, 200), (1, 512))
"""Batch size and longest length of each probe, the lengths within a batch falling to a third of it."""

TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""The inputs of a text encoder, of which a graph takes some."""

_SEED = 20261122
_FROM_PADDING = re.compile("roberta|mpnet|camembert|longformer")
_MOST = 2**31


def settings(config: Mapping[str, Any], inputs: Sequence[str]) -> dict[str, Any]:
    """What :func:`text_probes` needs, from a model's ``config.json``; for graphs that come without a framework."""
    pad = _whole(config.get("pad_token_id"), least=0) or 0
    # RoBERTa's family numbers positions from the padding id on, so that many of the table are never reached.
    offset = pad + 1 if _FROM_PADDING.search(str(config.get("model_type", ""))) else 0
    # The mask says where the padding is, to the proof too where the graph does not take it.
    return {
        "inputs": [name for name in TEXT_INPUTS if name in inputs or name == "attention_mask"],
        "vocabulary": _whole(config.get("vocab_size"), least=1) or 1000,
        "pad": pad,
        "maximum": max(1, (_whole(config.get("max_position_embeddings"), least=1) or 512) - offset),
        "types": _whole(config.get("type_vocab_size"), least=0) or 1,
    }


def _whole(value: Any, *, least: int) -> int | None:
    """A whole number of a configuration that anybody may have written, or ``None`` where it is none."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return int(value) if whole and least <= value < _MOST else None


def text_probes(inputs: Sequence[str], *, vocabulary: int, pad: int, maximum: int, types: int) -> list[Feeds]:
    """Token ids, attention masks and token types of random texts.

    Args:
        inputs: The names that the graph takes, of ``input_ids``, ``attention_mask`` and ``token_type_ids``.
        vocabulary: Number of tokens.
        pad: The padding token's id.
        maximum: The longest sequence that the model takes.
        types: Number of token types (1 when it has none).

    Returns:
        One dictionary per shape of :data:`SHAPES`, cut at the maximum; every array int64 [batch, sequence].
    """
    random = np.random.default_rng(_SEED)
    probes = []
    for batch, length in dict.fromkeys((batch, min(longest, maximum)) for batch, longest in SHAPES):
        lengths = np.linspace(length, max(1, length // 3), batch).astype(np.int64)
        mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
        ids = random.integers(0, vocabulary, (batch, length))
        ids = np.where((ids == pad) & (mask == 1), (pad + 1) % vocabulary, ids)
        second = (
            (np.arange(length) >= lengths[:, None] // 2).astype(np.int64)
            if types > 1
            else np.zeros_like(mask)
        )
        columns = {
            "input_ids": np.where(mask == 1, ids, pad),
            "attention_mask": mask,
            "token_type_ids": second * mask,
        }
        probes.append({name: columns[name] for name in inputs})
    return probes


def traced(inputs: Sequence[str], *, vocabulary: int, pad: int, maximum: int, types: int) -> Feeds:
    """The inputs that the exporter traces with: shape :data:`TRACED`, with one really padded row."""
    batch, length = TRACED
    feeds = text_probes(inputs, vocabulary=vocabulary, pad=pad, maximum=maximum, types=types)[3]
    rows = {name: array[:batch, :length].copy() for name, array in feeds.items()}
    if "attention_mask" in rows:
        rows["attention_mask"][1, -3:] = 0
        rows["input_ids"][1, -3:] = pad
    return rows


def shape_label(feeds: Mapping[str, np.ndarray]) -> str:
    """The probe's shape as the certificate prints it: ``batch×length``."""
    first = next(iter(feeds.values()))
    return "×".join(map(str, first.shape))


def save(path: Path, probes: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Write arrays of several runs to one ``.npz``: member ``3/input_ids`` is run 3's ``input_ids``."""
    flat = {f"{index}/{name}": array for index, run in enumerate(probes) for name, array in run.items()}
    np.savez(path, **flat)  # type: ignore[arg-type]  # numpy's stub takes **kwds for allow_pickle


def read(path: Path) -> list[Feeds]:
    """Read what :func:`save` wrote; pickled members are refused."""
    runs: dict[int, Feeds] = {}
    with np.load(path, allow_pickle=False) as stored:
        for key in stored.files:
            index, _, name = key.partition("/")
            runs.setdefault(int(index), {})[name] = stored[key]
    return [runs[index] for index in sorted(runs)]
