"""YAML text → nodes that know their line, with everything refused that a ``gpux.yml`` has no use for; knows no key.

Anchors, aliases and tags are refused before anything is built of them, so that no text can grow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from gpux.errors import InvalidBlueprint

LARGEST = 1 << 20
"""Bytes of a ``gpux.yml``; long lists of labels have a file of their own."""

_DEEPEST = 16
_TAG = "tag:yaml.org,2002:"
_EXPECTED = re.compile(r"^expected (.+), but found (.+)$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, for messages: the file as the user knows it, and a line from 1."""

    path: str
    line: int = 0

    def error(self, said: str, *, hint: str | None = None, **details: Any) -> InvalidBlueprint:
        """The error for what stands here."""
        where = f"{self.path}, line {self.line}" if self.line else self.path
        return InvalidBlueprint(f"{where}: {said}", hint=hint, path=self.path, line=self.line, **details)

    def at(self, line: int) -> Place:
        """Another line of the same file."""
        return Place(self.path, line)


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file.

    Attributes:
        place: Where it begins.
        kind: ``text``, ``number``, ``flag``, ``nothing``, ``list`` or ``mapping``.
        text: A scalar as it is written.
        items: A list's values.
        entries: A mapping's keys and values; keys are texts, each once.
    """

    place: Place
    kind: str
    text: str = ""
    items: tuple[Node, ...] = ()
    entries: tuple[tuple[Node, Node], ...] = ()


def read(data: bytes, path: str) -> Node:
    """The document in a file.

    Raises:
        InvalidBlueprint: It is no plain YAML: damaged, too large, not UTF-8, or with anchors, tags or a key that stands twice.
    """
    start = Place(path)
    if len(data) > LARGEST:
        raise start.error(
            f"it has {len(data)} bytes, more than {LARGEST}",
            hint="put long lists of labels in a file of their own",
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise start.at(data[: error.start].count(b"\n") + 1).error(
            f"byte {data[error.start]:#04x} is no UTF-8", hint="save the file as UTF-8"
        ) from error
    try:
        _scan(text, start)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise start.at(mark.line + 1 if mark else 0).error(
            f"it is no YAML: {_problem(error)}",
            hint="indent with spaces, and put texts with colons in quotes",
        ) from error
    except yaml.YAMLError as error:  # characters that YAML does not allow
        place = text[: getattr(error, "position", 0) or 0].count("\n") + 1
        raise start.at(place).error(
            "it holds a character that no YAML may", hint="save it as plain text"
        ) from error
    if root is None:
        return Node(start.at(1), "mapping")
    return _node(root, start)


def _scan(text: str, start: Place) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        here = start.at(event.start_mark.line + 1 if event.start_mark else 0)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise here.error("anchors and aliases are not read", hint="write the value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise here.error(f"tags such as `{str(tag)[:60]}` are not read", hint="leave it out")
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise here.error("a second document begins", hint="keep one, without `---` in the middle")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise here.error(f"values are nested deeper than {_DEEPEST}", hint="no key of it needs that")


def _node(node: yaml.Node, start: Place) -> Node:
    place = start.at(node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return Node(place, "list", items=tuple(_node(item, start) for item in node.value))
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        entries = []
        for key, value in node.value:
            name = _node(key, start)
            if not isinstance(key, yaml.ScalarNode):
                raise name.place.error("a key is a list or a mapping", hint="write a name before the colon")
            if name.text in seen:
                raise name.place.error(
                    f"the key `{name.text}` stands twice, first in line {seen[name.text]}",
                    hint="leave one of them",
                )
            seen[name.text] = name.place.line
            entries.append((name, _node(value, start)))
        return Node(place, "mapping", entries=tuple(entries))
    plain = {"int": "number", "float": "number", "bool": "flag", "null": "nothing"}
    return Node(place, plain.get(node.tag.removeprefix(_TAG), "text"), text=node.value)


def _problem(error: yaml.MarkedYAMLError) -> str:
    said = str(error.problem or error.context or error).split("\n", maxsplit=1)[0]
    return _EXPECTED.sub(r"\2 stands where \1 belongs", said)
