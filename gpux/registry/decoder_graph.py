"""A repository's own graph of a model that writes: its cache by the names that our decoders go by, and what its proof asks it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpux import onnx_names
from gpux.export import probes
from gpux.export.generators import answers
from gpux.onnx_names import Shape
from gpux.onnx_reader import GraphSummary

_IN_PLACE = "com.microsoft::GroupQueryAttention"
"""The operator whose past and present may be one buffer, and which knows each row's length."""

_PAST, _PRESENT, _CAPACITY = "past_key_values.", "present.", "capacity"
_VOCABULARY = 256


def renamed(summary: GraphSummary, config: Mapping[str, Any]) -> dict[str, Shape]:
    """Axes of the cache of a graph whose attention works in place, where the graph calls them otherwise; none for any other."""
    if _IN_PLACE not in summary.operators:
        return {}
    every = (*summary.inputs, *summary.outputs)
    cache = {spec.name: spec.shape for spec in every if spec.name.startswith((_PAST, _PRESENT))}
    if not cache or any(len(shape) != 4 for shape in cache.values()):
        return {}
    size = _size(config)
    return {
        name: (shape[0], shape[1], _CAPACITY, shape[3] if isinstance(shape[3], int) else size)
        for name, shape in cache.items()
        if shape[2] != _CAPACITY or not isinstance(shape[3], int)
    }


def place(source: Path, target: Path, axes: Mapping[str, Shape]) -> None:
    """Write the graph with these axes; its weights may lie beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx_names.rename(source, target, inputs={}, outputs={}, axes=axes)


def make_probes(directory: Path, summary: GraphSummary, target: Path) -> None:
    """Write the proof's inputs: texts by the model's own tokenizer, or numbers where it has none of the usual form."""
    vocabulary = next(
        (
            spec.shape[-1]
            for spec in summary.outputs
            if spec.name == "logits" and spec.shape and isinstance(spec.shape[-1], int)
        ),
        _VOCABULARY,
    )
    probes.save(target, answers.without_answers(_texts(directory / "tokenizer.json", vocabulary)))


def _texts(tokenizer: Path, vocabulary: int) -> list[list[int]]:
    from tokenizers import Tokenizer

    try:
        backend = Tokenizer.from_file(str(tokenizer))
        encoded = [backend.encode(text).ids for text in answers.prompts()]
    except Exception:  # noqa: BLE001 - a missing file, and whatever the tokenizers library says of a broken one
        encoded = []
    known = [[token for token in ids if token < vocabulary] for ids in encoded]
    if known and all(known):
        return known
    return [[(17 * place + 7 * text) % vocabulary for place in range(40)] for text in range(4)]


def _size(config: Mapping[str, Any]) -> int | str:
    heads, hidden = config.get("num_attention_heads"), config.get("hidden_size")
    told = config.get("head_dim")
    if isinstance(told, int):
        return told
    return hidden // heads if isinstance(hidden, int) and isinstance(heads, int) and heads else "size"
