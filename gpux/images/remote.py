"""An http address → its bytes, within limits of size and time, where the user allowed that; knows no pictures."""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException, HTTPResponse
from time import monotonic

from gpux import settings
from gpux._version import __version__
from gpux.errors import InvalidInput, NetworkFailed, OfflineMiss

LARGEST = 256 << 20
"""Bytes of the largest file that is fetched, where nobody says otherwise."""
_PIECE = 1 << 16
_TIMEOUTS = 10  # the whole download gets so many times as long as one silence


def is_address(text: str) -> bool:
    """Whether a text is an ``http`` or ``https`` address."""
    return text[:8].lower().startswith(("http://", "https://"))


def fetch(
    address: str, *, position: int | None = None, allowed: bool | None = None, largest: int = LARGEST
) -> bytes:
    """What is at an address.

    Args:
        address: It begins with ``http://`` or ``https://``, and so does whatever it leads on to.
        position: Where the item stood in the list, for the error.
        allowed: Whether addresses are fetched; by default what ``GPUX_ALLOW_URLS`` says.
        largest: Bytes of the largest file that is fetched.

    Raises:
        InvalidInput: Addresses are not allowed, nothing is there, or more than ``largest`` bytes are.
        OfflineMiss: Offline was asked for.
        NetworkFailed: It is out of reach or too slow.
    """
    if not (settings.allow_urls() if allowed is None else allowed):
        raise InvalidInput(
            f"{_name(position, address)} is an address, and addresses are not fetched unless allowed",
            hint="set GPUX_ALLOW_URLS=1, or download the file and give its path",
            position=position,
            url=address,
        )
    if settings.offline():
        raise OfflineMiss(
            f"{_name(position, address)} cannot be fetched offline",
            hint="unset GPUX_OFFLINE and HF_HUB_OFFLINE, or give a file",
            position=position,
            url=address,
        )
    try:
        return _read(address, position=position, largest=largest)
    except urllib.error.HTTPError as error:
        with error:
            kind = NetworkFailed if error.code >= 500 else InvalidInput
            raise kind(
                f"{_name(position, address)} answered {error.code} {error.reason}",
                hint="open the address in a browser",
                position=position,
                url=address,
            ) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise NetworkFailed(
            f"{_name(position, address)} is out of reach ({reason})",
            hint="look at the address and the network, or give a file",
            position=position,
            url=address,
        ) from error


def _read(address: str, *, position: int | None, largest: int) -> bytes:
    timeout = settings.network_timeout()
    until = monotonic() + _TIMEOUTS * timeout
    request = urllib.request.Request(address, headers={"User-Agent": f"gpux/{__version__}"})  # noqa: S310 - _opener has no other scheme
    pieces, size = [], 0
    answer: HTTPResponse
    with _opener().open(request, timeout=timeout) as answer:
        while piece := answer.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > largest:
                raise InvalidInput(
                    f"{_name(position, address)} is larger than {largest >> 20} MiB",
                    hint="download it and give its path",
                    position=position,
                    url=address,
                )
            if monotonic() > until:
                raise TimeoutError(f"not whole after {_TIMEOUTS * timeout} s")
    return b"".join(pieces)


def _opener() -> urllib.request.OpenerDirector:
    """One that knows http, https and proxies, but no files and no ftp, which the usual one does."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _name(position: int | None, address: str) -> str:
    shown = address if len(address) <= 80 else address[:80] + "…"
    return f"`{shown}`" if position is None else f"input {position} (`{shown}`)"
