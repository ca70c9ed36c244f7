"""Notices altered files when an artifact is opened, at the price of a ``stat`` each.

A stamp beside the manifest remembers size, times and inode of every file as they were when its content was last hashed.
A file whose stamp still fits is taken as unaltered (the rule of git's index); any other is hashed again. ``gpux verify``
always hashes. Knows artifacts, not the store.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from gpux.artifact import Artifact, corrupt, verify

STAMP = "stamp.json"


def stamp(artifact: Artifact) -> None:
    """Remember the files as they are now; called when their content is known to be right. A read-only store keeps none."""
    _write(artifact, {file.path: _mark(artifact.path(file.path)) for file in artifact.manifest.files})


def check(artifact: Artifact, paths: Iterable[str] | None = None) -> None:
    """Make sure that files are what the manifest says, hashing only those whose stamp does not fit.

    Args:
        artifact: The artifact.
        paths: The files to check; all when ``None``.

    Raises:
        CorruptArtifact: A file was altered, cut or removed.
    """
    wanted = {file.path for file in artifact.manifest.files} if paths is None else set(paths)
    marks = _read(artifact.path(STAMP))
    # Taken before the content is read: a change during that leaves a mark that does not fit.
    now = {path: _mark(artifact.path(path)) for path in wanted}
    doubtful = {path: mark for path, mark in now.items() if not mark or marks.get(path) != mark}
    if not doubtful:
        return
    for finding in verify(artifact, frozenset(doubtful)):
        raise corrupt(artifact, finding)
    _write(artifact, {**marks, **doubtful})


def _write(artifact: Artifact, marks: dict[str, list[int]]) -> None:
    temporary = artifact.path(f"{STAMP}.{os.getpid()}")
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps(marks), encoding="utf-8")
        temporary.replace(artifact.path(STAMP))


def _mark(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    # On POSIX the change time cannot be set back by hand; on Windows it is the creation time and does no harm.
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _read(path: Path) -> dict[str, list[int]]:
    try:
        marks = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return marks if isinstance(marks, dict) else {}
