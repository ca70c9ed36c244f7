"""The part of the proof's worker for models that read pictures and write: each component by itself, then all of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gpux.artifact import OutputParity
from gpux.errors import ProofFailed
from gpux.events import Event, Progress
from gpux.export import probes, proof
from gpux.export.generators import answers
from gpux.generation.causal import Graph
from gpux.generation.vision_language import DECODER, EMBEDDER, VISION, Album, PictureDecoder, Runs, typed
from gpux.picture_grids import features

_LIMIT = 1 << 16
_CLASSES = {"prefill", "decode"}


def compare(graphs: Mapping[str, Any], job: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The figures of ``vision`` and ``embedder``, each against that part of the source model, and of ``prefill`` and ``decode``.

    Raises:
        ProofFailed: A graph gives something else than the source model, or nothing.
    """
    feeds = probes.read(Path(job["probes"]))
    progress(Event("prove", f"showing {sum(int(one['pictures'].sum()) for one in feeds)} pictures"))
    actual = [run(graphs, one) for one in feeds]
    if not job["reference"]:
        expected = [run(graphs, one, alone=True) for one in feeds]
    else:
        expected = probes.read(Path(job["reference"]))
    if job["save"]:
        probes.save(Path(job["save"]), actual)
    return {
        "parity": [asdict(_parity(name, feeds, expected, actual)) for name in expected[0]],
        "shapes": [_label(one) for one in feeds],
    }


def run(graphs: Mapping[str, Any], probe: probes.Feeds, *, alone: bool = False) -> probes.Feeds:
    """What the graphs make of a probe; with ``alone``, every row is read by itself."""
    album = Album()
    pictures = [
        _picture(graphs[VISION], album, probe, number) for number in range(int(probe["pictures"].sum()))
    ]
    embedder = graphs[EMBEDDER].run({"input_ids": probe["input_ids"]}, ("inputs_embeds",))["inputs_embeds"]
    embedder = embedder.astype(np.float32, copy=False)
    decoder = _decoder(graphs[EMBEDDER], graphs[DECODER], album)
    rows = _rows(probe, [one.ids for one in pictures])
    parts = [[row] for row in range(len(rows))] if alone else [list(range(len(rows)))]
    found = []
    try:
        for part in parts:
            prefill = decoder.prefill([rows[row] for row in part])
            steps = [decoder.step(tokens) for tokens in probe["answer"][part].T]
            found.append((prefill, np.stack(steps, 1)))
    finally:
        decoder.close()
    return {
        "vision": np.concatenate([one.features.embeds for one in pictures]),
        "embedder": embedder,
        "prefill": np.concatenate([prefill for prefill, _ in found]),
        "decode": np.concatenate([decode for _, decode in found]),
    }


def _decoder(embedder: Runs, graph: Graph, album: Album) -> PictureDecoder:
    return PictureDecoder(embedder, graph, album=album, limit=_LIMIT)


def _picture(vision: Any, album: Album, probe: probes.Feeds, number: int) -> Any:
    prefix = f"{number}.vision."
    given = {name[len(prefix) :]: array for name, array in probe.items() if name.startswith(prefix)}
    outputs = vision.run(typed(vision, given), None)
    facts = [probe[key].tolist() if key in probe else None for key in (f"{number}.grid", f"{number}.cut")]
    made = features(outputs, grid=facts[0], cut=facts[1])
    return album.add(str(number).encode(), lambda: made)


def _rows(probe: probes.Feeds, pictures: Sequence[range]) -> list[list[int]]:
    """The prompts, with the ids of their pictures' places."""
    token, rows, left = int(probe["token"][0]), answers.rows(probe), list(pictures)
    for row, count in zip(rows, probe["pictures"], strict=True):
        own = [place for picture in left[: int(count)] for place in picture]
        del left[: int(count)]
        marked = [place for place, each in enumerate(row) if each == token and count]
        if len(marked) != len(own):
            raise ProofFailed(
                f"pictures have {len(own)} features where the model leaves {len(marked)} places",
                hint="the conversion is broken; try another --exporter",
                output=VISION,
            )
        for place, each in zip(marked, own, strict=True):
            row[place] = each
    return rows


def _parity(
    name: str,
    feeds: Sequence[probes.Feeds],
    expected: Sequence[probes.Feeds],
    actual: Sequence[probes.Feeds],
) -> OutputParity:
    # Rows hold tokens of their own, so nothing of them is padding.
    return proof.compare(name, [{} for _ in feeds], expected, actual, classes=name in _CLASSES)


def _label(feeds: probes.Feeds) -> str:
    rows = [
        f"{int(length)} places" + (f" with {int(count)} pictures" if count else "")
        for length, count in zip(feeds["lengths"], feeds["pictures"], strict=True)
    ]
    return f"prompts of {' and '.join(rows)}, {feeds['answer'].shape[1]} tokens of answer"
