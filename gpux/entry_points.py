"""Finds entry points of one group, and packages by name, in two milliseconds instead of importlib.metadata's thirty: a cold start pays them each time.

Reads the ``entry_points.txt`` of every distribution on the path, by the same rules
(https://packaging.python.org/specifications/entry-points/); anything that is no plain folder is left to the library.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_SUFFIXES = (".dist-info", ".egg-info")


def entry_points(group: str) -> list[tuple[str, str]]:
    """Name and value (``module:attribute``) of each entry point of a group; of two copies of a distribution, the first.

    The current folder is left out where only the interpreter put it on the path (``python -m gpux``, ``python -c``): a
    model's folder must not bring code of its own by lying under the user's feet.
    """
    return sorted({point for points in distributions(group).values() for point in points})


def distributions(group: str) -> dict[str, list[tuple[str, str]]]:
    """Distributions that have entry points of a group, by name in its normal form, with what :func:`entry_points` gives of each."""
    folders = _folders()
    found: dict[str, list[tuple[str, str]]] = {}
    if any(Path(folder).is_file() for folder in folders):  # a zip on the path: its metadata needs an importer
        from importlib import metadata

        for one in metadata.distributions(path=folders):
            points = [(point.name, point.value) for point in one.entry_points if point.group == group]
            name = one.metadata["Name"] if "Name" in one.metadata else ""  # noqa: SIM401 - the type has no get
            found.setdefault(normal(name), points)
        return {name: points for name, points in found.items() if points}
    for folder in folders:
        for name, path in _distributions(folder):
            if name not in found:
                found[name] = _read(path, group)
    return {name: points for name, points in found.items() if points}


def installed() -> dict[str, str]:
    """Name, in its normal form, and version of every distribution on the path, as its folder is called.

    Of two copies, the first; what lies in a zip is left out.
    """
    found: dict[str, str] = {}
    for folder in _folders():
        for name, path in _distributions(folder):
            words = (
                path.rpartition("/")[0]
                .rpartition("/")[2]
                .removesuffix(".dist-info")
                .removesuffix(".egg-info")
            )
            found.setdefault(name, words.partition("-")[2].partition("-py")[0])
    return found


def packages(beginning: str) -> dict[str, Path]:
    """Import name → folder of each package on the path whose name begins so, by the same rule; none is imported.

    Of two of one name, the first.
    """
    found: dict[str, Path] = {}
    for folder in _folders():
        try:
            names = sorted(name for name in os.listdir(folder) if name.startswith(beginning))  # noqa: PTH208 - as below
        except OSError:
            continue
        for name in names:
            path = Path(folder, name)
            if name.isidentifier() and name not in found and path.is_dir():
                found[name] = path
    return found


def _folders() -> list[str]:
    # What PYTHONPATH and .pth files name stands behind the interpreter's own first entry, as an absolute path.
    first = sys.path[:1]
    try:
        own = not sys.flags.safe_path and first != [""] and bool(first) and Path(first[0]).samefile(os.curdir)
    except OSError:
        own = False
    return [folder for folder in sys.path[1 if own else 0 :] if folder]


def normal(name: str) -> str:
    """A distribution's name in its normal form: lower case, words with one dash between them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _distributions(folder: str) -> Iterator[tuple[str, str]]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - hundreds of names, of which a few become paths
    except OSError:
        return
    for name in names:
        if name.endswith(_SUFFIXES):
            yield normal(name.rpartition(".")[0].split("-")[0]), f"{folder}/{name}/entry_points.txt"


def _read(path: str, group: str) -> list[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - as above
            text = stream.read()
    except (OSError, UnicodeDecodeError):
        return []
    if f"[{group}]" not in text:
        return []
    points, inside = [], False
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            inside = line == f"[{group}]"
        elif inside and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            points.append((name.strip(), value.partition("[")[0].strip()))
    return points
