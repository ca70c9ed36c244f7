"""The key of this machine: changes with its hardware and with the software that computes, and with nothing else.

Whatever was found out by trying is kept under it, so that a new driver or another version of a runtime forgets it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from gpux import devices, hardware
from gpux._version import __version__
from gpux.entry_points import distributions, installed, normal
from gpux.provider import Provider

# What decides which devices and libraries a runtime sees.
_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LD_PRELOAD",
    "OMP_NUM_THREADS",
)
# Below the runtimes: the libraries of NVIDIA and AMD come as packages of their own.
_BELOW = ("numpy", "nvidia", "rocm")


def key(providers: Mapping[str, Provider]) -> str:
    """Sixteen hexadecimal digits, in about two milliseconds and without importing a runtime.

    Args:
        providers: Those that are installed: their runtimes' packages count.
    """
    bringing = distributions("gpux.providers")
    facts = {
        "machine": asdict(hardware.describe()),
        "accelerators": [asdict(one) for one in devices.accelerators()],
        "software": software([one.runtime.distribution for one in providers.values()], bringing),
        "providers": bringing,
        "python": [sys.implementation.cache_tag, sys.prefix],
        "variables": {name: os.environ.get(name) for name in _VARIABLES},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def software(runtimes: Iterable[str], bringing: Iterable[str] = ()) -> dict[str, str]:
    """Package → version, of the packages that bring or belong to a runtime, and of those that bring providers.

    Args:
        runtimes: What providers name as their runtime's package; whatever begins as one of them does counts.
        bringing: Packages that bring providers, which need not be named like a runtime.
    """
    roots = {normal(name).partition("-")[0] for name in runtimes if name} | set(_BELOW)
    themselves = set(bringing)
    found = {
        name: version
        for name, version in installed().items()
        if name in themselves or name.partition("-")[0] in roots
    }
    return {**found, "gpux": __version__}
