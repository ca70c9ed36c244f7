"""Whether the package index and the Hub, as this environment sets them, can be reached: one connection each, nothing sent."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import threading
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass, url2pathname

from gpux import settings
from gpux.doctor.check import Check

_SECONDS = 3.0


def hub() -> list[Check]:
    """The Hub, or the mirror in ``HF_ENDPOINT``."""
    if settings.offline():
        finding = "offline was asked for: only stored and cached models can be used"
        return [Check("hub", "note", finding, "unset GPUX_OFFLINE HF_HUB_OFFLINE")]
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    if not _host(endpoint):
        remedy = "export HF_ENDPOINT=https://huggingface.co"
        return [Check("hub", "fail", f"`{endpoint}` is no address", remedy)]
    what, problem = reach(endpoint)
    if problem:
        remedy = "export HTTPS_PROXY=… for a proxy, HF_ENDPOINT=… for a mirror, GPUX_OFFLINE=1 to stay off it"
        return [Check("hub", "note", f"{what} is out of reach: {problem}", remedy)]
    return [Check("hub", "ok", f"{what} answers")]


def index() -> list[Check]:
    """The index that pip would ask, by pip's own settings."""
    if settings.offline():
        return [Check("index", "ok", "offline was asked for: not tried")]
    configured = _settings(_pip("config", "list"))
    if configured.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        finding = "pip is set to ask no index: `pypi:` references and gpux exporter install find nothing"
        return [Check("index", "note", finding, "unset PIP_NO_INDEX; pip config unset global.no-index")]
    address = configured.get("index-url") or _default(_pip("download", "--help"))
    if not address:
        return [Check("index", "ok", "pip does not say which index it asks: not tried")]
    target = urlsplit(address)
    if target.scheme == "file":
        there = os.path.exists(url2pathname(target.path))  # noqa: PTH110 - an URL's path
        what, problem = without_password(address), None if there else "there is no such folder"
    elif not _host(address):
        what, problem = f"`{without_password(address)}`", "it is no address"
    else:
        what, problem = reach(address, configured.get("proxy"))
    if problem:
        remedy = "pip config debug shows where it is set; export HTTPS_PROXY=… for a proxy"
        return [Check("index", "note", f"{what} is out of reach: {problem}", remedy)]
    return [Check("index", "ok", f"{what} answers")]


def reach(address: str, proxy: str | None = None) -> tuple[str, str | None]:
    """Connect to an address, or to the proxy that stands before it; what was tried, and what went wrong or ``None``."""
    target, what = urlsplit(address), without_password(address)
    proxy = proxy or getproxies().get(target.scheme) or getproxies().get("all")
    if proxy and not proxy_bypass(target.hostname or ""):
        target, what = (
            urlsplit(proxy if "://" in proxy else f"http://{proxy}"),
            f"the proxy {without_password(proxy)}",
        )
    try:
        port = target.port or {"https": 443, "socks5": 1080, "socks5h": 1080}.get(target.scheme, 80)
    except ValueError as error:
        return what, str(error)
    return what, _connect(target.hostname or "", port)


def _connect(host: str, port: int) -> str | None:
    outcome: list[str | None] = []

    def attempt() -> None:
        try:
            socket.create_connection((host, port), timeout=_SECONDS).close()
            outcome.append(None)
        except (OSError, ValueError) as error:
            outcome.append(str(error))

    # Looking a name up knows no timeout, and a name may have several addresses.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return outcome[0] if outcome else f"no answer in {_SECONDS:.0f} s"


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def without_password(address: str) -> str:
    """An address as it may be shown."""
    scheme, slashes, rest = address.rpartition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"


def _pip(*arguments: str) -> str:
    # COLUMNS: its help breaks lines, addresses among them, where it believes a terminal to end.
    environment = {**os.environ, "COLUMNS": "1000", "PIP_NO_COLOR": "1"}
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=20,
        check=False,
    )
    return done.stdout


def _settings(listed: str) -> dict[str, str]:
    """The settings of pip as they hold for a download: of a section's, the later win (``pip config list``)."""
    found: dict[str, str] = {}
    for section in ("global", "download", ":env:"):
        pattern = rf"^{section}\.([\w-]+)=(.+)$"
        for name, value in re.findall(pattern, listed, re.MULTILINE):
            try:
                found[name] = str(ast.literal_eval(value)).strip()
            except (ValueError, SyntaxError):
                continue
    return found


def _default(text: str) -> str | None:
    found = re.search(r"--index-url <url>.*?\(default:? (\S+?)\)", text)
    return found[1] if found else None
