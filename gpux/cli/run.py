"""``gpux run``: answers on the command line, or a benchmark of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import gpux
from gpux.cli import outputs
from gpux.cli.options import choice, examples, talk
from gpux.cli.printer import Printer
from gpux.cli.progress import Watch
from gpux.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from gpux.bench.report import Report


@click.command(
    "run",
    epilog=examples(
        'gpux run all-MiniLM-L6-v2 "A cat sits on the mat" "A kitten rests on a rug"',
        'gpux run all-MiniLM-L6-v2 "A cat sits on the mat" --benchmark --runs 200 --output bench.json',
    ),
)
@click.argument("model")
@click.argument("inputs", nargs=-1, metavar="[INPUT]…")
@click.option(
    "--input",
    "typed",
    metavar="JSON|@FILE|-",
    help="Inputs as JSON, from a .json or .jsonl file, or from standard input.",
)
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A text file as one input; may be given again.",
)
@click.option("--task", metavar="T", help="Another task that the stored graph can answer.")
@choice
@click.option(
    "--threads", type=int, metavar="N", help="Threads inside an operator; the cores allowed when not given."
)
@click.option(
    "--strict", is_flag=True, help="Fail if any part of the graph runs elsewhere than on the provider."
)
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="K=V",
    help="A parameter of the task, such as top_k=3; may be given again.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write the answers to a .json, .jsonl or .npz file; with --benchmark, the report.",
)
@click.option("--benchmark", is_flag=True, help="Measure instead of answering.")
@click.option("--runs", type=int, default=100, show_default=True, metavar="N", help="Steady runs to measure.")
@click.option(
    "--warmup",
    type=int,
    default=10,
    show_default=True,
    metavar="N",
    help="Runs between the first and the steady ones.",
)
@click.option(
    "--format",
    "form",
    default="table",
    show_default=True,
    metavar="F",
    help="The benchmark's form: table, json, csv or md.",
)
@talk
def run_command(
    printer: Printer,
    model: str,
    inputs: tuple[str, ...],
    *,
    typed: str | None,
    files: tuple[Path, ...],
    params: tuple[str, ...],
    output: Path | None,
    benchmark: bool,
    runs: int,
    warmup: int,
    form: str,
    **wishes: Any,
) -> None:
    """Answer a model's task, one answer per INPUT; pulls the model first if it is not stored.

    Without INPUT, lines of standard input are taken.
    """
    parameters = _parameters(params)
    if output is not None and not benchmark:
        outputs.check(output)
    if not benchmark and not inputs and not typed and not files and sys.stdin.isatty():
        raise UsageError("there is no input", hint=f'gpux run {model} "your text"')
    with Watch(printer) as watch:
        loaded = gpux.load(model, progress=watch, **wishes)
    with loaded:
        printer.detail(f"runs on {loaded.placement}; {loaded.plan.reason}")
        _warn_partial(printer, loaded)
        items = _items(loaded, inputs, typed, files, required=not benchmark)
        if benchmark:
            report = _measure(printer, loaded, items, runs=runs, warmup=warmup, parameters=parameters)
            _report(printer, report, form, output)
            return
        answers = loaded(items, **parameters)
        outputs.show(printer, loaded, items, answers, output)


def _measure(
    printer: Printer,
    loaded: gpux.Model,
    items: list[Any],
    *,
    runs: int,
    warmup: int,
    parameters: dict[str, Any],
) -> Report:
    from gpux.events import Event

    with Watch(printer) as watch:

        def progress(done: int, total: int) -> None:
            watch(Event("measure", "running", done, total, "runs"))

        return gpux.benchmark(
            loaded, items or None, runs=runs, warmup=warmup, progress=progress, **parameters
        )


def _report(printer: Printer, report: Report, form: str, output: Path | None) -> None:
    from gpux.bench import render

    text = render.render(report, "json" if printer.json else form)
    if output is not None:
        report.save(output)
        printer.say(f"the report with every sample is in {output}")
    printer.lines([text.rstrip("\n")])


def _items(
    loaded: gpux.Model, inputs: tuple[str, ...], typed: str | None, files: tuple[Path, ...], *, required: bool
) -> list[Any]:
    items = [loaded.pipeline.parse(text) for text in inputs]
    if typed is not None:
        items += _typed(loaded, typed)
    items += [_read(path) for path in files]
    if not items and required:
        items = _lines(loaded, sys.stdin.read())
    if not items and required:
        raise InvalidInput(
            "standard input was empty", hint=f'gpux run {loaded.artifact.reference} "your text"'
        )
    return items


def _typed(loaded: gpux.Model, text: str) -> list[Any]:
    if text == "-":
        return _lines(loaded, sys.stdin.read())
    if text.startswith("@"):
        path = Path(text[1:])
        content = _read(path)
        if path.suffix == ".jsonl":
            return [
                _json(line, f"{path}, line {n}")
                for n, line in enumerate(content.splitlines(), 1)
                if line.strip()
            ]
        return _list(_json(content, str(path)))
    return _list(_json(text, "--input"))


def _lines(loaded: gpux.Model, text: str) -> list[Any]:
    if text.lstrip().startswith(("[", "{")):
        try:
            return _list(json.loads(text))
        except ValueError:
            pass  # lines that happen to begin like JSON
    return [loaded.pipeline.parse(line) for line in text.splitlines() if line.strip()]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"`{path}` cannot be read: {error.strerror}", hint="check the path", path=path
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"`{path}` is no UTF-8 text", hint="convert it to UTF-8 first", path=path
        ) from error


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(
            f"{where} is no JSON: {error}", hint='write --input \'["a text", "another"]\''
        ) from error


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _parameters(params: tuple[str, ...]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for param in params:
        key, equals, value = param.partition("=")
        if not equals or not key:
            raise UsageError(f"`{param}` is no parameter", hint="write --param top_k=3")
        try:
            parameters[key] = json.loads(value)
        except ValueError:
            parameters[key] = value
    return parameters


def _warn_partial(printer: Printer, loaded: gpux.Model) -> None:
    placement = loaded.placement
    if placement.share < 1:
        printer.say(
            f"note: {placement.provider} took {placement.share:.0%} of the graph; {', '.join(placement.left_behind)} ran elsewhere"
            "\n\nhint: --strict makes that an error"
        )
