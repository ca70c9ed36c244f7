"""The shape and type of a graph's input or output; knows nothing of files or runtimes."""

from __future__ import annotations

from dataclasses import dataclass


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
