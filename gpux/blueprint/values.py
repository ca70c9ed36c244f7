"""Nodes → records, by the records' own type hints; every value that does not fit is told with its line and the closest key."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from gpux.blueprint.nodes import Node
from gpux.blueprint.records import Among, Counted, Shaped, Within
from gpux.errors import InvalidBlueprint

Record = TypeVar("Record")

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_KINDS = {"list": "a list", "mapping": "a mapping", "nothing": "nothing"}


def record(kind: type[Record], node: Node, *, key: str = "", lines: dict[str, int] | None = None) -> Record:
    """A record from a mapping; what it does not say is as the record's defaults say.

    Args:
        kind: The record's class.
        node: The mapping.
        key: The key that it stands under, with dots.
        lines: Filled with the line of each key.

    Raises:
        InvalidBlueprint: A key is unknown, or a value is of another type or out of its bounds.
    """
    lines = {} if lines is None else lines
    if node.kind != "mapping":
        raise _wrong(node, key or "the file", "keys and values")
    hints = get_type_hints(kind, include_extras=True)
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]  # a dataclass
    found: dict[str, Any] = {}
    for name, value in node.entries:
        if name.text not in known:
            raise _unknown(name, known, key)
        whole = f"{key}.{name.text}" if key else name.text
        lines[whole] = name.place.line
        if value.kind != "nothing":
            found[name.text] = _value(value, hints[name.text], whole, lines)
    return kind(**found)


def _unknown(name: Node, known: Sequence[str], key: str) -> InvalidBlueprint:
    close = difflib.get_close_matches(name.text, known, n=1, cutoff=0.5)
    under = f" under `{key}`" if key else ""
    return name.place.error(
        f"unknown key `{name.text[:80]}`{under}",
        hint=f"did you mean `{close[0]}`" if close else f"keys are {', '.join(known)}",
        key=name.text[:80],
    )


def _value(node: Node, hint: Any, key: str, lines: dict[str, int]) -> Any:
    rules: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *extra = get_args(hint)
        rules = tuple(extra)
    if get_origin(hint) in {Union, types.UnionType}:
        return _one_of(node, [one for one in get_args(hint) if one is not type(None)], key, lines)
    if isinstance(hint, type) and is_dataclass(hint):
        return record(hint, node, key=key, lines=lines)
    if get_origin(hint) is dict:
        return _mapping(node, get_args(hint), key, lines)
    if get_origin(hint) is tuple:
        return _list(node, get_args(hint)[0], rules, key, lines)
    return _scalar(node, hint, rules, key)


def _one_of(node: Node, options: list[Any], key: str, lines: dict[str, int]) -> Any:
    fitting = [option for option in options if _fits(node, option)]
    if not fitting:
        raise _wrong(node, key, " or ".join(dict.fromkeys(map(_said, options))))
    return _value(node, fitting[0], key, lines)


def _fits(node: Node, hint: Any) -> bool:
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    origin = get_origin(hint)
    if origin is tuple:
        return node.kind == "list"
    if origin is dict or (isinstance(hint, type) and is_dataclass(hint)):
        return node.kind == "mapping"
    if hint is bool:
        return node.kind == "flag"
    if hint in {int, float}:  # `1e-2` is text to YAML 1.1
        return node.kind == "number" or (hint is float and bool(_NUMBER.fullmatch(node.text)))
    return node.kind in {"text", "number", "flag"}


def _mapping(node: Node, hints: tuple[Any, ...], key: str, lines: dict[str, int]) -> dict[Any, Any]:
    if node.kind != "mapping":
        raise _wrong(node, key, "a mapping")
    found = {}
    for name, value in node.entries:
        whole = f"{key}.{name.text}"
        lines[whole] = name.place.line
        for rule in get_args(hints[0])[1:]:
            if isinstance(rule, Among) and name.text not in rule.names:
                raise _unknown(name, rule.names, key)
        if value.kind != "nothing":
            found[_value(name, hints[0], whole, lines)] = _value(value, hints[1], whole, lines)
    return found


def _list(node: Node, hint: Any, rules: tuple[Any, ...], key: str, lines: dict[str, int]) -> tuple[Any, ...]:
    if node.kind != "list":
        raise _wrong(node, key, "a list")
    for rule in rules:
        if isinstance(rule, Counted) and not rule.least <= len(node.items) <= rule.most:
            count = str(rule.least) if rule.least == rule.most else f"{rule.least} to {rule.most}"
            raise node.place.error(
                f"`{key}` has {len(node.items)} entries", hint=f"give {count} of them", key=key
            )
    return tuple(_value(item, hint, f"{key}[{place}]", lines) for place, item in enumerate(node.items))


def _scalar(node: Node, hint: Any, rules: tuple[Any, ...], key: str) -> Any:
    value: Any = None
    if node.kind in _KINDS:
        raise _wrong(node, key, _said(hint))
    if hint is str:
        value = node.text
    elif hint is bool and node.kind == "flag":
        value = node.text.lower() in {"true", "yes", "on"}
    elif hint is int and _WHOLE.fullmatch(node.text):
        value = int(node.text)
    elif hint is float and _NUMBER.fullmatch(node.text):
        value = float(node.text)
    if value is None:
        raise _wrong(node, key, _said(hint))
    for rule in rules:
        _hold(node, value, rule, key)
    return value


def _hold(node: Node, value: Any, rule: Any, key: str) -> None:
    if isinstance(rule, Among) and value not in rule.names:
        close = difflib.get_close_matches(value, rule.names, n=1, cutoff=0.5)
        raise node.place.error(
            f"`{key}` is `{value[:80]}`",
            hint=f"did you mean `{close[0]}`" if close else f"use one of {', '.join(rule.names)}",
            key=key,
        )
    if isinstance(rule, Within) and not rule.least <= value <= rule.most:
        raise node.place.error(
            f"`{key}` is {node.text[:40]}",
            hint=f"give a number from {rule.least:g} to {rule.most:g}",
            key=key,
        )
    if isinstance(rule, Shaped) and not re.fullmatch(rule.pattern, value):
        raise node.place.error(f"`{key}` is `{value[:80]}`", hint=f"give {rule.wanted}", key=key)


def _said(hint: Any) -> str:
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    origin = get_origin(hint)
    if origin is tuple:
        return "a list"
    if origin is dict or (isinstance(hint, type) and is_dataclass(hint)):
        return "a mapping"
    words: dict[Any, str] = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    return words[hint]


def _wrong(node: Node, key: str, wanted: str) -> InvalidBlueprint:
    have = _KINDS.get(node.kind) or f"`{node.text[:60]}`"
    return node.place.error(f"`{key}` is {have}", hint=f"give {wanted}", key=key)
