"""Makes the ``tokenizer.json`` that a source's own graphs need and the source lacks, from the vocabulary files that it has."""

from __future__ import annotations

import re
from pathlib import Path

from gpux.errors import ExporterMissing
from gpux.events import Progress
from gpux.export import toolchains
from gpux.head import TEXT
from gpux.registry import exporting
from gpux.registry.conversion import Order
from gpux.sources.snapshot import Snapshot

_FILES = re.compile(r"vocab\.(txt|json)|merges\.txt|[^/]*\.(model|spm)")


def convert(order: Order, snapshot: Snapshot, workspace: Path, progress: Progress) -> None:
    """Convert the vocabulary, where no route did; where there is none, whoever needs it tells.

    Args:
        order: What was converted.
        snapshot: The model's small files.
        workspace: The artifact's directory, with the small files in it.
        progress: Receives the steps.

    Raises:
        ExporterMissing: Only the exporter can convert it, and is not installed.
        UnsupportedModel: It cannot be converted.
        WorkerFailed: The conversion died, hung or ran out of memory.
    """
    found = sorted(file.path for file in snapshot.files if _FILES.fullmatch(file.path))
    if TEXT not in order.head.takes or (workspace / "tokenizer.json").exists() or not found:
        return
    try:
        exporting.convert_tokenizer(
            order, snapshot, workspace, python=toolchains.require(), progress=progress
        )
    except ExporterMissing as error:
        raise ExporterMissing(
            f"`{snapshot.reference}` has no `tokenizer.json`, and its vocabulary (`{'`, `'.join(found)}`) is not converted: "
            f"{error.message}",
            hint=error.hint,
            files=found,
        ) from error
