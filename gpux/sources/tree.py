"""Lists and hashes the plain files under a directory, refusing everything that is none; knows no models."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from gpux.errors import AccessDenied, SourceError, UnsafePath
from gpux.sources.listing import Listed
from gpux.sources.paths import safe

_MOST = 20_000
_COMMIT = re.compile(r"[0-9a-f]{40}")


def walk(
    root: Path, *, recursive: bool = True, wanted: Callable[[str], bool] | None = None
) -> Iterator[Listed]:
    """Every plain file under a directory, hidden ones left out, in the order of their names.

    A symbolic link counts as the file that it points to when that lies under the same directory, or when both follow the
    layout of the Hub's cache (``snapshots/<commit>/x`` → ``blobs/y``).

    Args:
        root: The directory.
        recursive: Whether to go into its folders.
        wanted: Says of a relative path whether to look at it; all when ``None``.

    Raises:
        UnsafePath: A link that leaves the directory, a pipe, a socket, a device, or a name that is none.
        AccessDenied: A folder cannot be read.
        SourceError: There are more files than any model has.
    """
    real = root.resolve()
    for count, entry in enumerate(_entries(root, recursive=recursive)):
        if count >= _MOST:
            raise SourceError(
                f"`{root}` holds more than {_MOST} files, which no model does",
                hint="name the model's own directory",
                path=root,
            )
        relative = Path(entry.path).relative_to(root).as_posix()
        if wanted and not wanted(relative):
            continue
        safe(relative)
        if entry.is_symlink():
            _check_link(Path(entry.path), root, real, relative)
        status = _status(Path(entry.path))
        if not stat.S_ISREG(status.st_mode):
            raise _refused(root, relative, "is no plain file")
        yield Listed(relative, status.st_size)


def digest(path: Path) -> str:
    """The sha256 of a file.

    Raises:
        AccessDenied: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> AccessDenied:
    """The error for a file or folder of this machine that cannot be read."""
    return AccessDenied(
        f"`{path}` cannot be read ({error.strerror or error})",
        hint=f"check its permissions: ls -ld {path}",
        path=path,
    )


def _entries(folder: Path, *, recursive: bool) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise unreadable(folder, error) from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir(follow_symlinks=False):
            if recursive:
                yield from _entries(Path(entry.path), recursive=True)
        elif recursive or not Path(entry.path).is_dir():
            yield entry


def _check_link(path: Path, root: Path, real: Path, relative: str) -> None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise _refused(root, relative, "is a link that leads nowhere") from error
    if target.is_relative_to(real):
        if target.is_dir():
            raise _refused(root, relative, "is a link to a folder")
        return
    store = real.parent.parent
    if _COMMIT.fullmatch(real.name) and real.parent.name == "snapshots":
        first = Path(os.path.normpath(path.parent.resolve() / path.readlink()))
        # A blob may itself be a link into the store that several repositories of one cache share (huggingface_hub 2).
        if first.parent == store / "blobs" and target.is_relative_to(store.parent):
            return
    raise _refused(root, relative, "is a link that leaves its directory")


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise unreadable(path, error) from error


def _refused(root: Path, relative: str, why: str) -> UnsafePath:
    return UnsafePath(
        f"`{relative}` in `{root}` {why}",
        hint="put plain files there, or name the directory that they are in",
        path=root / relative,
    )
