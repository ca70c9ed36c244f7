"""Reads GGUF, the file of llama.cpp: its fields, and its tensors as float32. Only the kinds that a package here carries.

The layout is that of ggml's ``docs/gguf.md``; the blocks are those of ``ggml-common.h``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


class File:
    """An open GGUF file, mapped.

    Attributes:
        fields: What its header says, by name.
        tensors: Name → shape in numpy's order, kind, and offset of its bytes.
    """

    def __init__(self, path: Path) -> None:
        self._bytes, self._at = np.memmap(path, dtype=np.uint8, mode="r"), 0
        magic, version, tensors, fields = self._read("<4sIQQ")
        if magic != b"GGUF" or version != 3:
            raise ValueError(f"{path.name} is no GGUF file of version 3")
        self.fields = {self._string(): self._value(*self._read("<I")) for _ in range(fields)}
        found = [self._tensor() for _ in range(tensors)]
        alignment = self.fields.get("general.alignment", 32)
        start = -(-self._at // alignment) * alignment
        self.tensors = {name: (shape, kind, start + offset) for name, shape, kind, offset in found}

    def tensor(self, name: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A tensor as float32."""
        shape, kind, offset = self.tensors[name]
        size, width, unpack = _KINDS[kind]
        count = math.prod(shape) // width
        blocks = self._bytes[offset : offset + count * size].reshape(count, size)
        return unpack(blocks).reshape(shape)

    def _read(self, layout: str) -> tuple[Any, ...]:
        read = struct.unpack_from(layout, self._bytes, self._at)
        self._at += struct.calcsize(layout)
        return read

    def _string(self) -> str:
        (length,) = self._read("<Q")
        self._at += length
        return bytes(self._bytes[self._at - length : self._at]).decode()

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind == _ARRAY:
            inner, count = self._read("<IQ")
            return [self._value(inner) for _ in range(count)]
        return self._read(f"<{_SCALARS[kind]}")[0]

    def _tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._string()
        (ranks,) = self._read("<I")
        shape = self._read(f"<{ranks}Q")
        kind, offset = self._read("<IQ")
        return name, shape[::-1], kind, offset


def _float(blocks: Any) -> Any:
    return np.ascontiguousarray(blocks).view(np.float32)


def _q4_1(blocks: Any) -> Any:
    """Pairs of a scale and a smallest value, then 32 nibbles: the low ones first."""
    scale, least = (np.ascontiguousarray(blocks[:, i : i + 2]).view(np.float16) for i in (0, 2))
    steps = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
    return steps.astype(np.float32) * scale.astype(np.float32) + least.astype(np.float32)


def _q8_0(blocks: Any) -> Any:
    scale = np.ascontiguousarray(blocks[:, :2]).view(np.float16).astype(np.float32)
    return np.ascontiguousarray(blocks[:, 2:]).view(np.int8).astype(np.float32) * scale


_KINDS: dict[int, tuple[int, int, Callable[[Any], Any]]] = {
    0: (4, 1, _float),
    3: (20, 32, _q4_1),
    8: (34, 32, _q8_0),
}
"""Kind of a tensor → bytes of a block, values of a block, and what unpacks blocks."""
