"""The layout of the Hub's own cache, read and extended without the Hub's client so that offline use needs no import.

    models--org--name/refs/main                  the commit that a branch had when it was last seen
    models--org--name/blobs/<etag>               content, named by its address
    models--org--name/snapshots/<commit>/<path>  links into blobs

https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from gpux.errors import StoreUnwritable

COMMIT = re.compile(r"[0-9a-f]{40}")
ADDRESS = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""What says the content it stands for: git's blob id of a small file, the sha256 of a large one."""
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def home() -> Path:
    """The Hub's own folder: ``HF_HOME``, else where its client puts it."""
    if value := os.environ.get("HF_HOME"):
        return Path(os.path.expandvars(value)).expanduser().absolute()
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser().absolute()
        / "huggingface"
    )


def root() -> Path:
    """The Hub's cache: ``HF_HUB_CACHE``, else ``hub`` in :func:`home`."""
    value = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    return Path(os.path.expandvars(value)).expanduser().absolute() if value else home() / "hub"


@dataclass(frozen=True, slots=True)
class Repository:
    """One model's folder in the cache; nothing is created before something is written."""

    folder: Path

    def commit(self, revision: str) -> str | None:
        """The commit that a revision is known to be here, or ``None``."""
        if COMMIT.fullmatch(revision):
            return revision if self.snapshot(revision).is_dir() else None
        with contextlib.suppress(OSError, ValueError):
            commit = (self.folder / "refs" / revision).read_text(encoding="utf-8").strip()
            return commit if COMMIT.fullmatch(commit) else None
        return None

    def snapshot(self, commit: str) -> Path:
        """The directory of a commit's files."""
        return self.folder / "snapshots" / commit

    def blob(self, address: str) -> Path:
        """Where content of that address lies."""
        return self.folder / "blobs" / address

    def held(self, path: Path) -> Path | None:
        """The entry of this repository's own folder that holds a file: the file itself, or the blob that it links to.

        ``None`` where there is no plain file, or where a link leaves the cache. A blob may itself be a link into the store
        that several repositories of one cache share (huggingface_hub 2).
        """
        folder = self.folder.resolve()
        blobs = folder / "blobs"
        try:
            entry = path.parent.resolve() / path.name
            if entry.is_symlink() and entry.parent != blobs:
                entry = Path(os.path.normpath(entry.parent / entry.readlink()))
                if entry.parent != blobs:
                    return None
            target = entry.resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        own = entry.is_relative_to(folder) and target.is_relative_to(folder.parent)
        return entry if own and target.is_file() else None

    def address(self, held: Path) -> str:
        """The address that a blob's content must have; empty for a plain file in a snapshot, or a mirror's own ETag."""
        return held.name if held.parent.name == "blobs" and ADDRESS.fullmatch(held.name) else ""

    def discard(self, commit: str, path: str) -> None:
        """Remove a snapshot's file, or the first link on the way to it; what a link leads to stays.

        Raises:
            OSError: The cache cannot be written.
        """
        place = self.snapshot(commit)
        for part in path.split("/"):
            place /= part
            if place.is_symlink():
                break
        place.unlink(missing_ok=True)

    def lock(self, address: str) -> Path:
        """The lock that the Hub's client takes for that content too."""
        return self.folder.parent / ".locks" / self.folder.name / f"{address}.lock"

    def remember(self, revision: str, commit: str) -> None:
        """Write down which commit a revision is.

        Raises:
            OSError: The cache cannot be written.
        """
        path = self.folder / "refs" / revision
        if COMMIT.fullmatch(revision) or self.commit(revision) == commit:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        temporary.write_text(commit, encoding="utf-8")
        temporary.replace(path)

    def link(self, commit: str, path: str, address: str) -> None:
        """Make a file of a snapshot out of a blob: a relative link, or a copy where links are not allowed.

        Raises:
            OSError: The cache cannot be written.
        """
        pointer, blob = self.snapshot(commit) / path, self.blob(address)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        temporary = pointer.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            try:
                temporary.symlink_to(os.path.relpath(blob, pointer.parent))
            except (OSError, NotImplementedError):
                shutil.copyfile(blob, temporary)
            temporary.replace(pointer)
        finally:
            temporary.unlink(missing_ok=True)


def repository(name: str) -> Repository:
    """The folder of a model in the cache."""
    return Repository(root() / "--".join(["models", *name.split("/")]))


def unwritable(error: OSError, directory: Path, variable: str) -> StoreUnwritable | None:
    """The error for a cache that cannot be written, or ``None`` where the error means something else."""
    if error.errno in _FULL:
        return StoreUnwritable(
            f"the disk that holds `{directory}` is full",
            hint=f"free some space (gpux df), or set {variable} to a folder on another disk",
            path=directory,
        )
    if error.errno in _FORBIDDEN or isinstance(error, NotADirectoryError | FileExistsError):
        return StoreUnwritable(
            f"`{directory}` cannot be written ({error.strerror})",
            hint=f"check its permissions, or set {variable}",
            path=directory,
        )
    return None
