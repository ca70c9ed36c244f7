"""What a model that reads pictures is asked in its proof: pictures and texts in rows of different lengths, and its own answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.image_processing_utils import select_best_resolution

from gpux.export import probes
from gpux.export.generators.answers import probe, prompts
from gpux.export.generators.generator import Generator, answer
from gpux.export.generators.vision_language import LLAVA, NEXT
from gpux.picture_grids import Grid, Tower

ROWS: tuple[tuple[tuple[int, int], ...], ...] = (((1, 12),), ((1, 5), (0, 9), (2, 7)))
"""Per probe and row, how many pictures and how many tokens of text it has."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of noise.

    Attributes:
        feeds: Inputs of the vision graph.
        places: How many places it takes.
        facts: What its features are put together by: ``grid`` int64 [3], or ``cut`` int64 [4], rows and columns of tiles with height
            and width of the picture.
    """

    feeds: Mapping[str, np.ndarray]
    places: int
    facts: Mapping[str, np.ndarray]


def ask(made: Generator, output: Path) -> None:
    """Write ``probes.npz`` and ``reference.npz``.

    A probe has ``input_ids``, ``lengths`` and ``answer`` as :func:`gpux.export.generators.answers.probe` makes them, ``token``
    int64 [1], the id that stands for a place of a picture, ``pictures`` int64 [rows], how many each row has, and of picture K its
    facts ``K.grid`` or ``K.cut`` and the vision graph's inputs ``K.vision.…``. Expected are ``vision`` float32 [places, hidden] of
    all pictures, ``embedder`` float32 [rows, longest, hidden], ``prefill`` and ``decode``.
    """
    made.clock.step("computing the reference outputs")
    model, token = made.model, int(made.model.config.image_token_id)
    random = np.random.default_rng(20261126)
    texts = [_tokens(made, text, token) for text in prompts()]
    feeds, references = [], []
    for number, rows in enumerate(ROWS):
        shown = [[_picture(model, random, place) for place in range(count)] for count, _ in rows]
        ids = [
            _row(texts[(number + row) % len(texts)][:length], [one.places for one in seen], token)
            for row, ((_, length), seen) in enumerate(zip(rows, shown, strict=True))
        ]
        told = [answer(model, row, **_inputs(model, seen, row)) for row, seen in zip(ids, shown, strict=True)]
        given = probe(ids, [tokens for tokens, _ in told])
        scores = np.stack([each for _, each in told])
        every = [one for seen in shown for one in seen]
        feeds.append({**given, **_packed(token, shown, every)})
        references.append(
            {
                "vision": np.concatenate([_features(model, one) for one in every]),
                "embedder": _embeds(model, given["input_ids"]),
                "prefill": scores[:, 0],
                "decode": scores[:, 1:],
            }
        )
    probes.save(output / "probes.npz", feeds)
    probes.save(output / "reference.npz", references)


def _tokens(made: Generator, text: str, token: int) -> list[int]:
    vocabulary = int(made.model.config.get_text_config(decoder=True).vocab_size)
    found = [each for each in made.tokenizer(text)["input_ids"] if each < vocabulary and each != token]
    return found or [each for each in (1, 2, 3) if each != token]


def _row(text: Sequence[int], places: Sequence[int], token: int) -> list[int]:
    """Pictures behind the first tokens of a text, one between each two."""
    row = list(text)
    for number, count in enumerate(places):
        behind = min(len(row), 1 + number * 2 + sum(places[:number]))
        row[behind:behind] = [token] * count
    return row


def _packed(token: int, shown: Sequence[Sequence[Shown]], every: Sequence[Shown]) -> dict[str, np.ndarray]:
    found = {"token": np.array([token]), "pictures": np.array([len(seen) for seen in shown])}
    for number, one in enumerate(every):
        found |= {f"{number}.{name}": array for name, array in one.facts.items()}
        found |= {f"{number}.vision.{name}": array for name, array in one.feeds.items()}
    return found


def _picture(model: Any, random: np.random.Generator, number: int) -> Shown:
    config = model.config
    if config.model_type in {LLAVA, NEXT}:
        return _whole(model, random, number)
    tower = Tower.of(config.vision_config.to_dict(), config.model_type)
    down, across = ((5, 9), (6, 3))[number % 2]
    grid: Grid = (1, down * tower.merge, across * tower.merge)
    vision = config.vision_config
    width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    pixels = random.normal(0, 1, (grid[1] * grid[2], width)).astype(np.float32)
    feeds = {"pixel_values": pixels, **tower.feeds([grid])}
    return Shown(feeds, tower.places(grid), {"grid": np.array([1, down, across])})


def _whole(model: Any, random: np.random.Generator, number: int) -> Shown:
    edge = model.config.vision_config.image_size
    tall, wide = (edge, edge) if isinstance(edge, int) else edge
    if model.config.model_type == LLAVA:
        feeds = {"pixel_values": random.normal(0, 1, (1, 3, tall, wide)).astype(np.float32)}
        return Shown(feeds, len(_features(model, Shown(feeds, 0, {}))), {})
    points = model.config.image_grid_pinpoints
    point = points[number % len(points)]
    original = (max(1, point[0] * 3 // 4), point[1]) if number % 2 else (point[0], max(1, point[1] * 3 // 4))
    best = select_best_resolution(original, points)
    cut = best[0] // tall, best[1] // wide
    feeds = {"pixel_values": random.normal(0, 1, (1 + cut[0] * cut[1], 3, tall, wide)).astype(np.float32)}
    facts = {"cut": np.array([*cut, *original])}
    return Shown(feeds, len(_features(model, Shown(feeds, 0, facts))), facts)


def _inputs(model: Any, seen: Sequence[Shown], row: Sequence[int]) -> dict[str, Any]:
    """What the source model is given of a row's pictures."""
    if not seen:
        return {}
    pixels = [torch.from_numpy(one.feeds["pixel_values"]) for one in seen]
    if model.config.model_type == LLAVA:
        return {"pixel_values": torch.cat(pixels)}
    if model.config.model_type == NEXT:
        most = max(map(len, pixels))
        padded = [torch.nn.functional.pad(one, (0, 0, 0, 0, 0, 0, 0, most - len(one))) for one in pixels]
        sizes = [one.facts["cut"][2:].tolist() for one in seen]
        return {"pixel_values": torch.stack(padded), "image_sizes": torch.tensor(sizes)}
    merge = model.config.vision_config.spatial_merge_size
    grids = [[1, merge * int(one.facts["grid"][1]), merge * int(one.facts["grid"][2])] for one in seen]
    marked = (torch.tensor([list(row)]) == model.config.image_token_id).to(torch.int32)
    return {
        "pixel_values": torch.cat(pixels),
        "image_grid_thw": torch.tensor(grids),
        "mm_token_type_ids": marked,
    }


def _features(model: Any, one: Shown) -> np.ndarray:
    """The features of one picture as the source model gives them, float32 [places, hidden]."""
    given = _inputs(model, [one], [])
    given.pop("mm_token_type_ids", None)
    with torch.inference_mode():
        found = model.model.get_image_features(**given, return_dict=True).pooler_output
    array: np.ndarray = torch.cat(list(found)).reshape(-1, found[0].shape[-1]).to(torch.float32).numpy()
    return array


def _embeds(model: Any, ids: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        found = model.get_input_embeddings()(torch.from_numpy(ids))
    array: np.ndarray = found.to(torch.float32).numpy()
    return array
