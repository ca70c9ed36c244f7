"""Task-shaped inputs for the proof: several batch sizes and lengths, really padded; seeded, so that they can be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

from gpux.export.inputs import BOXES, Inputs, Pixels, Sound, Tokens

Feeds = dict[str, np.ndarray]

TRACED = (2, 16)
"""The texts that the exporter traces with; no probe has their shape."""

SHAPES = ((1, 5), (1, 24), (3, 11), (4, 40), (2, 96), (1, 200), (1, 512))
"""Batch size and longest length of each probe of texts, the lengths within a batch falling to a third of it."""

BATCHES = (1, 3, 2)
"""Batch size of each probe of pictures and features, whose sizes are fixed."""

SIZES = ((1, 224, 320), (2, 330, 250), (3, 256, 256))
"""Batch size, height and width of each probe of pictures whose sizes vary."""

SAMPLES = ((1, 8_000), (2, 16_000), (3, 12_345), (1, 24_000))
"""Batch size and longest length of each probe of recordings, the lengths within a batch falling to half of it."""

MOST_BYTES = 64 << 20
"""Bytes of the references that an artifact keeps, about: one number per token and word of a vocabulary would be gigabytes."""

_SEED = 20261122


def make(inputs: Inputs) -> list[Feeds]:
    """Random texts, pictures and recordings.

    Args:
        inputs: What the model is given.

    Returns:
        One dictionary per probe, with the tensors that ``inputs`` names: token ids, masks and types int64 [batch, sequence],
        boxes int64 [batch, sequence, 4],
        pixels float32 [batch, (frames,) channels, height, width], waveforms float32 [batch, samples], features float32.
    """
    random = np.random.default_rng(_SEED)
    kinds: list[list[tuple[tuple[int, ...], Tokens | Pixels | Sound]]] = []
    if inputs.tokens:
        longest = inputs.tokens.maximum
        shapes = list(dict.fromkeys((batch, min(length, longest)) for batch, length in SHAPES))
        kinds.append([(shape, inputs.tokens) for shape in shapes])
    if inputs.pixels:
        kinds.append([(shape, inputs.pixels) for shape in _pixel_shapes(inputs.pixels)])
    if inputs.sound:
        kinds.append([(shape, inputs.sound) for shape in _sound_shapes(inputs.sound)])
    if len(kinds) == 1:
        return [_named(inputs, _boxed(random, _columns(random, *one), inputs)) for one in kinds[0]]
    count = max(len(kind) for kind in kinds[1:])
    probes = []
    for scene in zip(*(cycle(kind) for kind in kinds), range(count), strict=False):
        parts = scene[:-1]
        rows = parts[-1][0][0]
        columns: Feeds = {}
        for shape, kind in parts:
            batch = shape[0] if inputs.apart else rows
            columns.update(_columns(random, (batch, *shape[1:]), kind, texts=inputs.tokens is not None))
        probes.append(_named(inputs, _boxed(random, columns, inputs)))
    return probes


def affordable(feeds: Sequence[Feeds], each: float) -> list[Feeds]:
    """The probes whose outputs come to :data:`MOST_BYTES` in all, but at least three.

    Args:
        feeds: The probes.
        each: Bytes of the outputs for each token, pixel or sample.
    """
    kept: list[Feeds] = []
    total = 0.0
    for probe in feeds:
        total += each * amount(probe)
        if total > MOST_BYTES and len(kept) >= 3:
            break
        kept.append(probe)
    return kept


def amount(feeds: Feeds) -> int:
    """Tokens, pixels or samples of a probe."""
    main = next(
        (feeds[name] for name in ("input_ids", "pixel_values", "input_values") if name in feeds), None
    )
    return next(iter(feeds.values())).size if main is None else main.size


def traced(inputs: Inputs) -> Feeds:
    """The inputs that the exporter traces with, two rows (texts apart: three), one of them really padded where rows are padded."""
    random = np.random.default_rng(_SEED)
    feeds: Feeds = {}
    if inputs.tokens:
        batch, length = TRACED
        rows = 3 if inputs.apart else batch
        feeds.update(_texts(random, (rows, min(length, inputs.tokens.maximum)), inputs.tokens))
        feeds["attention_mask"][1, -3:] = 0
        feeds["input_ids"][1, -3:] = inputs.tokens.pad
    if inputs.pixels:
        size: tuple[int, ...] = (2, inputs.pixels.height, inputs.pixels.width)
        free = (2, _multiple(192, inputs.pixels), _multiple(288, inputs.pixels))
        size = free if inputs.pixels.free else size
        feeds.update(_pictures(random, size, inputs.pixels))
    if inputs.sound:
        size = (2, 9_000) if inputs.sound.free else (2, *inputs.sound.shape)
        feeds.update(_recordings(random, size, inputs.sound, texts=inputs.tokens is not None))
    return _named(inputs, _boxed(random, feeds, inputs))


def axes(inputs: Inputs) -> dict[str, dict[int, str]]:
    """Input → its free axes by name: ``batch`` (``texts``, ``images``, ``audios`` where they are apart), ``sequence`` and so on."""
    free: dict[str, dict[int, str]] = {}
    for name in inputs.names:
        if name in {"input_ids", "token_type_ids", BOXES} or (name == "attention_mask" and inputs.tokens):
            free[name] = {0: "texts" if inputs.apart else "batch", 1: "sequence"}
        elif name in {"pixel_values", "pixel_mask"}:
            free[name] = {0: "images" if inputs.apart else "batch"}
            if inputs.pixels and inputs.pixels.free:
                last = 3 if name == "pixel_values" else 2
                free[name] |= {last - 1: "height", last: "width"}
        else:
            free[name] = {0: "audios" if inputs.apart else "batch"}
            if inputs.sound and inputs.sound.free and name != "is_longer":
                free[name][1] = "samples"
    return free


def shape_label(feeds: Mapping[str, np.ndarray]) -> str:
    """The probe's shape as the certificate prints it: ``batch×length``, and the same of pictures or sound beside texts."""
    mains = [
        name for name in ("input_ids", "pixel_values", "input_features", "input_values") if name in feeds
    ]
    return " + ".join("×".join(map(str, feeds[name].shape)) for name in mains or [next(iter(feeds))])


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


