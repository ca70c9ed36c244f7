"""The options that say what is run and on what: a model, its inputs, provider, variant, parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gpux.cli import completing
from gpux.cli.options import choice
from gpux.errors import UsageError


def read_options(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Settings of a provider from texts such as ``precision=bf16``."""
    del context, parameter
    found = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"`{text}` sets nothing", hint="write it like --option precision=bf16")
        found[name.strip()] = value.strip()
    return found


_ASKING = (
    click.argument("model", shell_complete=completing.models),
    click.argument("inputs", nargs=-1, metavar="[INPUT]…"),
    click.option(
        "--input",
        "typed",
        metavar="JSON|@FILE|-",
        help="Inputs as JSON, from a .json, .jsonl, .csv, .txt, .npz or .npy file, or from standard input.",
    ),
    click.option(
        "--file",
        "files",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A file as one input, or those of a folder or a pattern; may be given again.",
    ),
    click.option(
        "--task",
        metavar="T",
        help="Another task that the stored graph can answer.",
    ),
    click.option(
        "--threads",
        type=int,
        metavar="N",
        help="Threads inside an operator; the cores allowed when not given.",
    ),
    click.option(
        "--option",
        "options",
        multiple=True,
        metavar="K=V",
        callback=read_options,
        help="A setting of the named provider, such as precision=bf16; may be given again.",
    ),
    click.option(
        "--strict", is_flag=True, help="Fail if any part of the graph runs elsewhere than on the provider."
    ),
    click.option(
        "-p",
        "--param",
        "params",
        multiple=True,
        metavar="K=V",
        help="A parameter of the task, such as top_k=3; may be given again.",
    ),
    click.option(
        "--output",
        type=click.Path(),
        help="Write the answers to a .json, .jsonl, .csv or .npz file, to a folder/, or one as a .png or .jpg where they are "
        "pictures; with --benchmark, the report to .json, .csv, .md, .html or .txt.",
    ),
    click.option("--token", metavar="T", help="A Hub token, should the model have to be pulled."),
    click.option("--offline", is_flag=True, default=None, help="Keep off the network."),
)


def asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the model, its inputs and everything else that says what is run."""
    for option in reversed(_ASKING):
        function = option(function)
    return choice(function)


def read_parameters(params: tuple[str, ...]) -> dict[str, Any]:
    """The task's own parameters from ``--param K=V``: JSON where it is some, else text.

    Raises:
        UsageError: One of them has no ``=``.
    """
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
