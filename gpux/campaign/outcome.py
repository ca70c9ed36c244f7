"""What came of a campaign's members → the suite; measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gpux.bench import agreement, documents
from gpux.bench.suite import Reason, Row, Suite

if TYPE_CHECKING:
    from gpux.campaign.conductor import Conductor
    from gpux.campaign.member import Member


def suite(
    members: Sequence[Member], axes: Mapping[str, tuple[str | int, ...]], conductor: Conductor
) -> Suite:
    """The suite of what there is so far, one row per configuration."""
    first = _reference([member for member in members if member.report and member.answers])
    return Suite(
        schema=documents.SCHEMA,
        interrupted=conductor.interrupted,
        axes={axis: tuple(map(str, values)) for axis, values in axes.items()},
        interleaved=conductor.interleaved,
        rows=tuple(_row(member, first) for member in members),
    )


def _reference(members: Sequence[Member]) -> Member | None:
    """Whose answers the others are held to: the source model's, else the first that ran where its proof did."""

    def trust(member: Member) -> int:
        assert member.report is not None  # noqa: S101 - the caller looked
        who = member.report.identity
        return 0 if who.mode == "torch" else 1 if who.provider == who.proven_on else 2

    return min(members, key=trust, default=None)


def _row(member: Member, first: Member | None) -> Row:
    error = member.error
    reason = None if error is None else Reason(type(error).__name__, error.message, error.hint)
    if reason is None and member.report is None:
        reason = Reason("Interrupted", "it had no turn yet", "run it again to the end")
    return Row(
        label=member.configuration.label,
        axes=member.configuration.axes,
        report=member.report,
        reason=reason,
        agreement=_agreement(member, first),
    )


def _agreement(member: Member, first: Member | None) -> float | None:
    """Against the reference, where both were asked for the same."""
    if first is None or member is first or not member.answers or not first.answers:
        return None
    if member.report is None or first.report is None:
        return None
    mine, others = member.report.identity.workload, first.report.identity.workload
    if mine.sha256 is None or mine.sha256 != others.sha256:
        return None
    common = min(len(member.answers), len(first.answers))
    return agreement.cosine(member.answers[:common], first.answers[:common])
