"""Token vectors of one text to one vector, as sentence-transformers' ``Pooling`` module does it.

Source: https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/sentence_transformer/modules/pooling.py
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]


def _weighted_mean(tokens: Floats, skipped: int) -> Floats:
    # A token keeps the weight of its place in the whole text, prompt included.
    weights = np.arange(skipped + 1, skipped + len(tokens) + 1, dtype=np.float32)
    average: Floats = (weights @ tokens) / weights.sum()
    return average


MODES: dict[str, Callable[[Floats, int], Floats]] = {
    "cls": lambda tokens, _: tokens[0],
    "max": lambda tokens, _: tokens.max(axis=0),
    "mean": lambda tokens, _: np.add.reduce(tokens) / len(tokens),
    "mean_sqrt_len_tokens": lambda tokens, _: np.add.reduce(tokens) / math.sqrt(len(tokens)),
    "weightedmean": _weighted_mean,
    "lasttoken": lambda tokens, _: tokens[-1],
}
"""Mode → function of the tokens that count, float32 [tokens, hidden], and of how many were skipped before them."""

# In the order in which sentence-transformers joins them.
_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


def modes(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The modes that a ``1_Pooling/config.json`` names, in either of its two spellings.

    Raises:
        ValueError: It names none, or one that GPUX does not compute.
    """
    named = config.get("pooling_mode") or [
        mode for switch, mode in _SWITCHES.items() if config.get(switch) is True
    ]
    found = [named] if isinstance(named, str) else named
    if not isinstance(found, list) or not found:
        raise ValueError(f"pooling mode `{named}`" if named else "a Pooling module without a mode")
    for mode in found:
        if not isinstance(mode, str) or mode not in MODES:
            raise ValueError(f"pooling mode `{mode}`")
    return tuple(found)


def pool(tokens: Floats, names: Sequence[str], *, skip: int = 0) -> Floats:
    """One vector of a text's tokens, the modes' vectors joined.

    Args:
        tokens: float32 [tokens, hidden], without padding.
        names: Keys of :data:`MODES`.
        skip: Leading tokens that do not count: those of a prompt.

    Returns:
        float32 [hidden] for each mode, joined; zeros where no token counts.
    """
    counted = tokens[skip:] if skip else tokens
    if not len(counted):
        return np.zeros(len(names) * tokens.shape[1], dtype=np.float32)
    if len(names) == 1:
        return MODES[names[0]](counted, skip)
    return np.concatenate([MODES[name](counted, skip) for name in names])
