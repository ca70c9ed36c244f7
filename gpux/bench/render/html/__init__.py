"""Records of a benchmark → one HTML page that needs no network, with plots drawn by Vega-Lite; measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpux.bench.comparison import Comparison
    from gpux.bench.report import Report
    from gpux.bench.suite import Suite


def page(document: Report | Suite) -> str:
    """A report or a suite as one self-contained page.

    Its size hardly depends on the number of runs: plots show counts and slices of them.

    Raises:
        GpuxError: The extra ``report`` is not installed.
    """
    from gpux.bench.render.html.report import page as of_report
    from gpux.bench.render.html.suite import page as of_suite
    from gpux.bench.report import Report

    return of_report(document) if isinstance(document, Report) else of_suite(document)


def compared(comparison: Comparison, reports: Sequence[Report]) -> str:
    """Reports against a baseline as one self-contained page.

    Args:
        comparison: What :func:`gpux.bench.comparison.compare` found.
        reports: The reports that it compared, in its order: the baseline first.

    Raises:
        GpuxError: The extra ``report`` is not installed.
    """
    from gpux.bench.render.html.comparison import page as of_comparison

    return of_comparison(comparison, reports)


def require() -> None:
    """Look for what a page needs, before something is measured for one.

    Raises:
        GpuxError: The extra ``report`` is not installed.
    """
    from importlib.util import find_spec

    from gpux.bench.render.html.sheet import missing

    for name in ("altair", "vl_convert"):
        if find_spec(name) is None:
            raise missing(name)
