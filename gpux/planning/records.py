"""What a choice is made of and what comes out of it: requests, candidates, proofs, measurements, plans. Records only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpux.artifact import Certificate
from gpux.provider import Placement

AUTO = "auto"
ANY = "any"


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for.

    Attributes:
        provider: ``auto``, a provider's name, or its runtime's own name.
        variant: A variant's name; the best allowed one when ``None``.
        quality: The worst certificate class that ``auto`` may take: ``exact``, ``near`` (default) or ``any``.
        threads: Intra-op threads; as many as the process may use when ``None``.
        strict: Whether partial placement is an error.
        options: Settings of the named provider.
        batch: Items that are computed together where many are answered.
    """

    provider: str = AUTO
    variant: str | None = None
    quality: str = "near"
    threads: int | None = None
    strict: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    batch: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to run a model.

    Attributes:
        provider: The provider's name.
        variant: The variant's name.
        threads: Intra-op threads.
        options: The provider's settings that differ from its defaults.
        batch: Items that are computed together where many are answered; the task's own choice when ``None``.
    """

    provider: str
    variant: str
    threads: int
    options: Mapping[str, str] = field(default_factory=dict)
    batch: int | None = None

    def __str__(self) -> str:
        parts = [
            self.provider,
            self.variant,
            *(f"{name}={value}" for name, value in sorted(self.options.items())),
        ]
        parts.append(f"{self.threads} thread" + "s" * (self.threads != 1))
        return " ".join([*parts, *([f"batch {self.batch}"] if self.batch else [])])


@dataclass(frozen=True, slots=True)
class Proof:
    """How well a provider computes a variant on this machine: a certificate and where its nodes went, or why there is none."""

    certificate: Certificate | None
    reason: str | None = None
    hint: str | None = None
    placement: Placement | None = None


ProofKey = tuple[str, str, tuple[tuple[str, str], ...]]
"""Provider, variant, and those of its settings that can change the numbers."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that was not chosen, and why; ``settings`` tells it from others of its provider and variant."""

    provider: str
    variant: str
    reason: str
    hint: str | None = None
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a race on this machine found.

    Attributes:
        winner: The candidate that won.
        reason: Why it is the choice, with its figure.
        others: The candidates that lost, with theirs.
    """

    winner: Candidate
    reason: str
    others: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run, and every candidate that will not.

    Attributes:
        provider: The chosen provider.
        variant: The chosen variant.
        threads: Intra-op threads.
        strict: Whether partial placement is an error.
        reason: Why this candidate won.
        rejected: The others.
        options: The provider's settings that differ from its defaults.
        batch: Items that are computed together where many are answered; the task's own choice when ``None``.
        certificate: The proof of this variant on this provider; ``None`` until it is proven here.
        versions: The software behind the provider → version, and its driver's.
        note: What the user should know although nobody asked: a choice that would have been better and failed.
    """

    provider: str
    variant: str
    threads: int
    strict: bool
    reason: str
    rejected: tuple[Rejected, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    batch: int | None = None
    certificate: Certificate | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None
