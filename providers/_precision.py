"""The ``precision`` setting of runtimes that compile a graph: what a variant may be computed in; knows no runtime."""

from __future__ import annotations

from gpux.provider import Setting

PRECISION = Setting(
    "precision",
    "What an fp32 graph is computed in where the device has it; a graph of another precision stays as it is.",
    values=("fp32", "fp16", "bf16"),
    race=("fp32", "fp16"),
    numeric=True,
)


def computed(variant: str, asked: str) -> str:
    """What a variant is computed in: only one in full precision has something to give away."""
    return asked or variant if variant == "fp32" else variant
