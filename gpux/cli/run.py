"""``gpux run``: answers on the command line, or a benchmark of them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

import gpux
from gpux.cli import answering, generating, measuring, outputs
from gpux.cli.asking import asking, read_parameters
from gpux.cli.inputs import Inputs, gather
from gpux.cli.items import Takes
from gpux.cli.options import examples, talk
from gpux.cli.printer import Printer
from gpux.cli.progress import Watch
from gpux.errors import UsageError


@click.command(
    "run",
    epilog=examples(
        'gpux run SmolLM2-135M-Instruct "What is the capital of France?" --max-tokens 64',
        'gpux run all-MiniLM-L6-v2 "A cat sits on the mat" --benchmark --runs 200 --output bench.json',
    ),
)
@asking
@click.option(
    "--fail-fast", is_flag=True, help="Stop at the first input that fails; otherwise the rest goes on."
)
@click.option("--allow-urls", is_flag=True, help="Fetch inputs that are web addresses.")
@click.option("--benchmark", is_flag=True, help="Measure instead of answering.")
@measuring.options
@generating.options
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
    fail_fast: bool,
    allow_urls: bool,
    benchmark: bool,
    **wishes: Any,
) -> int:
    """Answer a model's task, one answer per INPUT; pulls the model first if it is not stored.

    An INPUT is a text, or a file, a folder or a pattern where the task takes images or sound. Without INPUT, standard input is
    answered line by line; on a terminal, a model that writes texts opens a chat. An input that fails is named, the rest goes on,
    and the exit code is 1. Ctrl-C during a benchmark keeps the runs that were finished, and what was written of an answer.
    """
    asked = {name: wishes.pop(name) for name in measuring.NAMES}
    seed = asked["seed"] if _typed("seed") else None
    options = {name: wishes.pop(name) for name in (*generating.OPTIONS, "system", "raw")}
    wish = generating.read(options, read_parameters(params), seed=None if benchmark else seed)
    given = bool(inputs or files or typed is not None)
    if allow_urls:
        os.environ["GPUX_ALLOW_URLS"] = "1"  # for this process and those that it starts
    if benchmark:
        items = gather(model, inputs, typed, files, str) if given else None
        report = None if output is None else Path(output)
        generating.refuse_told(wish)
        told = {"parameters": measuring.alike(wish.parameters, wish.typed), "asked": asked}
        return measuring.measure(printer, model, items, output=report, **told, **wishes)
    _refuse_idle()
    place = None if output is None else outputs.target(output)
    alone = not given and sys.stdin is not None and sys.stdin.isatty()
    if alone and (printer.json or place is not None):
        raise UsageError("there is no input", hint=f'gpux run {model} "your text"')
    with Watch(printer) as watch:
        loaded = gpux.load(model, progress=watch, **wishes)
    with loaded:
        printer.detail(f"runs on {loaded.placement}; {loaded.plan.reason}")
        if len(loaded.session.parts) > 1:
            for name, part in loaded.session.parts.items():
                printer.detail(f"{name} runs on {part.own}; {part.plan.reason}")
        if loaded.plan.note:
            printer.say(f"note: {loaded.plan.note}")
        _warn_partial(printer, loaded)
        generating.check(loaded, wish)
        if alone:
            return _chat(printer, loaded, wish, model)
        found = Inputs(Takes.of(loaded), inputs, typed, files)
        return _answer(printer, loaded, found, place, wish, fail_fast=fail_fast)


def _answer(
    printer: Printer,
    loaded: gpux.Model,
    found: Inputs,
    place: outputs.Target | None,
    wish: generating.Wish,
    *,
    fail_fast: bool,
) -> int:
    if generating.emits(loaded):
        return generating.answer(printer, loaded, found, place=place, wish=wish, fail_fast=fail_fast)
    told = {"fail_fast": fail_fast, **wish.parameters}
    return answering.answer(
        printer, loaded, found, place=place, answers=lambda items, n: loaded.stream(items, window=n, **told)
    )


def _chat(printer: Printer, loaded: gpux.Model, wish: generating.Wish, model: str) -> int:
    if not generating.emits(loaded) or loaded.pipeline.files:
        raise UsageError("there is no input", hint=f'gpux run {model} "your text"')
    from gpux.cli import chatting

    return chatting.chat(printer, loaded, wish)


def _typed(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def _refuse_idle() -> None:
    context = click.get_current_context()
    for name in measuring.NAMES:
        if name != "seed" and _typed(name):
            option = next(o.opts[0] for o in context.command.params if o.name == name)
            raise UsageError(
                f"`{option}` says how to measure, and nothing is measured", hint="add --benchmark"
            )


def _warn_partial(printer: Printer, loaded: gpux.Model) -> None:
    placement = loaded.placement
    if placement.share < 1:
        printer.say(
            f"note: {placement.provider} took {placement.share:.0%} of the graph; {', '.join(placement.left_behind)} ran elsewhere"
            "\n\nhint: --strict makes that an error"
        )
