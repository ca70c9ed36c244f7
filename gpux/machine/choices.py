"""What a race chose for an artifact on this machine: written by the race, read at every load, and forgotten with the key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpux.artifact import MACHINES, Artifact
from gpux.errors import StoreUnwritable
from gpux.machine.files import read, text, whole, write
from gpux.machine.proofs import folder
from gpux.planning import Candidate, Measured, Rejected

_MOST = 1 << 16


def recall(artifact: Artifact, machine: str) -> Measured | None:
    """The choice that was stored for this machine as it is now; ``None`` where there is none that can be read."""
    return _decode(read(_path(artifact, machine)))


def store(artifact: Artifact, machine: str, measured: Measured) -> bool:
    """Remember a choice; whether that could be done."""
    return write(_path(artifact, machine), {**asdict(measured), "created": time.time()})


def forget(artifact: Artifact, machine: str) -> None:
    """Remove the choice, if there is one.

    Raises:
        StoreUnwritable: It cannot be removed.
    """
    path = _path(artifact, machine)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnwritable(
            f"the choice cannot be forgotten: {error.strerror or error}", hint=f"remove {path}", path=path
        ) from error


def outdated(artifact: Artifact, machine: str) -> bool:
    """Whether choices were stored by this machine as it was, or by another, and none as it is now."""
    here = _path(artifact, machine)
    return not here.exists() and any((artifact.directory / MACHINES).glob(f"*/{here.name}"))


def _path(artifact: Artifact, machine: str) -> Path:
    return folder(artifact, machine) / "choice.json"


def _decode(record: Mapping[str, Any]) -> Measured | None:
    try:
        winner = record["winner"]
        batch = winner["batch"]
        return Measured(
            winner=Candidate(
                provider=str(winner["provider"]),
                variant=str(winner["variant"]),
                threads=whole(winner["threads"], least=1, most=_MOST),
                options={str(name): str(value) for name, value in winner["options"].items()},
                batch=None if batch is None else whole(batch, least=1, most=_MOST),
            ),
            reason=str(record["reason"]),
            others=tuple(_rejected(one) for one in record["others"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _rejected(one: Mapping[str, Any]) -> Rejected:
    return Rejected(
        provider=str(one["provider"]),
        variant=str(one["variant"]),
        reason=str(one["reason"]),
        hint=text(one["hint"]),
        settings=str(one["settings"]),
    )
