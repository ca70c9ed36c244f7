"""Weights in blocks of few bits: numbers → what ``com.microsoft::MatMulNBits`` multiplies by, and back.

A block is a run of input features of one output feature, with a scale and, where that is asked for, a zero point of its own.
Contract: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROWS = 1 << 16  # numbers that are worked on at a time: they stay in the processor's cache
_TRIES = np.linspace(0.82, 1.02, 6, dtype=np.float32)  # of a block's own range


@dataclass(frozen=True, slots=True)
class Scheme:
    """How weights are written.

    Attributes:
        bits: Per weight: 4 or 8.
        block: Input features that share a scale.
        symmetric: Whether zero is the middle of the range, so that no zero points are stored.
        searched: Whether each block's scale is the one of several that errs least, in place of the one that spans its range.
    """

    bits: int = 4
    block: int = 32
    symmetric: bool = True
    searched: bool = True


@dataclass(frozen=True, slots=True)
class Blocks:
    """One matrix.

    Attributes:
        packed: uint8 [N, blocks, block · bits / 8], low bits first.
        scales: float32 [N, blocks].
        zeros: uint8 [N, ⌈blocks · bits / 8⌉], or ``None`` where they are the middle.
        scheme: How they are written.
    """

    packed: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray | None
    scheme: Scheme


def count(width: int, scheme: Scheme) -> int:
    """How many blocks that many input features make."""
    return -(-width // scheme.block)


def quantise(weight: np.ndarray, scheme: Scheme) -> Blocks:
    """A matrix [N, K] in blocks along K; what is missing of the last block is zero.

    Args:
        weight: Any float type; read a slice of rows at a time.
        scheme: How.
    """
    rows, width = weight.shape
    blocks = count(width, scheme)
    packed = np.empty((rows, blocks, scheme.block * scheme.bits // 8), np.uint8)
    scales = np.empty((rows, blocks), np.float32)
    zeros = None if scheme.symmetric else np.empty((rows, blocks), np.uint8)
    step = max(1, _ROWS // (blocks * scheme.block))
    for start in range(0, rows, step):
        part = slice(start, min(rows, start + step))
        numbers = np.zeros((part.stop - start, blocks * scheme.block), np.float32)
        numbers[:, :width] = weight[part]
        shaped = numbers.reshape(-1, blocks, scheme.block)
        codes, scales[part], found = (
            _symmetric(shaped, scheme) if zeros is None else _asymmetric(shaped, scheme)
        )
        packed[part] = codes if scheme.bits == 8 else codes[..., ::2] | (codes[..., 1::2] << 4)
        if zeros is not None and found is not None:
            zeros[part] = found
    return Blocks(packed, scales, None if zeros is None else _pack_zeros(zeros, scheme.bits), scheme)


def restore(blocks: Blocks, width: int) -> np.ndarray:
    """The matrix that the runtime multiplies by, float32 [N, K]."""
    bits, rows = blocks.scheme.bits, len(blocks.scales)
    codes = blocks.packed
    if bits == 4:
        codes = np.stack([codes & 15, codes >> 4], axis=-1).reshape(rows, codes.shape[1], -1)
    middle = np.float32(1 << (bits - 1))
    if blocks.zeros is None:
        zeros = np.full(blocks.scales.shape, middle, np.float32)
    else:
        nibbles = np.stack([blocks.zeros & 15, blocks.zeros >> 4], axis=-1).reshape(rows, -1)
        zeros = (nibbles if bits == 4 else blocks.zeros)[:, : blocks.scales.shape[1]].astype(np.float32)
    numbers = (codes.astype(np.float32) - zeros[..., None]) * blocks.scales[..., None]
    return np.ascontiguousarray(numbers.reshape(rows, -1)[:, :width])


def _symmetric(shaped: np.ndarray, scheme: Scheme) -> tuple[np.ndarray, np.ndarray, None]:
    """Codes about the middle: the number that is farthest from zero takes the end that has one step more."""
    middle = 1 << (scheme.bits - 1)
    index = np.abs(shaped).argmax(-1, keepdims=True)
    farthest = np.take_along_axis(shaped, index, -1)
    scales = _best(
        shaped,
        farthest / -middle,
        scheme,
        lambda numbers, scale: np.clip(np.rint(numbers / scale), -middle, middle - 1),
    )
    codes = np.clip(np.rint(shaped / scales), -middle, middle - 1) + middle
    return codes.astype(np.uint8), scales[..., 0], None


def _best(shaped: np.ndarray, spanning: np.ndarray, scheme: Scheme, rounded: object) -> np.ndarray:
    """The scale of each block that errs least in squares, by its own least-squares fit to the codes it gives."""
    safe = np.where(np.abs(spanning) < np.finfo(np.float32).tiny * 256, np.float32(1), spanning)
    if not scheme.searched:
        return safe
    best, least = safe.copy(), np.full(safe.shape, np.inf, np.float32)
    weight = shaped * shaped  # large weights first, as they move the sum most
    for factor in _TRIES:
        codes = rounded(shaped, safe * factor)  # type: ignore[operator]
        over = (weight * codes * codes).sum(-1, keepdims=True)
        fitted = np.where(
            over > 0, (weight * shaped * codes).sum(-1, keepdims=True) / np.where(over > 0, over, 1), safe
        )
        error = (weight * (shaped - codes * fitted) ** 2).sum(-1, keepdims=True)
        better = error < least
        best, least = np.where(better, fitted, best), np.where(better, error, least)
    return np.where(best == 0, safe, best)


def _asymmetric(shaped: np.ndarray, scheme: Scheme) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes from a block's least number to its greatest, zero among them."""
    top = np.float32((1 << scheme.bits) - 1)
    low = np.minimum(shaped.min(-1, keepdims=True), 0)
    high = np.maximum(shaped.max(-1, keepdims=True), 0)
    spanning = (high - low) / top
    safe = np.where(spanning < np.finfo(np.float32).tiny * 256, np.float32(1), spanning)
    best, zero = safe.copy(), np.clip(np.rint(-low / safe), 0, top)
    least = ((shaped - _coded(shaped, safe, zero, top)) ** 2).sum(-1, keepdims=True)
    for factor in _TRIES if scheme.searched else ():
        scale = safe * factor
        for shift in (0,):
            point = np.clip(np.rint(-low / scale) + shift, 0, top)
            codes = np.clip(np.rint(shaped / scale) + point, 0, top) - point
            over = (codes * codes).sum(-1, keepdims=True)
            fitted = np.where(
                over > 0, (shaped * codes).sum(-1, keepdims=True) / np.where(over > 0, over, 1), scale
            )
            fitted = np.where(fitted > 0, fitted, scale)
            error = ((shaped - codes * fitted) ** 2).sum(-1, keepdims=True)
            better = error < least
            best, zero, least = (
                np.where(better, fitted, best),
                np.where(better, point, zero),
                np.where(better, error, least),
            )
    codes = np.clip(np.rint(shaped / best) + zero, 0, top)
    return codes.astype(np.uint8), best[..., 0], zero[..., 0].astype(np.uint8)


def _coded(shaped: np.ndarray, scale: np.ndarray, zero: np.ndarray, top: np.floating) -> np.ndarray:
    coded: np.ndarray = (np.clip(np.rint(shaped / scale) + zero, 0, top) - zero) * scale
    return coded


def _pack_zeros(zeros: np.ndarray, bits: int) -> np.ndarray:
    if bits == 8:
        return zeros
    if zeros.shape[1] % 2:
        zeros = np.pad(zeros, [(0, 0), (0, 1)], constant_values=8)
    packed: np.ndarray = zeros[:, ::2] | (zeros[:, 1::2] << 4)
    return packed
