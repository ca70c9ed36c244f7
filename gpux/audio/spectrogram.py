"""The log mel spectrogram of a recording of any length, made as its samples come and read window by window; knows no graph.

Whisper's loudness is told against the loudest moment of the whole recording, so all of it is heard before the first window
is read. What was heard lies in memory while it is small, in a temporary file beyond that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from gpux.audio import mel

if TYPE_CHECKING:
    from gpux.audio.whisper import LogMel

HELD = 32 << 20
"""Bytes of a spectrogram that are held in memory: 17 minutes of 80 mels."""

_SILENCE = np.float32(-10.0)  # the logarithm of the least energy that is told


class Spectrogram:
    """The loudness of one recording, frame by frame.

    Args:
        blocks: The waveform at the model's rate, float32 [samples], in blocks of any size.
        extractor: The model's own settings.

    Attributes:
        samples: Samples of the waveform.
        frames: Frames of its own: what lies behind them in a window is padding.
        longer: Whether it is longer than the model hears at once.
    """

    def __init__(self, blocks: Iterable[np.ndarray], extractor: LogMel) -> None:
        self._extractor = extractor
        self._file: Any = tempfile.SpooledTemporaryFile(max_size=HELD)  # noqa: SIM115 - `close` closes it
        self._loudest = _SILENCE
        self.samples = self._written = 0
        try:
            self._hear(iter(blocks))
        except BaseException:
            self.close()
            raise

    def window(self, start: int, frames: int) -> np.ndarray:
        """float32 [mels, frames] from a frame on, filled up with nothing beyond the end of the recording."""
        mels = self._extractor.mels
        stop = max(start, min(start + frames, self._written))
        self._file.seek(start * mels * 4)
        read = np.frombuffer(self._file.read((stop - start) * mels * 4), np.float32).reshape(-1, mels)
        # A recording that fits is padded with silence before it is heard, a longer one with zeros after that.
        told = np.zeros((mels, frames), np.float32)
        floor = self._loudest - 8
        told[:, : len(read)] = (np.maximum(read.T, floor) + 4) / 4
        if not self.longer:
            silent = max(self._extractor.frames - start, len(read))
            told[:, len(read) : silent] = (max(_SILENCE, floor) + 4) / 4
        return told

    def close(self) -> None:
        """Let go of what was heard."""
        self._file.close()

    def __del__(self) -> None:
        # One that was made ahead, and that nobody came for after an error.
        self.close()

    def _hear(self, blocks: Iterator[np.ndarray]) -> None:
        extractor = self._extractor
        first = list(_first(blocks, extractor.samples + 1))
        self.samples = sum(map(len, first))
        self.longer = self.samples > extractor.samples
        if self.longer:
            whole: Iterable[np.ndarray] = chain(first, self._counted(blocks))
        else:
            # Silence behind it, as much as a frame of the recording's own may reach into.
            silence = min(extractor.samples - self.samples, extractor.size + extractor.hop)
            whole = [*first, np.full(silence, extractor.padding, np.float32)]
        self._write(whole)
        self.frames = self._written if self.longer else -(-self.samples // extractor.hop)

    def _counted(self, blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self.samples += len(block)
            yield block

    def _write(self, blocks: Iterable[np.ndarray]) -> None:
        extractor = self._extractor
        window = mel.hann(extractor.size, periodic=True)
        last: np.ndarray | None = None
        for energy in mel.streamed(
            blocks, extractor.bank(), window=window, hop=extractor.hop, size=extractor.size
        ):
            loudness = np.log10(np.maximum(energy, 1e-10)).astype(np.float32)
            if last is not None:
                self._put(last)
            last = loudness
        if last is not None:
            self._put(last[:-1])  # of frames that are centred, the one at the very end is not heard

    def _put(self, loudness: np.ndarray) -> None:
        if len(loudness):
            self._loudest = max(self._loudest, loudness.max())
            self._file.write(loudness.tobytes())
            self._written += len(loudness)


def _first(blocks: Iterator[np.ndarray], samples: int) -> Iterator[np.ndarray]:
    """Blocks until there are so many samples."""
    while samples > 0 and (block := next(blocks, None)) is not None:
        samples -= len(block)
        yield block
