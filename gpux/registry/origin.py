"""Artifact → the checkpoint that it was made from, at the same revision; converts nothing."""

from __future__ import annotations

import json
from pathlib import Path

from gpux import settings, sources
from gpux.artifact import Artifact
from gpux.errors import ModelNotFound, SourceError
from gpux.events import Event, Progress, silent
from gpux.export import toolchains
from gpux.reference import parse
from gpux.sources.listing import Wants
from gpux.sources.snapshot import Snapshot


def checkpoint(
    artifact: Artifact,
    python: Path,
    *,
    token: str | None = None,
    offline: bool | None = None,
    progress: Progress = silent,
) -> Snapshot:
    """The source model with its weights.

    Args:
        artifact: What was made from it.
        python: The exporter's interpreter, which is asked whether it has the architecture built in.
        token: A Hub token.
        offline: Whether to keep off the network; as the environment says when ``None``.
        progress: Receives every step.

    Raises:
        ModelNotFound: The source holds another revision by now, or no weights.
        SourceError: It cannot be read.
        UnsafeWeights: Its weights are pickled.
        RemoteCodeRefused: It needs code of its own.
    """
    source = artifact.manifest.source
    reference = parse(source.reference)
    progress(Event("fetch", f"looking for the weights of {source.reference}"))
    away = settings.offline() if offline is None else offline
    pinned = reference if reference.scheme != "hf" else parse(f"{reference.base}@{source.resolved}")
    listing = sources.look(pinned, token=token, offline=away, progress=progress)
    if listing.resolved != source.resolved:
        raise ModelNotFound(
            f"`{source.reference}` is {listing.resolved[:12]} by now, and the stored model was made from {source.resolved[:12]}",
            hint=f"gpux pull {source.reference} --force",
            reference=source.reference,
        )
    snapshot = sources.fetch(listing, wants=Wants(), token=token, progress=progress)
    config = snapshot.directory / "config.json"
    kind = json.loads(config.read_bytes()).get("model_type") if snapshot.find("config.json") else None
    if not kind or not any("/" not in path for path in listing.safetensors):
        raise SourceError(
            f"`{source.reference}` holds no checkpoint that PyTorch could run",
            hint="leave mode=torch out",
            reference=source.reference,
        )
    native = frozenset({str(kind)}) if toolchains.knows(python, str(kind)) else frozenset[str]()
    return sources.fetch(listing, wants=Wants(weights=True, native=native), token=token, progress=progress)
