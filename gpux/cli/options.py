"""Options that commands share, and the printer that they set up."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from gpux.cli import completing
from gpux.cli.printer import Printer

Command = Callable[..., Any]


def talk(function: Command) -> Command:
    """Give a command ``--json``, ``--quiet`` and ``--verbose``, and pass it the printer that they describe."""

    @click.option(
        "--json", "as_json", is_flag=True, help="Print the record itself, as JSON on standard output."
    )
    @click.option("-q", "--quiet", is_flag=True, help="Print nothing but results and errors.")
    @click.option("-v", "--verbose", is_flag=True, help="Say more about what happens.")
    @wraps(function)
    def command(*args: Any, as_json: bool, quiet: bool, verbose: bool, **kwargs: Any) -> Any:
        return function(Printer(json=as_json, quiet=quiet, verbose=verbose), *args, **kwargs)

    return command


def choice(function: Command) -> Command:
    """Give a command the options that choose what runs."""
    options = (
        click.option(
            "--provider",
            metavar="P",
            shell_complete=completing.one_of(completing.providers),
            help="auto, a provider's name, or its runtime's own name.",
        ),
        click.option(
            "--variant",
            metavar="V",
            help="A stored precision: fp32, fp16, int8, q4 …",
        ),
        click.option(
            "--quality",
            metavar="Q",
            default="near",
            shell_complete=completing.one_of(lambda: ("exact", "near", "any")),
            show_default=True,
            help="Worst proof that auto may take: exact, near, any.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def fetching(function: Command) -> Command:
    """Give a command the options that say how a model is fetched and converted."""
    options = (
        click.option(
            "--task",
            metavar="T",
            help="The task, where the model's files do not say it.",
        ),
        click.option(
            "--exporter",
            metavar="NAME",
            shell_complete=completing.one_of(lambda: ("ready", "transformers", "optimum", "genai")),
            help="The conversion route: ready, transformers, optimum or genai.",
        ),
        click.option("--revision", metavar="R", help="A Hub branch, tag or commit, or a package version."),
        click.option("--token", metavar="T", help="A Hub token; the logged-in one when not given."),
        click.option("--offline", is_flag=True, default=None, help="Keep off the network."),
        click.option("--allow-pickle", is_flag=True, help="Accept pickled weights, which can run code."),
        click.option(
            "--trust-remote-code", is_flag=True, help="Run code from the model's repository in the worker."
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def examples(*lines: str) -> str:
    """The ``Examples`` block below a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
