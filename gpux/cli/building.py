"""``gpux build`` and ``gpux init``: a model of one's own on its way into the store."""

from __future__ import annotations

from pathlib import Path

import click

import gpux
from gpux.cli import models
from gpux.cli.options import examples, talk
from gpux.cli.printer import Printer
from gpux.cli.progress import Watch


@click.command("build", epilog=examples("gpux build", "gpux build ./my-model --force --no-tune"))
@click.argument("directory", type=click.Path(path_type=Path), default=Path(), metavar="[DIR]")
@click.option("--force", is_flag=True, help="Prove and store again, even if nothing changed.")
@click.option("--no-tune", is_flag=True, help="Leave out the short race of the providers that work here.")
@talk
def build_command(printer: Printer, directory: Path, *, force: bool, no_tune: bool) -> None:
    """Prove and store a model of your own, under the name that its gpux.yml gives.

    DIR holds gpux.yml and ONNX files; the current folder when it is not given. The proof is that of every model without a
    framework behind it: the graph is held to its own answers, to single rows and to whole batches of several sizes.
    """
    with Watch(printer) as watch:
        artifact = gpux.build(directory, force=force, progress=watch)
        # A race would choose what the file's own provider stands before.
        named = (artifact.read_json("gpux.json").get("runtime") or {}).get("provider")
        race = models.race_once(printer, artifact, watch, no_tune=no_tune or bool(named))
    models.tell(printer, artifact, watch, race)


@click.command(
    "init", epilog=examples("gpux init ./model.onnx", "gpux init ./model.onnx --task image-classification")
)
@click.argument("graph", type=click.Path(path_type=Path))
@click.option("--task", metavar="T", help="The task that it answers; raw when not given.")
@click.option("--force", is_flag=True, help="Replace a gpux.yml that is there.")
@talk
def init_command(printer: Printer, graph: Path, *, task: str | None, force: bool) -> None:
    """Write a commented gpux.yml beside an ONNX file, with the inputs and outputs that it declares."""
    path = gpux.write_blueprint(graph, task=task, force=force)
    if printer.json:
        printer.record({"path": path})
        return
    printer.lines([str(path)])
    printer.say(f"next      edit it, then gpux build {path.parent}")
