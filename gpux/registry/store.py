"""The store: artifacts by digest, and an index from references and names to digests, one small file per entry.

An artifact is written in a temporary directory of the same file system, synced, and renamed; the index entry comes
last. So a crash at any byte leaves the old state or the new one, and readers need no lock.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gpux import artifact as artifacts
from gpux import integrity, settings
from gpux.artifact import Artifact
from gpux.errors import (
    AmbiguousName,
    ArtifactNotFound,
    CorruptArtifact,
    InvalidReference,
    UsageError,
)
from gpux.reference import parse
from gpux.registry import disk, index
from gpux.registry.index import Entry


@dataclass(frozen=True, slots=True)
class Removal:
    """What a deletion will do, decided before anything is touched.

    Attributes:
        entries: Index entries that go.
        digests: Artifacts that go, for nothing names them any more.
        leftovers: Temporary directories of processes that are gone, and cached sources.
        size: Bytes that this frees.
    """

    entries: tuple[Entry, ...]
    digests: tuple[str, ...]
    leftovers: tuple[str, ...]
    size: int


class Store:
    """The artifacts under one directory.

    Args:
        root: The directory; ``GPUX_HOME`` or the platform's cache folder when ``None``.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or settings.home()
        self.artifacts = self.root / "artifacts"
        self.index = self.root / "index"
        self.locks = self.root / "locks"
        self.temporary = self.root / "tmp"

    def entries(self) -> list[Entry]:
        """Every index entry whose artifact is there, oldest first; unreadable ones are left to :meth:`broken`."""
        found = [
            entry
            for path in self._index_files()
            if (entry := index.read_entry(path)) and (self.artifacts / entry.digest).is_dir()
        ]
        return sorted(found, key=lambda entry: (entry.created, entry.name))

    def broken(self) -> list[Path]:
        """Index files that are unreadable or whose artifact is gone."""
        return [
            path
            for path in self._index_files()
            if (entry := index.read_entry(path)) is None or not (self.artifacts / entry.digest).is_dir()
        ]

    def strays(self) -> list[Path]:
        """Temporary files beside index entries and stamps that a killed process left."""
        folders = [self.index, *(self.artifacts / digest for digest in self.digests())]
        found = [path for folder in folders for path in index.list_folder(folder)]
        return [path for path in found if path.name.startswith((f"{integrity.STAMP}.", "."))]

    def digests(self) -> list[str]:
        """Every artifact on disk, named by an entry or not."""
        return (
            sorted(path.name for path in self.artifacts.iterdir() if path.is_dir())
            if self.artifacts.is_dir()
            else []
        )

    def read(self, digest: str) -> Artifact:
        """The artifact of that digest.

        Raises:
            ArtifactNotFound: It is not there (any more).
            CorruptArtifact: Its manifest was altered.
        """
        directory = self.artifacts / digest
        try:
            return artifacts.read(directory)
        except CorruptArtifact:
            if not directory.is_dir():
                raise ArtifactNotFound(
                    f"artifact `{digest[:12]}` was removed by another process",
                    hint="run the command again to pull the model anew",
                    digest=digest,
                ) from None
            raise

    def get(self, text: str) -> Artifact:
        """The artifact that a reference, a name, a short name or a digest (12 characters or more) means.

        Raises:
            ArtifactNotFound: Nothing is stored under it; the hint names the closest or says how to pull.
            AmbiguousName: A short name that fits several.
        """
        return self.read(self.locate(text).digest)

    def locate(self, text: str) -> Entry:
        """The entry that a text means; as :meth:`get`, without reading the artifact.

        Raises:
            ArtifactNotFound: Nothing is stored under it.
            AmbiguousName: A short name that fits several.
        """
        entry = self.find(text)
        if entry is None:
            raise self._missing(text)
        return entry

    def find(self, text: str) -> Entry | None:
        """The entry that a text means, or ``None``.

        Raises:
            AmbiguousName: A short name that fits several artifacts.
        """
        wanted = index.canonical(text)
        if direct := self.named(wanted):
            return direct
        entries = self.entries()
        fitting = [e for e in entries if index.short_name(e.name) in {text, wanted}] or [
            e for e in entries if len(text) >= 12 and e.digest.startswith(text)
        ]
        if len({entry.digest for entry in fitting}) > 1:
            names = ", ".join(entry.name for entry in fitting)
            raise AmbiguousName(
                f"`{text}` fits several stored models: {names}",
                hint=f"write one of them whole, such as {fitting[0].name}",
                name=text,
            )
        return fitting[-1] if fitting else None

    def named(self, name: str) -> Entry | None:
        """The entry of exactly that canonical reference or given name, or ``None``."""
        entry = index.read_entry(self._entry_path(name))
        return entry if entry and (self.artifacts / entry.digest).is_dir() else None

    def commit(self, directory: Path, manifest: artifacts.Manifest, name: str) -> Artifact:
        """Make a finished directory an artifact, and point an entry at it.

        Args:
            directory: On this store's file system (from :meth:`workspace`), holding every file of the manifest.
            manifest: The manifest; written last.
            name: The entry's name, a canonical reference.

        Raises:
            StoreUnwritable: No room or no permission; the store is as it was.
        """
        data = manifest.to_json()
        digest = hashlib.sha256(data).hexdigest()
        target = self.artifacts / digest
        with disk.guarded(self.root):
            (directory / artifacts.MANIFEST).write_bytes(data)
            disk.sync_tree(directory)
            self.artifacts.mkdir(parents=True, exist_ok=True)
        whole = _whole(target)
        with self._changing():
            if not (whole and target.is_dir()):
                if target.is_dir():
                    self._discard(target)
                directory.replace(target)
                disk.sync_directory(self.artifacts)
            artifact = artifacts.read(target)
            integrity.stamp(artifact)
            self._write(name, digest)
        return artifact

    def point(self, name: str, digest: str) -> Entry:
        """Point an entry at an artifact, replacing what it pointed at."""
        with self._changing():
            return self._write(name, digest)

    def copy(self, text: str, name: str) -> Entry:
        """Give an artifact another name (``gpux cp``).

        Raises:
            InvalidReference: The name does not follow the grammar of bare names.
        """
        artifact = self.get(text)
        target = parse(name)
        if target.scheme != "hf" or "/" in target.name or target.revision or target.variant:
            raise InvalidReference(
                f"`{name}` is no plain name",
                hint="use letters, digits, dots and dashes, such as my-model",
                reference=name,
            )
        return self.point(str(target), artifact.digest)

    def plan_removal(self, names: list[str]) -> Removal:
        """What removing these models would do: entries of that name go, and artifacts that nothing else names.

        Raises:
            ArtifactNotFound, AmbiguousName: A name means none of them, or several.
            UsageError: A name is that of one variant.
        """
        chosen: dict[str, Entry] = {}
        for name in names:
            entry = self.locate(name)
            with contextlib.suppress(InvalidReference):
                if parse(name).variant:
                    raise UsageError(
                        f"`{name}` is one variant, and models are removed whole",
                        hint=f"gpux rm {name.rpartition(':')[0]}",
                        reference=name,
                    )
            chosen[entry.name] = entry
        kept = {entry.digest for entry in self.entries() if entry.name not in chosen}
        digests = tuple(sorted({entry.digest for entry in chosen.values()} - kept))
        return Removal(tuple(chosen.values()), digests, (), sum(self.size(digest) for digest in digests))

    def plan_prune(
        self, *, older_than: float | None = None, sources: bool = False, now: float | None = None
    ) -> Removal:
        """What ``gpux prune`` would remove: artifacts that nothing names, leftovers of dead processes, broken index files.

        Args:
            older_than: Also entries that were written more than so many seconds ago.
            sources: Also the fetched packages; what was made of them stays, another variant would fetch them again.
            now: The present, seconds since the epoch.
        """
        from gpux.sources import cached

        limit = (now or time.time()) - older_than if older_than is not None else None
        old = tuple(entry for entry in self.entries() if limit is not None and entry.created < limit)
        kept = {entry.digest for entry in self.entries() if entry not in old}
        digests = tuple(digest for digest in self.digests() if digest not in kept)
        unused = [*self._unused(), *(cached(self.root) if sources else ())]
        leftovers = tuple(str(path) for path in unused)
        freed = sum(self.size(d) for d in digests) + sum(disk.size(path) for path in unused)
        return Removal(old, digests, leftovers, freed)

    def remove(self, removal: Removal) -> None:
        """Execute a removal: entries first, so that nobody finds half an artifact; a model that is in use stays usable on POSIX.

        What another process has written anew since the plan was made stays.
        """
        from gpux.sources import cached

        with self._changing():
            for entry in removal.entries:
                path = self._entry_path(entry.name)
                if index.read_entry(path) == entry:
                    path.unlink(missing_ok=True)
            kept = {entry.digest for entry in self.entries()}
            for digest in removal.digests:
                if digest not in kept:
                    self._discard(self.artifacts / digest)
            unused = {*map(str, self._unused()), *map(str, cached(self.root))}
            for leftover in removal.leftovers:
                if leftover in unused:
                    disk.remove(Path(leftover))

    def _unused(self) -> list[Path]:
        from gpux.sources import leftovers

        return [
            *disk.abandoned(self.temporary),
            *self.broken(),
            *self.strays(),
            *leftovers(self.root),
        ]

    def lock(
        self, name: str, *, waiting: Callable[[], None] | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """The lock under which one model is made; falls with the process that holds it.

        Args:
            name: The model.
            waiting: Called once when another process holds the lock.

        Raises:
            StoreUnwritable: No lock can be taken in this store.
        """
        return disk.locked(self.locks / f"{index.key(name)}.lock", root=self.root, waiting=waiting)

    def workspace(self) -> contextlib.AbstractContextManager[Path]:
        """A temporary directory on the store's own file system."""
        return disk.workspace(self.temporary)

    def verify(self, digest: str) -> list[str]:
        """Hash every file of an artifact; a sentence for each that differs from the manifest.

        Raises:
            StoreError: Its manifest cannot be read.
        """
        return list(artifacts.verify(self.read(digest)))

    def handle(self, artifact: Artifact) -> str:
        """The shortest name by which the artifact is found."""
        short = index.short_name(artifact.reference)
        with contextlib.suppress(AmbiguousName):
            entry = self.find(short)
            if entry and entry.digest == artifact.digest:
                return short
        return artifact.reference

    def size(self, digest: str) -> int:
        """Bytes that an artifact takes."""
        return disk.size(self.artifacts / digest)

    def size_of(self, folder: str) -> int:
        """Bytes below another folder of the store: ``sources``, ``exporters``."""
        return disk.size(self.root / folder)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        # Short: whoever looks whether a name still points at an artifact must not be overtaken by whoever points it there.
        with disk.locked(self.locks / "store.lock", root=self.root), disk.guarded(self.root):
            yield

    def _write(self, name: str, digest: str) -> Entry:
        entry = Entry(name, digest, time.time())
        disk.write_json(self._entry_path(name), asdict(entry))
        return entry

    def _discard(self, directory: Path) -> None:
        with self.workspace() as trash, contextlib.suppress(FileNotFoundError):
            directory.replace(trash / directory.name)

    def _index_files(self) -> list[Path]:
        return sorted(self.index.glob("*.json")) if self.index.is_dir() else []

    def _entry_path(self, name: str) -> Path:
        return self.index / f"{index.key(name)}.json"

    def _missing(self, text: str) -> ArtifactNotFound:
        names = {
            alias: entry.name
            for entry in self.entries()
            for alias in (entry.name, index.short_name(entry.name))
        }
        close = difflib.get_close_matches(text, names, n=1, cutoff=0.6)
        hint = f"did you mean `{close[0]}`" if close else f"gpux pull {text}, or gpux list for what is stored"
        return ArtifactNotFound(f"no stored model is named `{text}`", hint=hint, reference=text)


def _whole(directory: Path) -> bool:
    try:
        return not any(artifacts.verify(artifacts.read(directory)))
    except CorruptArtifact:
        return False
