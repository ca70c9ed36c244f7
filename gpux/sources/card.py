"""Reads the front matter of a model card: the plain ``key: value`` lines between two ``---``; no YAML beyond that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_KEY = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)[ \t]*:[ \t]*(.*)")
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Card:
    """What a model card says of itself; ``None`` where it is silent."""

    license: str | None = None
    pipeline_tag: str | None = None
    library: str | None = None


def read(path: Path) -> Card:
    """The card in a file, or an empty one where there is none.

    Raises:
        OSError: The file exists and cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return parse(stream.read(_LARGEST).decode("utf-8", "replace"))
    except FileNotFoundError:
        return Card()


def parse(text: str) -> Card:
    """The card that a text opens with."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return Card()
    values: dict[str, str] = {}
    last = ""
    for line in lines[1:]:
        if line.strip() == "---":
            break
        if match := _KEY.fullmatch(line.rstrip()):
            last = match[1]
            values.setdefault(last, _scalar(match[2]))
        elif last and line.lstrip().startswith("- ") and not values.get(last):
            values[last] = _scalar(line.lstrip()[2:])  # a list says its first entry
    else:
        return Card()
    return Card(
        license=values.get("license") or None,
        pipeline_tag=values.get("pipeline_tag") or None,
        library=values.get("library_name") or None,
    )


def _scalar(text: str) -> str:
    text = text.strip()
    if text[:1] in {"'", '"'}:
        end = text.find(text[0], 1)
        return text[1:end] if end > 0 else text[1:]
    text = re.split(r"\s#", text, maxsplit=1)[0].strip()
    return (
        ""
        if text in {"null", "~", "[]", "|", ">"} or text.startswith("#")
        else text.strip("[]").split(",")[0].strip()
    )
