"""Where answers go: a table for a person, the record for ``--json``, a file or a folder for ``--output``; knows no task."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gpux
from gpux.cli.printer import Printer
from gpux.cli.sinks import Document, JsonLines, Sink, Table
from gpux.errors import UsageError

FORMS = (".json", ".jsonl", ".npz", ".csv", ".png", ".jpg")
FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Target:
    """A place for answers that could be written to, as far as can be seen before.

    Attributes:
        path: The file or folder.
        form: One of :data:`FORMS`, or :data:`FOLDER`.
    """

    path: Path
    form: str


def target(text: str) -> Target:
    """Read ``--output``: a folder where it ends like one or is one, else a file by its ending.

    Raises:
        UsageError: As for :func:`check`.
    """
    path = Path(text)
    if text.endswith(tuple(filter(None, ("/", os.sep, os.altsep)))) or path.is_dir():
        if path.exists() and not path.is_dir():
            raise UsageError(f"`{path}` is a file, no folder", hint="choose another --output", path=path)
        _inside(path)
        return Target(path, FOLDER)
    check(path)
    return Target(path, path.suffix)


def check(path: Path, *, forms: Sequence[str] = FORMS) -> None:
    """Refuse a path that could not be written later, before any work is done.

    Raises:
        UsageError: Its ending is none of ``forms``, or its folder is not there.
    """
    if path.suffix not in forms:
        folder = ", nor in / as a folder" if forms is FORMS else ""
        raise UsageError(
            f"`{path}` does not end in {' or '.join(forms)}{folder}",
            hint=f"write --output {path.stem}.json",
            path=path,
        )
    _inside(path)


def _inside(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise UsageError(f"the folder of `{path}` is not there", hint=f"mkdir -p {path.parent}", path=path)


def sink(printer: Printer, model: gpux.Model, place: Target | None, *, live: bool) -> Sink:
    """What takes the answers.

    Args:
        printer: Prints.
        model: Whose answers they are.
        place: Where they go; standard output when ``None``.
        live: Whether somebody waits for each answer, with more inputs to come.

    Raises:
        UsageError: The task's answers cannot be drawn.
    """
    if place is None:
        return Document(model, printer.piece) if printer.json else Table(printer, model, live=live)
    if place.form == ".json":
        return Document.to(place.path, model)
    if place.form == ".jsonl":
        return JsonLines(place.path)
    if place.form == ".csv":
        from gpux.cli.spreadsheets import Rows

        return Rows(place.path, model)
    if place.form == ".npz":
        from gpux.cli.arrays import Arrays

        return Arrays(place.path)
    from gpux.cli.pictures import Folder, Picture

    return Folder(place.path, model) if place.form == FOLDER else Picture(place.path, model)
