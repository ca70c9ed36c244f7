"""The JSON Schema of a ``gpux.yml``, from the records' own hints and docstrings; checks no file itself.

What it cannot say: that keys stand once, that files exist, and what one key asks of another.
"""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from gpux.blueprint.records import Among, Blueprint, Counted, Shaped, Within

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAME = "gpux-yml.schema.json"
"""The published file."""

_PLAIN = {float: "number", int: "integer", str: "string", bool: "boolean"}
_ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a ``gpux.yml``."""
    return {
        "$schema": DIALECT,
        "$id": "urn:gpux:gpux-yml",
        "title": "gpux.yml",
        "$comment": "Written by scripts/generate_schema from the records of gpux.blueprint.",
        **_record(Blueprint),
    }


def _record(record: type[Any]) -> dict[str, Any]:
    text = inspect.getdoc(record) or ""
    head, _, section = text.partition("\nAttributes:\n")
    said = {name: _line(words) for name, words in _ENTRY.findall(section)}
    hints = get_type_hints(record, include_extras=True)
    return {
        "type": "object",
        "description": _line(head.strip().partition("\n\n")[0]),
        "properties": {
            field.name: {"description": said[field.name], **_or_nothing(_value(hints[field.name]))}
            for field in fields(record)
        },
        "additionalProperties": False,
    }


def _or_nothing(value: dict[str, Any]) -> dict[str, Any]:
    """A key without a value is as if it were not there."""
    kinds = value.get("type")
    if kinds is None:
        return value
    return {**value, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


def _value(hint: Any) -> dict[str, Any]:
    rules: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *extra = get_args(hint)
        rules = tuple(extra)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        options = [_value(one) for one in arguments if one is not type(None)]
        return {"anyOf": [*options, *([{"type": "null"}] if type(None) in arguments else [])]}
    if isinstance(hint, type) and is_dataclass(hint):
        return _record(hint)
    if origin is tuple:
        counted = {}
        for rule in rules:
            if isinstance(rule, Counted):
                counted = {"minItems": rule.least, "maxItems": rule.most}
        return {"type": "array", "items": _value(arguments[0]), **counted}
    if origin is dict:
        values = _or_nothing(_value(arguments[1]))
        return {"type": "object", **_keys(arguments[0]), "additionalProperties": values}
    found: dict[str, Any] = {"type": _PLAIN[hint]}
    if hint is str and not rules:
        found = {"type": ["string", "number", "boolean"]}  # a text may be written without quotes
    for rule in rules:
        found |= _bounds(rule)
    return found


def _keys(hint: Any) -> dict[str, Any]:
    """What a mapping's keys may be; in JSON they are texts."""
    base, *rules = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if base is int:
        return {"propertyNames": {"pattern": "^[0-9]{1,8}$"}}
    return {"propertyNames": _bounds(rules[0])} if rules else {}


def _bounds(rule: Any) -> dict[str, Any]:
    if isinstance(rule, Among):
        return {"enum": list(rule.names)}
    if isinstance(rule, Within):
        return {"minimum": rule.least, "maximum": rule.most}
    if isinstance(rule, Shaped):
        return {"pattern": f"^(?:{rule.pattern})$"}
    return {}


def _line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
