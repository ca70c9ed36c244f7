"""What is good enough: thresholds with defaults, read strictly from YAML, each mistake with its line. Grades nothing."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpux.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Limits:
    """Where good and acceptable end, in the unit of the figure; which side is better follows from the figure."""

    good: float
    acceptable: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is good enough; the defaults suit a service that answers people.

    Attributes:
        memory: Peak memory / the memory that this process may use, at most: half leaves room for a second copy of the model
            while it is replaced, and a system begins to swap some way before the whole is used.
        latency: Seconds of a run that 95 of 100 stay below: up to 0.1 s a system seems to react at once, up to 1 s the
            thought is not interrupted (Nielsen, "Usability Engineering", 1993, chapter 5, after Miller, 1968).
        throughput: Items per second, at least: 10 answer some 860,000 items a day, 50 a corpus of a million in under six
            hours.
        consistency: Standard deviation / mean of the runs' seconds, at most.
        placement: Part of the graph's nodes that run on the provider, at least.
        reliability: Part of the runs that failed, at most.
    """

    memory: Limits = Limits(0.5, 0.8)
    latency: Limits = Limits(0.1, 1.0)
    throughput: Limits = Limits(50.0, 10.0)
    consistency: Limits = Limits(0.1, 0.25)
    placement: Limits = Limits(1.0, 0.95)
    reliability: Limits = Limits(0.0, 0.01)


MEASURES: dict[str, tuple[str, bool, str]] = {
    "memory": ("share", False, "peak memory / memory that this process may use"),
    "latency": ("seconds", False, "seconds of a run, 95th percentile"),
    "throughput": ("per second", True, "items per second"),
    "consistency": ("share", False, "standard deviation / mean of the runs"),
    "placement": ("share", True, "part of the graph on the provider"),
    "reliability": ("share", False, "part of the runs that failed"),
}
"""Threshold → unit, whether more is better, and what is measured."""

_KEYS = ("good", "acceptable")
_UNITS = {
    "share": {"%": 100, "": 1},
    "seconds": {"µs": 1_000_000, "us": 1_000_000, "ms": 1000, "s": 1, "": 1},
    "per second": {"": 1, "/s": 1},
}
"""Kind of figure → unit → how many of it make one."""
_EXAMPLES = {
    "share": "a part such as 80% or 0.8",
    "seconds": "a time such as 100 ms or 0.1 s",
    "per second": "a rate such as 50",
}
_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(%|µs|us|ms|s|/s)?", re.ASCII)


def read_thresholds(path: Path | str) -> Thresholds:
    """Read thresholds; what the file leaves out keeps its default.

    The file maps the names of :class:`Thresholds` to ``{good: …, acceptable: …}``, either of which may be
    left out. Values are numbers, or texts with a unit: ``80%``, ``100 ms``.

    Raises:
        InvalidInput: The file cannot be read, is no YAML, or says what cannot be; with the line.
    """
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InvalidInput(f"`{path}` cannot be read: {reason}", hint="check the path", path=path) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "it is nested too deeply or holds a forbidden character"
        line = mark.line + 1 if mark else None
        raise _wrong(
            path,
            line,
            f"this is no YAML: {problem}",
            "write lines such as `latency: {good: 100 ms, acceptable: 1 s}`",
        ) from error
    return Thresholds() if root is None else _thresholds(path, root)


def shown(name: str, value: float) -> str:
    """A value of a threshold as :func:`read_thresholds` takes it."""
    unit = MEASURES[name][0]
    if unit == "share":
        return f"{value * 100:g}%"
    if unit == "seconds":
        return f"{value:g} s" if value >= 1 or not value else f"{value * 1000:g} ms"
    return f"{value:g}"


def _thresholds(path: Path | str, root: Any) -> Thresholds:
    found = {
        name: _limits(path, name, node, line)
        for name, (node, line) in _entries(path, root, tuple(MEASURES)).items()
    }
    return Thresholds(**found)


def _limits(path: Path | str, name: str, node: Any, line: int) -> Limits:
    unit, more, _ = MEASURES[name]
    default: Limits = getattr(Thresholds(), name)
    given = {
        key: _value(path, f"{name}.{key}", unit, value, at)
        for key, (value, at) in _entries(path, node, _KEYS, name).items()
    }
    limits = Limits(given.get("good", default.good), given.get("acceptable", default.acceptable))
    if limits.good < limits.acceptable if more else limits.good > limits.acceptable:
        raise _wrong(
            path,
            line,
            f"`{name}` calls {limits.good:g} good and {limits.acceptable:g} acceptable, and the first is the worse one",
            f"`{name}` is better where it is {'higher' if more else 'lower'}; what is left out keeps its default",
        )
    return limits


def _entries(
    path: Path | str, node: Any, known: tuple[str, ...], where: str = ""
) -> dict[str, tuple[Any, int]]:
    """Key → node and line of a mapping whose keys must be among the known ones, once each."""
    line = node.start_mark.line + 1
    if node.id != "mapping":
        said = f"`{where}`" if where else "the file"
        raise _wrong(
            path, line, f"{said} is no mapping", f"write {' and '.join(known[:2])}, each with a colon"
        )
    found: dict[str, tuple[Any, int]] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = str(key.value) if key.id == "scalar" else "a key that is no text"
        full = f"{where}.{name}" if where else name
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean `{close[0]}`" if close else f"known are {', '.join(known)}"
            raise _wrong(path, line, f"`{full}` is unknown", hint)
        if name in found:
            raise _wrong(path, line, f"`{full}` stands there twice", "leave one of them out")
        found[name] = value, line
    return found


def _value(path: Path | str, name: str, unit: str, node: Any, line: int) -> float:
    text = str(node.value) if node.id == "scalar" else f"a {node.id}"
    found = _NUMBER.fullmatch(text.strip()) if node.id == "scalar" else None
    parts = _UNITS[unit].get(found[2] or "") if found else None
    value = float(found[1]) / parts if found and parts else None
    if value is None or not math.isfinite(value) or (unit == "share" and value > 1 and "%" not in text):
        raise _wrong(path, line, f"`{name}` is `{text[:40]}`", f"give it {_EXAMPLES[unit]}")
    return value


def _wrong(path: Path | str, line: int | None, message: str, hint: str) -> InvalidInput:
    place = f"`{path}`" if line is None else f"`{path}`, line {line}"
    return InvalidInput(f"{place}: {message}", hint=hint, path=path, line=line)
