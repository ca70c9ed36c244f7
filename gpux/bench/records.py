"""Frozen dataclasses → JSON values, and back by their type hints, strictly: a missing, unknown or ill-typed field is named.

Columns (a series' fields of equal length) are checked where a record says that it is one, by ``__len__``.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")

WHOLE = 1 << 63
"""Whole numbers lie below, and at or above its negative."""

DEEPEST = 50
"""Lists and objects in one another, where a field takes any value."""


class Mismatch(Exception):
    """A value that is not what its field holds; the message names the field."""


def encode(record: Any) -> Any:
    """What ``json.dumps`` takes for a record: ``dataclasses.asdict`` without its copy of every number."""
    if is_dataclass(record):
        return {field.name: encode(getattr(record, field.name)) for field in fields(record)}
    if isinstance(record, dict):
        return {key: encode(value) for key, value in record.items()}
    if isinstance(record, tuple | list):
        plain = not record or isinstance(record[0], int | float | str)
        return list(record) if plain else [encode(value) for value in record]
    return record


def decode(kind: type[Record], raw: Any, where: str = "") -> Record:
    """Build a dataclass from what ``json.loads`` gave for ``dataclasses.asdict`` of it.

    Raises:
        Mismatch: A field is missing, unknown, or of another type; numbers must be finite.
    """
    if not isinstance(raw, dict):
        raise Mismatch(f"`{where or kind.__name__}` is no object")
    assert is_dataclass(kind)  # noqa: S101 - a mistake of ours, never of a file
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    for name in raw:
        if name not in names:
            raise Mismatch(f"`{_join(where, name)}` is unknown")
    for name in names:
        if name not in raw:
            raise Mismatch(f"`{_join(where, name)}` is missing")
    record = kind(**{name: _value(hints[name], raw[name], _join(where, name)) for name in names})
    if hasattr(kind, "__len__"):
        _check_columns(record, where)
    return record


def _check_columns(record: Any, where: str) -> None:
    """Every column of a series has an entry per run, or none at all."""
    for field in fields(record):
        value = getattr(record, field.name)
        for column in value.values() if isinstance(value, dict) else (value,):
            optional = field.default is not MISSING or field.default_factory is not MISSING
            if len(column) != len(record) and (column or not optional):
                raise Mismatch(f"the columns of `{where}` differ in length")


def _value(hint: Any, raw: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        _check_any(raw, where)
        return raw
    if origin in (Union, types.UnionType):
        wanted = next(argument for argument in arguments if argument is not type(None))
        return None if raw is None else _value(wanted, raw, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return decode(hint, raw, where)
    value: Any = None
    if origin is tuple and isinstance(raw, list):
        if Ellipsis not in arguments and len(raw) != len(arguments):
            raise Mismatch(f"`{where}` has {len(raw)} entries, not {len(arguments)}")
        value = _column(arguments[0], raw)
        if value is not None:
            return value
        value = tuple(_value(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(raw))
    elif origin is dict and isinstance(raw, dict):
        value = {key: _value(arguments[1], item, _join(where, key)) for key, item in raw.items()}
    elif hint in _PLAIN:
        value = _PLAIN[hint](raw)
    if value is None:
        raise Mismatch(f"`{where}` is {_short(raw)}, not {_name(hint)}")
    return value


def _column(kind: type, raw: list[Any]) -> tuple[Any, ...] | None:
    """A long list of numbers at once; ``None`` where one of them is none of this kind, which is then looked for."""
    allowed = (float, int) if kind is float else (int,) if kind is int else ()
    if not allowed or not all(type(item) in allowed for item in raw):
        return None
    try:
        found = tuple(map(kind, raw))
        # A float may be larger; whether it was written as a whole number is then looked for.
        plain = all(map(math.isfinite, found)) and (not found or -WHOLE <= min(found) <= max(found) < WHOLE)
    except OverflowError:
        return None
    return found if plain else None


def _number(raw: Any) -> float | None:
    if isinstance(raw, float):
        return raw if math.isfinite(raw) else None
    whole = _whole(raw)
    return None if whole is None else float(whole)


def _whole(raw: Any) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and -WHOLE <= raw < WHOLE else None


def _check_any(raw: Any, where: str, depth: int = 0) -> None:
    """A value of any kind: its numbers are finite and fit 64 bits too, and it is not nested without end."""
    if depth > DEEPEST:
        raise Mismatch(f"`{where}` is nested more than {DEEPEST} deep")
    if isinstance(raw, dict):
        for name, inner in raw.items():
            _check_any(inner, _join(where, name), depth + 1)
    elif isinstance(raw, list):
        for index, inner in enumerate(raw):
            _check_any(inner, f"{where}[{index}]", depth + 1)
    elif isinstance(raw, int | float) and not isinstance(raw, bool) and _number(raw) is None:
        raise Mismatch(f"`{where}` is {_short(raw)}, no finite number of 64 bits")


_PLAIN: dict[Any, Callable[[Any], Any]] = {
    float: _number,
    int: _whole,
    str: lambda raw: raw if isinstance(raw, str) else None,
    bool: lambda raw: raw if isinstance(raw, bool) else None,
}


def _name(hint: Any) -> str:
    origin = get_origin(hint)
    return {
        float: "a finite number",
        int: "a whole number of 64 bits",
        str: "a text",
        bool: "true or false",
    }.get(hint) or ("a list" if origin is tuple else "an object")


def _short(raw: Any) -> str:
    text = repr(raw)
    return f"`{text if len(text) <= 40 else text[:37] + '…'}`"


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
