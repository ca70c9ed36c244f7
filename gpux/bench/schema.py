"""JSON Schemas of the benchmark's documents, from the records' own type hints and docstrings; checks no document itself.

What :mod:`gpux.bench.records` reads and what the schema allows is the same, but for what JSON Schema cannot say: columns of
a series have equal lengths, whole numbers are written without a point, and numbers fit 64 bits.
"""

from __future__ import annotations

import inspect
import re
import types
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from gpux.bench import documents
from gpux.bench.report import Report
from gpux.bench.suite import Suite

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS: dict[str, type[Any]] = {documents.REPORT: Report, documents.SUITE: Suite}
"""What a document calls itself → its record."""

_PLAIN = {float: "number", int: "integer", str: "string", bool: "boolean"}
_ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one kind of document.

    Args:
        kind: One of :data:`KINDS`.
    """
    record = KINDS[kind]
    definitions: dict[str, Any] = {}
    body = _record(record, definitions)
    name = file_name(kind).partition(".")[0]
    properties = {"kind": {"const": kind}, **body["properties"]}
    properties["schema"] = {**properties["schema"], "const": documents.SCHEMA}
    return {
        "$schema": DIALECT,
        "$id": f"urn:gpux:{name}",
        "title": kind,
        "$comment": "Written by scripts/generate_schema from the records of gpux.bench.",
        **body,
        "properties": properties,
        "required": ["kind", *body["required"]],
        "$defs": dict(sorted(definitions.items())),
    }


def file_name(kind: str) -> str:
    """The file that holds the schema of a kind: ``benchmark-4.schema.json``."""
    return f"{kind.removeprefix('gpux ').replace(' ', '-')}-{documents.SCHEMA}.schema.json"


def described(record: type[Any]) -> tuple[str, dict[str, str]]:
    """The first paragraph of a record's docstring, and what its ``Attributes`` section says of each field."""
    text = inspect.getdoc(record) or ""
    head, _, section = text.partition("\nAttributes:\n")
    first = _line(head.strip().partition("\n\n")[0])
    return first, {name: _line(words) for name, words in _ENTRY.findall(section)}


def _record(record: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    about, said = described(record)
    hints = get_type_hints(record)
    names = [field.name for field in fields(record)]
    properties = {}
    for name in names:
        words = {"description": said[name]} if name in said else {}
        properties[name] = {**_value(hints[name], definitions), **words}
    return {
        "type": "object",
        "description": about,
        "properties": properties,
        "required": names,
        "additionalProperties": False,
    }


def _value(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if origin in (Union, types.UnionType):
        options = [_value(a, definitions) for a in arguments if a is not type(None)]
        return {"anyOf": [*options, {"type": "null"}]}
    if isinstance(hint, type) and is_dataclass(hint):
        return _reference(hint, definitions)
    if origin is tuple:
        items = {"type": "array", "items": _value(arguments[0], definitions)}
        if arguments[-1] is Ellipsis:
            return items
        return {**items, "minItems": len(arguments), "maxItems": len(arguments)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _value(arguments[1], definitions)}
    return {"type": _PLAIN[hint]}


def _reference(record: type[Any], definitions: dict[str, Any]) -> dict[str, Any]:
    name = record.__name__
    if name not in definitions:
        definitions[name] = {}  # a record that holds itself must not be entered twice
        definitions[name] = _record(record, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _line(text: str) -> str:
    return " ".join(text.replace("``", "`").split())
