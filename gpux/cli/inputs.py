"""What a command is given to work on: arguments, ``--input``, ``--file`` and standard input → items; knows no task.

What the task takes, and how it reads a typed line, comes in as a record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import gpux
from gpux.cli import reading
from gpux.cli.items import Item, Parse, Takes
from gpux.cli.items import files as found_files
from gpux.cli.standard_input import Lines
from gpux.errors import GpuxError, InvalidInput


class Inputs:
    """Every item, in the order of arguments, ``--input`` and files; lines of standard input where there is none of them.

    Args:
        takes: What the task takes.
        inputs: The arguments.
        typed: ``--input``.
        files: ``--file``.

    Attributes:
        live: Whether they come from standard input, as they are written.
        total: How many there are, ``None`` where that is not known before they were read.

    Raises:
        InvalidInput: ``--input`` is no JSON.
    """

    def __init__(
        self, takes: Takes, inputs: tuple[str, ...], typed: str | None, files: tuple[Path, ...]
    ) -> None:
        self.takes = takes
        self.live = typed == "-" or not (inputs or files or typed is not None)
        self._typed = typed
        before: list[Iterable[Item]] = []
        if takes.together is not None and inputs:
            before.append(takes.typed(inputs))
        elif takes.files:
            before += [list(takes.line(text, f"input {n}")) for n, text in enumerate(inputs, 1)]
        elif inputs:
            before.append(
                [item for n, text in enumerate(inputs, 1) for item in takes.line(text, f"input {n}")]
            )
        if typed is not None and typed.startswith("@"):
            before.append(reading.inputs_file(Path(typed[1:]), takes))
        elif typed is not None and typed != "-":
            values = enumerate(reading.typed(typed), len(inputs) + 1)
            before.append([Item(f"input {n}", value) for n, value in values])
        whole = [str(path) for path in files]
        after: list[Iterable[Item]] = (
            [list(takes.paths(path, path)) for path in whole]
            if takes.files
            else [reading.text_files(path, takes) for path in whole]
        )
        self._before, self._after = before, after
        known = [len(part) for part in (*before, *after) if isinstance(part, list)]
        sized = not self.live and len(known) == len(before) + len(after)
        self.total = sum(known) if sized else None

    def blocks(self) -> Iterator[Iterable[Item]]:
        """Items that follow each other without waiting for anybody; to be taken one block after the other."""
        if not self.live:
            yield chain(*self._before, *self._after)
            return
        if self._before:
            yield chain(*self._before)
        yield from Lines(self.takes).blocks()
        if self._after:
            yield chain(*self._after)

    def nothing(self) -> InvalidInput:
        """What to say where there was no item at all."""
        if self.live:
            return InvalidInput("standard input was empty", hint=self.takes.example)
        where = (
            "--input" if self._typed is None or not self._typed.startswith("@") else f"`{self._typed[1:]}`"
        )
        return InvalidInput(f"{where} holds no inputs", hint=reading.EXAMPLE)


def gather(
    model: str, inputs: tuple[str, ...], typed: str | None, files: tuple[Path, ...], parse: Parse
) -> list[Any]:
    """The values of all items at once, for commands that measure.

    Raises:
        InvalidInput: A file cannot be read or is no text, JSON is none, or there is nothing at all.
    """
    takes = Takes(parse, model=model)
    if files or any(found_files(text) is not None for text in inputs):
        takes = _stored(model, takes)
    given = Inputs(takes, inputs, typed, files)
    values = [item.value for block in given.blocks() for item in block]
    for value in values:
        if isinstance(value, GpuxError):
            raise value
    if not values:
        raise given.nothing()
    return values


def _stored(model: str, takes: Takes) -> Takes:
    """What the task of a stored model takes, where what was typed may be a file or a text that is called like one."""
    if gpux.Store().find(model) is None:
        return takes
    with gpux.load(model, provider="null") as loaded:
        known = Takes.of(loaded)
    return replace(known, parse=takes.parse)
