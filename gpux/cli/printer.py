"""The one place that prints: results on standard output, everything else on standard error."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import sys
import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from gpux.errors import GpuxError

_HARMLESS = frozenset("\n\t\xa0\u2007\u202f\u3000\u200c\u200d")


class ReaderGone(Exception):
    """Whoever read the output closed it, as ``head`` does: nothing is wrong, and nothing is left to do."""


class Printer:
    """Prints for one command.

    Args:
        json: Print records instead of text.
        quiet: Leave out everything but results and errors.
        verbose: Add what is usually left out.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose

    def record(self, record: Any) -> None:
        """A result as JSON, one document."""
        self.text(json.dumps(plain(record), indent=2, ensure_ascii=False))

    def text(self, text: str) -> None:
        """A result that is text of several lines already."""
        _write(sys.stdout, f"{text}\n")

    def piece(self, text: str) -> None:
        """Part of a result that is longer than memory need hold."""
        _write(sys.stdout, text)

    def lines(self, lines: Iterable[str]) -> None:
        """A result as lines; a line feed within one is shown escaped, so that no model's file can forge another line."""
        self.text("\n".join(map(_one_line, lines)))

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, widths: Sequence[int] | None = None
    ) -> tuple[int, ...]:
        """A result as aligned columns, one line per row.

        Args:
            columns: Their names.
            rows: The cells.
            widths: Of the table that these rows go on with, whose names of columns are not printed again.

        Returns:
            How wide the columns are.
        """
        cells = [tuple(_one_line(visible(cell)) for cell in row) for row in rows]
        if widths is None:
            cells.insert(0, tuple(name.upper() for name in columns))
        least = tuple(widths or (0,) * len(columns))
        if not cells:
            return least
        self.lines(aligned(cells, least))
        return tuple(
            max(size, *map(width, column))
            for size, column in zip(least, zip(*cells, strict=True), strict=True)
        )

    def say(self, text: str) -> None:
        """A remark for the person at the terminal."""
        if not self.quiet:
            _tell(f"{text}\n")

    def alert(self, text: str) -> None:
        """What a person at the terminal asked for or is asked, as it stands; said with ``--quiet`` too."""
        _tell(text)

    def detail(self, text: str) -> None:
        """A remark for whoever asked for more with ``--verbose``."""
        if self.verbose and not self.quiet:
            _tell(f"{text}\n")

    def complain(self, text: str) -> None:
        """What went wrong where the rest goes on; said with ``--quiet`` too."""
        _tell(f"{_one_line(text)}\n")

    def error(self, error: GpuxError) -> None:
        """An error: one sentence, a blank line and the hint; the record with ``--json``."""
        if self.json:
            _tell(json.dumps({"error": plain(error.as_dict())}, ensure_ascii=False) + "\n")
            return
        hint = f"\n\nhint: {_one_line(error.hint)}" if error.hint else ""
        _tell(f"error: {_one_line(error.message)}{hint}\n")


def aligned(rows: Sequence[Sequence[str]], least: Sequence[int] = ()) -> list[str]:
    """Rows of cells as lines with two spaces between columns, by the width that a terminal gives each cell."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    widths = list(map(max, widths, least)) if least else widths
    return [
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def width(text: str) -> int:
    """Columns that a terminal gives a text: two for wide East Asian characters, none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def prepare() -> None:
    """Let both streams escape what a terminal's legacy encoding lacks, in click's own messages too."""
    codecs.register_error("gpux", _escape_unencodable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="gpux")


def visible(text: str) -> str:
    """The text with control and formatting characters escaped, so that a model's files cannot drive the terminal.

    The escapes are JSON's own, so that JSON stays JSON; line feeds, tabs, wide spaces and joiners of emoji are left.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _HARMLESS else _escaped(c) for c in text)


def plain(value: Any) -> Any:
    """Anything that GPUX returns as JSON types: records by field, arrays as lists, paths as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def size(count: float) -> str:
    """Bytes for a person: ``86.1 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def age(since: float, now: float | None = None) -> str:
    """How long ago a time was, for a person: ``3 days ago``."""
    seconds = max(0.0, (now or time.time()) - since)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _escaped(text: str) -> str:
    units = text.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def _escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _escaped(error.object[error.start : error.end]), error.end


def _tell(text: str) -> None:
    with contextlib.suppress(ReaderGone):  # the work goes on, whether anybody listens or not
        _write(sys.stderr, text)


def _write(stream: Any, text: str) -> None:
    try:
        stream.write(visible(text))
        stream.flush()
    except BrokenPipeError:
        raise ReaderGone from None
