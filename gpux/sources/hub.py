"""Hugging Face's Hub, or a mirror of it: one look to learn the commit and the files, then each file by its address.

The files stay in the Hub's own cache, where every other tool finds them. ``HF_ENDPOINT``, ``HF_HUB_CACHE``, ``HF_HOME``,
``HF_TOKEN`` and ``HF_TOKEN_PATH`` are read when they are used; huggingface_hub is imported only when the network is.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gpux import settings
from gpux._version import __version__
from gpux.errors import ModelNotFound, NetworkFailed, OfflineMiss, SourceError
from gpux.events import Event, Progress
from gpux.reference import Reference
from gpux.sources import hub_cache, hub_errors, local, tree
from gpux.sources.gather import gather
from gpux.sources.hub_downloads import Downloads, checked
from gpux.sources.hub_settings import credentials, endpoint
from gpux.sources.hub_transfer import retry
from gpux.sources.listing import Listed, Listing, Wants
from gpux.sources.paths import safe
from gpux.sources.snapshot import Snapshot, SourceFile


def look(reference: Reference, *, token: str | None, offline: bool, progress: Progress) -> Listing:
    """Resolve the revision and list the repository; offline, list what the cache holds of it.

    Raises:
        SourceError: One of its kinds.
    """
    if offline:
        return _checked(_look_in_cache(reference))
    progress(Event("resolve", f"asking {urlsplit(endpoint()).hostname} for {reference.name}"))
    with _translated(reference, token):
        from huggingface_hub import HfApi

        api = HfApi(
            endpoint=endpoint(),
            token=credentials(token) or False,
            library_name="gpux",
            library_version=__version__,
        )
        return _checked(_listing(reference, retry(lambda: _ask(api, reference))))


def fetch(listing: Listing, wants: Wants, *, token: str | None, progress: Progress) -> Snapshot:
    """Bring what is wanted into the Hub's cache.

    Raises:
        SourceError: One of its kinds.
        StoreUnwritable: The cache cannot be written.
    """
    cache = hub_cache.repository(listing.reference.name)
    if listing.directory is not None:
        return _from_cache(listing, wants)
    commit = listing.resolved
    downloads = Downloads(listing, cache, progress)
    with _translated(listing.reference, token):
        downloads.connect(credentials(token))
        chosen = gather(listing, wants, cache.snapshot(commit), downloads.obtain)
        cache.remember(listing.reference.revision or "main", commit)
    listing = (
        local.describe(replace(listing, files=chosen), cache.snapshot(commit))
        if listing.license is None
        else listing
    )
    return _snapshot(listing, cache.snapshot(commit), chosen, downloads.digests)


def _ask(api: Any, reference: Reference) -> Any:
    try:
        return api.model_info(
            reference.name,
            revision=reference.revision,
            files_metadata=True,
            timeout=settings.network_timeout(),
        )
    except (TypeError, KeyError, AttributeError) as error:  # JSON, but not of a model
        raise ValueError(f"no model in its answer: {error}") from error


def _look_in_cache(reference: Reference) -> Listing:
    cache = hub_cache.repository(reference.name)
    commit = cache.commit(reference.revision or "main")
    directory = cache.snapshot(commit) if commit else cache.folder
    if commit is None or not directory.is_dir():
        raise OfflineMiss(
            f"`{reference.base}` is not in the local cache, and offline was asked for",
            hint=hub_errors.here(reference) or f"with a network: gpux pull {reference}",
            reference=str(reference.base),
        )
    listing = Listing(reference, commit, tuple(tree.walk(directory)), directory, reference.file)
    return local.describe(listing, directory)


def _from_cache(listing: Listing, wants: Wants) -> Snapshot:
    directory = listing.directory or Path()
    cache = hub_cache.repository(listing.reference.name)
    digests: dict[str, str] = {}

    def check(files: list[Listed]) -> None:
        for file in files:
            held = cache.held(directory / file.path) or directory / file.path
            digest = checked(held, cache.address(held))
            if digest is None:
                raise OfflineMiss(
                    f"the cached copy of `{file.path}` of `{listing.reference.base}` is damaged",
                    hint=f"with a network: gpux pull {listing.reference}",
                    reference=str(listing.reference.base),
                    path=file.path,
                )
            digests[file.path] = digest

    try:
        chosen = gather(listing, wants, directory, check)
    except ModelNotFound as error:
        raise OfflineMiss(
            f"the local cache holds only a part of `{listing.reference.base}`: {error.message}",
            hint=f"with a network: gpux pull {listing.reference}",
            reference=str(listing.reference.base),
        ) from error
    return _snapshot(listing, directory, chosen, digests)


def _snapshot(
    listing: Listing, directory: Path, chosen: tuple[Listed, ...], digests: dict[str, str]
) -> Snapshot:
    files = tuple(
        SourceFile(
            f.path,
            (directory / f.path).stat().st_size,
            digests[f.path],
        )
        for f in chosen
    )
    return Snapshot(
        reference=listing.reference,
        directory=directory,
        resolved=listing.resolved,
        files=files,
        license=listing.license,
        pipeline_tag=listing.pipeline_tag,
        library=listing.library,
        shared=True,
    )


def _listing(reference: Reference, info: Any) -> Listing:
    commit = info.sha
    if not isinstance(commit, str) or not hub_cache.COMMIT.fullmatch(commit):
        raise NetworkFailed(
            f"{endpoint()} names no commit of `{reference.name}`",
            hint="a proxy or mirror leaves it out; try without HF_ENDPOINT",
            reference=str(reference.base),
        )
    card: Any = info.card_data or {}
    files = tuple(_listed(sibling) for sibling in info.siblings or ())
    return Listing(
        reference,
        commit,
        files,
        graph=reference.file,
        license=_text(card.get("license")),
        pipeline_tag=_text(info.pipeline_tag),
        library=_text(info.library_name),
        gated=bool(info.gated),
    )


def _listed(sibling: Any) -> Listed:
    large = sibling.lfs or {}
    sha256, size = large.get("sha256"), large.get("size") if large else sibling.size
    address = sha256 or sibling.blob_id
    return Listed(
        safe(str(sibling.rfilename)),
        size if isinstance(size, int) else None,
        sha256=sha256,
        blob=address if isinstance(address, str) and hub_cache.ADDRESS.fullmatch(address) else None,
    )


def _checked(listing: Listing) -> Listing:
    wanted = listing.reference.file
    if wanted is None or listing.find(wanted):
        return listing
    close = difflib.get_close_matches(wanted, [file.path for file in listing.files], n=1, cutoff=0.4)
    raise ModelNotFound(
        f"`{listing.reference.name}` has no file `{wanted}`",
        hint=f"did you mean {listing.reference.name}/{close[0]}"
        if close
        else f"gpux pull {listing.reference.name} --dry-run lists its files",
        reference=str(listing.reference.base),
        path=wanted,
    )


def _text(value: Any) -> str | None:
    value = value[0] if isinstance(value, list) and value else value
    return value if isinstance(value, str) and value else None


@contextlib.contextmanager
def _translated(reference: Reference, token: str | None) -> Iterator[None]:
    kinds = hub_errors.expected()
    try:
        yield
    except SourceError:
        raise
    except kinds as error:
        translated = hub_errors.translate(
            error, reference, endpoint(), authenticated=credentials(token) is not None
        )
        if isinstance(translated, NetworkFailed) and hub_cache.repository(reference.name).commit(
            reference.revision or "main"
        ):
            translated.hint = "a copy of an earlier pull is in the cache: add --offline to use it"
        elif isinstance(translated, ModelNotFound | NetworkFailed):
            translated.hint = hub_errors.here(reference) or translated.hint
        raise translated from error
