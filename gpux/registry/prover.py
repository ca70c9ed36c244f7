"""The proof's worker: opens one graph on one provider, runs every probe, and compares.

A graph that crashes its runtime takes only this process with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gpux import hardware
from gpux.binding import Bindable
from gpux.discovery import discover
from gpux.errors import ProofFailed, ProviderUnavailable
from gpux.events import Event, Progress
from gpux.export import probes, proof
from gpux.export.matching import matched
from gpux.generation.vision_language import COMPONENTS
from gpux.provider import Opened, Options, Provider, State, find, together
from gpux.registry import prover_generator, prover_pictures, prover_raw
from gpux.worker import child


def main() -> None:
    """Serve one job from standard input."""
    child.serve(_handle)


def _handle(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    provider = find(job["provider"], discover())
    versions = job["versions"] or _versions(provider)
    progress(Event("prove", f"opening the {job['variant']} graph"))
    every = {name: provider.open(Path(path), _options(job)) for name, path in job["graphs"].items()}
    told = _told(every, versions)
    if job["generates"]:
        graphs = {name: Bindable(opened) for name, opened in every.items()}
        if set(graphs) == set(COMPONENTS):
            return {**told, **prover_pictures.compare(graphs, job, progress)}
        return {**told, **prover_generator.compare(graphs, job, progress)}
    (opened,) = every.values()
    if job["raw"]:
        return {**told, **prover_raw.compare(opened, job, progress)}
    texts = probes.read(Path(job["probes"]))
    feeds = [_fit(opened, run) for run in texts]
    progress(Event("prove", f"running {len(feeds)} probes"))
    actual = [_named(opened.run(run), job["aliases"]) for run in feeds]
    needs = job["needs"]
    if needs and not any(name in actual[0] for name in needs):
        raise ProofFailed(
            f"the graph gives {', '.join(actual[0])}, the task reads {' or '.join(f'`{name}`' for name in needs)}",
            hint="it was exported for another use; try another --exporter or --task",
            output=needs[0],
        )
    reference = Path(job["reference"]) if job["reference"] else None
    expected = (
        probes.read(reference)
        if reference
        else [
            _row_by_row(opened, run, text.get("attention_mask"), job["aliases"])
            for run, text in zip(feeds, texts, strict=True)
        ]
    )
    names = [name for name in expected[0] if name in actual[0]]
    if not names:
        raise ProofFailed(
            f"the graph gives {', '.join(actual[0])}, the model {', '.join(expected[0])}: nothing to compare",
            hint="try another --exporter or --task",
        )
    actual = matched(expected, actual, job["unordered"]) if job["unordered"] else actual
    if job["save"]:
        probes.save(Path(job["save"]), [{name: run[name] for name in names} for run in actual])
    return {
        **told,
        "parity": [
            asdict(proof.compare(name, texts, expected, actual, classes=name in job["scores"]))
            for name in names
        ],
        "shapes": [probes.shape_label(run) for run in feeds],
    }


def _told(every: Mapping[str, Opened], versions: Mapping[str, str]) -> dict[str, Any]:
    return {
        "components": {
            name: {
                "inputs": [asdict(spec) for spec in opened.inputs],
                "outputs": [asdict(spec) for spec in opened.outputs],
            }
            for name, opened in every.items()
        },
        "runtime": " ".join(f"{name} {version}" for name, version in versions.items()),
        "placement": asdict(together([opened.placement() for opened in every.values()])),
    }


def _versions(provider: Provider) -> Mapping[str, str]:
    probe = provider.probe()
    if probe.state is not State.WORKS:
        raise ProviderUnavailable(
            f"the proof runs on the provider `{provider.name}`, which does not work here: {probe.reason}",
            hint=probe.hint,
            provider=provider.name,
        )
    return probe.versions


def _options(job: Mapping[str, Any]) -> Options:
    return Options(
        threads=job["threads"] or hardware.cores_allowed(),
        precision=job["variant"],
        cache=Path(job["cache"]) if job["cache"] else None,
        extra=job["options"],
        dimensions={name: (low, usual, high) for name, (low, usual, high) in job["dimensions"].items()},
    )


def _fit(opened: Opened, feeds: probes.Feeds) -> probes.Feeds:
    fitted = {}
    for spec in opened.inputs:
        if spec.name not in feeds:
            raise ProofFailed(
                f"the graph wants an input `{spec.name}`, which this task does not have",
                hint="it was exported for another use; try another --exporter",
                input=spec.name,
            )
        fitted[spec.name] = feeds[spec.name].astype(spec.dtype, copy=False)
    return fitted


def _named(outputs: Mapping[str, np.ndarray], aliases: Mapping[str, str]) -> probes.Feeds:
    named = dict(outputs)
    for name, array in outputs.items():  # the model's own name wins over an alias, as it does in the task
        named.setdefault(aliases.get(name, name), array)
    return named


def _row_by_row(
    opened: Opened, feeds: probes.Feeds, mask: np.ndarray | None, aliases: Mapping[str, str]
) -> probes.Feeds:
    """The same rows one at a time, texts unpadded: what a graph must give that really masks its padding, asked to or not."""
    batch = max(array.shape[0] for array in feeds.values())
    sizes = {array.shape[0] for array in feeds.values()}
    texts = "input_ids" in feeds and len(sizes) == 1
    width = feeds["input_ids"].shape[1] if texts else 0
    rows: dict[str, list[np.ndarray]] = {}
    lengths = []
    for row in range(batch):
        length = int(mask[row].sum()) if texts and mask is not None else width
        single = opened.run({name: _row(array, row, batch, width, length) for name, array in feeds.items()})
        lengths.append(length)
        for name, array in _named(single, aliases).items():
            rows.setdefault(name, []).append(array)
    if len(sizes) == 1:
        return {
            name: _stacked(name, _padded(parts, lengths, width) if texts else parts)
            for name, parts in rows.items()
        }
    # Texts and pictures apart: the larger of the two batches was taken row by row, and what belongs to the other stays.
    return {name: _stacked(name, parts) if _per_row(parts) else parts[0] for name, parts in rows.items()}


def _row(array: np.ndarray, row: int, batch: int, width: int, length: int) -> np.ndarray:
    if array.shape[0] != batch:
        return array
    one = array[row : row + 1]
    return one[:, :length] if one.shape[1:2] == (width,) and one.ndim == 2 else one


def _per_row(parts: list[np.ndarray]) -> bool:
    """Whether an output differs from row to row; what all rows share has the same numbers each time."""
    return parts[0].shape[:1] == (1,) or not all(np.array_equal(parts[0], part) for part in parts)


def _padded(parts: list[np.ndarray], lengths: list[int], width: int) -> list[np.ndarray]:
    """Each text's output as in the batch: filled up where it has a vector or, as for question answering, a number per token."""
    if any(part.ndim < 2 or part.shape[1] != length for part, length in zip(parts, lengths, strict=True)):
        return parts
    return [
        np.pad(part, [(0, 0), (0, width - length), *[(0, 0)] * (part.ndim - 2)])
        for part, length in zip(parts, lengths, strict=True)
    ]


def _stacked(name: str, parts: list[np.ndarray]) -> np.ndarray:
    shapes = sorted({part.shape for part in parts})
    if len({shape[1:] for shape in shapes}) > 1 or () in shapes:
        raise ProofFailed(
            f"output `{name}` has no row per text: single texts of one batch give {' and '.join(map(str, shapes))}",
            hint="it lacks an axis for the batch or for the tokens; try another --exporter",
            output=name,
        )
    return np.concatenate(parts)