def _named(inputs: Inputs, columns: Feeds) -> Feeds:
    return {name: columns[name] for name in inputs.names}


def _columns(
    random: np.random.Generator, shape: tuple[int, ...], kind: Tokens | Pixels | Sound, *, texts: bool = False
) -> Feeds:
    if isinstance(kind, Tokens):
        return _texts(random, shape, kind)
    if isinstance(kind, Pixels):
        return _pictures(random, shape, kind)
    return _recordings(random, shape, kind, texts=texts)


def _texts(random: np.random.Generator, shape: tuple[int, ...], tokens: Tokens) -> Feeds:
    batch, length = shape
    lengths = np.linspace(length, max(1, length // 3), batch).astype(np.int64)
    mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
    ids = random.integers(0, tokens.vocabulary, (batch, length))
    ids = np.where((ids == tokens.pad) & (mask == 1), (tokens.pad + 1) % tokens.vocabulary, ids)
    second = np.zeros_like(mask)
    if tokens.types > 1:
        second = (np.arange(length) >= lengths[:, None] // 2).astype(np.int64)
    return {
        "input_ids": np.where(mask == 1, ids, tokens.pad),
        "attention_mask": mask,
        "token_type_ids": second * mask,
    }


def _boxed(random: np.random.Generator, feeds: Feeds, inputs: Inputs) -> Feeds:
    """With a box of each token on the page: left, top, right, bottom, none of padding."""
    if not inputs.plane:
        return feeds
    corners = random.integers(0, inputs.plane, (2, *feeds["input_ids"].shape, 2))
    boxes = np.concatenate([corners.min(0), corners.max(0)], axis=-1)
    return {**feeds, BOXES: boxes * feeds["attention_mask"][..., None]}


def _pixel_shapes(pixels: Pixels) -> list[tuple[int, ...]]:
    if pixels.free:
        return [
            (batch, _multiple(height, pixels), _multiple(width, pixels)) for batch, height, width in SIZES
        ]
    return [(batch, pixels.height, pixels.width) for batch in BATCHES]


def _multiple(side: int, pixels: Pixels) -> int:
    return max(1, round(side / pixels.divisor)) * pixels.divisor


def _pictures(random: np.random.Generator, shape: tuple[int, ...], pixels: Pixels) -> Feeds:
    """Soft shapes with grain on them, in the range of normalised photographs."""
    batch, height, width = shape
    frames = pixels.frames or 1
    count = batch * frames
    coarse = random.normal(0, 1, (count, pixels.channels, -(-height // 16), -(-width // 16)))
    soft = coarse.repeat(16, axis=2).repeat(16, axis=3)[:, :, :height, :width]
    grain = random.normal(0, 0.3, (count, pixels.channels, height, width))
    values = np.clip(soft + grain, -2.2, 2.6).astype(np.float32)
    mask = np.ones((batch, height, width), np.int64)
    if pixels.free:
        for row in range(1, batch):  # the first picture fills the batch, the others are padded
            bottom, right = height - 16 * row, width - 24 * row
            mask[row, bottom:], mask[row, :, right:] = 0, 0
            values[row, :, bottom:], values[row, :, :, right:] = 0, 0
    if pixels.frames:
        values = values.reshape(batch, frames, pixels.channels, height, width)
    return {"pixel_values": values, "pixel_mask": mask}


def _sound_shapes(sound: Sound) -> list[tuple[int, ...]]:
    return list(SAMPLES) if sound.free else [(batch, *sound.shape) for batch in BATCHES]


def _recordings(
    random: np.random.Generator, shape: tuple[int, ...], sound: Sound, *, texts: bool = False
) -> Feeds:
    batch = shape[0]
    longer = np.arange(batch)[:, None] % 2 == 1
    if not sound.free:
        values = random.normal(0, 1, shape).astype(np.float32)
        feeds = {"input_values": values, "input_features": values, "is_longer": longer}
        return feeds if texts else {**feeds, "attention_mask": np.ones(shape[:2], np.int64)}
    length = shape[1]
    lengths = np.linspace(length, length // 2, batch).astype(np.int64)
    mask = (np.arange(length) < lengths[:, None]).astype(np.int64)
    time = np.arange(length) / 16_000
    tones = random.uniform(80, 3_000, (batch, 5, 1))
    loud = random.uniform(0.2, 1, (batch, 5, 1))
    waves = (loud * np.sin(2 * np.pi * tones * time)).sum(1) + random.normal(0, 0.3, (batch, length))
    values = (waves / waves.std(1, keepdims=True) * mask).astype(np.float32)
    feeds = {"input_values": values, "input_features": values, "is_longer": longer}
    return feeds if texts else {**feeds, "attention_mask": mask}
