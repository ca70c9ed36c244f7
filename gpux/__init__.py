"""GPUX: pull, prove, run and benchmark any Hugging Face model on the fastest thing this machine really has.

The public names are loaded when they are first used, so that ``import gpux`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpux._version import __version__

if TYPE_CHECKING:
    from gpux import errors
    from gpux.artifact import Artifact
    from gpux.bench import benchmark
    from gpux.loading import load, plan, providers
    from gpux.model import Model
    from gpux.registry.pull import pull
    from gpux.registry.store import Store

__all__ = [
    "Artifact",
    "Model",
    "Store",
    "__version__",
    "benchmark",
    "errors",
    "load",
    "plan",
    "providers",
    "pull",
]

_HOMES = {
    "Artifact": "gpux.artifact",
    "Model": "gpux.model",
    "Store": "gpux.registry.store",
    "benchmark": "gpux.bench",
    "load": "gpux.loading",
    "plan": "gpux.loading",
    "providers": "gpux.loading",
    "pull": "gpux.registry.pull",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "errors":
        return import_module("gpux.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'gpux' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
