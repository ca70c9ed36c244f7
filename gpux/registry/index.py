"""Entries of the store's index: a name and the artifact it means, one small file each, named by the name's hash."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

from gpux.errors import GpuxError
from gpux.reference import parse


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the index.

    Attributes:
        name: A canonical reference, or a name given by ``gpux cp``.
        digest: The artifact.
        created: Seconds since the epoch, when the entry was written.
    """

    name: str
    digest: str
    created: float


def list_folder(folder: Path) -> list[Path]:
    """What a folder holds; nothing where another process is removing it."""
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []


def canonical(text: str) -> str:
    """The name under which a text would be filed: its canonical reference, or itself where it is none."""
    try:
        return str(parse(text).base)
    except GpuxError:
        return text


def short_name(name: str) -> str:
    """The last path segment of what an entry is named."""
    with contextlib.suppress(GpuxError):
        return parse(name).short_name
    return name


def key(name: str) -> str:
    """The stem of an entry's file."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read_entry(path: Path) -> Entry | None:
    """The entry in a file, or ``None`` where it is broken."""
    try:
        raw = json.loads(path.read_bytes())
        entry = Entry(str(raw["name"]), str(raw["digest"]), float(raw["created"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    sound = len(entry.digest) == 64 and entry.digest.isalnum() and math.isfinite(entry.created)
    # A name that is not the file's own could never be found, nor removed.
    return entry if sound and key(entry.name) == path.stem else None
