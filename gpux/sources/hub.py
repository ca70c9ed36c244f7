"""Hugging Face's Hub, or a mirror of it: one look to learn the commit and the files, then each file by its address.

The files stay in the Hub's own cache, where every other tool finds them. ``HF_ENDPOINT``, ``HF_HUB_CACHE``, ``HF_HOME``,
``HF_TOKEN`` and ``HF_TOKEN_PATH`` are read when they are used; huggingface_hub is imported only when the network is.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from gpux import settings
from gpux._version import __version__
from gpux.errors import InvalidSetting, ModelNotFound, NetworkFailed, OfflineMiss, SourceError
from gpux.events import Event, Progress
from gpux.reference import Reference
from gpux.sources import hub_cache, hub_errors, local, tree
from gpux.sources.gather import gather
from gpux.sources.hub_transfer import Stopped, Transfer, download, retry
from gpux.sources.listing import Listed, Listing, Wants
from gpux.sources.paths import safe
from gpux.sources.snapshot import Snapshot, SourceFile

_HOME = "https://huggingface.co"
_ADDRESS = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_AT_ONCE = 4


def endpoint() -> str:
    """The Hub's address: ``HF_ENDPOINT``, without a slash at its end.

    Raises:
        InvalidSetting: It is no web address.
    """
    value = (os.environ.get("HF_ENDPOINT") or _HOME).rstrip("/")
    if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname:
        raise InvalidSetting(
            f"`HF_ENDPOINT` is `{value}`, not a web address",
            hint=f"unset it, or set it to one like {_HOME}",
            variable="HF_ENDPOINT",
        )
    return value


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
            endpoint=endpoint(), token=_credentials(token), library_name="gpux", library_version=__version__
        )
        info = retry(
            lambda: api.model_info(
                reference.name,
                revision=reference.revision,
                files_metadata=True,
                timeout=settings.network_timeout(),
            )
        )
        return _checked(_listing(reference, info))


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
    downloads = _Downloads(listing, cache, progress)
    with _translated(listing.reference, token):
        downloads.connect(_credentials(token))
        chosen = gather(listing, wants, cache.snapshot(commit), downloads.obtain)
        cache.remember(listing.reference.revision or "main", commit)
    listing = (
        local.describe(replace(listing, files=chosen), cache.snapshot(commit))
        if listing.license is None
        else listing
    )
    return _snapshot(listing, cache.snapshot(commit), chosen, downloads.digests)


def _look_in_cache(reference: Reference) -> Listing:
    cache = hub_cache.repository(reference.name)
    commit = cache.commit(reference.revision or "main")
    directory = cache.snapshot(commit) if commit else cache.folder
    if commit is None or not directory.is_dir():
        raise OfflineMiss(
            f"`{reference.base}` is not in the local cache, and offline was asked for",
            hint=f"with a network: gpux pull {reference}",
            reference=str(reference.base),
        )
    listing = Listing(reference, commit, tuple(tree.walk(directory)), directory, reference.file)
    return local.describe(listing, directory)


def _from_cache(listing: Listing, wants: Wants) -> Snapshot:
    directory = listing.directory or Path()
    try:
        chosen = gather(listing, wants, directory, lambda _: None)
    except ModelNotFound as error:
        raise OfflineMiss(
            f"the local cache holds only a part of `{listing.reference.base}`: {error.message}",
            hint=f"with a network: gpux pull {listing.reference}",
            reference=str(listing.reference.base),
        ) from error
    return _snapshot(listing, directory, chosen, {})


def _snapshot(
    listing: Listing, directory: Path, chosen: tuple[Listed, ...], digests: dict[str, str]
) -> Snapshot:
    files = tuple(
        SourceFile(
            f.path,
            (directory / f.path).stat().st_size,
            digests.get(f.path) or tree.digest(directory / f.path),
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
        blob=address if isinstance(address, str) and _ADDRESS.fullmatch(address) else None,
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


def _credentials(token: str | None) -> str | None:
    """The token to send: the one that was given, else the user's own, read now and not when the client was imported."""
    if token or (token := os.environ.get("HF_TOKEN")):
        return token.strip()
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return None
    path = os.environ.get("HF_TOKEN_PATH")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (Path(path).expanduser() if path else hub_cache.home() / "token").read_text(
            encoding="utf-8"
        ).strip() or None
    return None


@contextlib.contextmanager
def _translated(reference: Reference, token: str | None) -> Iterator[None]:
    kinds = hub_errors.expected()
    try:
        yield
    except SourceError:
        raise
    except kinds as error:
        translated = hub_errors.translate(
            error, reference, endpoint(), authenticated=_credentials(token) is not None
        )
        if isinstance(translated, NetworkFailed) and hub_cache.repository(reference.name).commit(
            reference.revision or "main"
        ):
            translated.hint = "a copy of an earlier pull is in the cache: add --offline to use it"
        raise translated from error


@dataclass(slots=True)
class _Downloads:
    """The downloads of one fetch: a few at once, one count of bytes, all stopped by the first that fails."""

    listing: Listing
    cache: hub_cache.Repository
    progress: Progress
    digests: dict[str, str] = field(default_factory=dict)
    _headers: dict[str, str] = field(default_factory=dict)
    _token: str | None = None
    _done: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def connect(self, token: str | None) -> None:
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        self._token = token
        self._headers = build_hf_headers(
            token=token or False, library_name="gpux", library_version=__version__
        )

    def obtain(self, files: list[Listed]) -> None:
        """Bring files that are not in the cache yet."""
        missing = [file for file in files if not self._present(file)]
        if not missing:
            return
        self._done, total = 0, sum(file.size or 0 for file in missing)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="gpux-download") as pool:
            work = [pool.submit(self._bring, file, total) for file in missing]
            try:
                wait(work, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
        failures = [error for job in work if not job.cancelled() and (error := job.exception())]
        for error in sorted(failures, key=lambda error: isinstance(error, Stopped)):
            raise error
        self._stop.clear()

    def _present(self, file: Listed) -> bool:
        path = self.cache.snapshot(self.listing.resolved) / file.path
        if not path.is_file() or file.size not in {None, path.stat().st_size}:
            return False
        digest = tree.digest(path)
        if file.sha256 not in {
            None,
            digest,
        }:  # the cache was altered: content under an address that is not its own
            path.resolve().unlink()
            return False
        self.digests[file.path] = digest
        return True

    def _bring(self, file: Listed, total: int) -> None:
        def count(size: int) -> None:
            with self._guard:
                self._done += size
                self.progress(Event("download", file.path, self._done, total or None))

        if self._stop.is_set():
            raise Stopped
        transfer = self._transfer(file)
        self.digests[file.path] = download(transfer, self.cache, count=count, stop=self._stop)
        self.cache.link(self.listing.resolved, file.path, transfer.address)

    def _transfer(self, file: Listed) -> Transfer:
        url = f"{endpoint()}/{self.listing.reference.name}/resolve/{self.listing.resolved}/{quote(file.path)}"
        if file.blob is not None:
            return Transfer(url, self._headers, file.blob, file.size)
        from huggingface_hub import get_hf_file_metadata

        found: Any = retry(
            lambda: get_hf_file_metadata(
                url, token=self._token or False, timeout=settings.network_timeout(), endpoint=endpoint()
            ),
            self._stop,
        )
        if not found.etag or not re.fullmatch(r"[A-Za-z0-9._+-]{1,128}", found.etag):
            raise ValueError(f"no usable ETag for {file.path}")
        return Transfer(url, self._headers, found.etag, found.size)
