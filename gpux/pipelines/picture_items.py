"""What counts as pictures with a text about them: mappings, conversations with pictures in them, pictures alone; opens none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpux.errors import InvalidInput
from gpux.text import texts
from gpux.text.chat_messages import are_messages

FORM = '{"image": "photo.jpg", "text": "What is in this picture?"}'
_KEYS = ("image", "images", "text", "system", "raw")
_SOURCES = ("image", "url", "path", "base64", "image_url")
"""Where a part of a message says its picture, in the order in which it is looked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One item.

    Attributes:
        pictures: In the order in which they stand.
        text: What is asked of them; ``None`` in a conversation.
        messages: The conversation, its pictures left out of it; ``None`` where there is none.
        system: What the model is told before the text.
        raw: Whether the text goes to the model as it is, places of pictures and all.
    """

    pictures: tuple[Any, ...]
    text: str | None = None
    messages: list[dict[str, Any]] | None = None
    system: str | None = None
    raw: bool = False


def is_item(inputs: Any) -> bool:
    """A mapping, a conversation, a path, bytes, a picture or an array of one; a list of them is not."""
    if isinstance(inputs, str | bytes | bytearray | memoryview | Mapping) or are_messages(inputs):
        return True
    axes = getattr(inputs, "ndim", None)
    return (
        axes < 4 if isinstance(axes, int) else not hasattr(inputs, "__iter__") or hasattr(inputs, "getbands")
    )


def read(item: Any, *, position: int, text: str | None = None) -> Asked:
    """An item.

    Args:
        item: A mapping of :data:`FORM`, with ``images`` for several; a conversation whose parts hold pictures; or a picture alone.
        position: Where it stood in the list, for the error.
        text: What is asked of a picture that says nothing itself.

    Raises:
        InvalidInput: It is none of them, or nothing is asked.
    """
    if are_messages(item):
        return _conversation(item, position)
    if not isinstance(item, Mapping):
        return Asked((item,), _checked(text, position))
    for key in item:
        if key not in _KEYS:
            raise InvalidInput(
                f"input {position} has a key `{key}`, which means nothing here",
                hint=f"write {FORM}, or images for several",
                position=position,
            )
    if "image" in item and "images" in item:
        raise InvalidInput(
            f"input {position} has both image and images", hint="put them all into images", position=position
        )
    pictures = [item["image"]] if "image" in item else item.get("images")
    if pictures is None:
        pictures = []
    if isinstance(pictures, str | bytes) or not isinstance(pictures, Sequence):
        pictures = [pictures]
    system = item.get("system")
    return Asked(
        tuple(pictures),
        _checked(item.get("text", text), position),
        system=None if system is None else texts.checked(system, position=position),
        raw=bool(item.get("raw")),
    )


def _checked(text: Any, position: int) -> str:
    if text is None:
        raise InvalidInput(f"input {position} has no text", hint=f"give {FORM}", position=position)
    return texts.checked(text, position=position)


def _conversation(messages: Sequence[Mapping[str, Any]], position: int) -> Asked:
    pictures: list[Any] = []
    told = []
    for message in messages:
        content = message.get("content")
        if not isinstance(content, list | tuple):
            told.append(dict(message))
            continue
        parts = []
        for part in content:
            kind = part.get("type") if isinstance(part, Mapping) else None
            if kind not in {"image", "image_url"}:
                if kind in {"video", "audio"}:
                    raise InvalidInput(
                        f"input {position} holds {'a film' if kind == 'video' else 'sound'}, and the task takes pictures",
                        hint="give some of its pictures" if kind == "video" else "leave it out",
                        position=position,
                    )
                parts.append(part)
                continue
            pictures.append(_source(part, position))
            parts.append({"type": "image"})
        told.append({**message, "content": parts})
    return Asked(tuple(pictures), messages=told)


def _source(part: Mapping[str, Any], position: int) -> Any:
    for key in _SOURCES:
        if part.get(key) is not None:
            value = part[key]
            return value.get("url") if isinstance(value, Mapping) else value
    raise InvalidInput(
        f"input {position} has a place for a picture, and no picture there",
        hint='write {"type": "image", "image": "photo.jpg"}',
        position=position,
    )
