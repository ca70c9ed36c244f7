"""Parameters of a task as anybody may give them: checked for kind and range, with the nearest right value in the hint."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from gpux.errors import InvalidInput


def whole(name: str, value: Any, *, least: int = 1) -> int:
    """A whole number from ``least`` on.

    Raises:
        InvalidInput: It is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidInput(
            f"`{name}` is {_shown(value)}", hint=f"give a whole number from {least}", **{name: value}
        )
    return value


def flag(name: str, value: Any) -> bool:
    """``True`` or ``False``.

    Raises:
        InvalidInput: It is neither.
    """
    if not isinstance(value, bool):
        raise InvalidInput(f"`{name}` is {_shown(value)}", hint="give true or false", **{name: value})
    return value


def among(name: str, value: Any, names: Sequence[str]) -> str:
    """One of several names, in small or capital letters.

    Raises:
        InvalidInput: It is none of them.
    """
    if isinstance(value, str) and value.lower() in names:
        return value.lower()
    close = difflib.get_close_matches(value.lower(), names, n=1) if isinstance(value, str) else []
    raise InvalidInput(
        f"`{name}` is {_shown(value)}",
        hint=f"did you mean `{close[0]}`" if close else f"use one of {', '.join(names)}",
        **{name: value},
    )


def strings(name: str, value: Any, *, example: str) -> list[str]:
    """Several texts; a single one counts as a list of one.

    Raises:
        InvalidInput: It is neither.
    """
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple | set | frozenset) or not all(
        isinstance(one, str) for one in listed
    ):
        raise InvalidInput(f"`{name}` is {_shown(value)}", hint=f"give a list: {example}", **{name: value})
    return list(listed)


def _shown(value: Any) -> str:
    return repr(value)[:80]
