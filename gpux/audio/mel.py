"""Mel filter banks and spectrograms in numpy, by their published formulas; knows no model.

Sources: HTK Book 3.4 §5.4 (``htk``), Kaldi ``feat/mel-computations.h`` (``kaldi``), Slaney's Auditory Toolbox (``slaney``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"

SCALES = ("htk", "kaldi", "slaney")

_BLOCK = 2048  # frames that are transformed together
# Slaney's scale is linear below 1 kHz, 200/3 Hz a mel, and has 27 steps from there to 6.4 kHz.
_LINEAR = 200 / 3
_KNEE_HERTZ = 1000.0
_KNEE_MELS = _KNEE_HERTZ / _LINEAR
_STEP = math.log(6.4) / 27


@lru_cache(maxsize=16)
def filters(
    *, bins: int, mels: int, low: float, high: float, rate: int, scale: str, area: bool = False
) -> Floats:
    """Triangular filters.

    Args:
        bins: Frequencies of the spectrum, from 0 to half the rate.
        mels: Filters.
        low: Hertz where the first filter begins.
        high: Hertz where the last one ends.
        rate: Samples per second.
        scale: ``htk``, ``kaldi`` or ``slaney``. Kaldi's triangles are straight in mels, the others' in hertz.
        area: Scale each filter by its width in hertz, so that all let the same energy through.

    Returns:
        float64 [bins, mels].
    """
    first, last = _mels(np.array([low, high], dtype=np.float64), scale).tolist()
    corners = np.linspace(first, last, mels + 2)
    hertz = _hertz(corners, scale)
    if scale == "kaldi":
        at = _mels(np.arange(bins, dtype=np.float64) * (rate / (2 * (bins - 1))), scale)
    else:
        at, corners = np.linspace(0, rate // 2, bins), hertz
    widths = np.diff(corners)
    distances = corners[None, :] - at[:, None]
    rising = -distances[:, :-2] / widths[:-1]
    falling = distances[:, 2:] / widths[1:]
    bank: Floats = np.maximum(0, np.minimum(rising, falling))
    if area:
        bank *= 2 / (hertz[2:] - hertz[:-2])
    bank.setflags(write=False)
    return bank


def powers(
    waveform: np.ndarray,
    bank: Floats,
    *,
    window: Floats,
    hop: int,
    size: int,
    centred: bool,
    preemphasis: float = 0.0,
) -> Floats:
    """Energy of each mel in each frame.

    Args:
        waveform: float32 [samples].
        bank: [size / 2 + 1, mels], of :func:`filters`.
        window: [frame], what a frame is multiplied by.
        hop: Samples from frame to frame.
        size: Samples of the Fourier transform; a shorter frame is filled up with zeros.
        centred: Put each frame's middle at its time, the ends mirrored; otherwise its start, whole frames only.
        preemphasis: Where it is not 0, take the mean out of each frame and this share of each sample's predecessor, as Kaldi.

    Returns:
        float64 [frames, mels].
    """
    frame = len(window)
    if centred:
        waveform = np.pad(waveform, frame // 2, mode="reflect")
    return _energies(waveform, bank, window, hop=hop, size=size, preemphasis=preemphasis)


def streamed(
    blocks: Iterable[np.ndarray], bank: Floats, *, window: Floats, hop: int, size: int
) -> Iterator[Floats]:
    """Energy of each mel in each frame of a waveform that comes in blocks, as :func:`powers` has it with ``centred``.

    Args:
        blocks: float32 [samples], together more than half a frame.
        bank: [size / 2 + 1, mels], of :func:`filters`.
        window: [frame], what a frame is multiplied by.
        hop: Samples from frame to frame.
        size: Samples of the Fourier transform.

    Yields:
        float64 [frames, mels], as blocks come.
    """
    frame, half = len(window), len(window) // 2
    least = max(half + 1, frame)
    held, begun = np.zeros(0, np.float32), False
    for block in blocks:
        held = np.concatenate([held, block])
        if not begun and len(held) > half:
            held, begun = np.concatenate([held[half:0:-1], held]), True
        # What the end is mirrored from stays, whatever comes.
        if begun and (whole := (len(held) - least - max(frame, hop)) // hop + 1) > 0:
            found, held = held[: (whole - 1) * hop + frame], held[whole * hop :]
            yield _energies(found, bank, window, hop=hop, size=size)
    held = np.pad(held, (0 if begun else half, half), mode="reflect")
    if len(held) >= frame:
        yield _energies(held, bank, window, hop=hop, size=size)


def _energies(
    waveform: np.ndarray, bank: Floats, window: Floats, *, hop: int, size: int, preemphasis: float = 0.0
) -> Floats:
    frames = np.lib.stride_tricks.sliding_window_view(waveform, len(window))[::hop]
    found = [spectrum @ bank for spectrum in _spectra(frames, window, size, preemphasis)]
    return np.concatenate(found) if len(found) > 1 else found[0]


def hann(length: int, *, periodic: bool) -> Floats:
    """Hann's window; a periodic one is the beginning of one that is a sample longer."""
    return np.hanning(length + 1)[:-1] if periodic else np.hanning(length)


def _spectra(frames: np.ndarray, window: Floats, size: int, preemphasis: float) -> Iterator[Floats]:
    for start in range(0, len(frames), _BLOCK):
        block = frames[start : start + _BLOCK].astype(np.float64)
        if preemphasis:
            block -= block.mean(axis=1, keepdims=True)
            block[:, 1:] -= preemphasis * block[:, :-1]
            block[:, 0] *= 1 - preemphasis
        block *= window
        turned = np.fft.rfft(block, size)
        yield turned.real**2 + turned.imag**2


def _mels(hertz: Floats, scale: str) -> Floats:
    if scale == "slaney":
        above = _KNEE_MELS + np.log(np.maximum(hertz, _KNEE_HERTZ) / _KNEE_HERTZ) / _STEP
        return np.where(hertz < _KNEE_HERTZ, hertz / _LINEAR, above)
    octaves: Floats = np.log1p(hertz / 700)
    return octaves * (1127.0 if scale == "kaldi" else 2595.0 / math.log(10))


def _hertz(mels: Floats, scale: str) -> Floats:
    if scale == "slaney":
        above = _KNEE_HERTZ * np.exp(_STEP * (np.maximum(mels, _KNEE_MELS) - _KNEE_MELS))
        return np.where(mels < _KNEE_MELS, mels * _LINEAR, above)
    hertz: Floats = 700 * np.expm1(mels / (1127.0 if scale == "kaldi" else 2595.0 / math.log(10)))
    return hertz
