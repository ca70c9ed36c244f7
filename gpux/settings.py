"""Every ``GPUX_*`` variable, read when it is used so that tests and long-lived processes see changes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from gpux.errors import InvalidSetting

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


def home() -> Path:
    """The store's directory: ``GPUX_HOME``, else the platform's cache folder."""
    if value := _path("GPUX_HOME"):
        return value.absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "gpux"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "gpux"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpux"


def offline() -> bool:
    """Whether ``GPUX_OFFLINE`` or ``HF_HUB_OFFLINE`` forbids the network."""
    return _flag("GPUX_OFFLINE") or _flag("HF_HUB_OFFLINE")


def provider() -> str:
    """The provider when none is named: ``GPUX_PROVIDER``, else ``auto``."""
    return named_provider() or "auto"


def named_provider() -> str | None:
    """The provider that the environment names: ``GPUX_PROVIDER``."""
    return os.environ.get("GPUX_PROVIDER") or None


def variant() -> str | None:
    """The variant when none is named: ``GPUX_VARIANT``."""
    return os.environ.get("GPUX_VARIANT") or None


def threads() -> int | None:
    """Intra-op threads: ``GPUX_THREADS``, else ``None`` (as many as this process may use)."""
    return _positive("GPUX_THREADS")


def memory() -> int | None:
    """MiB that an open model may take: ``GPUX_MEMORY``, else ``None`` (what this process may have)."""
    return _positive("GPUX_MEMORY")


def exporter_python() -> Path | None:
    """The interpreter whose environment holds the conversion toolchain: ``GPUX_EXPORTER_PYTHON``."""
    return _path("GPUX_EXPORTER_PYTHON")


def worker_timeout() -> int:
    """Seconds after which a worker process is stopped, whatever it does: ``GPUX_WORKER_TIMEOUT``, else two hours."""
    return _positive("GPUX_WORKER_TIMEOUT") or 7200


def worker_stall() -> int:
    """Seconds without processor time or a message after which a worker counts as hung: ``GPUX_WORKER_STALL``."""
    return _positive("GPUX_WORKER_STALL") or 180


def worker_memory() -> int | None:
    """Address-space limit of a worker process in MiB: ``GPUX_WORKER_MEMORY`` (POSIX only)."""
    return _positive("GPUX_WORKER_MEMORY")


def probe_timeout() -> int:
    """Seconds that one provider gets to try itself: ``GPUX_PROBE_TIMEOUT``, else 90, for some build an engine first."""
    return _positive("GPUX_PROBE_TIMEOUT") or 90


def network_timeout() -> int:
    """Seconds without a byte after which a download counts as stuck: ``GPUX_NETWORK_TIMEOUT``, else 30."""
    return _positive("GPUX_NETWORK_TIMEOUT") or 30


def allow_urls() -> bool:
    """Whether pictures, recordings and videos may be http addresses: ``GPUX_ALLOW_URLS``."""
    return _flag("GPUX_ALLOW_URLS")


def max_pixels() -> int:
    """Pixels of the largest picture that is decoded: ``GPUX_MAX_PIXELS``, else 178956970, where Pillow refuses too."""
    return _positive("GPUX_MAX_PIXELS") or 178_956_970


def log_level() -> str:
    """``GPUX_LOG``: ``debug``, ``info``, ``warning`` (default) or ``error``."""
    value = (os.environ.get("GPUX_LOG") or "warning").lower()
    if value not in {"debug", "info", "warning", "error"}:
        raise InvalidSetting(
            f"`GPUX_LOG` is `{value}`", hint="use one of debug, info, warning, error", variable="GPUX_LOG"
        )
    return value


def _path(name: str) -> Path | None:
    value = os.environ.get(name)
    if not value:
        return None
    try:
        return Path(value).expanduser()
    except RuntimeError:
        user = value.partition("/")[0]
        raise InvalidSetting(
            f"`{name}` is `{value}`, and nobody's home directory is `{user}`",
            hint=f"set {name} to a path that begins with /, or unset it",
            variable=name,
        ) from None


def _flag(name: str) -> bool:
    value = os.environ.get(name, "").strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidSetting(
        f"`{name}` is `{value}`, not a yes or a no", hint=f"set {name}=1 or unset it", variable=name
    )


def _positive(name: str) -> int | None:
    value = os.environ.get(name, "").strip()
    if not value:
        return None
    if value.isdecimal() and int(value) > 0:
        return int(value)
    raise InvalidSetting(
        f"`{name}` is `{value}`, not a positive whole number",
        hint=f"set {name} to 1 or more, or unset it",
        variable=name,
    )
