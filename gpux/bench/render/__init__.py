"""Records of a benchmark → text, one pure function per format; measures nothing and prints nothing.

Every format is a module of its own, imported when it is asked for: completing a command line needs their names only.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gpux.bench.render.screen import Screen
from gpux.bench.render.units import duration
from gpux.errors import InvalidSetting

if TYPE_CHECKING:
    from gpux.bench.assess import Assessment
    from gpux.bench.comparison import Comparison
    from gpux.bench.history import Trend
    from gpux.bench.report import Report
    from gpux.bench.suite import Suite

    Document = Report | Suite
    Format = Callable[[Any, Screen], str]

__all__ = [
    "FORMATS",
    "RECORD_FORMATS",
    "duration",
    "render",
    "render_assessment",
    "render_comparison",
    "render_trend",
]


def render(document: Document, form: str, *, width: int = 80, plain: bool = False) -> str:
    """A report or a suite in one of :data:`FORMATS`.

    Args:
        document: What was measured.
        form: The format's name.
        width: Columns of the terminal; from 40 up no line of ``table`` and ``summary`` is wider.
        plain: Whether those two keep to ASCII, for a terminal whose encoding has no block characters.

    Raises:
        InvalidSetting: There is no such format; the hint names the closest.
    """
    return _known(form, FORMATS)(document, Screen(width, plain=plain))


def render_comparison(comparison: Comparison, form: str, *, width: int = 80, plain: bool = False) -> str:
    """Reports against a baseline, in one of :data:`RECORD_FORMATS`; arguments and errors as for :func:`render`."""
    from gpux.bench.render import comparison as room

    return _known(form, _records(room, "gpux benchmark comparison"))(comparison, Screen(width, plain=plain))


def render_trend(trend: Trend, form: str, *, width: int = 80, plain: bool = False) -> str:
    """A model's results so far, in one of :data:`RECORD_FORMATS`; arguments and errors as for :func:`render`."""
    from gpux.bench.render import history as room

    return _known(form, _records(room, "gpux benchmark history"))(trend, Screen(width, plain=plain))


def render_assessment(assessment: Assessment, form: str, *, width: int = 80, plain: bool = False) -> str:
    """A model's readiness, in one of :data:`RECORD_FORMATS`; arguments and errors as for :func:`render`."""
    from gpux.bench.render import assessment as room

    return _known(form, _records(room, "gpux benchmark assessment"))(assessment, Screen(width, plain=plain))


def _table(document: Document, screen: Screen) -> str:
    from gpux.bench.render.report import table as report
    from gpux.bench.render.suite import table as suite
    from gpux.bench.report import Report

    return report(document, screen) if isinstance(document, Report) else suite(document, screen)


def _json(document: Document, screen: Screen) -> str:  # noqa: ARG001 - one signature for all formats
    return document.to_json()


def _csv(document: Document, screen: Screen) -> str:  # noqa: ARG001
    from gpux.bench.render.comma_separated import text

    return text(document)


def _markdown(document: Document, screen: Screen) -> str:  # noqa: ARG001
    from gpux.bench.render.markdown import text

    return text(document)


def _html(document: Document, screen: Screen) -> str:  # noqa: ARG001
    page: Callable[[Document], str] = import_module(f"{__name__}.html").page
    return page(document)


def _summary(document: Document, screen: Screen) -> str:
    from gpux.bench.render.summary_text import text

    return text(document, screen)


FORMATS: dict[str, Format] = {
    "table": _table,
    "json": _json,
    "csv": _csv,
    "md": _markdown,
    "html": _html,
    "summary": _summary,
}
"""Format → function from a report or a suite and a :class:`gpux.bench.render.screen.Screen` to text."""

RECORD_FORMATS = ("table", "json", "csv", "md")
"""The formats of a comparison, a trend and an assessment."""


def _records(room: Any, kind: str) -> dict[str, Format]:
    def document(record: Any, screen: Screen) -> str:  # noqa: ARG001
        from gpux.bench import documents

        return documents.dump(record, kind)

    forms: Iterable[Format] = (room.table, document, room.comma_separated, room.markdown)
    return dict(zip(RECORD_FORMATS, forms, strict=True))


def _known(form: str, forms: dict[str, Format]) -> Format:
    if form in forms:
        return forms[form]
    close = difflib.get_close_matches(form.lower(), forms, n=1)
    others = f"use --format {' or '.join(forms)}"
    raise InvalidSetting(
        f"there is no report format `{form}`",
        hint=f"did you mean `{close[0]}`? Else {others}" if close else others,
        format=form,
    )
