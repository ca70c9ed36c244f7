"""Logits to scores: the functions that classifiers and rankers end in, by the names that callers give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gpux.errors import InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float32]"
Function: TypeAlias = Callable[["Floats"], "Floats"]
"""float32 [texts, labels] → float32 [texts, labels]."""


def softmax(logits: Floats) -> Floats:
    """Shares of each row that add up to one."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(logits: Floats) -> Floats:
    """Each score between 0 and 1 by itself."""
    # 1 / (1 + exp(-x)) without its overflow for large negative x.
    half: Floats = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * logits))
    return half


def unchanged(logits: Floats) -> Floats:
    """The logits themselves."""
    return logits


FUNCTIONS: dict[str, Function] = {"sigmoid": sigmoid, "softmax": softmax, "none": unchanged}
"""What ``function_to_apply`` may be."""


def named(name: Any) -> Function:
    """The function that a caller asked for.

    Raises:
        InvalidInput: There is none of that name.
    """
    if not isinstance(name, str) or name.lower() not in FUNCTIONS:
        raise InvalidInput(
            f"`function_to_apply` is {name!r}",
            hint=f"use one of {', '.join(FUNCTIONS)}",
            function_to_apply=name,
        )
    return FUNCTIONS[name.lower()]
