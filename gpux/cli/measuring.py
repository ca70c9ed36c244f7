"""``gpux run --benchmark`` and ``gpux bench run``: the options that say how to measure, and what becomes of the figures."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import gpux
from gpux.cli import completing, outputs
from gpux.cli.printer import Printer, plain
from gpux.cli.progress import Watch
from gpux.errors import GpuxError, InvalidSetting, UsageError

if TYPE_CHECKING:
    from gpux.bench.report import Report
    from gpux.bench.suite import Row, Suite

Command = Callable[..., Any]
FILES = {".json": "json", ".csv": "csv", ".md": "md", ".html": "html", ".txt": "summary"}
"""Ending of ``--output`` → form of the report."""

NARROW, WIDE = 40, 120


class Duration(click.ParamType[float]):
    """Seconds as a number, or with a unit: ``10``, ``10s``, ``2m``, ``1.5h``."""

    name = "duration"
    _units = {"": 1, "ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600}  # noqa: RUF012 - never changed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float | int):
            return float(value)
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value))
        if match is None or match[2] not in self._units:
            raise InvalidSetting(
                f"`{value}` is no duration", hint="write it like 10s, 500ms or 2m", setting="duration"
            )
        return float(match[1]) * self._units[match[2]]


class Warmup(click.ParamType[int | str]):
    """A whole number of runs, or ``auto``."""

    name = "warmup"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """The number or the word."""
        if isinstance(value, int):
            return value
        if value == "auto":
            return "auto"
        if not re.fullmatch(r"-?\d{1,9}", str(value)):
            raise InvalidSetting(
                f"`warmup` is `{value}`, not a whole number or auto",
                hint="give --warmup 10 or --warmup auto",
                setting="warmup",
            )
        return int(value)


_OPTIONS = (
    click.option("--runs", type=int, metavar="N", help="Steady runs to measure; 100 when nothing ends them."),
    click.option(
        "--warmup",
        type=Warmup(),
        default=10,
        show_default=True,
        metavar="N|auto",
        help="Runs between the first and the steady ones; auto: until the steady state is reached.",
    ),
    click.option(
        "--duration", type=Duration(), metavar="T", help="Begin no steady run after so long: 10s, 2m."
    ),
    click.option("--batch-size", type=int, metavar="B", help="Inputs per run; 1 when not given."),
    click.option(
        "--sequence-length", type=int, metavar="L", help="Make inputs of exactly so many tokens each."
    ),
    click.option("--concurrency", type=int, metavar="N", help="Clients that ask at once (closed loop)."),
    click.option(
        "--rate", type=float, metavar="QPS", help="Queries per second that arrive at random (open loop)."
    ),
    click.option(
        "--scenario",
        metavar="S",
        shell_complete=completing.one_of(
            lambda: ("single-stream", "multi-stream", "closed-loop", "server", "offline")
        ),
        help="MLPerf's name for these: single-stream, multi-stream, server, offline.",
    ),
    click.option("--graph-only", is_flag=True, help="Measure the runtime alone, on tensors made beforehand."),
    click.option(
        "--compare",
        "compared",
        multiple=True,
        metavar="K=V,V",
        help="Measure these against each other: provider, variant, or mode=torch,onnx; may be given again.",
    ),
    click.option(
        "--sweep",
        "swept",
        multiple=True,
        metavar="K=V,V",
        help="Measure at each value: batch, sequence, threads, concurrency; may be given again.",
    ),
    click.option(
        "--isolate",
        default="process",
        show_default=True,
        metavar="HOW",
        shell_complete=completing.one_of(lambda: ("process", "off")),
        help="process: each configuration in one of its own, in turns; off: all in this one.",
    ),
    click.option(
        "--cost-per-hour", type=float, metavar="C", help="The machine's price, for that of a million."
    ),
    click.option("--assess", is_flag=True, help="Judge the readiness: memory, latency, throughput, spread."),
    click.option(
        "--thresholds",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Thresholds of --assess, from a YAML file.",
    ),
    click.option(
        "--seed",
        type=int,
        default=0,
        show_default=True,
        metavar="N",
        help="Of arrival times, and of what is drawn.",
    ),
    click.option("--no-history", is_flag=True, help="Do not remember the result under GPUX_HOME."),
    click.option(
        "--format",
        "form",
        default="table",
        show_default=True,
        metavar="F",
        shell_complete=completing.one_of(completing.formats),
        help="The report's form: table, summary, json, csv, md or html.",
    ),
)
_SETTINGS = (
    "runs",
    "warmup",
    "duration",
    "batch_size",
    "sequence_length",
    "concurrency",
    "rate",
    "scenario",
    "seed",
    "cost_per_hour",
)
"""Options that a benchmark takes under the same name."""

NAMES = tuple(
    str(option.name)
    for option in (decorate(click.Command("none", callback=lambda: None)).params[0] for decorate in _OPTIONS)
)


def options(function: Command) -> Command:
    """Give a command the options that say how to measure."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def alike(parameters: Mapping[str, Any], typed: Collection[str]) -> dict[str, Any]:
    """The task's parameters for a benchmark: with ``--max-tokens`` every answer is that long, so that all runs write as much."""
    longest = parameters.get("max_new_tokens") if "max_new_tokens" in typed else None
    return {**({} if longest is None else {"min_new_tokens": longest}), **parameters}


