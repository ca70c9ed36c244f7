"""Takes answers one by one: as a table, as one JSON document, as lines of JSON. Holds a bounded number of them."""

from __future__ import annotations

import base64
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpux
from gpux.cli.items import Item
from gpux.cli.partial import Partial
from gpux.cli.printer import Printer, plain
from gpux.errors import GpuxError

BLOCK = 200
"""Rows of a table that are aligned together, where there are many."""


class Sink(ABC):
    """What takes answers; used from one thread.

    ``add`` and ``fail`` take one item each, in order. ``pause`` comes whenever everything that was taken is answered. In the end comes
    ``finish``, or ``abandon`` where the run ended early.
    """

    @abstractmethod
    def add(self, item: Item, answer: Any) -> None:
        """Take an answer."""

    def fail(self, item: Item, error: GpuxError) -> None:  # noqa: B027 - many forms have no place for failures
        """Take note of an item without one."""

    def pause(self) -> None:  # noqa: B027 - what is written whole has nothing to hurry
        """Let whoever waits see the answers so far."""

    @abstractmethod
    def finish(self) -> str | None:
        """Put everything in its place; where that is, for the person at the terminal."""

    def abandon(self) -> str | None:
        """End early; where the answers so far are, if they were kept."""
        return None


class Table(Sink):
    """A table on standard output, a block of rows after the other."""

    def __init__(self, printer: Printer, model: gpux.Model, *, live: bool) -> None:
        self._printer, self._pipeline, self._live = printer, model.pipeline, live
        self._items: list[Any] = []
        self._answers: list[Any] = []
        self._first: tuple[Any, Any] | None = None
        self._columns: tuple[str, ...] = ()
        self._widths: tuple[int, ...] | None = None

    def add(self, item: Item, answer: Any) -> None:
        """Take an answer."""
        self._items.append(item.value)
        self._answers.append(answer)

    def pause(self) -> None:
        """Let others see the answers so far."""
        if self._items and (self._live or len(self._items) >= BLOCK):
            self._print()

    def finish(self) -> None:
        """Put it in its place."""
        if self._items:
            self._print()

    def _print(self) -> None:
        items, answers, skipped = self._items, self._answers, 0
        if self._first is None:
            self._first = items[0], answers[0]
        else:
            # A table may compare with the first of all, so that it stands before each block, and its own rows are left out.
            first, answer = self._first
            skipped = len(self._pipeline.table([first], [answer]).rows)
            items, answers = [first, *items], [answer, *answers]
        table = self._pipeline.table(items, answers)
        going_on = table.columns == self._columns
        widths = self._widths if going_on else None
        self._widths = self._printer.table(table.columns, table.rows[skipped:], widths=widths)
        self._columns = table.columns
        if table.notes:
            self._printer.lines(table.notes)
        self._items, self._answers = [], []


class Document(Sink):
    """One JSON document, the record of a run, written piece by piece; it is whole and valid even where the run ended early.

    Args:
        model: Whose answers they are.
        write: Where the pieces go.
        file: What has to be put in its place in the end.
    """

    def __init__(self, model: gpux.Model, write: Callable[[str], None], file: Partial | None = None) -> None:
        self._model, self._write, self._file = model, write, file
        self._count = self._failed = 0
        self._begun = False

    @classmethod
    def to(cls, path: Path, model: gpux.Model) -> Document:
        """A document in a file."""
        file = Partial(path)
        return cls(model, file.write, file)

    def add(self, item: Item, answer: Any) -> None:
        """Take an answer."""
        self._result(result(item, answer))

    def fail(self, item: Item, error: GpuxError) -> None:
        """Take note of an item without an answer."""
        self._failed += 1
        self._result(failure(item, error))

    def pause(self) -> None:
        """Let others see the answers so far."""
        if self._file is not None:
            self._file.flush()

    def finish(self) -> str | None:
        """Put it in its place."""
        self._close({"failed": self._failed})
        if self._file is None:
            return None
        self._file.finish()
        return str(self._file.path)

    def abandon(self) -> str | None:
        """Keep what can be read, drop the rest."""
        if self._count and self._file is None:
            self._close({"failed": self._failed, "complete": False})
        if self._file is not None:
            self._file.drop()
        return None

    def _result(self, record: dict[str, Any]) -> None:
        self._begin()
        text = dumped(record, indent=2).replace("\n", "\n    ")
        self._write(f"{',' if self._count else ''}\n    {text}")
        self._count += 1

    def _begin(self) -> None:
        if not self._begun:
            head = dumped(_identity(self._model), indent=2).removesuffix("\n}")
            self._write(f'{head},\n  "results": [')
        self._begun = True

    def _close(self, rest: dict[str, Any]) -> None:
        self._begin()
        tail = dumped(rest, indent=2).removeprefix("{\n")
        self._write(f"\n  ],\n{tail}\n")


class Lines(Sink):
    """A file that grows line by line: what is there so far can be read while the run goes on, and after it ended early."""

    def __init__(self, path: Path) -> None:
        self._file = Partial(path)

    def pause(self) -> None:
        """Let others see the answers so far."""
        self._file.flush()

    def finish(self) -> str:
        """Put it in its place."""
        self._file.finish()
        return str(self._file.path)

    def abandon(self) -> str | None:
        """Keep what can be read, drop the rest."""
        if not self._file.begun:
            return None
        self._file.leave()
        return str(self._file.aside)


class JsonLines(Lines):
    """A line of JSON per input; the lines so far can be read while the run goes on, and after it ended early."""

    def add(self, item: Item, answer: Any) -> None:
        """Take an answer."""
        self._file.write(dumped(result(item, answer)) + "\n")

    def fail(self, item: Item, error: GpuxError) -> None:
        """Take note of an item without an answer."""
        self._file.write(dumped(failure(item, error)) + "\n")


def result(item: Item, answer: Any) -> dict[str, Any]:
    """What JSON says of an answer."""
    return {"input": item.value, "output": answer}


def failure(item: Item, error: GpuxError) -> dict[str, Any]:
    """What JSON says of an item that failed."""
    value = item.name if isinstance(item.value, GpuxError) else item.value
    return {
        "input": value,
        "error": {"type": type(error).__name__, "message": error.message, "hint": error.hint},
    }


def dumped(value: Any, *, indent: int | None = None) -> str:
    """A record as JSON; pictures as data URLs, as they came."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, default=_encoded)


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if hasattr(value, "save") and hasattr(value, "getbands"):  # a Pillow image
        stream = io.BytesIO()
        value.save(stream, "PNG")
        return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    return str(value)


def _identity(model: gpux.Model) -> dict[str, Any]:
    placement = model.placement
    return {
        "model": model.artifact.reference,
        "digest": model.artifact.digest,
        "task": model.task,
        "variant": model.plan.variant,
        "quality": model.artifact.variant(model.plan.variant).certificate.quality,
        "provider": placement.provider,
        "device": placement.device,
        "precision": placement.precision,
        "share": placement.share,
    }
