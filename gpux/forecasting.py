"""How much memory a model will take once it is open, by its files and its graph's inputs; opens nothing.

The figures follow ONNX Runtime's CPU provider: it maps weights, and copies those that it multiplies by into an order of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpux import settings
from gpux.artifact import Artifact, Component, Variant
from gpux.errors import MemoryRefused
from gpux.hardware import memory_allowed

RUNTIME = 90 << 20
"""Bytes of Python, tokenizer and runtime beside any graph."""

_ACTIVATIONS = 48 << 20  # a chunk of a prompt in the widest layer, and what the arena keeps of it
_WIDENED = {"fp16": 2}  # a processor multiplies in fp32, and keeps the weights so
_BYTES = {"float64": 8, "int8": 1, "uint8": 1}


@dataclass(frozen=True, slots=True)
class Forecast:
    """What one variant will take, in bytes.

    Attributes:
        variant: Its precision.
        weights: Of its files: mapped, so that the system may take pages back where it must.
        packed: Copies of weights in the order in which they are multiplied; nothing in low-memory mode.
        cache: Keys and values of so many tokens as ``context`` says.
        context: Tokens.
        token: Bytes of the cache for each token.
        working: The runtime itself, and what lies between the layers.
    """

    variant: str
    weights: int
    packed: int
    cache: int
    context: int
    token: int
    working: int

    @property
    def total(self) -> int:
        """Everything, mapped pages among it."""
        return self.needed + self.weights

    @property
    def needed(self) -> int:
        """What must be had at least: mapped weights can be read again from their file."""
        return self.packed + self.cache + self.working


def forecast(
    artifact: Artifact, variant: str, *, context: int = 0, rows: int = 1, memory: str = "fast"
) -> Forecast:
    """What a variant of a stored model will take.

    Args:
        artifact: The model.
        variant: A precision that it is stored in.
        context: Tokens that it is to hold, where it keeps what it has read.
        rows: How many texts at once.
        memory: ``fast``, or ``low`` for weights that stay mapped.
    """
    chosen = next(one for one in artifact.manifest.variants if one.name == variant)
    weights = _weights(artifact, chosen)
    token = sum(_per_token(component, variant) for component in artifact.manifest.components)
    return Forecast(
        variant,
        weights,
        0 if memory == "low" else weights * _WIDENED.get(variant, 1),
        token * context * rows,
        context,
        token,
        RUNTIME + _ACTIVATIONS,
    )


def check(found: Forecast, reference: str, others: Iterable[Forecast] = (), *, low: bool = False) -> None:
    """Refuse what this process may not have, before the system ends it.

    Args:
        found: What would be taken.
        reference: The model, for the hint.
        others: Its other variants, for the hint.
        low: Whether it is in low-memory mode already.

    Raises:
        MemoryRefused: It takes more; the hint says what takes less.
    """
    given = settings.memory()
    allowed = memory_allowed() if given is None else given << 20
    if allowed is None or found.needed <= allowed:
        return
    smaller = min(others, key=lambda one: one.needed, default=found)
    mapped = found.needed - found.packed
    if smaller.needed <= allowed:
        hint = f"gpux run {reference}:{smaller.variant} takes {_size(smaller.needed)}"
    elif not low and mapped <= allowed:
        hint = f"--option memory=low takes {_size(mapped)}, and is slower"
    else:
        hint = "use a machine with more memory, or set GPUX_MEMORY to the MiB that may be taken all the same"
    raise MemoryRefused(
        f"`{reference}` as {found.variant} takes {_size(found.needed)} of memory, and this process may have {_size(allowed)}",
        hint=hint,
        needed=found.needed,
        allowed=allowed,
    )


def _weights(artifact: Artifact, variant: Variant) -> int:
    folders = {path.rpartition("/")[0] for path in variant.graphs.values()}
    return sum(file.size for file in artifact.manifest.files if file.path.rpartition("/")[0] in folders)


def _per_token(component: Component, variant: str) -> int:
    """Bytes of keys and values for each token: inputs of the past, whose third axis grows."""
    half = variant in {"fp16", "q4f16"}
    total = 0
    for spec in component.inputs:
        if not spec.name.startswith("past_key_values.") or len(spec.shape) != 4:
            continue
        heads, size = spec.shape[1], spec.shape[3]
        if isinstance(heads, int) and isinstance(size, int):
            total += heads * size * (2 if half else _BYTES.get(spec.dtype, 4))
    return total


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
