"""``gpux tune``: the race on the command line."""

from __future__ import annotations

import shutil
import textwrap
from pathlib import Path

import click

import gpux
from gpux.cli import completing
from gpux.cli.inputs import gather
from gpux.cli.measuring import Duration
from gpux.cli.options import examples, talk
from gpux.cli.printer import Printer, aligned, visible, width
from gpux.cli.progress import Watch
from gpux.errors import UsageError

GOALS = ("latency", "throughput", "memory")


@click.command(
    "tune",
    epilog=examples(
        "gpux tune all-MiniLM-L6-v2",
        "gpux tune all-MiniLM-L6-v2 --goal throughput --budget 2m --output race.json",
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
    "--goal",
    default="latency",
    show_default=True,
    metavar="G",
    shell_complete=completing.one_of(lambda: GOALS),
    help="latency: one item at a time; throughput: many at once; memory: the peak of the process.",
)
@click.option(
    "--quality",
    metavar="Q",
    default="near",
    show_default=True,
    shell_complete=completing.one_of(lambda: ("exact", "near", "any")),
    help="Worst proof that takes part: exact, near, any.",
)
@click.option(
    "--budget",
    type=Duration(),
    default=60.0,
    show_default="60s",
    metavar="T",
    help="How long it may measure: 30s, 2m.",
)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="P",
    shell_complete=completing.one_of(completing.providers),
    help="Only this provider; may be given again.",
)
@click.option(
    "--variant", "variants", multiple=True, metavar="V", help="Only this precision; may be given again."
)
@click.option("--task", metavar="T", help="Another task that the stored graph can answer.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Write the record with every sample to a .json file."
)
@click.option(
    "--forget", is_flag=True, help="Forget what was measured before on this machine, and measure nothing."
)
@click.option(
    "--keep/--no-keep", default=True, help="Whether `auto` follows the winner from then on; it does."
)
@talk
def tune_command(
    printer: Printer,
    model: str,
    inputs: tuple[str, ...],
    *,
    typed: str | None,
    files: tuple[Path, ...],
    goal: str,
    quality: str,
    budget: float,
    providers: tuple[str, ...],
    variants: tuple[str, ...],
    task: str | None,
    output: Path | None,
    forget: bool,
    keep: bool,
) -> None:
    """Measure every proven way to run a model here against each other; `auto` follows the winner from then on.

    Without INPUT, the task's own samples are answered. Each candidate has a process of its own, and they take turns.
    """
    if forget:
        gone = gpux.forget(model)
        if printer.json:
            printer.record({"model": model, "forgotten": gone})
            return
        printer.lines(
            [f"{model}: {'the measured choice is forgotten' if gone else 'nothing was measured here'}"]
        )
        return
    if output is not None and output.suffix != ".json":
        raise UsageError(f"`{output}` does not end in .json", hint=f"--output {output.with_suffix('.json')}")
    given = bool(inputs or files or typed is not None)
    items = gather(model, inputs, typed, files, str) if given else None
    with Watch(printer) as watch:
        race = gpux.tune(
            model,
            items,
            goal=goal,
            quality=quality,
            budget=budget,
            providers=providers,
            variants=variants,
            task=task,
            keep=keep,
            typed=True,
            progress=watch,
        )
    if output is not None:
        race.save(output)
    show(printer, race)


def show(printer: Printer, race: gpux.Race) -> None:
    """The record, as JSON or as a table with the winner in the first row."""
    if printer.json:
        printer.record(race)
        return
    _table(printer, race)
    for entry in race.entries:
        if entry.figure is None and entry.label != race.winner:
            printer.lines(_folded(f"not measured: {entry.label}: {entry.reason}"))
    for one in race.refused:
        if one.variant or printer.verbose:
            who = " ".join(part for part in (one.provider, one.variant, one.settings) if part)
            printer.lines(_folded(f"not in the race: {who}: {one.reason}"))
    if not race.certain:
        printer.say(
            "note: not everything could be told apart in this time; a longer --budget would tell more"
        )
    if race.kept:
        printer.say(f"{race.reference} runs as {race.winner} from now on, where nothing else is asked for")
    else:
        printer.say("nothing was remembered")


def _table(printer: Printer, race: gpux.Race) -> None:
    """A row per candidate with a figure; a few lines each where the terminal is too narrow for that."""
    ran = [entry for entry in race.entries if entry.figure is not None or entry.label == race.winner]
    places = {entry.label: str(place) for place, entry in enumerate(ran, 1)}
    rows = []
    for entry in ran:
        rival = "" if entry.against in {"", race.winner} else places[entry.against]
        rows.append((places[entry.label], entry.label, entry.quality, *race.told(entry, rival)))
    last = "PEAK" if race.unit == "B" else f"PER {race.noun.removesuffix('s').upper()}"
    columns = ("", "CANDIDATE", "PROOF", last, "AGAINST THE FIRST")
    lines = aligned([columns, *(tuple(map(visible, row)) for row in rows)])
    if max(map(width, lines)) > _columns():
        lines = [line for row in rows for line in _stacked(*row)]
    printer.lines(lines)


def _stacked(place: str, label: str, quality: str, told: str, compared: str) -> list[str]:
    said = "; ".join(part for part in (f"proof {quality}", told, compared) if part)
    return [*_folded(f"{place}  {label}"), *_folded(f"   {said}")]


def _folded(text: str) -> list[str]:
    """Lines that the terminal has room for, the later ones indented."""
    return textwrap.wrap(
        visible(text),
        max(_columns(), _NARROWEST),
        subsequent_indent="   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _columns() -> int:
    """The terminal's columns; a pipe has room for anything."""
    return shutil.get_terminal_size((10_000, 24)).columns


_NARROWEST = 40
