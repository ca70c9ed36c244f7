"""What this machine found out about a stored model, for people: its proofs per provider and the choice of its race."""

from __future__ import annotations

from dataclasses import dataclass, field

from gpux.artifact import Artifact, Certificate
from gpux.discovery import discover
from gpux.machine import choices
from gpux.machine.key import key
from gpux.machine.proofs import Book
from gpux.planning import Measured
from gpux.provider import Placement


@dataclass(frozen=True, slots=True)
class Finding:
    """One proof.

    Attributes:
        provider: The provider that ran it.
        variant: What it ran.
        settings: Those of its settings that can change the numbers, where they were not its defaults.
        certificate: The proof; ``None`` where it failed.
        placement: Where the graph's nodes went, and what they computed in.
        reason: Why it failed.
        hint: What to do about that.
    """

    provider: str
    variant: str
    settings: dict[str, str]
    certificate: Certificate | None
    placement: Placement | None = None
    reason: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that this machine, as it is now, found out about one model.

    Attributes:
        machine: The machine's key.
        proofs: By variant and provider; what the pull proved is in the artifact's own certificates.
        choice: What a race chose, which ``auto`` follows.
        outdated: Whether there is none, but one was run under other circumstances.
    """

    machine: str
    proofs: tuple[Finding, ...] = field(default=())
    choice: Measured | None = None
    outdated: bool = False


def findings(model: str | Artifact) -> Findings:
    """What this machine found out about a stored model; reads files, and tries nothing.

    Args:
        model: An artifact, or the name of a stored one.

    Raises:
        ArtifactNotFound: The model is not stored.
    """
    from gpux.registry.store import Store

    artifact = Store().get(model) if isinstance(model, str) else model
    machine = key(discover())
    order = [variant.name for variant in artifact.manifest.variants]
    proofs = [
        Finding(provider, variant, dict(settings), one.certificate, one.placement, one.reason, one.hint)
        for (provider, variant, settings), one in Book(artifact, machine).items()
        if variant in order
    ]
    proofs.sort(key=lambda one: (order.index(one.variant), one.provider, sorted(one.settings.items())))
    return Findings(
        machine,
        tuple(proofs),
        choices.recall(artifact, machine),
        choices.outdated(artifact, machine),
    )
