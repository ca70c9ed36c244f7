"""A terminal's columns and characters: text that cannot drive it, cut and wrapped by the width that it is shown with.

Knows no record.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NARROWEST = 40
"""Columns below which nothing is made narrower."""

_HARMLESS = frozenset("\xa0\u2007\u202f\u3000\u200c\u200d")
_ASCII = {
    "±": "+/-", "σ": "sd", "…": "...", "·": "-", "–": "-", "→": "->", "≥": ">=", "≤": "<=", "×": "x", "µ": "u",  # noqa: RUF001 - signs are what this is about
    "°": " deg ", "◂": "<-", "●": "o", "│": "|", "▲": "^", "▼": "v", "’": "'", "“": '"', "”": '"', "\xa0": " ", "\u202f": " ",  # noqa: RUF001
}  # fmt: skip
_UNITS = r"(?:ns|[µu]s|ms|s|min|B|[KMGT]iB|J|mJ|kJ|W|MHz|°C|%|×|x)"
# A figure stays with its unit, a sign with its figure, and an interval in one piece.
_BREAK = re.compile(rf"(?<!\d)(?<![±≥≤])(?<!\d to) (?![±≥≤])|(?<=\d) (?!{_UNITS}(?:\W|$)|[±≥≤]|to \d)")


@dataclass(frozen=True, slots=True)
class Screen:
    """Where text is shown.

    Attributes:
        width: Columns.
        plain: Whether it shows ASCII only.
    """

    width: int = 80
    plain: bool = False

    @property
    def columns(self) -> int:
        """Columns to fill: the width, but never fewer than :data:`NARROWEST`."""
        return max(self.width, NARROWEST)

    def show(self, text: str) -> str:
        """The text as one line that this screen can show."""
        return asciified(one_line(text)) if self.plain else one_line(text)

    def cut(self, text: str, columns: int) -> str:
        """:meth:`show`, shortened in its middle to so many columns, for names differ at their ends."""
        text = self.show(text)
        if width(text) <= columns:
            return text
        dots = "..." if self.plain else "…"
        room = max(columns - len(dots), 0)
        tail = _head(text[::-1], room // 2)[::-1]
        return f"{_head(text, room - width(tail))}{dots[: max(columns, 0)]}{tail}"

    def wrap(self, text: str, *, first: str = "", rest: str = "") -> list[str]:
        """:meth:`show`, in lines of at most :attr:`columns`: ``first`` begins the first and ``rest`` all others."""
        return self.flow([text], first=first, rest=rest)

    def flow(self, parts: Iterable[str], *, joint: str = " ", first: str = "", rest: str = "") -> list[str]:
        """Parts one after another with a joint between, in lines as :meth:`wrap` makes them; a line breaks at a joint first."""
        joint = asciified(joint) if self.plain else joint
        lines: list[str] = []
        line, start = first, True
        for part in map(self.show, parts):
            joined = part if start else f"{line and joint}{part}"
            if width(line) + width(joined) <= self.columns:
                line, start = line + joined, False
                continue
            if not start:
                lines.append(line)
                line, start = rest, True
            *whole, last = broken(part, self.columns - width(line), self.columns - width(rest))
            for piece in whole:
                lines.append(line + piece)
                line = rest
            line, start = line + last, not last
        return [text.rstrip() for text in [*lines, line]]


def broken(text: str, columns: int, following: int) -> list[str]:
    """The text in lines: the first of at most ``columns``, all others of at most ``following``; at spaces where there are any."""
    lines: list[str] = []
    line = ""
    room = columns
    for word in _BREAK.split(text):
        joined = f"{line} {word}" if line else word
        if width(joined) <= room:
            line = joined
            continue
        if line:
            lines.append(line)
            room = following
        while width(word) > room:
            piece = _head(word, room) or word[:1]
            lines.append(piece)
            word, room = word[len(piece) :], following  # noqa: PLW2901 - what is left of it
        line = word
    return [*lines, line]


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """The text with spaces up to so many columns, on its left where it stands on the right."""
    space = " " * (columns - width(text))
    return space + text if right else text + space


def aligned(
    rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset(), gap: str = "  "
) -> list[str]:
    """Rows of cells as lines; the columns of these numbers stand on the right."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        gap.join(
            padded(cell, size, right=number in right)
            for number, (cell, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def width(text: str) -> int:
    """Columns that a terminal gives a text: two for wide East Asian characters, none for marks that combine or join."""
    return len(text) if text.isascii() else sum(map(_width, text))


def one_line(text: str) -> str:
    """The text with line feeds, tabs, control and formatting characters escaped as JSON does, so that it drives no terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _HARMLESS else _escaped(c) for c in text)


def asciified(text: str) -> str:
    """The text in ASCII: signs in words, and what has none as JSON's escapes."""
    return (
        text if text.isascii() else "".join(c if c.isascii() else _ASCII.get(c) or _escaped(c) for c in text)
    )


def _width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _head(text: str, columns: int) -> str:
    """As much of the text as so many columns hold."""
    used = 0
    for index, character in enumerate(text):
        used += _width(character)
        if used > columns:
            return text[:index]
    return text


def _escaped(text: str) -> str:
    known = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(text)
    units = text.encode("utf-16-be", "surrogatepass").hex()
    return known or "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))
