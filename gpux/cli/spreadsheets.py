"""Answers as CSV (RFC 4180): the columns of the task's table behind the input, or a column per dimension of a vector."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import gpux
from gpux.cli.items import Item
from gpux.cli.sinks import Lines, dumped
from gpux.errors import GpuxError, UsageError

Row = tuple[Any, ...]


class Rows(Lines):
    """A ``.csv`` file; values stand as they are, whatever a spreadsheet makes of them."""

    def __init__(self, path: Path, model: gpux.Model) -> None:
        super().__init__(path)
        self._pipeline = model.pipeline
        self._columns: Row | None = None

    def add(self, item: Item, answer: Any) -> None:
        """Take an answer."""
        columns, rows = self._rows(item, answer)
        if self._columns is None:
            self._columns = columns
            self._write(("input", *columns))
        elif columns != self._columns:
            raise UsageError(
                f"the answer to {item.name} has other columns than those before it",
                hint=f"write --output {self._file.path.stem}.jsonl",
                path=self._file.path,
            )
        value = item.value if isinstance(item.value, str) else dumped(item.value)
        for row in rows or [("",) * len(columns)]:
            self._write((value, *row))

    def fail(self, item: Item, error: GpuxError) -> None:
        """A failure is told at the terminal: a row has no place for it."""

    def _rows(self, item: Item, answer: Any) -> tuple[Row, list[Row]]:
        if getattr(answer, "ndim", None) == 1:
            values = answer.tolist()
            return tuple(map(str, range(len(values)))), [tuple(values)]
        table = self._pipeline.table([item.value], [answer])
        return table.columns, list(table.rows)

    def _write(self, row: Row) -> None:
        csv.writer(self._file).writerow(row)
