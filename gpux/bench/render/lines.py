"""Labelled lines and blocks: what every format of a record is made of; knows no record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.bench.render.screen import Screen, padded, width

if TYPE_CHECKING:
    from gpux.bench.warnings import Caution

FACTS = " · "
FIGURES = "   "
LABEL = 13
"""Most columns of a label."""


@dataclass(frozen=True, slots=True)
class Line:
    """A label and what stands beside it.

    Attributes:
        label: In a few words.
        parts: Texts that are kept whole where a line is broken, if there is room.
        joint: What stands between two of them.
    """

    label: str
    parts: tuple[str, ...]
    joint: str = FACTS


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together, under a title."""

    title: str
    lines: tuple[Line, ...]


def figures(label: str, *parts: str) -> Line:
    """A line of figures, set apart by spaces."""
    return Line(label, parts, FIGURES)


def laid(lines: Sequence[Line], screen: Screen, *, indent: str = "  ", label: int | None = None) -> list[str]:
    """Lines with their labels in a column of their own, wrapped beside it.

    Args:
        lines: What to lay out.
        screen: Where.
        indent: What every line begins with.
        label: Columns of the labels; as many as the longest takes when ``None``.
    """
    if label is None:
        label = label_width(lines, screen)
    found: list[str] = []
    for line in lines:
        name = padded(screen.cut(line.label, label), label)
        found += screen.flow(
            line.parts, joint=line.joint, first=f"{indent}{name}  ", rest=" " * (len(indent) + label + 2)
        )
    return found


def label_width(lines: Iterable[Line], screen: Screen) -> int:
    """Columns that the labels of these lines take."""
    return min(LABEL, max((width(screen.show(line.label)) for line in lines), default=0))


def blocks(found: Iterable[Block], screen: Screen) -> list[str]:
    """Titles with their lines below; every block begins with an empty line, and none is empty."""
    kept = [block for block in found if block.lines]
    label = label_width((line for block in kept for line in block.lines), screen)
    text: list[str] = []
    for block in kept:
        text += ["", *screen.wrap(block.title), *laid(block.lines, screen, label=label)]
    return text


def cautions(found: Sequence[Caution], screen: Screen) -> list[str]:
    """Warnings, each with its action; an empty line before the first."""
    lines = [""] if found else []
    for caution in found:
        lines += screen.wrap(f"{caution.message}; {caution.hint}", first="warning: ", rest="         ")
    return lines


def ended(lines: Iterable[str]) -> str:
    """Lines as one text that ends with a line feed."""
    return "\n".join(lines) + "\n"
