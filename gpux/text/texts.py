"""What counts as a text, a pair or a list of them, and the errors for everything else; shared by the text tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gpux.errors import InvalidInput
from gpux.text.tokens import Text

SAMPLES = (
    "How do I reset my password?",
    "The parcel arrived two days late and the box was open, but nothing inside was broken.",
    "Die Sitzung wurde auf Donnerstag verschoben.",
    "Researchers measured the melt of the glacier every week for eleven summers and found that the loss of ice had "
    "doubled since the first survey, mostly in the narrow tongue below the equilibrium line.",
    "quarterly revenue by region 2024",
    "今日はとても良い天気ですね。",
    "I would not recommend this hotel: the room was loud, the shower was cold, and nobody at the desk seemed to care "
    "until we asked for our money back.",
    "ok",
)
"""Eight texts of the kinds that users send: queries, reviews, prose; 1 to 30 words, three languages."""


def is_item(inputs: Any) -> bool:
    """Whether inputs are one item; every other iterable is a list of them."""
    if isinstance(inputs, str | bytes | bytearray | Mapping):
        return True
    return not isinstance(inputs, Iterable) or getattr(inputs, "ndim", 1) == 0


def checked(value: Any, *, position: int) -> str:
    """The text, if it is one that can be tokenised.

    Args:
        value: What the caller gave.
        position: Where it stood in the list, for the error.

    Raises:
        InvalidInput: It is no string, or holds half a surrogate pair.
    """
    if not isinstance(value, str):
        hint = "decode it first: value.decode()" if isinstance(value, bytes | bytearray) else "give a string"
        raise InvalidInput(f"input {position} is {_kind(value)}, not a text", hint=hint, position=position)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput(
                f"input {position} holds half a surrogate pair at character {error.start}, which is no Unicode text",
                hint="replace it: text.encode('utf-8', 'replace').decode()",
                position=position,
            ) from error
    return value


def text_or_pair(item: Any, *, position: int) -> Text:
    """A text, or the pair in ``{"text": …, "text_pair": …}``.

    Raises:
        InvalidInput: The item is neither, or one of its texts is none.
    """
    if not isinstance(item, Mapping):
        if isinstance(item, list | tuple):
            raise InvalidInput(
                f"input {position} is {_kind(item)}, not a text",
                hint='a pair is {"text": "…", "text_pair": "…"}',
                position=position,
            )
        return checked(item, position=position)
    keys(item, required=("text",), optional=("text_pair",), position=position)
    first = checked(item["text"], position=position)
    second = item.get("text_pair")
    if second is None:
        return first
    # transformers' tokenizers take an empty second text for none, and put no second separator.
    return (first, second) if checked(second, position=position) else first


def keys(
    item: Mapping[Any, Any], *, required: Sequence[str], optional: Sequence[str] = (), position: int
) -> None:
    """Make sure that a mapping has the keys of its task and no others.

    Raises:
        InvalidInput: A key is missing or unknown.
    """
    takes = "it takes " + ", ".join([*required, *(f"{name} (optional)" for name in optional)])
    for name in required:
        if name not in item:
            raise InvalidInput(f"input {position} has no `{name}`", hint=takes, position=position)
    for name in item:
        if name not in required and name not in optional:
            raise InvalidInput(f"input {position} has an unknown key `{name}`", hint=takes, position=position)


def brief(text: str, width: int = 48) -> str:
    """A text on one line of a table, cut with an ellipsis."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def numbers(vector: Sequence[float], count: int = 4) -> str:
    """The first values of a vector for a table."""
    shown = ", ".join(f"{value:.4f}" for value in vector[:count])
    return f"{shown}, …" if len(vector) > count else shown


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
