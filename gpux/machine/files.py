"""Small JSON files that several processes write and anybody may have damaged: read as nothing, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any]:
    """The object in a file; an empty one where there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def text(value: Any) -> str | None:
    """A text or nothing, as it was written.

    Raises:
        TypeError: It is neither.
    """
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{type(value).__name__} is no text")


def whole(value: Any, *, least: int, most: int) -> int:
    """A whole number within bounds.

    Raises:
        TypeError: It is none, or beyond them.
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise TypeError(f"{type(value).__name__} is no such number")


def write(path: Path, record: Mapping[str, Any]) -> bool:
    """Replace a file; where the place cannot be written nothing is kept, and what it would have held is found out again."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(record), encoding="ascii")
        temporary.replace(path)
    except (OSError, ValueError, TypeError):
        with contextlib.suppress(OSError):
            temporary.unlink()
        return False
    return True
