"""Answers on their way out: a table for a person, the record for ``--json``, a file for ``--output``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gpux
from gpux.cli.printer import Printer, plain
from gpux.errors import InvalidInput, UsageError

FORMS = (".json", ".jsonl", ".npz")


def check(path: Path, *, forms: Sequence[str] = FORMS) -> None:
    """Refuse a path that could not be written later, before any work is done.

    Raises:
        UsageError: Its ending is none of ``forms``, or its folder is not there.
    """
    if path.suffix not in forms:
        raise UsageError(
            f"`{path}` does not end in {' or '.join(forms)}",
            hint=f"write --output {path.stem}.json",
            path=path,
        )
    if not path.absolute().parent.is_dir():
        raise UsageError(f"the folder of `{path}` is not there", hint=f"mkdir -p {path.parent}", path=path)


def show(
    printer: Printer, model: gpux.Model, items: Sequence[Any], answers: Sequence[Any], output: Path | None
) -> None:
    """Print the answers, or write them to a file.

    Raises:
        UsageError: The file cannot be written, or answers that are no arrays were to go to ``.npz``.
    """
    if output is not None:
        _write(output, _record(model, items, answers), answers)
        printer.say(f"{len(answers)} answers are in {output}")
    elif printer.json:
        printer.record(_record(model, items, answers))
    else:
        table = model.pipeline.table(items, answers)
        printer.table(table.columns, table.rows)
        if table.notes:
            printer.lines(table.notes)


def _record(model: gpux.Model, items: Sequence[Any], answers: Sequence[Any]) -> dict[str, Any]:
    placement = model.placement
    return {
        "model": model.artifact.reference,
        "digest": model.artifact.digest,
        "task": model.task,
        "variant": model.plan.variant,
        "quality": model.artifact.variant(model.plan.variant).certificate.quality,
        "provider": placement.provider,
        "device": placement.device,
        "precision": placement.precision,
        "share": placement.share,
        "results": [
            {"input": plain(item), "output": plain(answer)}
            for item, answer in zip(items, answers, strict=True)
        ],
    }


def _write(path: Path, record: dict[str, Any], answers: Sequence[Any]) -> None:
    try:
        if path.suffix == ".npz":
            _arrays(path, answers)
        elif path.suffix == ".jsonl":
            lines = [json.dumps(result, ensure_ascii=False) for result in record["results"]]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        else:
            path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"`{path}` cannot be written: {error.strerror}", hint="choose another --output", path=path
        ) from error


def _arrays(path: Path, answers: Sequence[Any]) -> None:
    import numpy as np

    try:
        stacked = np.asarray(answers, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            "these answers are no arrays of one shape", hint="write --output answers.json", path=path
        ) from error
    np.savez(path, outputs=stacked)
