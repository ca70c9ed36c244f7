"""Files of inputs, read as they are needed: JSON, JSON lines, CSV, lines, arrays, whole texts. What cannot be read is an item too."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from gpux.cli.items import Item, Takes, files
from gpux.errors import InvalidInput

EXAMPLE = 'write --input \'["a text", "another"]\''
Reader = Callable[[Path, Takes], Iterator[Item]]

_CELL = 1 << 30  # characters of a cell, where the csv module has 128 Ki


def inputs_file(path: Path, takes: Takes) -> Iterable[Item]:
    """What ``--input @FILE`` holds, by its ending; JSON where it is another. A list where the file can only be read whole."""
    rows: dict[str, Reader] = {".jsonl": _json_lines, ".csv": _table, ".tsv": _table, ".txt": _lines}
    whole: dict[str, Reader] = {".npy": _arrays, ".npz": _arrays}
    ending = path.suffix.lower()
    if ending in rows:
        return _read(rows[ending], path, takes)
    return list(_read(whole.get(ending, _document), path, takes))


def _read(reader: Reader, path: Path, takes: Takes) -> Iterator[Item]:
    try:
        yield from reader(path, takes)
    except OSError as error:
        yield Item(str(path), _unreadable(path, error))


def text_files(text: str, takes: Takes) -> Iterator[Item]:
    """Whole files as texts: one, those of a folder, or those of a pattern."""
    found = files(text)
    if found is not None and not found:
        yield Item(text, InvalidInput(f"`{text}` holds no files", hint="check the path", path=text))
    for name in [text] if found is None else found:
        path = Path(name)
        try:
            yield Item(name, decoded(path.read_bytes(), f"`{name}`", takes))
        except (OSError, ValueError) as error:
            yield Item(name, _unreadable(path, error))


def typed(text: str) -> list[Any]:
    """The inputs of ``--input JSON``.

    Raises:
        InvalidInput: It is no JSON.
    """
    return _list(_json(text, "--input"))


def decoded(content: bytes, where: str, takes: Takes) -> str | InvalidInput:
    """Bytes as UTF-8 text, or what says that they are none."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        found = f"byte {error.start} is {content[error.start]:#04x}"
        if b"\0" in content[:4096] or content.startswith((b"\xff\xd8", b"\x89PNG")):
            return InvalidInput(
                f"{where} is no UTF-8 text: {found}; {takes.task} takes {takes.noun}", hint=takes.example
            )
        return InvalidInput(
            f"{where} is no UTF-8 text: {found}",
            hint=f"convert it to UTF-8 first, with iconv for example; {takes.task} takes {takes.noun}",
        )


def _unreadable(path: Path, error: Exception) -> InvalidInput:
    reason = getattr(error, "strerror", None) or error
    return InvalidInput(f"`{path}` cannot be read: {reason}", hint="check the path", path=path)


def _document(path: Path, takes: Takes) -> Iterator[Item]:
    text = decoded(path.read_bytes(), f"`{path}`", takes)
    if isinstance(text, InvalidInput):
        yield Item(str(path), text)
        return
    try:
        values = _list(_json(text, f"`{path}`"))
    except InvalidInput as error:
        yield Item(str(path), error)
        return
    for number, value in enumerate(values, 1):
        yield Item(f"input {number} of {path}", value)


def _json_lines(path: Path, takes: Takes) -> Iterator[Item]:
    for name, text in _numbered(path, takes):
        if isinstance(text, InvalidInput):
            yield Item(name, text)
            continue
        try:
            yield Item(name, _json(text, name))
        except InvalidInput as error:
            yield Item(name, error)


def _lines(path: Path, takes: Takes) -> Iterator[Item]:
    for name, text in _numbered(path, takes):
        if isinstance(text, InvalidInput):
            yield Item(name, text)
        else:
            yield from takes.line(text, name)


def _numbered(path: Path, takes: Takes) -> Iterator[tuple[str, str | InvalidInput]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            name = f"line {number} of {path}"
            text = decoded(line.rstrip(b"\r\n"), name, takes)
            if isinstance(text, InvalidInput) or text.strip():
                yield name, text


def _table(path: Path, takes: Takes) -> Iterator[Item]:
    """Rows under a header: mappings, or the one column."""
    csv.field_size_limit(_CELL)
    # What is no UTF-8 becomes half surrogate pairs, and fails with its row instead of ending the file.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        header: list[str] | None = None
        while True:
            name = f"line {rows.line_num + 1} of {path}"
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Item(
                    name, InvalidInput(f"{name} is no CSV: {error}", hint="write it again as UTF-8 CSV")
                )
                continue
            if not row:
                continue
            if header is None:
                header = row
                continue
            yield from _row(row, header, name, takes)


def _row(row: list[str], header: list[str], name: str, takes: Takes) -> Iterator[Item]:
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        said = f"{name} is no UTF-8 text"
        yield Item(name, InvalidInput(said, hint="convert the file to UTF-8 first, with iconv for example"))
        return
    if len(row) != len(header):
        said = f"{name} has {len(row)} cells, and the header {len(header)}"
        yield Item(name, InvalidInput(said, hint="put a cell with a comma in it between double quotes"))
    elif len(header) > 1:
        yield Item(name, dict(zip(header, row, strict=True)))
    else:
        yield from takes.line(row[0], name)


def _arrays(path: Path, takes: Takes) -> Iterator[Item]:
    """All arrays of a ``.npz`` by name as one input; the array of a ``.npy``."""
    del takes
    import zipfile

    import numpy as np

    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            yield Item(str(path), loaded)
            return
        with loaded:
            yield Item(str(path), {name: loaded[name] for name in loaded.files})
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        said = f"`{path}` holds no arrays that can be read: {error}"
        yield Item(str(path), InvalidInput(said, hint="write it with numpy.savez or numpy.save", path=path))


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        # Within a line of a file, the line that JSON counts is always the first.
        reason = (
            f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
        )
        raise InvalidInput(f"{where} is no JSON: {reason}", hint=EXAMPLE) from error


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
