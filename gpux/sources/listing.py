"""The records of a source before anything is chosen from it: what it holds, and what the caller wants of that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpux.reference import Reference


@dataclass(frozen=True, slots=True)
class Wants:
    """Which kinds of file a caller needs; configuration, tokenizer and processor files always come.

    Attributes:
        weights: The framework's weights (safetensors).
        graphs: These ONNX files with their external data; ``None`` for every one.
        pickle: Take pickled weights where there are no others.
        code: Take the repository's Python files, and let its configuration name them.
        native: Model types that the toolchain implements itself, so that ``auto_map`` needs no code from the repository.
    """

    weights: bool = False
    graphs: tuple[str, ...] | None = ()
    pickle: bool = False
    code: bool = False
    native: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Listed:
    """One file that a source holds.

    Attributes:
        path: Relative to the model's directory, forward slashes, checked safe.
        size: Bytes, or ``None`` where the source does not say.
        sha256: Digest of its content, where the source says.
        blob: Its content address at the Hub: sha256 of large files, git's blob id of small ones.
    """

    path: str
    size: int | None
    sha256: str | None = None
    blob: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds at one revision, before it is fetched.

    Attributes:
        reference: What was asked for.
        resolved: The commit (Hub) or ``sha256:…`` of the wheel or of the file list (package, local).
        files: Every file that a :class:`Wants` could select, and at the Hub every other one too.
        directory: Where the files lie on this machine; ``None`` when they have to be downloaded.
        graph: The one ONNX file that the reference names, relative like ``files``.
        license: As the source declares it.
        pipeline_tag: The Hub's name of the task, as the source declares it.
        library: ``transformers``, ``sentence-transformers`` …, as the source declares it.
        gated: Whether the Hub wants its terms accepted first.
    """

    reference: Reference
    resolved: str
    files: tuple[Listed, ...]
    directory: Path | None = None
    graph: str | None = None
    license: str | None = None
    pipeline_tag: str | None = None
    library: str | None = None
    gated: bool = False

    @property
    def graphs(self) -> tuple[str, ...]:
        """Paths of its ONNX files."""
        return tuple(file.path for file in self.files if file.path.endswith(".onnx"))

    @property
    def safetensors(self) -> tuple[str, ...]:
        """Paths of its safetensors files."""
        return tuple(file.path for file in self.files if file.path.endswith(".safetensors"))

    def find(self, path: str) -> Listed | None:
        """The file of that path, or ``None``."""
        return next((file for file in self.files if file.path == path), None)
