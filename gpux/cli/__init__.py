"""The ``gpux`` command: a table of commands, each loaded when it is called, and the one map from errors to exits."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from importlib import import_module
from typing import Any

import click

from gpux._version import __version__
from gpux.cli.options import examples
from gpux.cli.printer import Printer, ReaderGone, prepare
from gpux.errors import GpuxError, UsageError

# Command → (module, one line of help). The order is the order of --help.
COMMANDS = {
    "pull": ("models", "Fetch, convert, prove and store a model."),
    "build": ("building", "Prove and store a model of your own: a folder with gpux.yml."),
    "init": ("building", "Write a first gpux.yml for an ONNX file."),
    "run": ("run", "Answer a task, one answer per input; pulls first if needed."),
    "bench": ("bench", "Measure models, compare results, and look back."),
    "list": ("models", "Show the stored models."),
    "show": ("models", "Show one stored model: graphs, proof, files."),
    "rm": ("upkeep", "Remove stored models."),
    "prune": ("upkeep", "Remove what no name points at, and leftovers of crashes."),
    "verify": ("upkeep", "Hash stored models and compare them with their manifests."),
    "df": ("upkeep", "Show what the store takes on disk."),
    "cp": ("upkeep", "Give a stored model another name."),
    "tune": ("tune", "Measure every proven way to run a model here, and remember the best."),
    "why": ("machine", "Show which provider would run a model, and why no other."),
    "providers": ("machine", "Show which providers work here, and what stops the others."),
    "doctor": ("machine", "Find what is wrong on this machine and say what to type."),
    "exporter": ("exporter", "List and install conversion toolchains."),
    "completion": ("machine", "Print the completion script of a shell."),
}
ALIASES = {"ls": "list", "inspect": "show", "remove": "rm"}


class Commands(click.Group):
    """A group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; ``None`` where there is none of that name."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"gpux.cli.{COMMANDS[name][0]}"), f"{name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but a misspelt command is answered with the right one."""
        name = args[0]
        if self.get_command(ctx, name) is None:
            close = difflib.get_close_matches(name, [*COMMANDS, *ALIASES], n=1)
            hint = f"did you mean `gpux {close[0]}`" if close else "gpux --help lists the commands"
            raise UsageError(f"there is no command `{name}`", hint=hint, command=name)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "gpux pull sentence-transformers/all-MiniLM-L6-v2",
        'gpux run all-MiniLM-L6-v2 "A cat sits on the mat" --benchmark',
    ),
)
@click.version_option(__version__, prog_name="gpux")
def cli() -> None:
    """Pull, prove, run and benchmark models on the fastest thing this machine really has."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    if arguments is not None:
        sys.exit(_run(arguments))
    code = _run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    # Python would free models and modules piece by piece, a tenth of a cold run, before the system frees all at once.
    os._exit(code)


def _run(arguments: list[str]) -> int:
    prepare()
    printer = Printer(json="--json" in arguments)
    try:
        outcome: Any = cli.main(args=arguments, prog_name="gpux", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        printer.say(error.format_message())
        return error.exit_code
    except (GpuxError, click.ClickException) as error:
        told = _from_click(error) if isinstance(error, click.ClickException) else error
        if _debugging() and told.details.get("output"):
            printer.say(str(told.details["output"]))
        printer.error(told)
        return told.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        printer.say("stopped")
        return 130
    except ReaderGone:
        return 0
    except Exception as error:  # noqa: BLE001 - the last door: a user never meets a bare traceback
        return _unexpected(printer, error)
    return outcome if isinstance(outcome, int) else 0


def _debugging() -> bool:
    return os.environ.get("GPUX_LOG", "").lower() == "debug"


def _unexpected(printer: Printer, error: Exception) -> int:
    hint = "GPUX_LOG=debug before the same command shows where; that is what a bug report needs"
    if _debugging():
        import traceback

        printer.say("".join(traceback.format_exception(error)))
        hint = "report it with the lines above and the command that you typed"
    lines = str(error).strip().splitlines() or ["without a message"]
    printer.error(
        GpuxError(f"gpux failed in an unexpected way: {type(error).__name__}: {lines[0]}", hint=hint)
    )
    return 1


def _from_click(error: click.ClickException) -> GpuxError:
    if not isinstance(error, click.UsageError):
        return GpuxError(_sentence(error.format_message()))
    path = error.ctx.command_path if error.ctx else "gpux"
    close = getattr(error, "possibilities", None)
    if not close:
        return UsageError(_sentence(error.format_message()), hint=f"{path} --help")
    meant = close[0] if close[0].startswith("-") else f"{path} {close[0]}"
    return UsageError(_sentence(error.message), hint=f"did you mean `{meant}`")


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".").replace("'", "`")
    return text[:1].lower() + text[1:]
