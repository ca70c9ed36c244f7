"""The shape and type of a graph's input or output; knows nothing of files or runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One graph input or output.

    Attributes:
        name: The graph's own name for it.
        dtype: A numpy dtype name (``float32``, ``int64``, ``bool``; ``bfloat16`` as ml_dtypes spells it).
        shape: Sizes; a string is a symbolic dimension, ``None`` an unnamed one.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join('?' if s is None else str(s) for s in self.shape)}]"


def stacked(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The rows of two arrays; where the third axis is shorter, zeros come before it."""
    import numpy as np

    if first.shape[1:] == second.shape[1:]:
        return np.concatenate([first, second])
    size = max(first.shape[2], second.shape[2])
    filled = [
        np.pad(array, [(size - array.shape[2], 0) if axis == 2 else (0, 0) for axis in range(array.ndim)])
        for array in (first, second)
    ]
    return np.concatenate(filled)
