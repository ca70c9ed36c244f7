"""``gpux exporter``: conversion toolchains in environments of their own, so that the running one needs no torch."""

from __future__ import annotations

import click

import gpux
from gpux.cli.options import examples, talk
from gpux.cli.printer import Printer
from gpux.cli.progress import Watch


@click.group("exporter", epilog=examples("gpux exporter list", "gpux exporter install transformers"))
def exporter_command() -> None:
    """List and install conversion toolchains."""


@exporter_command.command("list", epilog=examples("gpux exporter list", "gpux exporter list --json"))
@talk
def list_command(printer: Printer) -> None:
    """Show the toolchains: where each is installed, and what it converts."""
    found = gpux.exporters()
    if printer.json:
        printer.record(found)
        return
    rows = [(i.toolchain, i.place, i.python or i.hint or "", i.covers) for i in found]
    printer.table(("exporter", "installed in", "interpreter", "converts"), rows)


@exporter_command.command(
    "install",
    epilog=examples("gpux exporter install transformers", "gpux exporter install transformers --quiet"),
)
@click.argument("name")
@talk
def install_command(printer: Printer, name: str) -> None:
    """Make an environment under GPUX_HOME and install a toolchain there with pip and its settings."""
    with Watch(printer) as watch:
        installation = gpux.install_exporter(name, progress=watch)
    if printer.json:
        printer.record(installation)
    else:
        printer.lines([f"{installation.toolchain} is installed: {installation.python}"])
