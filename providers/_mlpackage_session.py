"""An open Core ML package: arrays in, arrays out, and which device Core ML means to run each operation on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from gpux.errors import RunFailed
from gpux.package_reader import PackageSummary
from gpux.provider import Placement

NAME = "coreml"
GPU, NEURAL_ENGINE = "GPU", "NeuralEngine"
_WANTED = {"gpu": GPU, "ane": NEURAL_ENGINE}
_UNTOLD = "CoreML"


class PackageSession:
    """One open package. Core ML wants one prediction of a model at a time, so that ``run`` waits its turn."""

    def __init__(
        self, model: Any, summary: PackageSummary, placement: Placement, scratch: Any = None
    ) -> None:
        self._model, self._scratch = model, scratch
        self._ranges = summary.ranges
        self._placement = placement
        self._turn = Lock()
        self.inputs, self.outputs = summary.inputs, summary.outputs

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run the package once; whole numbers of any width are given to it as int32."""
        for name, array in feeds.items():
            allowed = self._ranges[name]
            if any(not low <= size <= high for size, (low, high) in zip(array.shape, allowed, strict=True)):
                spans = " × ".join(f"{low} to {high}" for low, high in allowed)
                raise RunFailed(
                    f"input `{name}` has shape {list(array.shape)}, the package takes {spans}",
                    hint="give smaller batches (--batch-size 32)",
                    provider=NAME,
                )
        given = {spec.name: feeds[spec.name].astype(spec.dtype, copy=False) for spec in self.inputs}
        try:
            with self._turn:
                found = self._model.predict(given)
        except Exception as error:
            raise RunFailed(
                f"Core ML failed while running: {said(error)}", hint="try another --provider", provider=NAME
            ) from error
        wanted = [spec for spec in self.outputs if outputs is None or spec.name in outputs]
        return {spec.name: np.asarray(found[spec.name], spec.dtype) for spec in wanted}

    def placement(self) -> Placement:
        """Operations by device, as Core ML planned them when the package was opened."""
        return self._placement

    def close(self) -> None:
        """Let go of the model, and of what was compiled for this session alone."""
        self._model = None
        if self._scratch is not None:
            self._scratch.cleanup()


def place(counts: Mapping[str, Mapping[str, int]] | None, summary: PackageSummary, units: str) -> Placement:
    """Where Core ML plans to run each operation.

    Args:
        counts: Device → operator → operations; ``None`` where Core ML does not tell, before macOS 14.4.
        summary: The package.
        units: What was allowed. The share is of the device that was asked for; where any will do, it is whole.
    """
    if not counts:
        nodes = {_UNTOLD: summary.operations}
        return Placement(NAME, "not told before macOS 14.4", "fp16", nodes, 1.0)
    nodes = {device: sum(kinds.values()) for device, kinds in counts.items()}
    wanted = _WANTED.get(units)
    share = nodes.get(wanted, 0) / sum(nodes.values()) if wanted else 1.0
    left = {kind for device, kinds in counts.items() if wanted and device != wanted for kind in kinds}
    used = " and ".join(sorted(nodes, key=lambda device: -nodes[device]))
    return Placement(NAME, used, "fp16", nodes, share, tuple(sorted(left)))


def said(error: Exception) -> str:
    """The first line of what Core ML says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
