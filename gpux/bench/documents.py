"""Records → JSON documents with a kind and a schema, and strictly back; knows no record by name."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from gpux.bench.records import Mismatch, decode, encode
from gpux.errors import InvalidInput, StoreUnwritable

SCHEMA = 4
REPORT = "gpux benchmark"
SUITE = "gpux benchmark suite"

LARGEST = 1 << 30
"""Bytes of a document that is read."""

Document = TypeVar("Document")

_HALVES = re.compile("[\ud800-\udfff]")
_LONGEST = 300
_HINT = "make one with gpux run MODEL --benchmark --output FILE.json"


def dump(record: Any, kind: str) -> str:
    """JSON text of a record: one line per top-level field, so that a difference of two documents can be read.

    A name of a file may hold bytes that are no text; they are written as the escapes that one would type.
    """
    fields = {"kind": kind, **encode(record)}
    lines = [
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(',', ':'))}"
        for name, value in fields.items()
    ]
    return _writable("{\n" + ",\n".join(lines) + "\n}\n")


def plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON gives them back; what JSON lacks becomes text."""

    def whole(text: str) -> int | str:
        return int(text) if len(text) < 19 else text  # 64 bits, as every reader of JSON takes them

    found: dict[str, Any] = json.loads(json.dumps(dict(parameters), default=str), parse_int=whole)
    return found


def parse(data: str | bytes, kinds: Mapping[str, type[Document]]) -> Document:
    """Read :func:`dump`'s text as one of several kinds of record.

    Raises:
        InvalidInput: The text is none of them, or of another schema; the message names what is wrong.
    """
    try:
        text = data if isinstance(data, str) else data.decode(json.detect_encoding(data))
        raw = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"this is no benchmark report: {error}", hint=_HINT) from error
    kind = kinds.get(str(raw.get("kind"))) if isinstance(raw, dict) else None
    if kind is None:
        wanted = " or ".join(f'"kind": "{name}"' for name in kinds)
        raise InvalidInput(f"this is no benchmark report: it lacks `{wanted}`", hint=_HINT)
    if raw.get("schema") != SCHEMA:
        found = raw.get("schema")
        newer = isinstance(found, int) and found > SCHEMA
        raise InvalidInput(
            f"this report has schema {repr(found)[:40]}, this version of gpux reads {SCHEMA}",
            hint="pip install --upgrade gpux" if newer else _HINT,
            schema=repr(found)[:40],
        )
    try:
        record = decode(kind, {name: value for name, value in raw.items() if name != "kind"})
    except Mismatch as error:
        raise _damaged(str(error)) from error
    except RecursionError as error:
        raise _damaged("it is nested too deeply") from error
    return record


def sound(record: Document, flaws: Callable[[Document], Iterable[str]]) -> Document:
    """The record, if each of its figures can be and it has no flaw.

    Raises:
        InvalidInput: One cannot be, or it has a flaw; the message is the first.
    """
    from gpux.bench.soundness import impossible

    for find in (impossible, flaws):
        for flaw in find(record):
            raise _damaged(flaw)
    return record


def read(
    path: Path | str, kinds: Mapping[str, type[Document]], flaws: Callable[[Document], Iterable[str]]
) -> Document:
    """Read one of several kinds of record without a flaw from a file.

    Raises:
        InvalidInput: The file cannot be read, is none of them, or is no file but a directory, a device or a pipe.
    """
    try:
        data = _data(Path(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"`{path}` cannot be read: {reason}", hint="check the path", path=path) from error
    try:
        return sound(parse(data, kinds), flaws)
    except InvalidInput as error:
        raise InvalidInput(f"`{path}`: {error.message}", hint=error.hint, path=path) from error


def write(path: Path | str, text: str) -> None:
    """Write a document: a reader sees the old file or the new one, never half of it.

    Raises:
        StoreUnwritable: The file cannot be written.
    """
    target = Path(path)
    try:
        _write(target, text)
    except OSError as error:
        raise StoreUnwritable(
            f"the report cannot be written to `{target}`: {error.strerror or error}",
            hint="give --output a path in a directory that exists and that you may write to",
            path=target,
        ) from error


def _data(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file")
    with path.open("rb") as stream:
        data = stream.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ValueError("it has more than 1 GiB, and no report has")
    return data


def _damaged(flaw: str) -> InvalidInput:
    text = _writable(flaw)
    return InvalidInput(
        f"this benchmark report is damaged: {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}",
        hint=_HINT,
    )


def _writable(text: str) -> str:
    """The text with its halves of characters, which no encoding takes, as JSON's escapes of them, escaped."""
    return text if text.isascii() else _HALVES.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _write(target: Path, text: str) -> None:
    if target.exists() and not target.is_file() and not target.is_dir():
        # A pipe or a device takes the text as it comes; replacing it would destroy it.
        target.write_text(text, encoding="utf-8")
        return
    target = target.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
