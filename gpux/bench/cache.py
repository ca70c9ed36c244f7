"""The memory of what a decoder has read: bytes of its keys and values, from its graph's inputs and the tokens of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gpux.bench.samples import Series
from gpux.bench.summary import TOKENS
from gpux.bench.workload import Workload
from gpux.tensors import TensorSpec

PREFIX = "past_key_values."
_WIDTHS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1}


def per_token(inputs: Iterable[TensorSpec]) -> int:
    """Bytes that one token of one row takes in all layers; 0 for a graph that remembers nothing."""
    return sum(
        _WIDTHS.get(spec.dtype, 4) * math.prod(size for size in spec.shape if isinstance(size, int))
        for spec in inputs
        if spec.name.startswith(PREFIX)
    )


def largest(inputs: Iterable[TensorSpec], steady: Series, workload: Workload) -> int | None:
    """Bytes of the keys and values of the run with the most tokens; ``None`` where no answer came in pieces."""
    each, read = per_token(inputs), workload.work.get(TOKENS)
    if not each or not steady.tokens or read is None:
        return None
    return each * int(
        max(read[query] + sum(new) for query, new in zip(steady.query, steady.tokens, strict=True))
    )
