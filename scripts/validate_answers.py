"""Answers as numbers: any answer of a task taken apart into arrays by key, and two of them compared. Knows no framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TOLERANCE = 1e-3
"""Largest difference, relative to the largest magnitude under the same key, at which two answers are equal."""

LEVELS = " in levels"
"""Ends the key of a picture of eight bits, whose levels may round the other way: one of 255 apart is equal."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two answers lie apart: absolutely, relative to the largest magnitude under the same key, and where."""

    absolute: float
    relative: float
    where: str
    reason: str | None = None

    @property
    def equal(self) -> bool:
        """Whether nobody could tell them apart."""
        return self.reason is None and self.relative <= TOLERANCE

    def record(self) -> dict[str, Any]:
        """It as JSON; no figures where the answers have different parts."""
        figures = {"absolute": self.absolute, "relative": self.relative}
        if not np.isfinite(self.relative):
            figures = dict.fromkeys(figures)
        return {**figures, "where": self.where, "equal": self.equal, "reason": self.reason}


def flatten(answer: Any) -> dict[str, np.ndarray]:
    """Key path → everything found under it, lists counted through: ``[].score`` → every score in order."""
    found: dict[str, list[np.ndarray]] = {}
    _collect(answer, "", found)
    return {path: np.concatenate(parts) for path, parts in found.items()}


def _collect(value: Any, path: str, found: dict[str, list[np.ndarray]]) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _collect(inner, f"{path}.{key}", found)
    elif isinstance(value, list | tuple):
        if value and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
            found.setdefault(f"{path}[]", []).append(np.asarray(value, np.float64))
            return
        # The number of entries is part of an answer, an empty list's too.
        found.setdefault(f"{path}#", []).append(np.array([float(len(value))]))
        for inner in value:
            _collect(inner, f"{path}[]", found)
    elif value is None or isinstance(value, str):
        found.setdefault(path, []).append(np.array([str(value)]))
    elif _is_array(value):
        array = np.asarray(value)
        found.setdefault(f"{path}#", []).append(np.array(array.shape, np.float64))
        levels = LEVELS if array.dtype == np.uint8 else ""
        found.setdefault(f"{path}{levels}", []).append(array.astype(np.float64).ravel())
    else:
        found.setdefault(path, []).append(np.array([float(value)]))


def _is_array(value: Any) -> bool:
    """Arrays, tensors and pictures, which tell their content in one of two ways; a number of numpy is a number."""
    told = hasattr(value, "__array__") or hasattr(value, "__array_interface__")
    return told and not isinstance(value, np.generic)


def save(path: Path, answer: Any) -> None:
    """Write a flattened answer; no pickle is needed to read it."""
    flat = flatten(answer)
    np.savez_compressed(path, paths=np.array(list(flat)), **{str(i): v for i, v in enumerate(flat.values())})


def read(path: Path) -> dict[str, np.ndarray]:
    """Read what :func:`save` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return {str(name): stored[str(index)] for index, name in enumerate(stored["paths"])}


def compare(reference: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]) -> Difference:
    """How far an answer lies from the reference's."""
    worst = Difference(0.0, 0.0, "")
    if not reference or all(array.size == 0 for array in reference.values()):
        return Difference(0.0, 0.0, "", "the reference answers nothing, so that nothing was compared")
    for path in reference.keys() | given.keys():
        a, b = reference.get(path), given.get(path)
        if a is None or b is None:
            who = "transformers" if b is None else "gpux"
            return Difference(np.inf, np.inf, path, f"only {who} answers `{path or 'it'}`")
        if a.shape != b.shape:
            return Difference(np.inf, np.inf, path, f"`{path}` has {a.size} and {b.size} entries")
        if a.dtype.kind == "U" or b.dtype.kind == "U":
            wrong = np.flatnonzero(a.astype(str) != b.astype(str))
            if wrong.size:
                at = wrong[0]
                return Difference(np.inf, np.inf, path, f"`{path}` is {str(b[at])!r}, not {str(a[at])!r}")
            continue
        absolute = float(np.abs(a - b).max(initial=0.0))
        relative = absolute / max(float(np.abs(a).max(initial=0.0)), 1e-12) if absolute else 0.0
        if not np.isfinite(absolute):
            return Difference(np.inf, np.inf, path, f"`{path}` is not finite")
        if path.endswith(LEVELS) and absolute <= 1:
            continue
        if relative >= worst.relative:
            worst = Difference(absolute, relative, path)
    return worst
