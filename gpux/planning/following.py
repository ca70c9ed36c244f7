"""Whether what a race found can still be followed, and what to say where it is not. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gpux.errors import InvalidSetting
from gpux.planning.records import AUTO, Candidate, Measured, Rejected, Request
from gpux.provider import Provider, check

BATCH = 1 << 16
"""Most items that are computed together."""


def most_threads(cores: int) -> int:
    """Threads beyond which nobody runs anything: some hide waiting behind more threads than cores."""
    return max(4 * cores, 256)


def free(request: Request) -> bool:
    """Whether nothing was asked for that a race did not know."""
    asked = (request.variant, request.threads, request.batch)
    return request.provider == AUTO and all(one is None for one in asked)


def lapsed(
    winner: Candidate, providers: Mapping[str, Provider], variants: Iterable[str], cores: int
) -> str | None:
    """Why a race's winner cannot be run at all any more, whatever its proof; ``None`` where it can."""
    if winner.provider not in providers:
        return f"provider `{winner.provider}` is not installed any more"
    if winner.variant not in set(variants):
        return f"variant `{winner.variant}` is not stored any more"
    if not 1 <= winner.threads <= most_threads(cores):
        return f"{winner.threads} threads cannot run anything here"
    if winner.batch is not None and not 1 <= winner.batch <= BATCH:
        return f"nothing is computed in batches of {winner.batch}"
    try:
        check(providers[winner.provider], winner.options)
    except InvalidSetting as error:
        return error.message
    return None


def fallen(
    measured: Measured | None, best: Candidate, rejected: Sequence[Rejected], why: str | None
) -> str | None:
    """What became of a race's winner that is not the choice any more."""
    if measured is None or best == measured.winner:
        return None
    winner = measured.winner
    said = why or next(
        (r.reason for r in rejected if (r.provider, r.variant) == (winner.provider, winner.variant)),
        "it is gone",
    )
    return f"the race chose {winner}, which does not run as asked any more: {said}"
