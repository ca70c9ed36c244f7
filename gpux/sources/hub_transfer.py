"""Downloads one file of the Hub into its cache, by plain HTTP: resumable over cuts, errors and killed processes.

The client's own downloader drops what it has when a process ends or a connection is reset (huggingface_hub ≥ 1.15), and
its Xet transport goes around a mirror; so this one keeps ``blobs/<address>.gpux`` and asks for the rest. Content enters
the cache only when it has the digest that the Hub announced.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpux import settings
from gpux.errors import SourceError
from gpux.sources import hub_errors
from gpux.sources.hub_cache import ADDRESS, Repository

_CHUNK = 1 << 16
_ATTEMPTS = 5
"""Attempts in a row that bring no byte before it is given up."""


class Stopped(Exception):
    """Another file's download failed, so this one was left where it was."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One file to bring.

    Attributes:
        url: Where it is.
        headers: What to send along, authorization included.
        address: Its content address: sha256 (64 digits) or git's blob id (40).
        size: Bytes, or ``None`` where the Hub does not say.
    """

    url: str
    headers: dict[str, str]
    address: str
    size: int | None


def retry(action: Callable[[], Any], stop: threading.Event | None = None) -> Any:
    """Call an action until it succeeds, fails for good, or has failed too often."""
    for attempt in range(_ATTEMPTS):
        try:
            return action()
        except hub_errors.expected() as error:
            pause = hub_errors.wait(error, attempt)
            if not hub_errors.transient(error) or pause is None or attempt == _ATTEMPTS - 1:
                raise
            _sleep(pause, stop)
    raise AssertionError


def download(
    transfer: Transfer, cache: Repository, *, count: Callable[[int], None], stop: threading.Event
) -> str:
    """Bring a file into the cache's blobs, and return its sha256.

    Args:
        transfer: The file.
        cache: The model's folder in the cache.
        count: Told how many bytes came; negative when some have to come again.
        stop: Ends the download between two chunks when it is set.

    Raises:
        Stopped: ``stop`` was set.
        OSError: And the transport's errors: what :func:`gpux.sources.hub_errors.expected` lists.
        SourceError: The content is not what the Hub announced.
    """
    from filelock import FileLock

    blob = cache.blob(transfer.address)
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock = cache.lock(transfer.address)
    lock.parent.mkdir(parents=True, exist_ok=True)
    partial = blob.with_name(f"{blob.name}.gpux")
    with FileLock(lock):
        held = cache.held(blob)
        if held and (digest := verified(held, transfer.address)):
            count(held.stat().st_size)
            return digest
        blob.unlink(missing_ok=True)  # altered, or a link out of the cache
        if partial.is_symlink():
            partial.unlink()
        if partial.exists():
            count(partial.stat().st_size)
        for last in (False, True):
            _receive(transfer, partial, count, stop)
            if digest := verified(partial, transfer.address):
                partial.replace(blob)
                return digest
            count(-partial.stat().st_size)
            partial.unlink()
            if last:
                raise SourceError(
                    f"`{transfer.url}` is not what the Hub announced (its digest differs)",
                    hint="something between here and the Hub alters files; try again, or another network",
                    url=transfer.url,
                )
    raise AssertionError


def verified(path: Path, address: str) -> str | None:
    """The sha256 of a file, or ``None`` when its content is not what the address says.

    Raises:
        OSError: It cannot be read.
    """
    if not ADDRESS.fullmatch(address):  # a mirror's own ETag, which proves nothing
        return _sha256(path)
    if len(address) == 64:
        digest = _sha256(path)
        return digest if digest == address else None
    # git's blob id: sha1 over a header and the content (git-hash-object).
    content = path.read_bytes()
    blob_id = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return hashlib.sha256(content).hexdigest() if blob_id == address else None


def _receive(transfer: Transfer, partial: Path, count: Callable[[int], None], stop: threading.Event) -> None:
    failures = 0
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        if transfer.size is not None and before == transfer.size:
            partial.touch()
            return
        try:
            _receive_once(transfer, partial, count, stop)
        except hub_errors.expected() as error:
            grown = partial.exists() and partial.stat().st_size > before
            failures = 0 if grown else failures + 1
            if hub_errors.status(error) == 416 and before:
                count(-before)
                partial.unlink()
                continue
            pause = hub_errors.wait(error, failures)
            if not hub_errors.transient(error) or pause is None or failures >= _ATTEMPTS:
                raise
            _sleep(pause, stop)
        else:
            return


def _receive_once(
    transfer: Transfer, partial: Path, count: Callable[[int], None], stop: threading.Event
) -> None:
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

    have = partial.stat().st_size if partial.exists() else 0
    headers = {**transfer.headers, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _open(transfer.url, headers) as (response, chunks):
        hf_raise_for_status(response)
        if have and response.status_code != 206:  # the server does not know ranges
            count(-have)
            have = 0
        with partial.open("ab" if have else "wb") as file:
            for chunk in chunks:
                if stop.is_set():
                    raise Stopped
                file.write(chunk)
                count(len(chunk))
            file.flush()
            os.fsync(file.fileno())
    size = partial.stat().st_size
    if transfer.size is not None and size < transfer.size:
        raise ConnectionError(f"the connection ended after {size} of {transfer.size} bytes")
    if transfer.size is not None and size > transfer.size:
        count(-size)
        partial.unlink()
        raise ValueError(f"more than the announced {transfer.size} bytes came")


@contextmanager
def _open(url: str, headers: dict[str, str]) -> Iterator[tuple[Any, Iterator[bytes]]]:
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    session: Any = get_session()
    timeout = settings.network_timeout()
    if callable(getattr(session, "stream", None)):  # huggingface_hub ≥ 1: httpx
        with session.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as response:
            yield response, response.iter_bytes()  # as they arrive: a stall loses nothing
    else:  # before: requests
        with session.get(url, headers=headers, timeout=timeout, stream=True) as response:
            yield response, response.iter_content(_CHUNK)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sleep(seconds: float, stop: threading.Event | None) -> None:
    if stop is None:
        time.sleep(seconds)
    elif stop.wait(seconds):
        raise Stopped
