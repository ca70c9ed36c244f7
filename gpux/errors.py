"""Every error that GPUX raises on purpose, as one tree; knows nothing else of the package.

GpuxError
├── UsageError              the caller typed something wrong (exit code 2)
│   ├── InvalidReference    a model reference that does not follow the grammar
│   ├── InvalidSetting      a GPUX_* variable or an option out of range
│   ├── InvalidInput        inputs that the task or the graph cannot take
│   ├── InvalidBlueprint    a gpux.yml that cannot be followed
│   ├── UnknownProvider     no provider of that name is installed
│   ├── UnknownVariant      the artifact has no such variant
│   └── UnknownTask         GPUX has no such task
├── SourceError             Reference → Snapshot
│   ├── ModelNotFound       nothing of that name at the source
│   ├── RevisionNotFound    the model exists, the revision does not
│   ├── AccessDenied        gated, private, or a refused token
│   ├── NetworkFailed       out of reach, timed out, or the server keeps failing
│   ├── OfflineMiss         offline, and no local copy
│   ├── UnsafePath          a file name that would leave its directory
│   ├── UnsafeWeights       only pickled weights
│   └── RemoteCodeRefused   the model needs code from its repository
├── ExportError             Snapshot → graphs
│   ├── ExporterMissing     no conversion toolchain is installed
│   ├── UnsupportedModel    the toolchain cannot export this architecture
│   └── WorkerFailed        the conversion process died, hung or ran out of memory
├── ProofFailed             a graph's outputs do not match the reference
├── StoreError              the artifacts on disk
│   ├── ArtifactNotFound    nothing stored under that name
│   ├── AmbiguousName       a short name that fits several artifacts
│   ├── CorruptArtifact     bytes on disk differ from the manifest
│   └── StoreUnwritable     no permission, disk full, read-only
├── ProviderError           plan and session
│   ├── ProviderUnavailable a named provider cannot run here
│   ├── NoCandidate         no provider × variant fits the request
│   ├── PlacementRefused    strict was asked for and part of the graph went elsewhere
│   └── MemoryRefused       it would take more memory than this process may have
├── ExtraMissing            an optional library is not installed
└── RunFailed               the runtime failed while it ran a graph
"""

from __future__ import annotations

from typing import Any


class GpuxError(Exception):
    """The root: a one-sentence message, and a hint that is a command to type or a fact.

    Args:
        message: One sentence without a full stop; names stand in back-quotes.
        hint: The next thing to do, or ``None``.
        details: What the error is about, as attributes (``reference``, ``provider``, ``path`` …).
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["details"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.details)

    def as_dict(self) -> dict[str, Any]:
        """The record that ``--json`` prints: type, message, hint and details, all JSON types."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "details": {key: _plain(value) for key, value in self.details.items()},
        }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | dict | None) else str(value)


def _rebuild(kind: type[GpuxError], message: str, hint: str | None, details: dict[str, Any]) -> GpuxError:
    return kind(message, hint=hint, **details)


class UsageError(GpuxError):
    """The caller typed something wrong."""

    exit_code = 2


class InvalidReference(UsageError):
    """A model reference that does not follow the grammar of :mod:`gpux.reference`."""


class InvalidSetting(UsageError):
    """A ``GPUX_*`` variable or an option out of its range."""


class InvalidInput(UsageError):
    """Inputs that the task or the graph cannot take."""


class InvalidBlueprint(UsageError):
    """A ``gpux.yml`` that cannot be followed; the message names the file and the line."""


class UnknownProvider(UsageError):
    """No provider of that name is installed."""


class UnknownVariant(UsageError):
    """The artifact has no variant of that name."""


class UnknownTask(UsageError):
    """GPUX has no task of that name."""


class SourceError(GpuxError):
    """Something between a reference and its snapshot."""


class ModelNotFound(SourceError):
    """Nothing of that name at the source."""


class RevisionNotFound(SourceError):
    """The model exists at the source, the revision does not."""


class AccessDenied(SourceError):
    """The model is gated or private, or the token was refused."""


class NetworkFailed(SourceError):
    """The source is out of reach, timed out, or kept answering with server errors."""


class OfflineMiss(SourceError):
    """Offline was asked for and there is no local copy."""


class UnsafePath(SourceError):
    """A file name from a source that would leave its directory, or is no plain file."""


class UnsafeWeights(SourceError):
    """The weights are pickled, which can run code, and that was not allowed."""


class RemoteCodeRefused(SourceError):
    """The model needs code from its own repository, and that was not allowed."""


class ExportError(GpuxError):
    """Something between a snapshot and its graphs."""


class ExporterMissing(ExportError):
    """No conversion toolchain is installed."""


class UnsupportedModel(ExportError):
    """The toolchain cannot export this architecture or task."""


class WorkerFailed(ExportError):
    """The conversion process died, hung or ran out of memory."""


class ProofFailed(GpuxError):
    """A graph's outputs do not match the reference; nothing was stored as runnable."""


class StoreError(GpuxError):
    """Something about the artifacts on disk."""


class ArtifactNotFound(StoreError):
    """Nothing is stored under that name."""


class AmbiguousName(StoreError):
    """A short name that fits several stored artifacts."""


class CorruptArtifact(StoreError):
    """Bytes on disk differ from what the manifest says."""


class StoreUnwritable(StoreError):
    """The store cannot be written: no permission, disk full, or read-only."""


class ProviderError(GpuxError):
    """Something about choosing or opening a provider."""


class ProviderUnavailable(ProviderError):
    """A provider that was named cannot run here."""


class NoCandidate(ProviderError):
    """No provider and variant fit the request."""


class PlacementRefused(ProviderError):
    """``strict`` was asked for and part of the graph went to another provider."""


class MemoryRefused(ProviderError):
    """Opening the model would take more memory than this process may have."""


class ExtraMissing(GpuxError):
    """An optional library is not installed; the hint is the line that installs it."""


class RunFailed(GpuxError):
    """The runtime failed while it ran a graph."""
