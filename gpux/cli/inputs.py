"""What a command is given to work on: arguments, ``--input``, ``--file`` and standard input → items; knows no task.

How a typed line is read is the task's business, and comes in as a function.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpux.errors import InvalidInput

Parse = Callable[[str], Any]


def gather(
    model: str, inputs: tuple[str, ...], typed: str | None, files: tuple[Path, ...], parse: Parse
) -> list[Any]:
    """Every item, in the order of arguments, ``--input`` and files; lines of standard input where there is none of them.

    Raises:
        InvalidInput: A file cannot be read or is no text, JSON is none, or there is nothing at all.
    """
    items = [parse(text) for text in inputs]
    if typed is not None:
        items += _typed(typed, parse)
    items += [_read(path) for path in files]
    if not items and not files and typed in {None, "-"}:
        items = _lines(_stdin(), parse) if typed is None else []
        if not items:
            raise InvalidInput("standard input was empty", hint=f'gpux run {model} "your text"')
    if not items:
        raise InvalidInput("--input holds no inputs", hint='write --input \'["a text", "another"]\'')
    return items


def _typed(text: str, parse: Parse) -> list[Any]:
    if text == "-":
        return _lines(_stdin(), parse)
    if text.startswith("@"):
        path = Path(text[1:])
        content = _read(path)
        if path.suffix == ".jsonl":
            return [
                _json(line, f"{path}, line {n}")
                for n, line in enumerate(content.split("\n"), 1)
                if line.strip()
            ]
        return _list(_json(content, str(path)))
    return _list(_json(text, "--input"))


def _lines(text: str, parse: Parse) -> list[Any]:
    if text.lstrip().startswith(("[", "{")):
        with contextlib.suppress(ValueError, RecursionError):  # lines that happen to begin like JSON
            return _list(json.loads(text))
    return [parse(line) for line in text.splitlines() if line.strip()]


def _stdin() -> str:
    return _decoded(sys.stdin.buffer.read(), "standard input")


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"`{path}` cannot be read: {error.strerror}", hint="check the path", path=path
        ) from error
    return _decoded(content, f"`{path}`")


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{where} is no UTF-8 text: byte {error.start} is {content[error.start]:#04x}",
            hint="convert it to UTF-8 first, with iconv for example",
        ) from error


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{where} is no JSON: {error}", hint='write --input \'["a text", "another"]\''
        ) from error


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
