"""GPUX: pull, prove, run and benchmark any Hugging Face model on the fastest thing this machine really has.

The public names are loaded when they are first used, so that ``import gpux`` costs next to nothing.
"""

from __future__ import annotations

from gpux._version import __version__

TYPE_CHECKING = False  # what type checkers read; importing typing for it would cost more than this module
if TYPE_CHECKING:
    from typing import Any

    from gpux import errors
    from gpux.artifact import Artifact
    from gpux.bench import benchmark
    from gpux.doctor import diagnose
    from gpux.export.toolchains import exporters, install_exporter
    from gpux.loading import load, plan, providers
    from gpux.model import Model
    from gpux.registry.pull import plan_pull, pull
    from gpux.registry.store import Removal, Store

__all__ = [
    "Artifact",
    "Model",
    "Removal",
    "Store",
    "__version__",
    "benchmark",
    "diagnose",
    "errors",
    "exporters",
    "install_exporter",
    "load",
    "plan",
    "plan_pull",
    "providers",
    "pull",
]

_HOMES = {
    "Artifact": "gpux.artifact",
    "Model": "gpux.model",
    "Removal": "gpux.registry.store",
    "Store": "gpux.registry.store",
    "benchmark": "gpux.bench",
    "diagnose": "gpux.doctor",
    "exporters": "gpux.export.toolchains",
    "install_exporter": "gpux.export.toolchains",
    "load": "gpux.loading",
    "plan": "gpux.loading",
    "plan_pull": "gpux.registry.pull",
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
