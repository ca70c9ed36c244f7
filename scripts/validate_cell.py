"""One cell of the matrix as a record, and the matrix as JSON and as a table of ``docs/models.md``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from families.record import Family

PASSED, FAILED, LIMIT = "passed", "failed", "limit"
DEFAULT = "transformers"
"""The route that a pull takes by itself."""

_BEGIN = "<!-- matrix: written by scripts/validate, do not edit -->"
_END = "<!-- end of the matrix -->"


@dataclass(slots=True)
class Cell:
    """What one family did by one route.

    Attributes:
        family: Its name, and with it its record.
        title: The family, as people name it.
        like: The published model.
        task: What it answers.
        shape: ``published`` or ``reduced``.
        weights: ``real`` or ``random``.
        exporter: The route that was asked for.
        status: ``passed``, ``failed`` or ``limit``.
        reason: Why it is not passed.
        parameters: Number of weights.
        bytes: Size of the artifact.
        seconds: ``pull``, ``convert`` and ``prove``; ``pull`` is all of it, from a Hub on loopback.
        parity: Class and figures of the proof at pull, on the CPU provider.
        difference: Largest difference of the task's answers from transformers', absolute and relative, and where.
        providers: Provider → class and figures of its proof, the difference of its answers, and what real weights' said.
        versions: The exporter's packages.
    """

    family: str
    title: str
    like: str
    task: str
    shape: str
    weights: str
    exporter: str
    status: str = FAILED
    reason: str | None = None
    parameters: int | None = None
    bytes: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    difference: dict[str, Any] = field(default_factory=dict)
    providers: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, family: Family, *, fast: bool, exporter: str | None) -> Cell:
        """A cell that nothing has happened to yet."""
        weights = "real" if family.real else "random"
        shape = family.shape(fast=fast)
        return cls(family.name, family.title, family.like, family.task, shape, weights, exporter or DEFAULT)

    @property
    def key(self) -> tuple[str, str]:
        """What there is one cell for."""
        return self.family, self.exporter


def read(path: Path) -> dict[tuple[str, str], Cell]:
    """The cells of an earlier run; none where there was none."""
    if not path.exists():
        return {}
    cells = [Cell(**cell) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    return {cell.key: cell for cell in cells}


def write(cells: Iterable[Cell], identity: Mapping[str, Any], data: Path, page: Path) -> None:
    """Write the JSON, and the table between its two marks of the page; a page without marks gets them at its end."""
    listed = list(cells)
    content = {**identity, "cells": [_short(asdict(cell)) for cell in listed]}
    data.write_text(
        json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    text = page.read_text(encoding="utf-8") if page.exists() else "# Models\n"
    head, found, rest = text.partition(_BEGIN)
    tail = rest.partition(_END)[2] if found else "\n"
    head = head if found else f"{head.rstrip()}\n\n"
    page.write_text(f"{head}{_BEGIN}\n\n{table(listed, identity)}\n\n{_END}{tail}", encoding="utf-8")


def table(cells: Sequence[Cell], identity: Mapping[str, Any]) -> str:
    """The matrix as Markdown: a row per family, the ``optimum`` route in a column of it."""
    rows = [cell for cell in cells if cell.exporter == DEFAULT]
    other = {cell.family: cell for cell in cells if cell.exporter != DEFAULT}
    names = list(dict.fromkeys(name for cell in rows for name in cell.providers))
    counts = {status: sum(cell.status == status for cell in rows) for status in (PASSED, FAILED, LIMIT)}
    columns = [
        "family",
        "as",
        "task",
        "weights",
        "pull",
        "convert",
        "parity",
        "largest difference",
        *names,
        "optimum",
        "size",
    ]
    lines = [
        f"{len(rows)} families: {counts[PASSED]} pass, {counts[FAILED]} fail, {counts[LIMIT]} are named limits. "
        f"{identity['date'][:10]}, {identity['machine']}; {_versions(identity['versions'])}.",
        "",
        f"| {' | '.join(columns)} |",
        f"| {' | '.join('---' for _ in columns)} |",
        *(_row(cell, names, other.get(cell.family)) for cell in rows),
    ]
    checked = [
        f"| {cell.family} | {cell.exporter} | {name} | {_cell(found['checked'])} |"
        for cell in cells
        for name, found in cell.providers.items()
        if "checked" in found
    ]
    if checked:
        lines += ["", "| real weights | by | on | what they answer |", "| --- | --- | --- | --- |", *checked]
    wrong = [cell for cell in cells if cell.status != PASSED]
    if wrong:
        lines += ["", "| not passed | by | why |", "| --- | --- | --- |"]
        lines += [f"| {c.family} | {c.exporter} | {c.status}: {_cell(c.reason)} |" for c in wrong]
    limits = [
        f"| {cell.family} | {cell.exporter} | {name} | {_cell(found['reason'])} |"
        for cell in cells
        for name, found in cell.providers.items()
        if found["quality"] == LIMIT
    ]
    if limits:
        lines += ["", "| family | by | not run on | why |", "| --- | --- | --- | --- |", *limits]
    return "\n".join(lines)


def _row(cell: Cell, names: Sequence[str], other: Cell | None) -> str:
    if cell.status == LIMIT:
        return f"| {cell.title} | {cell.like} | {cell.task} | named limit |" + " |" * (6 + len(names))
    seconds = [f"{cell.seconds[name]:.1f} s" if name in cell.seconds else "" for name in ("pull", "convert")]
    found = cell.difference.get("relative")
    difference = "" if found is None else f"{found:.1e}"
    difference += "" if cell.difference.get("equal") else " **differs**" if cell.difference else " **failed**"
    proven = [cell.providers.get(name, {}).get("quality", "**failed**") for name in names]
    optimum = (
        ""
        if other is None
        else other.parity.get("quality", "")
        if other.status == PASSED
        else f"**{other.status}**"
    )
    size = f"{cell.bytes / 2**20:.0f} MiB" if cell.bytes else ""
    weights = cell.weights if cell.weights == "real" else f"{cell.weights}, {cell.shape}"
    parity = cell.parity.get("quality", "")
    cells = [cell.title, cell.like, cell.task, weights, *seconds, parity, difference, *proven, optimum, size]
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _short(value: Any) -> Any:
    """Numbers with as many digits as they are worth; what is not finite as text, which JSON can hold."""
    if isinstance(value, dict):
        return {name: _short(inner) for name, inner in value.items()}
    if isinstance(value, float):
        return float(f"{value:.6g}") if abs(value) < float("inf") else str(value)
    return value
