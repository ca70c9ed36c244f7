"""A text with one mark for each picture → the same with as many marks as the picture takes places; knows no pictures."""

from __future__ import annotations

from collections.abc import Sequence

from gpux.errors import InvalidInput


def expand(text: str, mark: str, places: Sequence[int], *, position: int | None = None) -> str:
    """Each mark repeated as often as its picture takes places.

    Args:
        text: With ``mark`` where a picture stands.
        mark: The picture's token, such as ``<image>``.
        places: Of each picture, in order.
        position: Where the item stood in the list, for the error.

    Raises:
        InvalidInput: The text has another number of marks than there are pictures.
    """
    parts = text.split(mark)
    if len(parts) - 1 != len(places):
        marks, pictures = _count(len(parts) - 1, "place"), _count(len(places), "picture")
        raise InvalidInput(
            f"the text has {marks} for pictures (`{mark}`), and there {'is' if len(places) == 1 else 'are'} {pictures}",
            hint=f"write `{mark}` once for each picture, or leave it out of the text",
            position=position,
            marks=len(parts) - 1,
            pictures=len(places),
        )
    first, *others = parts
    return first + "".join(mark * count + part for count, part in zip(places, others, strict=True))


def without(text: str, mark: str, *, position: int | None = None) -> str:
    """A text that came with no picture.

    Raises:
        InvalidInput: It has a place for one.
    """
    return expand(text, mark, [], position=position)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
