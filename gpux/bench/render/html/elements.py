"""Pieces of HTML out of plain texts, every one of them escaped; knows no record."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from gpux.bench.render.screen import one_line

if TYPE_CHECKING:
    from gpux.bench.render.lines import Line

_LINE = 28
"""Characters of a cell that is kept in one line."""

_SHORT = ' class="short"'
_QUOTED = re.compile(r"`([^`]+)`")


def escaped(text: object) -> str:
    """A text as the content of an element or of a quoted attribute.

    Control and formatting characters are shown, not obeyed: a model's name cannot turn the direction of the line round.
    """
    return html.escape(one_line(str(text)), quote=True)


def worded(text: object) -> str:
    """A sentence, with what stands in back-quotes set off."""
    return _QUOTED.sub(r"<code>\1</code>", escaped(text))


def section(title: str, *parts: str, name: str = "") -> str:
    """A section with its heading; nothing where it would be empty.

    Args:
        title: Plain text.
        parts: HTML.
        name: A class for the style.
    """
    content = "".join(parts)
    if not content:
        return ""
    kind = f' class="{escaped(name)}"' if name else ""
    return f"<section{kind}><h2>{escaped(title)}</h2>{content}</section>\n"


def table(
    caption: str,
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[int] = (),
    marked: Collection[int] = (),
) -> str:
    """A table of plain texts whose first cells are the rows' headings; nothing where there is no row.

    Args:
        caption: What it shows.
        titles: Of the columns.
        rows: Cells; a row of two has a sentence instead of figures.
        right: Columns of figures, counted from 0.
        marked: Rows to set off, counted from 0.
    """
    body = []
    for number, row in enumerate(rows):
        first, *rest = row
        cells = "".join(_cell(cell, right=index in right) for index, cell in enumerate(rest, 1))
        if len(row) < len(titles):
            cells = f'<td colspan="{len(titles) - 1}">{escaped(rest[-1])}</td>'
        mark = ' class="best"' if number in marked else ""
        body.append(
            f'<tr{mark}><th scope="row"{_SHORT if len(first) <= _LINE else ""}>{escaped(first)}</th>{cells}</tr>'
        )
    if not body:
        return ""
    head = "".join(
        f'<th scope="col"{" class=figure" if index in right else ""}>{escaped(title)}</th>'
        for index, title in enumerate(titles)
    )
    # A table wider than the screen is scrolled by itself, also by the keyboard.
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escaped(caption)}"><table><caption>{escaped(caption)}'
        f"</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(text: str, *, right: bool) -> str:
    # What is short stays in one line; a table that is too wide for that is scrolled.
    kind = "figure" if right else "short" if len(text) <= _LINE else ""
    return f"<td{f' class={kind}' if kind else ''}>{escaped(text)}</td>"


def facts(lines: Iterable[Line]) -> str:
    """Labelled lines as a list of terms; a line without a label goes on with the one before."""
    found: list[str] = []
    for line in lines:
        parts = f"<dd>{escaped(line.joint.join(line.parts))}</dd>"
        found.append(f"<dt>{escaped(line.label)}</dt>{parts}" if line.label else parts)
    return f'<dl class="facts">{"".join(found)}</dl>' if found else ""


def cards(rows: Iterable[tuple[str, str, str]]) -> str:
    """Figures to be seen first: a label, the figure, and what stands below it."""
    found = [
        f"<div><dt>{escaped(label)}</dt><dd><strong>{escaped(figure)}</strong><small>{escaped(below)}</small></dd></div>"
        for label, figure, below in rows
    ]
    return f'<dl class="cards">{"".join(found)}</dl>' if found else ""


def bullets(texts: Iterable[str], *, name: str = "") -> str:
    """Sentences as a list; nothing where there is none."""
    found = "".join(f"<li>{worded(text)}</li>" for text in texts)
    kind = f' class="{escaped(name)}"' if name else ""
    return f"<ul{kind}>{found}</ul>" if found else ""


def note(text: str) -> str:
    """A remark in small letters."""
    return f'<p class="note">{worded(text)}</p>'


def notice(title: str, rows: Iterable[tuple[str, str]], *, name: str) -> str:
    """A box of things gone wrong, a line each, with what to do; nothing where there is none."""
    found = "".join(
        f"<li>{'<br>'.join(map(worded, said.split(chr(10))))}{f'<span>{worded(remedy)}</span>' if remedy else ''}</li>"
        for said, remedy in rows
    )
    if not found:
        return ""
    return f'<section class="notice {escaped(name)}"><h2>{escaped(title)}</h2><ul>{found}</ul></section>\n'


def folded(title: str, *parts: str) -> str:
    """Content behind a title that opens it."""
    return f"<details><summary>{escaped(title)}</summary>{''.join(parts)}</details>"
