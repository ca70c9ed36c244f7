"""Everything a race needs before the start: the model, its inputs, the candidates that are proven well enough, and the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from gpux import discovery, hardware, tasks
from gpux.artifact import UNPROVEN, Artifact, Certificate
from gpux.errors import InvalidSetting, NoCandidate
from gpux.events import Progress
from gpux.loading import obtain
from gpux.machine import choices, probes
from gpux.machine.key import key
from gpux.machine.proofs import Book
from gpux.planning import (
    ANY,
    Candidate,
    Measured,
    Plan,
    Rejected,
    cannot_open,
    good_enough,
    proof_key,
    stands,
)
from gpux.provider import Probe, Provider, State, find
from gpux.race import entrants
from gpux.race.goals import Goal
from gpux.registry import disk
from gpux.registry.store import Store
from gpux.session import open_session
from gpux.tasks.pipeline import Pipeline

QUALITIES = ("exact", "near", ANY)
MANY = 64
"""Items of one run where many are answered at once."""


@dataclass(frozen=True, slots=True)
class Field:
    """The field of a race.

    Attributes:
        artifact: The model.
        task: What it answers.
        machine: The machine's key.
        providers: Those that take part, best rank first.
        versions: Provider → the software behind it.
        entrants: The candidates, simplest first.
        proofs: Their certificates.
        refused: Candidates that do not run, and why.
        items: What every run answers, or is taken from.
        noun: What the items are, in the plural.
        usual: The task's own batch size.
    """

    artifact: Artifact
    task: str
    machine: str
    providers: dict[str, Provider]
    versions: dict[str, dict[str, str]]
    entrants: tuple[Candidate, ...]
    proofs: dict[str, Certificate]
    refused: tuple[Rejected, ...]
    items: list[Any]
    noun: str
    usual: int
    cores: int = field(default_factory=hardware.cores_allowed)

    def certificate(self, candidate: Candidate) -> Certificate:
        """The proof of a candidate; threads and batches need none of their own."""
        return self.proofs[_named(proof_key(self.providers[candidate.provider], candidate))]

    def alone(self, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """The lock of races: two at once would measure each other."""
        root = Store().root
        return disk.locked(root / "locks" / "race.lock", root=root, waiting=waiting)

    def remember(self, measured: Measured) -> bool:
        """Make ``auto`` follow a measurement on this machine as it is now; whether it could be written down."""
        return choices.store(self.artifact, self.machine, measured)


def line_up(
    model: str | PathLike[str] | Artifact,
    inputs: Any,
    *,
    goal: Goal,
    quality: str,
    providers: Sequence[str],
    variants: Sequence[str],
    task: str | None,
    progress: Progress,
) -> Field:
    """Find the candidates and prove those that were not proven here yet.

    Raises:
        InvalidSetting: There is no such quality.
        NoCandidate: Nothing that works here is proven well enough.
        GpuxError: The model cannot be pulled, a provider or a variant is none, or the task cannot take the inputs.
    """
    if quality not in QUALITIES:
        raise InvalidSetting(
            f"quality `{quality}` is none of {', '.join(QUALITIES)}",
            hint="use --quality near",
            setting="quality",
        )
    available = discovery.discover()
    named = [find(name, available).name for name in providers]
    artifact, wanted = obtain(model, None, task=task, progress=progress)
    chosen = [artifact.variant(name).name for name in (*variants, *([wanted] if wanted else []))]
    running = {name: one for name, one in available.items() if (name in named if named else one.rank >= 0)}
    tried = probes.probe(available, running)
    pipeline = tasks.find(task or artifact.task)
    candidates = entrants.first(
        artifact,
        running,
        tried,
        variants=chosen or [variant.name for variant in artifact.manifest.variants],
        cores=hardware.cores_allowed(),
    )
    machine = key(available)
    proving = _Proving(artifact, Book(artifact, machine), running, tried, pipeline, progress)
    good, proofs, refused = proving.sort(candidates, quality)
    refused = [*refused, *(_idle(one) for one in tried if one.state is not State.WORKS)]
    if not good:
        raise _nothing(artifact, quality, refused)
    items, ready = _items(artifact, pipeline, inputs, goal)
    return Field(
        artifact=artifact,
        task=task or artifact.task,
        machine=machine,
        providers=running,
        versions={one.provider: dict(one.versions) for one in tried},
        entrants=tuple(good),
        proofs=proofs,
        refused=tuple(refused),
        items=items,
        noun=ready.noun,
        usual=ready.batch,
    )


@dataclass(frozen=True, slots=True)
class _Proving:
    artifact: Artifact
    book: Book
    providers: dict[str, Provider]
    probes: Sequence[Probe]
    pipeline: type[Pipeline]
    progress: Progress

    def sort(
        self, candidates: Iterable[Candidate], quality: str
    ) -> tuple[list[Candidate], dict[str, Certificate], list[Rejected]]:
        """Those that are proven well enough with their proofs, and why the others are not."""
        good: list[Candidate] = []
        proofs: dict[str, Certificate] = {}
        refused: list[Rejected] = []
        for candidate in candidates:
            certificate, why = self._proof(candidate, quality)
            if certificate is None or why:
                refused.append(
                    Rejected(candidate.provider, candidate.variant, why, settings=_settings(candidate))
                )
                continue
            good.append(candidate)
            proofs[_named(proof_key(self.providers[candidate.provider], candidate))] = certificate
        return good, proofs, refused

    def _proof(self, candidate: Candidate, quality: str) -> tuple[Certificate | None, str]:
        provider = self.providers[candidate.provider]
        probe = next(one for one in self.probes if one.provider == candidate.provider)
        variant = self.artifact.variant(candidate.variant)
        pulled = variant.certificate
        if unfit := cannot_open(provider, variant):
            return None, unfit[0]
        if pulled.quality != UNPROVEN and not good_enough(pulled.quality, quality):
            return None, f"its certificate is `{pulled.quality}`, `{quality}` was asked for"
        known = proof_key(provider, candidate)
        if not known[2] and stands(pulled, probe):
            return pulled, ""
        found = self.book.get(known) or self.book.prove(
            candidate,
            provider,
            probe,
            head=self.pipeline.head,
            dimensions=self.pipeline.dimensions(self.artifact),
            progress=self.progress,
        )
        if found.certificate is None:
            return None, found.reason or "it could not be proven"
        if not good_enough(found.certificate.quality, quality):
            cosine = found.certificate.min_cosine
            return None, (
                f"its certificate on this provider is `{found.certificate.quality}` (min cosine {cosine:.6f}), "
                f"`{quality}` was asked for"
            )
        return found.certificate, ""


def _named(known: tuple[Any, ...]) -> str:
    return repr(known)


def _settings(candidate: Candidate) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(candidate.options.items()))


def _idle(probe: Probe) -> Rejected:
    return Rejected(probe.provider, "", probe.reason or str(probe.state), probe.hint)


def _nothing(artifact: Artifact, quality: str, refused: Sequence[Rejected]) -> NoCandidate:
    first = next((one for one in refused if one.variant), refused[0] if refused else None)
    why = f": {first.provider} {first.variant}: {first.reason}" if first else ""
    worst = quality != ANY and any("certificate" in one.reason for one in refused)
    return NoCandidate(
        f"nothing can race for `{artifact.reference}`{why}",
        hint="pass --quality any to let them" if worst else (first and first.hint) or "gpux providers",
        reference=artifact.reference,
        rejected=[f"{one.provider} {one.variant}: {one.reason}" for one in refused],
    )


def _items(
    artifact: Artifact, pipeline: type[Pipeline], inputs: Any, goal: Goal
) -> tuple[list[Any], Pipeline]:
    """What is answered, made by the task itself over a graph that computes nothing."""
    silent = Plan(
        "null", artifact.manifest.variants[0].name, 1, strict=False, reason="to read the task's files"
    )
    with open_session(artifact, silent, discovery.discover()) as session:
        ready = pipeline(artifact, session)
        if inputs is None:
            samples = list(ready.samples())
            items = samples if goal.many else [_middle(ready, samples)]
        else:
            items = [inputs] if ready.is_item(inputs) else list(inputs)
            ready.work(items)  # raises what the task cannot take, before anything is opened
        if goal.many and items:
            items = (items * -(-MANY // len(items)))[: max(MANY, len(items))]
        return items, ready


def _middle(pipeline: Pipeline, samples: Sequence[Any]) -> Any:
    """The sample of middling work: times of long and short ones in turn would spread, and hide small differences."""
    return sorted(samples, key=lambda one: sum(pipeline.work([one]).values()))[len(samples) // 2]
