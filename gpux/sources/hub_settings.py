"""What the environment says about the Hub: its address and the user's token, read when they are used."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from urllib.parse import urlsplit

from gpux.errors import InvalidSetting
from gpux.sources import hub_cache

_HOME = "https://huggingface.co"


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


def credentials(token: str | None) -> str | None:
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
