"""Writing that a crash cannot break: unique temporary directories, synced files, atomic renames, clear errors."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gpux.errors import StoreUnwritable

_OWNER = ".owner.lock"


@contextlib.contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Turn the system's refusals to write under ``path`` into :class:`StoreUnwritable`."""
    try:
        yield
    except OSError as error:
        named = error.filename
        foreign = isinstance(named, str) and not Path(named).is_relative_to(path)
        if foreign and error.errno in {errno.EACCES, errno.EPERM, errno.ENOENT}:
            raise StoreUnwritable(
                f"`{named}` cannot be used to fill the store: {error.strerror}",
                hint=f"check that it is there and yours: ls -ld {named}",
                path=named,
            ) from error
        why, hint = {
            errno.ENOSPC: ("the disk is full", "gpux prune, or set GPUX_HOME to a disk with room"),
            errno.EDQUOT: ("the quota is used up", "gpux prune, or set GPUX_HOME to a disk with room"),
            errno.EROFS: ("the file system is read-only", "set GPUX_HOME to a writable folder"),
            errno.EACCES: (
                "permission was denied",
                "mend the folder's owner, or set GPUX_HOME to a folder of yours",
            ),
            errno.EPERM: (
                "permission was denied",
                "mend the folder's owner, or set GPUX_HOME to a folder of yours",
            ),
            errno.ENOTDIR: ("part of the path is a file", "set GPUX_HOME to a folder"),
        }.get(error.errno or 0, (error.strerror or str(error), "check the folder that GPUX_HOME names"))
        raise StoreUnwritable(
            f"the store in `{path}` cannot be written: {why}", hint=hint, path=path
        ) from error


@contextlib.contextmanager
def locked(file: Path, *, root: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock file of the store in ``root``; it falls with the process.

    Args:
        file: The lock file.
        root: The store, for errors.
        waiting: Called once when another process holds the lock.

    Raises:
        StoreUnwritable: The lock file cannot be made or written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(file)
    with guarded(root):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting:
                waiting()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """A temporary directory of this process; its lock tells others that it is in use, and falls with the process."""
    directory = parent / uuid.uuid4().hex
    owner = parent / f"{directory.name}{_OWNER}"
    # The lock comes first: a directory without one would count as abandoned.
    with locked(owner, root=parent):
        try:
            with guarded(parent):
                directory.mkdir()
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            with contextlib.suppress(OSError):
                owner.unlink()


def abandoned(parent: Path) -> Iterator[Path]:
    """Temporary directories whose process is gone."""
    if not parent.is_dir():
        return
    for directory in sorted(parent.iterdir()):
        if (directory.is_dir() and _free(parent / f"{directory.name}{_OWNER}")) or (
            directory.name.endswith(_OWNER)
            and not directory.with_name(directory.name.removesuffix(_OWNER)).exists()
            and _free(directory)
        ):
            yield directory


def remove(path: Path) -> None:
    """Remove a file or a directory with all in it; one that is gone already is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        path.with_name(f"{path.name}{_OWNER}").unlink(missing_ok=True)
    else:
        path.unlink(missing_ok=True)


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a directory; what vanishes meanwhile counts for nothing."""
    total = 0
    files = [Path(folder, name) for folder, _, names in os.walk(path) for name in names]
    for file in files or [path]:
        with contextlib.suppress(OSError):
            status = file.stat()
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def write_json(path: Path, data: Any) -> None:
    """Replace a JSON file atomically: readers see the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=2, sort_keys=True, ensure_ascii=False)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_tree(directory: Path) -> None:
    """Make sure that every file below is on the disk."""
    for path in directory.rglob("*"):
        if path.is_file():
            # Windows syncs only through a writable handle.
            descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        elif path.is_dir():
            sync_directory(path)
    sync_directory(directory)


def sync_directory(directory: Path) -> None:
    """Make a rename inside the directory durable; Windows does so by itself."""
    if os.name != "nt":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _free(lock_file: Path) -> bool:
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    except OSError:
        return False
    lock.release()
    return True
