"""Labels of a caller's own and the sentence that each is put into: what zero-shot tasks are asked; knows no graph."""

from __future__ import annotations

from typing import Any

from gpux.errors import InvalidInput
from gpux.text import texts

EXAMPLE = '["a cat", "a dog"]'
PLACE = "{}"
"""Where the label goes in a template."""


def labels(value: Any) -> tuple[str, ...]:
    """The labels, as they were given in a list or in one text with commas between.

    Raises:
        InvalidInput: There is none, or one is no text.
    """
    if isinstance(value, str):
        value = [label for part in value.split(",") if (label := part.strip())]
    if not isinstance(value, list | tuple) or not value:
        raise InvalidInput(
            f"`candidate_labels` is {repr(value)[:80]}",
            hint=f"give a list: {EXAMPLE}",
            candidate_labels=value,
        )
    for label in value:
        if not isinstance(label, str):
            raise InvalidInput(
                f"`candidate_labels` holds {repr(label)[:80]}, which is no text",
                hint=f"give a list: {EXAMPLE}",
                candidate_labels=value,
            )
    return tuple(texts.checked(label, position=position) for position, label in enumerate(value))


def sentences(template: Any, given: tuple[str, ...], *, example: str) -> tuple[str, ...]:
    """Each label in its sentence.

    Args:
        template: A text with ``{}`` in it.
        given: The labels.
        example: A template for the error.

    Raises:
        InvalidInput: The template has no place for a label.
    """
    if not isinstance(template, str) or PLACE not in template:
        raise InvalidInput(
            f"`hypothesis_template` is {repr(template)[:80]}, which has no place for a label",
            hint=f'write {PLACE} where the label goes: "{example}"',
            hypothesis_template=template,
        )
    whole = texts.checked(template, position=0)
    return tuple(whole.replace(PLACE, label) for label in given)


def missing(position: int) -> InvalidInput:
    """The error for an item that is given no labels."""
    return InvalidInput(
        f"input {position} has no labels to choose from",
        hint=f"give candidate_labels={EXAMPLE}",
        position=position,
    )
