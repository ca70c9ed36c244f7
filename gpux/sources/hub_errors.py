"""Turns whatever the Hub's client raises into one of GPUX's errors, and says which of them are worth another try."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpux.errors import (
    AccessDenied,
    GpuxError,
    ModelNotFound,
    NetworkFailed,
    OfflineMiss,
    RevisionNotFound,
)
from gpux.reference import Reference
from gpux.sources import hub_cache

TRANSIENT = {408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 524}
_LONGEST_WAIT = 120.0


def expected() -> tuple[type[BaseException], ...]:
    """Every type that the client raises for reasons outside of the program: HTTP, transport, disk, malformed answers."""
    from huggingface_hub.errors import HfHubHTTPError

    # The transport's root differs between versions (requests, httpx, httpx2); all are ancestors of this error.
    roots = [
        kind
        for kind in HfHubHTTPError.__mro__
        if kind.__module__.split(".")[0] not in {"builtins", "huggingface_hub", "typing"}
    ]
    return (*roots, OSError, ValueError)


def status(error: BaseException) -> int | None:
    """The HTTP status that an error carries."""
    code = getattr(getattr(error, "response", None), "status_code", None)
    return code if isinstance(code, int) else None


def transient(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if (code := status(error)) is not None:
        return code in TRANSIENT
    if isinstance(error, OfflineModeIsEnabled | ValueError):
        return False
    if type(error).__name__ in {"UnsupportedProtocol", "ProxyError", "TooManyRedirects", "InvalidURL"}:
        return False
    # An errno of our own means the disk; the transport's errors carry theirs in their cause.
    return not (isinstance(error, OSError) and hub_cache.unwritable(error, hub_cache.root(), ""))


def wait(error: BaseException, attempt: int) -> float | None:
    """Seconds to wait before the next attempt, ``None`` when the server asks for more than anybody waits."""
    headers: Any = getattr(getattr(error, "response", None), "headers", {})
    asked = headers.get("Retry-After", "") if headers else ""
    if asked.isdecimal():
        return float(asked) if float(asked) <= _LONGEST_WAIT else None
    if _timed_out(error):
        return 0.0  # it has been waited for already
    return min(0.5 * 2.0**attempt, 8.0)


def translate(error: BaseException, reference: Reference, endpoint: str, *, authenticated: bool) -> GpuxError:
    """The error that a user sees."""
    from huggingface_hub import errors

    name = str(reference.base)
    if isinstance(error, errors.GatedRepoError):
        return AccessDenied(
            f"`{reference.name}` is gated",
            hint=f"accept its terms at {endpoint}/{reference.name}, then hf auth login"
            if not authenticated
            else f"accept its terms at {endpoint}/{reference.name} with the account of this token",
            reference=name,
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelNotFound(
            f"the Hub has no model `{reference.name}`"
            + (" that this token may see" if authenticated else ""),
            hint="check the spelling (org/name)"
            + ("" if authenticated else "; if it is private: hf auth login, or --token"),
            reference=name,
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return RevisionNotFound(
            f"`{reference.name}` has no revision `{reference.revision or 'main'}`",
            hint=f"its branches and tags are at {endpoint}/{reference.name}/tree/main",
            reference=name,
            revision=reference.revision,
        )
    if isinstance(error, errors.EntryNotFoundError) and status(error):
        return ModelNotFound(f"a file of `{name}` is gone from the Hub", hint="pull it again", reference=name)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return OfflineMiss(
            f"`{name}` is not in the local cache, and the Hub's client is offline",
            hint="unset HF_HUB_OFFLINE",
            reference=name,
        )
    return _by_status(error, reference, endpoint, authenticated=authenticated)


def here(reference: Reference) -> str | None:
    """The hint for a name of the Hub that is that of a file or folder here too, else ``None``."""
    path = f"{reference.name}/{reference.file}" if reference.file else reference.name
    if not Path(path).exists():
        return None
    variant = f":{reference.variant}" if reference.variant else ""
    return f"did you mean ./{path}{variant}, which is here"


def _by_status(
    error: BaseException, reference: Reference, endpoint: str, *, authenticated: bool
) -> GpuxError:
    name, code = str(reference.base), status(error)
    if code is None:
        return _by_kind(error, name, endpoint)
    if code in {401, 403}:
        return AccessDenied(
            f"{endpoint} refused access to `{reference.name}` ({code})",
            hint="the token is wrong, expired or lacks rights: hf auth login"
            if authenticated
            else "hf auth login, or --token",
            reference=name,
        )
    limited = code == 429
    return NetworkFailed(
        f"{endpoint} is limiting this machine's requests (429)"
        if limited
        else f"{endpoint} keeps answering {code}",
        hint="wait some minutes; hf auth login raises the limit"
        if limited
        else "try again later, or set HF_ENDPOINT to a mirror",
        reference=name,
        status=code,
    )


def _by_kind(error: BaseException, name: str, endpoint: str) -> GpuxError:
    if isinstance(error, OSError) and (
        known := hub_cache.unwritable(error, hub_cache.root(), "HF_HUB_CACHE")
    ):
        return known
    if isinstance(error, ValueError):
        message = f"{endpoint} does not answer as a Hub does ({_first_line(error)})"
        hint = "check HF_ENDPOINT, and whether a proxy or a login page answers in its place"
    elif _timed_out(error):
        message = f"{endpoint} stopped answering while `{name}` was fetched"
        hint = "run the same command again: it goes on where it stopped; GPUX_NETWORK_TIMEOUT sets the patience in seconds"
    else:
        message = f"{endpoint} cannot be reached ({_first_line(error)})"
        hint = "check the network, HTTPS_PROXY and HF_ENDPOINT; --offline uses what is in the cache"
    return NetworkFailed(message, hint=hint, reference=name)


def _timed_out(error: BaseException) -> bool:
    # requests hides a stalled read in its ConnectionError
    return "Timeout" in type(error).__name__ or "timed out" in str(error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
