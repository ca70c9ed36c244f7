"""``gpux bench``: measure, show, compare and remember benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import gpux
from gpux.cli import completing, measuring, outputs
from gpux.cli.asking import asking, read_parameters
from gpux.cli.inputs import gather
from gpux.cli.options import examples, talk
from gpux.cli.printer import Printer
from gpux.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from gpux.bench.comparison import Comparison
    from gpux.bench.report import Report
    from gpux.bench.suite import Suite


@click.group(
    "bench",
    epilog=examples(
        "gpux bench run all-MiniLM-L6-v2 --sweep batch=1,8,32 --output sweep.json",
        "gpux bench compare before.json after.json --fail-if-slower 5%",
    ),
)
def bench_command() -> None:
    """Measure models, compare results, and look back."""


@bench_command.command(
    "run",
    epilog=examples(
        "gpux bench run all-MiniLM-L6-v2 --compare mode=torch,onnx",
        "gpux bench run all-MiniLM-L6-v2 --rate 20 --concurrency 2 --duration 30s --output load.html",
    ),
)
@asking
@measuring.options
@talk
def run_command(
    printer: Printer,
    model: str,
    inputs: tuple[str, ...],
    *,
    typed: str | None,
    files: tuple[Path, ...],
    params: tuple[str, ...],
    output: str | None,
    **wishes: Any,
) -> int:
    """Measure a model; the same as gpux run MODEL --benchmark."""
    asked = {name: wishes.pop(name) for name in measuring.NAMES}
    items = gather(model, inputs, typed, files, str) if inputs or files or typed is not None else None
    return measuring.measure(
        printer,
        model,
        items,
        output=None if output is None else Path(output),
        parameters=read_parameters(params),
        asked=asked,
        **wishes,
    )


@bench_command.command(
    "show",
    epilog=examples("gpux bench show bench.json", "gpux bench show sweep.json --output sweep.html"),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    default="table",
    show_default=True,
    metavar="F",
    shell_complete=completing.one_of(completing.formats),
    help="table, summary, json, csv, md or html.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write it to a .json, .csv, .md, .html or .txt file too.",
)
@talk
def show_command(printer: Printer, file: Path, *, form: str, output: Path | None) -> None:
    """Show a result file in another form."""
    if output is not None:
        outputs.check(output, forms=tuple(measuring.FILES))
    measuring.show(printer, gpux.read_report(file), form, output)


@bench_command.command(
    "compare",
    epilog=examples(
        "gpux bench compare before.json after.json",
        "gpux bench compare main.json branch.json --fail-if-slower 5%",
    ),
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="A.json B.json…")
@click.option(
    "--fail-if-slower",
    "limit",
    metavar="X%",
    help="Exit with 1 where the whole interval lies beyond so much slower.",
)
@click.option(
    "--statistic", default="median", show_default=True, metavar="S", help="What is compared: median or mean."
)
@click.option("--anyway", is_flag=True, help="Compare even where other work was measured, and say so.")
@click.option(
    "--format", "form", default="table", show_default=True, metavar="F", help="table, json, csv, md or html."
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Write it to a .json, .csv, .md or .html file too."
)
@talk
def compare_command(
    printer: Printer,
    files: tuple[Path, ...],
    *,
    limit: str | None,
    statistic: str,
    anyway: bool,
    form: str,
    output: Path | None,
) -> int:
    """Compare results with the first of them: ratios of seconds per input, with intervals."""
    from gpux.bench import comparison, documents, render

    if len(files) < 2:
        raise UsageError("a comparison needs two results", hint="gpux bench compare before.json after.json")
    if output is not None:
        outputs.check(output, forms=(".json", ".csv", ".md", ".html"))
    allowed = None if limit is None else comparison.fraction(limit)
    results = [gpux.read_report(file) for file in files]
    pairs = _pairs(results, files)
    found = [
        gpux.compare(reports, names=names, statistic=statistic, anyway=anyway) for reports, names in pairs
    ]

    def text(form: str, **screen: Any) -> str:
        if form == "html":
            return _page(found, pairs)
        return _joined([render.render_comparison(one, form, **screen) for one in found], form)

    printer.text(text("json" if printer.json else form, **measuring.screen()).rstrip("\n"))
    if output is not None:
        documents.write(output, text(measuring.FILES[output.suffix]))
        printer.say(f"the comparison is in {output}")
    slower = any(
        allowed is not None and comparison.slower_than(row, allowed) for one in found for row in one.rows
    )
    broken = _broken(results, files)
    for what in broken:
        printer.say(f"note: {what}")
    return 1 if slower or (allowed is not None and broken) else 0


def _broken(results: list[Report | Suite], files: tuple[Path, ...]) -> list[str]:
    """What the results after the first lack, and what failed in them: a gate that such a result passes is none."""
    found = []
    for file, result in zip(files[1:], results[1:], strict=True):
        rows = dict(_labelled(result))
        found += [
            f"`{file.name}` has no figures of {label}"
            for label, _ in _labelled(results[0])
            if not rows.get(label)
        ]
        found += [
            f"{len(report.samples.failures)} runs failed in `{file.name}`" + (f": {label}" if label else "")
            for label, report in rows.items()
            if report is not None and report.samples.failures
        ]
    return found


def _labelled(result: Report | Suite) -> list[tuple[str, Report | None]]:
    rows = getattr(result, "rows", None)
    return [("", result)] if rows is None else [(row.label, row.report) for row in rows]  # type: ignore[list-item]


def _page(found: list[Comparison], pairs: list[tuple[list[Report], list[str]]]) -> str:
    from gpux.bench.render import html

    if len(found) > 1:
        raise InvalidInput(
            f"these files hold {len(found)} configurations, and a page compares one",
            hint="write --output comparison.md",
        )
    return html.compared(found[0], pairs[0][0])


def _joined(texts: list[str], form: str) -> str:
    """Several comparisons as one text: a list in JSON, one table in CSV, one after the other elsewhere."""
    if len(texts) == 1:
        return texts[0]
    if form == "json":
        return "[" + ",\n".join(text.rstrip("\n") for text in texts) + "]\n"
    if form == "csv":
        return texts[0] + "".join(text.partition("\n")[2] for text in texts[1:])
    return "\n".join(texts)


@bench_command.command(
    "history",
    epilog=examples("gpux bench history all-MiniLM-L6-v2", "gpux bench history all-MiniLM-L6-v2 --json"),
)
@click.argument("model", shell_complete=completing.models)
@click.option(
    "--format", "form", default="table", show_default=True, metavar="F", help="table, json, csv or md."
)
@talk
def history_command(printer: Printer, model: str, *, form: str) -> None:
    """Show how a model's figures went from benchmark to benchmark, and what changed when they did."""
    from gpux.bench import render

    history = gpux.History()
    try:
        trend = history.trend(gpux.Store().get(model).reference)
    except gpux.errors.ArtifactNotFound:
        trend = history.trend(model)  # it may have been removed since it was measured
        if not trend.courses:
            raise
    chosen = "json" if printer.json else form
    printer.text(render.render_trend(trend, chosen, **measuring.screen()).rstrip("\n"))


def _pairs(results: list[Report | Suite], files: tuple[Path, ...]) -> list[tuple[list[Report], list[str]]]:
    """What is compared with what: reports with the first, or of suites the rows of the same label."""
    suites = [result for result in results if not hasattr(result, "samples")]
    if not suites:
        return [([*results], [file.name for file in files])]  # type: ignore[list-item]
    if len(suites) < len(results):
        raise InvalidInput(
            "one of these files holds one configuration, another several",
            hint="compare files of one kind; gpux bench show prints what a file holds",
        )
    return _rows(suites, files)


def _rows(suites: list[Suite], files: tuple[Path, ...]) -> list[tuple[list[Report], list[str]]]:
    tables = [{row.label: row.report for row in suite.rows if row.report} for suite in suites]
    common = [label for label in tables[0] if all(label in table for table in tables)]
    if not common:
        raise InvalidInput(
            "these files have no configuration in common",
            hint="gpux bench show FILE shows the configurations of each",
        )
    return [
        (
            [table[label] for table in tables],
            [f"{file.name}: {label}" if label else file.name for file in files],
        )
        for label in common
    ]
