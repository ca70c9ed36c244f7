"""The one checker of file names that come from outside: repositories, wheels, indices and ONNX external data."""

from __future__ import annotations

import posixpath
import re

from gpux.errors import UnsafePath
from gpux.onnx_reader import GraphSummary

# Names that open a device on Windows, with any extension and in any folder; the digits may be superscript.
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?: *\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(
    r'[<>"|?*]'
)  # in Windows' names; the colon too, which separates a stream from its file


def safe(name: str) -> str:
    """Return a relative path with forward slashes unchanged, on every operating system the same.

    Raises:
        UnsafePath: It is absolute, leaves its directory, or means something else than a plain file on some system.
    """
    why = _objection(name)
    if why:
        raise UnsafePath(
            f"the file name `{_shown(name)}` {why}",
            hint="the source is broken or hostile; nothing of it was kept",
            path=_shown(name),
        )
    return name


def external_files(graph: str, summary: GraphSummary) -> tuple[str, ...]:
    """The external data files of a graph, relative to the source, sorted.

    Args:
        graph: The graph's path in the source.
        summary: What the graph declares.

    Raises:
        UnsafePath: A location leaves the graph's folder.
    """
    folder = posixpath.dirname(graph)
    names = set()
    for location in summary.external:
        why = _objection(location.removeprefix("./"))
        if why:
            raise UnsafePath(
                f"`{graph}` keeps data in `{_shown(location)}`, a name that {why}",
                hint="the graph is broken or hostile; nothing of it was kept",
                path=_shown(location),
            )
        names.add(posixpath.join(folder, location.removeprefix("./")))
    return tuple(sorted(names))


def _objection(name: str) -> str | None:
    whole = (
        (not name, "is empty"),
        # Among them the marks that turn the direction of writing, so that a name reads as another one.
        (not name.isprintable(), "holds characters that cannot be printed"),
        ("\\" in name, "holds a backslash"),
        (name.startswith("/"), "is absolute"),
        (":" in name, "names a drive or a stream"),
        (bool(_FORBIDDEN.search(name)), "holds a character that Windows keeps for itself"),
        (len(name) > 1000, "is too long"),
    )
    return next((why for wrong, why in whole if wrong), None) or next(
        filter(None, map(_part_objection, name.split("/"))), None
    )


def _part_objection(part: str) -> str | None:
    rules = (
        (part == "..", "leaves its directory"),
        (part in {"", "."}, "is no plain path"),
        (len(part.encode()) > 255, "is too long"),
        (part.endswith((".", " ")), "has a part that ends in a dot or a space"),
        (bool(_DEVICE.fullmatch(part)), "is the name of a device"),
    )
    return next((why for wrong, why in rules if wrong), None)


def _shown(name: str) -> str:
    return (
        name[:200].encode("unicode_escape", "backslashreplace").decode()
        if not name.isprintable()
        else name[:200]
    )
