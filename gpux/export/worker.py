"""The conversion worker's entry: takes one export job, runs its route; the only process that imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpux.errors import ExporterMissing
from gpux.events import Progress
from gpux.worker import child


def main() -> None:
    """Serve one job from standard input."""
    child.serve(_handle)


def _handle(job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    try:
        from gpux.export import transformers_route
    except ImportError as error:
        raise ExporterMissing(
            f"the exporter's environment lacks `{error.name}`",
            hint="gpux exporter install transformers",
            package=error.name,
        ) from error
    return transformers_route.run(
        Path(job["source"]),
        Path(job["output"]),
        auto=job["auto"],
        outputs=tuple(job["outputs"]),
        references_only=job["references_only"],
        allow_pickle=job["allow_pickle"],
        trust_remote_code=job["trust_remote_code"],
        progress=progress,
    )
