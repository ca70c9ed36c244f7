"""Seeded inputs of every kind that a task takes: texts, and files with generated pictures, recordings and films."""

from __future__ import annotations

import wave
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from families import expectations, librivox, mails

_SEED = 20261126
_TEXTS = [
    "A cat sits in the house by the river.",
    "I love this wonderful film!",
    "Paris is the capital of France, and London lies on a river; people who work there see the rain on most days.",
    "terrible",
]
_PROMPTS = [
    "The capital of France is",
    "Music",
    "One day the people who work in the house by the river said that the rain and the sun were both good for them, and so they",
]
"""Unequal, so that they are answered in one batch of filled-up rows; the longest is longer than a reduced window."""

_CONTEXT = (
    "My name is Ada and I live in London. The company makes machines that answer questions about music and films. "
    "It was started in Paris, the capital of France, and came to Berlin three years after that. "
)


def make(kind: str, folder: Path, *, mask: str = "[MASK]") -> list[Any]:
    """The inputs of a kind, as plain JSON; files of them are written to the folder.

    Args:
        kind: One of :data:`KINDS`.
        folder: Where files go.
        mask: What the model's tokenizer calls a masked token.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return KINDS[kind](folder, mask)


def _masked(_: Path, mask: str) -> list[Any]:
    return [f"The {mask} of France is Paris.", f"I {mask} this film and the music."]


def _questions(*_: object) -> list[Any]:
    asked = ("What is my name?", "Where was the company started?")
    return [{"question": question, "context": _CONTEXT} for question in asked]


def _pairs(*_: object) -> list[Any]:
    return [{"text": "capital of france", "text_pair": text} for text in _TEXTS]


def _pixels(dice: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A sky, hills, discs and grain: smooth parts, edges and noise, as photographs have them."""
    y, x = np.mgrid[0:height, 0:width] / height
    picture = np.stack([0.3 + 0.5 * y, 0.5 + 0.2 * np.sin(3 * x), 0.9 - 0.6 * y], axis=-1)
    picture[y > 0.7 + 0.1 * np.sin(4 * x)] = (0.2, 0.5, 0.15)
    for _ in range(6):
        at, radius, colour = dice.random(2), dice.uniform(0.05, 0.2), dice.random(3)
        picture[(y - at[0]) ** 2 + (x - at[1] * width / height) ** 2 < radius**2] = colour
    picture += dice.normal(0, 0.03, picture.shape)
    return (picture.clip(0, 1) * 255).astype(np.uint8)


def _pictures(folder: Path, _: str, *, scale: int = 1) -> list[Any]:
    from PIL import Image

    dice = np.random.default_rng(_SEED)
    paths = []
    for index, (height, width) in enumerate(((480, 640), (500, 333))):
        path = folder / f"picture-{index}.png"
        Image.fromarray(_pixels(dice, height // scale, width // scale)).save(path)
        paths.append(str(path))
    return paths


def _small_pictures(folder: Path, mask: str) -> list[Any]:
    return _pictures(folder, mask, scale=8)


def _quarter_pictures(folder: Path, mask: str) -> list[Any]:
    return _pictures(folder, mask, scale=4)


def _shown(folder: Path, mask: str) -> list[Any]:
    """Conversations about one picture, two and none: unequal, so that they are answered in one batch of filled-up rows."""
    wide, tall = ({"type": "image", "path": path} for path in _pictures(folder, mask, scale=4))
    asked = (
        [wide, _said("What is in this picture?")],
        [_said("Is the river in"), tall, _said("the same as the one in"), wide, _said("or another?")],
        [_said("What is the capital of France?")],
    )
    return [[{"role": "user", "content": parts}] for parts in asked]


def _said(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _recordings(folder: Path, _: str, *, rate: int = 16_000) -> list[Any]:
    """Harmonics of a gliding tone in bursts, with noise: what a voice looks like to a spectrogram."""
    dice = np.random.default_rng(_SEED)
    paths = []
    for index, seconds in enumerate((3.0, 1.7)):
        time = np.arange(int(seconds * rate)) / rate
        phase = 2 * np.pi * (110 * time + 12 * np.sin(2.3 * time + index))
        voice = sum(np.sin(n * phase) / n for n in range(1, 20))
        sound = 0.12 * voice * (0.3 + 0.7 * (np.sin(9 * time) > 0)) + 0.01 * dice.standard_normal(
            time.shape[0]
        )
        path = folder / f"recording-{rate}-{index}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(rate)
            file.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())
        paths.append(str(path))
    return paths


def _videos(folder: Path, _: str) -> list[Any]:
    import av

    dice = np.random.default_rng(_SEED)
    path = folder / "film.mp4"
    still = _pixels(dice, 240, 320)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for index in range(40):
            frame = av.VideoFrame.from_ndarray(np.roll(still, 4 * index, axis=1), format="rgb24")
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return [str(path)]


def _asked_pictures(folder: Path, mask: str) -> list[Any]:
    return [{"image": path, "question": "what is in the picture?"} for path in _pictures(folder, mask)]


def _photographs(*_: object) -> list[Any]:
    folder = files("sklearn.datasets.images")
    return [str(folder / name) for name in expectations.PHOTOGRAPHS]


def _documents(*_: object) -> list[Any]:
    """A page as a reader of its text would give it: words, and where each stands in thousandths."""
    words = ["The", "total", "of", "the", "music", "and", "films", "is", "nine", "in", "London"]
    boxes = [
        [50 + 90 * (i % 6), 100 + 60 * (i // 6), 120 + 90 * (i % 6), 130 + 60 * (i // 6)]
        for i in range(len(words))
    ]
    return [
        {"question": asked, "words": words, "boxes": boxes}
        for asked in ("What is the total?", "Where is it?")
    ]


KINDS: dict[str, Callable[..., list[Any]]] = {
    "sentences": lambda *_: list(_TEXTS),
    "masked": _masked,
    "prompts": lambda *_: list(_PROMPTS),
    "asked": lambda *_: [[{"role": "user", "content": asked}] for asked in expectations.CAPITALS],
    "german": lambda *_: list(expectations.GERMAN),
    "questions": _questions,
    "pairs": _pairs,
    "pictures": _pictures,
    "small_pictures": _small_pictures,
    "captioned": _quarter_pictures,
    "shown": _shown,
    "librivox": lambda *_: list(librivox.sentences()),
    "recordings": _recordings,
    "recordings_48k": lambda folder, mask: _recordings(folder, mask, rate=48_000),
    "videos": _videos,
    "asked_pictures": _asked_pictures,
    "documents": _documents,
    "photographs": _photographs,
    "ordered": lambda *_: expectations.sentences(),
    "mails": lambda *_: [mail.text for mail in mails.parts()[1]],
}
