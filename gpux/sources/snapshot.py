"""The record between a source and the rest: a read-only directory with its identity; knows no source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpux.reference import Reference


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One plain file of a snapshot.

    Attributes:
        path: Relative to the snapshot's directory, forward slashes, checked safe.
        size: Bytes.
        sha256: Lower-case hexadecimal digest of the content.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model's files at one revision, on this machine and never written to.

    Attributes:
        reference: What was asked for.
        directory: Where the files are.
        resolved: The commit (Hub) or ``sha256:…`` of the wheel or of the file list (package, local).
        files: Every file that GPUX may use.
        license: As the source declares it, or ``None``.
        pipeline_tag: The Hub's name of the task, as the source declares it, or ``None``.
        library: ``transformers``, ``sentence-transformers`` …, as the source declares it, or ``None``.
        shared: Whether the files are content-addressed and immutable, so that they may be hard-linked.
    """

    reference: Reference
    directory: Path
    resolved: str
    files: tuple[SourceFile, ...]
    license: str | None = None
    pipeline_tag: str | None = None
    library: str | None = None
    shared: bool = False

    def find(self, path: str) -> SourceFile | None:
        """The file of that path, or ``None``."""
        return next((file for file in self.files if file.path == path), None)

    def has(self, *suffixes: str) -> bool:
        """Whether any file ends in one of the suffixes."""
        return any(file.path.endswith(suffixes) for file in self.files)