def measure(
    printer: Printer,
    model: str,
    items: list[Any] | None,
    *,
    output: Path | None,
    parameters: dict[str, Any],
    asked: dict[str, Any],
    **wishes: Any,
) -> int:
    """Measure a model, and print, write and remember what came out.

    Args:
        printer: Prints.
        model: What to measure.
        items: What to measure it on, typed lines as they were typed; the task's own when ``None``.
        output: Where the report goes, by its ending.
        parameters: The task's own.
        asked: The values of :data:`NAMES`.
        **wishes: What :func:`gpux.load` takes.

    Returns:
        The exit code: 0, 1 where a configuration or a run failed, 130 where Ctrl-C ended it.
    """
    thresholds = _check(output, asked)
    axes = [*asked["compared"], *asked["swept"]]
    with Watch(printer) as watch:
        suite = gpux.sweep(
            model,
            axes,
            items,
            typed=True,
            isolation=asked["isolate"],
            progress=watch,
            save=_saving(printer, output) if axes else None,
            level="graph" if asked["graph_only"] else "task",
            parameters=parameters,
            **{name: asked[name] for name in _SETTINGS},
            **wishes,
        )
    document = suite if axes else _only(suite.rows[0])
    if not asked["no_history"]:
        _remember(printer, suite)
    try:
        show(printer, document, asked["form"], output)
    finally:
        if thresholds is not None:
            _assess(printer, suite, thresholds)
    for row in suite.rows:
        if row.reason is not None and row.report is not None:
            printer.say(f"note: {row.label or 'it'} stopped early: {row.reason.message}")
    if suite.interrupted:
        return 130
    failed = any(row.reason or row.report is None or row.report.samples.failures for row in suite.rows)
    return 1 if failed else 0


def show(printer: Printer, document: Report | Suite, form: str, output: Path | None) -> None:
    """Print a report or a suite, and write it to a file, in the form of the file's ending.

    Raises:
        StoreUnwritable: The file cannot be written.
    """
    from gpux.bench import render

    if form == "html" and not printer.json and sys.stdout.isatty():
        raise UsageError("a page of HTML is nothing for a terminal", hint="write --output report.html")
    chosen = "json" if printer.json else form
    try:
        # Printed first: figures that took an hour do not hang on a disk with room.
        printer.text(render.render(document, chosen, **screen()).rstrip("\n"))
    finally:
        if output is not None:
            write(output, document)
            printer.say(f"the report is in {output}")


def write(output: Path, document: Report | Suite) -> None:
    """Write a report or a suite to a file, in the form of its ending."""
    from gpux.bench import documents, render

    documents.write(output, render.render(document, FILES[output.suffix], width=WIDE))


def screen() -> dict[str, Any]:
    """The columns of the terminal, and whether it knows more than ASCII."""
    columns = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 100
    try:
        "█▁╭µ".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return {"width": min(max(columns, NARROW), WIDE), "plain": True}
    return {"width": min(max(columns, NARROW), WIDE), "plain": False}


def known(form: str) -> None:
    """Refuse a form that there is not.

    Raises:
        InvalidSetting: The hint names the closest.
    """
    from gpux.bench import render

    if form not in render.FORMATS:
        render.render(None, form)  # type: ignore[arg-type]


def _check(output: Path | None, asked: dict[str, Any]) -> Any:
    """Refuse what could only fail later; the thresholds of ``--assess``."""
    known(asked["form"])
    if output is not None:
        outputs.check(output, forms=tuple(FILES))
    if asked["form"] == "html" or (output is not None and output.suffix == ".html"):
        from gpux.bench.render.html import require

        require()
    if asked["thresholds"] is not None:
        return gpux.read_thresholds(asked["thresholds"])
    return gpux.Thresholds() if asked["assess"] else None


def _saving(printer: Printer, output: Path | None) -> Callable[[Suite], None] | None:
    """Write what there is whenever a configuration is finished, where the form can be read back.

    That it cannot be written is said once: the measurement goes on, and the last writing of all will fail aloud.
    """
    if output is None or output.suffix != ".json":
        return None
    told: list[str] = []

    def save(suite: Suite) -> None:
        try:
            suite.save(output)
        except GpuxError as error:
            if not told:
                printer.say(f"note: {error.message}")
            told.append(error.message)

    return save


def _only(row: Row) -> Report:
    """The report of a benchmark of one configuration.

    Raises:
        GpuxError: What stood in its way.
    """
    if row.report is not None:
        return row.report
    reason = row.reason
    if reason is None or reason.error == "Interrupted":
        raise KeyboardInterrupt
    kind = getattr(gpux.errors, reason.error, GpuxError)
    raise kind(reason.message, hint=reason.hint)


def _remember(printer: Printer, suite: Suite) -> None:
    for report in suite.reports:
        if report.interrupted or report.samples.failures or report.summaries.steady is None:
            continue
        try:
            gpux.History().add(report)
        except GpuxError as error:
            printer.say(f"note: not remembered: {error.message}")
            return


def _assess(printer: Printer, suite: Suite, thresholds: Any) -> None:
    from gpux.bench import render

    for report, row in ((row.report, row) for row in suite.rows if row.report is not None):
        found = gpux.assess(report, thresholds)
        if printer.json:
            printer.record({"label": row.label, **plain(found)})
            continue
        heading = f"readiness of {row.label}" if row.label else "readiness"
        printer.text(f"\n{heading}\n{render.render_assessment(found, 'table', **screen())}".rstrip("\n"))
