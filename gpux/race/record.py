"""What a race found: every candidate with its figure or why it has none, the winner, and how sure that is. Records only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from gpux import hardware
from gpux.bench.intervals import Verdict
from gpux.errors import StoreUnwritable
from gpux.planning import Candidate, Measured, Rejected
from gpux.race import words


@dataclass(frozen=True, slots=True)
class Versus:
    """A candidate's figure over the winner's, above 1 where it is worse; with a 99 % interval where its runs give one."""

    value: float
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Entry:
    """One candidate.

    Attributes:
        candidate: How it ran.
        label: The same in words.
        figure: Seconds per item, or bytes, by the goal; ``None`` where it has none.
        versus: Against the winner, or against :attr:`against` where it took no turns with the winner; ``None`` for the winner
            and where it has no figure.
        against: The label of what it is held against; empty where there is no such.
        runs: Runs that count.
        rounds: Turns that it took.
        left: Whether it was sent away before the end, as clearly worse.
        quality: The class of its proof.
        min_cosine: The smallest cosine of its proof.
        precision: What it really computed in; ``None`` where it was never told.
        share: Share of the graph on its provider, from 0 to 1.
        reason: What became of it, in words.
        samples: Seconds per item of every run, round by round.
    """

    candidate: Candidate
    label: str
    figure: float | None
    versus: Versus | None
    against: str
    runs: int
    rounds: int
    left: bool
    quality: str
    min_cosine: float
    precision: str | None
    share: float | None
    reason: str
    samples: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Race:
    """A race.

    Attributes:
        reference: The model.
        digest: Its artifact.
        task: What it answered.
        goal: ``latency``, ``throughput`` or ``memory``.
        unit: What figures are in: ``s`` per item, or ``B``.
        noun: What the items are, in the plural.
        items: Items of a run of the winner.
        quality: The worst proof that took part.
        budget: Seconds that it was given.
        seconds: Seconds that it took, proofs and waiting for another race included.
        winner: The winner's label.
        certain: Whether everybody else is worse than the winner, or better by no more than 5 %, by intervals of 99 %.
        reason: Why it won.
        entries: Every candidate that ran or should have, best first.
        refused: Candidates that did not take part, and why.
        kept: Whether the winner is remembered.
        machine: The machine.
        versions: Software → version.
        ended: ISO 8601, UTC.
    """

    reference: str
    digest: str
    task: str
    goal: str
    unit: str
    noun: str
    items: int
    quality: str
    budget: float
    seconds: float
    winner: str
    certain: bool
    reason: str
    entries: tuple[Entry, ...]
    refused: tuple[Rejected, ...]
    kept: bool
    machine: hardware.Machine
    versions: dict[str, str]
    ended: str

    @property
    def candidate(self) -> Candidate:
        """How the winner runs."""
        return next(entry.candidate for entry in self.entries if entry.label == self.winner)

    def told(self, entry: Entry, rival: str = "") -> tuple[str, str]:
        """An entry's figure and how it compares, in words; both empty where it has none.

        Args:
            entry: One of this race's.
            rival: What to call whom it is held against, where that is to be said.
        """
        if entry.figure is None:
            return "", ""
        compared = words.comparison(entry.versus, self.unit, rival, left=entry.left)
        return words.figure(entry.figure, self.unit), "" if entry.label == self.winner else compared

    def measured(self) -> Measured:
        """What a plan is told of it."""
        others = [
            Rejected(e.candidate.provider, e.candidate.variant, e.reason, settings=_settings(e.candidate))
            for e in self.entries
            if e.label != self.winner
        ]
        return Measured(self.candidate, self.reason, (*others, *(one for one in self.refused if one.variant)))

    def to_json(self) -> str:
        """The record with every sample."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"

    def save(self, path: Path) -> None:
        """Write :meth:`to_json`.

        Raises:
            StoreUnwritable: The file cannot be written.
        """
        try:
            path.write_text(self.to_json(), encoding="utf-8")
        except OSError as error:
            raise StoreUnwritable(
                f"`{path}` cannot be written: {error.strerror or error}",
                hint="name another --output",
                path=path,
            ) from error


def _settings(candidate: Candidate) -> str:
    words = [f"{name}={value}" for name, value in sorted(candidate.options.items())]
    words.append(f"{candidate.threads} thread" + "s" * (candidate.threads != 1))
    return " ".join([*words, *([f"batch {candidate.batch}"] if candidate.batch else [])])
