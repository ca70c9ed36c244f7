"""The process in which providers try themselves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gpux.discovery import discover
from gpux.events import Progress
from gpux.provider import find
from gpux.worker import child


def main() -> None:
    """Serve jobs from standard input: each names a provider, and is answered with its probe."""
    child.serve(_handle)


def _handle(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    del progress
    return asdict(find(job["provider"], discover()).probe())
