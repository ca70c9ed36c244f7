"""What counts as a conversation: checked, and made of plain JSON values, as transformers makes it before a template sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from gpux.errors import InvalidInput

EXAMPLE = '[{"role": "user", "content": "your text"}]'

_REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names that a message's reasoning goes by; templates read the first, some the second."""
_WITHOUT_CONTENT = {"tool_calls", "function_call", *_REASONING}
_OBJECTS = {"tool", "ipython", "function"}
"""Roles whose content may be an object: what a tool answered."""


def are_messages(value: Any) -> bool:
    """Whether a value is a conversation, rather than an item or a list of items."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and bool(value)
        and all(isinstance(message, Mapping) and "role" in message for message in value)
    )


def plain_messages(messages: Any) -> list[dict[str, Any]]:
    """A conversation as templates see it: without values that are ``None``, its reasoning under every name.

    Raises:
        InvalidInput: It is no list of messages, or a message has no role, or content of another shape.
    """
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Sequence):
        raise _wrong(f"a conversation is a list of messages, not {_kind(messages)}")
    if not messages:
        raise _wrong("a conversation has at least one message")
    return [_checked(message, place) for place, message in enumerate(messages)]


def plain_tools(tools: Any) -> list[dict[str, Any]] | None:
    """Tools as their JSON Schemas.

    Raises:
        InvalidInput: They are no list of objects.
    """
    if tools is None:
        return None
    whole = isinstance(tools, Sequence) and not isinstance(tools, str | bytes)
    if not whole or not all(isinstance(tool, Mapping) for tool in tools):
        raise InvalidInput(
            "`tools` is no list of tools, each described by JSON",
            hint='write [{"type": "function", "function": {"name": …, "description": …, "parameters": {…}}}]',
        )
    return [plain(tool) for tool in tools]


def plain(value: Any) -> Any:
    """A value made of JSON types alone; whatever else it holds, such as a picture, is named by its type.

    Objects have methods, which no sandbox knows; templates never look at what a picture holds.
    """
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if hasattr(value, "item") and getattr(value, "shape", None) == ():  # a number of numpy's
        return plain(value.item())
    return f"<{type(value).__name__}>"


def _checked(message: Any, place: int) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise _wrong(f"message {place} is {_kind(message)}, not an object", place)
    known = {key: value for key, value in message.items() if value is not None}
    role, content = known.get("role"), known.get("content")
    if not isinstance(role, str) or not role:
        raise _wrong(f"message {place} has no `role`", place)
    if content is None:
        if not _WITHOUT_CONTENT & known.keys():
            raise _wrong(f"message {place} has no `content`", place)
    elif isinstance(content, list | tuple):
        for part in content:
            if not isinstance(part, Mapping):
                raise _wrong(f"`content` of message {place} holds {_kind(part)}, not objects", place)
    elif not isinstance(content, str) and not (isinstance(content, Mapping) and role in _OBJECTS):
        raise _wrong(f"`content` of message {place} is {_kind(content)}, not a text or a list", place)
    told: dict[str, Any] = plain(known)
    reasoning = next((told[name] for name in _REASONING if name in told), None)
    return told if reasoning is None else {"thinking": reasoning, **told, "reasoning_content": reasoning}


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


def _wrong(message: str, place: int | None = None) -> InvalidInput:
    return InvalidInput(
        message, hint=f"write {EXAMPLE}", **({} if place is None else {"message_index": place})
    )
