"""``gpux run``: answers on the command line, or a benchmark of them."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

import gpux
from gpux.cli import completing, outputs
from gpux.cli.options import choice, examples, talk
from gpux.cli.printer import Printer
from gpux.cli.progress import Watch
from gpux.errors import InvalidInput, InvalidSetting, UsageError

if TYPE_CHECKING:
    from gpux.bench.report import Report


@click.command(
    "run",
    epilog=examples(
        'gpux run all-MiniLM-L6-v2 "A cat sits on the mat" "A kitten rests on a rug"',
        'gpux run all-MiniLM-L6-v2 "A cat sits on the mat" --benchmark --runs 200 --output bench.json',
    ),
)
@click.argument("model", shell_complete=completing.models)
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
@click.option(
    "--task",
    metavar="T",
    help="Another task that the stored graph can answer.",
)
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
@click.option("--token", metavar="T", help="A Hub token, should the model have to be pulled.")
@click.option("--offline", is_flag=True, default=None, help="Keep off the network.")
@click.option("--benchmark", is_flag=True, help="Measure instead of answering.")
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="Steady runs to measure.",
)
@click.option(
    "--warmup",
    type=click.IntRange(min=0),
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
    shell_complete=completing.one_of(completing.formats),
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
) -> int:
    """Answer a model's task, one answer per INPUT; pulls the model first if it is not stored.

    Without INPUT, lines of standard input are taken. Ctrl-C during a benchmark keeps the runs that were finished.
    """
    parameters = _parameters(params)
    if benchmark:
        _check_form(form)
    else:
        _refuse_idle("runs", "warmup", "form")
    if output is not None:
        outputs.check(output, forms=(".json",) if benchmark else outputs.FORMS)
    given = bool(inputs or files or typed is not None)
    if not benchmark and not given and sys.stdin.isatty():
        raise UsageError("there is no input", hint=f'gpux run {model} "your text"')
    with Watch(printer) as watch:
        loaded = gpux.load(model, progress=watch, **wishes)
    with loaded:
        printer.detail(f"runs on {loaded.placement}; {loaded.plan.reason}")
        _warn_partial(printer, loaded)
        items = _items(loaded, inputs, typed, files) if given or not benchmark else None
        if benchmark:
            report = _measure(printer, loaded, items, runs=runs, warmup=warmup, parameters=parameters)
            _report(printer, report, form, output)
            return 130 if report.interrupted else 0
        answers = loaded(items, **parameters)
        outputs.show(printer, loaded, items or [], answers, output)
        return 0


def _refuse_idle(*names: str) -> None:
    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = next(o.opts[0] for o in context.command.params if o.name == name)
            raise UsageError(
                f"`{option}` says how to measure, and nothing is measured", hint="add --benchmark"
            )


def _measure(
    printer: Printer,
    loaded: gpux.Model,
    items: list[Any] | None,
    *,
    runs: int,
    warmup: int,
    parameters: dict[str, Any],
) -> Report:
    from gpux.events import Event

    with Watch(printer) as watch:

        def progress(done: int, total: int) -> None:
            watch(Event("measure", "running", done, total, "runs"))

        return gpux.benchmark(loaded, items, runs=runs, warmup=warmup, progress=progress, **parameters)


def _check_form(form: str) -> None:
    from gpux.bench.render import FORMATS

    if form not in FORMATS:
        raise InvalidSetting(
            f"there is no report format `{form}`", hint=f"use --format {' or '.join(FORMATS)}", format=form
        )


def _report(printer: Printer, report: Report, form: str, output: Path | None) -> None:
    from gpux.bench import render

    text = render.render(report, "json" if printer.json else form)
    if output is not None:
        report.save(output)
        printer.say(f"the report with every sample is in {output}")
    printer.text(text.rstrip("\n"))


def _items(
    loaded: gpux.Model, inputs: tuple[str, ...], typed: str | None, files: tuple[Path, ...]
) -> list[Any]:
    items = [loaded.pipeline.parse(text) for text in inputs]
    if typed is not None:
        items += _typed(loaded, typed)
    items += [_read(path) for path in files]
    if not items and not files and typed in {None, "-"}:
        items = _lines(loaded, _stdin()) if typed is None else []
        if not items:
            raise InvalidInput(
                "standard input was empty", hint=f'gpux run {loaded.artifact.reference} "your text"'
            )
    if not items:
        raise InvalidInput("--input holds no inputs", hint='write --input \'["a text", "another"]\'')
    return items


def _typed(loaded: gpux.Model, text: str) -> list[Any]:
    if text == "-":
        return _lines(loaded, _stdin())
    if text.startswith("@"):
        path = Path(text[1:])
        content = _read(path)
        if path.suffix == ".jsonl":
            return [
                _json(line, f"{path}, line {n}")
                for n, line in enumerate(content.split("\n"), 1)
                if line.strip()
            ]
        return _list(_json(content, str(path)))
    return _list(_json(text, "--input"))


def _lines(loaded: gpux.Model, text: str) -> list[Any]:
    if text.lstrip().startswith(("[", "{")):
        with contextlib.suppress(ValueError, RecursionError):  # lines that happen to begin like JSON
            return _list(json.loads(text))
    return [loaded.pipeline.parse(line) for line in text.splitlines() if line.strip()]


def _stdin() -> str:
    return _decoded(sys.stdin.buffer.read(), "standard input")


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"`{path}` cannot be read: {error.strerror}", hint="check the path", path=path
        ) from error
    return _decoded(content, f"`{path}`")


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{where} is no UTF-8 text: byte {error.start} is {content[error.start]:#04x}",
            hint="convert it to UTF-8 first, with iconv for example",
        ) from error


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
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
        except (ValueError, RecursionError):
            parameters[key] = value
    return parameters


def _warn_partial(printer: Printer, loaded: gpux.Model) -> None:
    placement = loaded.placement
    if placement.share < 1:
        printer.say(
            f"note: {placement.provider} took {placement.share:.0%} of the graph; {', '.join(placement.left_behind)} ran elsewhere"
            "\n\nhint: --strict makes that an error"
        )
