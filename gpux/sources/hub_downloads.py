"""Brings a repository's files into the Hub's cache: a few at once, one count of bytes, all stopped by the first that fails."""

from __future__ import annotations

import re
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gpux import settings
from gpux._version import __version__
from gpux.events import Event, Progress
from gpux.sources import hub_cache, tree
from gpux.sources.hub_settings import endpoint
from gpux.sources.hub_transfer import Stopped, Transfer, download, retry, verified
from gpux.sources.listing import Listed, Listing

_AT_ONCE = 4


@dataclass(slots=True)
class Downloads:
    """The downloads of one fetch.

    Attributes:
        listing: What the repository holds.
        cache: Its folder in the cache.
        progress: Told the bytes, one event at a time.
        digests: Path → sha256 of every file that was obtained.
    """

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
        """Say which token to send."""
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
        commit = self.listing.resolved
        held = self.cache.held(self.cache.snapshot(commit) / file.path)
        if held is None:  # nothing, or a link out of the cache
            self.cache.discard(commit, file.path)
            return False
        if file.size not in {None, held.stat().st_size}:
            return False
        digest = checked(held, file.sha256 or file.blob or self.cache.address(held))
        if digest is None:  # the cache was altered: content under an address that is not its own
            held.unlink()
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


def checked(path: Path, address: str) -> str | None:
    """The sha256 of a file in the cache, or ``None`` when its content is not what the address says.

    Raises:
        AccessDenied: It cannot be read.
    """
    try:
        return verified(path, address)
    except OSError as error:
        raise tree.unreadable(path, error) from error
