"""Answers as files to look at: one per input in a folder, drawn where the task draws, else JSON; or one picture."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import gpux
from gpux.cli.items import Item
from gpux.cli.partial import Partial, writing
from gpux.cli.sinks import Sink, dumped, failure, result
from gpux.errors import GpuxError, UsageError

_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # Windows' own, in every folder


class Folder(Sink):
    """A file per input, called as the input is: ``cat.png`` for ``photos/cat.jpg``, ``input-3.json`` for ``input 3``."""

    def __init__(self, path: Path, model: gpux.Model) -> None:
        self._path = path
        self._draw = getattr(model.pipeline, "draw", None)
        self._names: Counter[str] = Counter()
        self._count = 0

    def add(self, item: Item, answer: Any) -> None:
        """Take an answer."""
        if self._draw is None:
            self._text(item, result(item, answer))
        else:
            _save(self._draw(item.value, answer), self._place(item, ".png"))
        self._count += 1

    def fail(self, item: Item, error: GpuxError) -> None:
        """Take note of an item without an answer."""
        self._text(item, failure(item, error))

    def finish(self) -> str:
        """Every file is in its place."""
        return f"{self._path}/"

    def abandon(self) -> str | None:
        """Every file that was written is whole."""
        return f"{self._path}/" if self._count else None

    def _text(self, item: Item, record: dict[str, Any]) -> None:
        file = Partial(self._place(item, ".json"))
        file.write(dumped(record, indent=2) + "\n")
        file.finish()

    def _place(self, item: Item, ending: str) -> Path:
        with writing(self._path):
            self._path.mkdir(exist_ok=True)
        name = _stem(item.name)
        self._names[name.lower()] += 1
        number = self._names[name.lower()]
        while number > 1 and f"{name}-{number}".lower() in self._names:
            number += 1
        if number > 1:
            name = f"{name}-{number}"
            self._names[name.lower()] += 1
        return self._path / f"{name}{ending}"


class Picture(Sink):
    """The answer to a single input, drawn.

    Raises:
        UsageError: The task draws nothing.
    """

    def __init__(self, path: Path, model: gpux.Model) -> None:
        self._path = path
        self._draw = getattr(model.pipeline, "draw", None)
        self._given: tuple[Item, Any] | None = None
        if self._draw is None:
            raise UsageError(
                f"answers of {model.task} are nothing to draw",
                hint=f"write --output {path.stem}.json",
                path=path,
            )

    def add(self, item: Item, answer: Any) -> None:
        """Take an answer."""
        if self._given is not None:
            raise UsageError(
                f"`{self._path}` is one picture, and there are several inputs",
                hint=f"write --output {self._path.stem}/",
                path=self._path,
            )
        self._given = item, answer

    def finish(self) -> str | None:
        """Draw it."""
        if self._given is None or self._draw is None:
            return None
        item, answer = self._given
        _save(self._draw(item.value, answer), self._path)
        return str(self._path)


def _save(picture: Any, path: Path) -> None:
    file = Partial(path, binary=True)
    form = "JPEG" if path.suffix == ".jpg" else "PNG"
    try:
        with writing(path):
            (picture.convert("RGB") if form == "JPEG" else picture).save(file.file, form)
            file.finish()
    except BaseException:
        file.drop()
        raise


def _stem(name: str) -> str:
    """A name for a file that every system takes, and that stays in its folder."""
    line = re.fullmatch(r"(?:line|input) (\d+) of (.+)", name)
    path = line[2] if line else name.partition("?")[0]
    stem = Path(re.split(r"[/\\]", path.rstrip("/\\"))[-1]).stem
    safe = re.sub(r"[^\w.-]+", "-", stem).strip("-.")[:100] or "input"
    if _DEVICES.match(safe):
        safe = f"_{safe}"
    return f"{safe}-{line[1]}" if line else safe
