"""Cuts a long recording into overlapping chunks, and says which frames of each are kept; knows no graph.

The arithmetic is that of transformers, so that texts are stitched at the same places:
https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/automatic_speech_recognition.py
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpux.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples from ``start`` to ``stop`` of a recording, of which ``left`` and ``right`` are heard and not answered."""

    start: int
    stop: int
    left: int = 0
    right: int = 0

    def kept(self, align: int) -> slice:
        """The frames that are answered, where the model makes one of so many samples."""
        samples = self.stop - self.start
        frames = round(samples * (1 / align))
        left, right = (round(side / samples * frames) for side in (self.left, self.right))
        return slice(left, max(frames - right, 0))


@dataclass(frozen=True, slots=True)
class Cut:
    """How recordings are cut: samples of a chunk, and how many of them its neighbours hear too."""

    length: int
    left: int
    right: int

    def chunks(self, samples: int) -> Iterator[Chunk]:
        """The chunks of a recording, none of which is answered by its neighbours alone."""
        for start in range(0, samples, self.length - self.left - self.right):
            stop = min(start + self.length, samples)
            last = start + self.length >= samples
            left = self.left if start else 0
            if stop - start > left:
                yield Chunk(start, stop, left, 0 if last else self.right)
            if last:
                return

    def streamed(self, blocks: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, int, int]]:
        """The chunks of a recording that comes in blocks: samples, and how many of them the one before and behind hears too."""
        source, begun = iter(blocks), False
        held = np.zeros(0, np.float32)
        more = True
        while True:
            while more and len(held) <= self.length:
                block = next(source, None)
                more = block is not None
                held = held if block is None else np.concatenate([held, block])
            last = len(held) <= self.length
            left = self.left if begun else 0
            if len(held[: self.length]) > left:
                yield held[: self.length], left, 0 if last else self.right
            if last:
                return
            held, begun = held[self.length - self.left - self.right :], True


def read(chunk_length_s: Any, stride_length_s: Any, *, rate: int, align: int) -> Cut | None:
    """The cut that a caller's seconds mean, in whole frames; ``None`` where recordings stay whole.

    Args:
        chunk_length_s: Seconds of a chunk; 0 or ``None`` leaves recordings whole.
        stride_length_s: Seconds on both sides, or on the left and the right; a sixth of the chunk when ``None``.
        rate: Samples per second.
        align: Samples of a frame.

    Raises:
        InvalidInput: They are no seconds, or the sides leave nothing of a chunk.
    """
    if chunk_length_s is None or chunk_length_s == 0:
        return None
    if stride_length_s is None and _is_seconds(chunk_length_s):
        stride_length_s = chunk_length_s / 6
    sides = stride_length_s if isinstance(stride_length_s, Sequence) else [stride_length_s] * 2
    for name, value, right in (
        ("chunk_length_s", chunk_length_s, _is_seconds(chunk_length_s)),
        ("stride_length_s", stride_length_s, len(sides) == 2 and all(map(_is_seconds, sides))),
    ):
        if not right:
            raise InvalidInput(
                f"`{name}` is {value!r}", hint="give seconds, such as 30 and 5", **{name: value}
            )
    length, left, right = (round(seconds * rate / align) * align for seconds in (chunk_length_s, *sides))
    if length <= left + right:
        raise InvalidInput(
            f"chunks of {chunk_length_s} s are no longer than what their neighbours hear of them",
            hint="give a larger `chunk_length_s` or a smaller `stride_length_s`",
            chunk_length_s=chunk_length_s,
        )
    return Cut(length, left, right)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e6
