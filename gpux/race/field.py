"""Everything a race needs before the start: the model, its inputs, the candidates that are proven well enough, and the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

from gpux import discovery, hardware, tasks
from gpux.artifact import Artifact, Certificate
from gpux.bench.records import encode
from gpux.bench.settings import settle
from gpux.errors import InvalidSetting, NoCandidate, StoreUnwritable
from gpux.events import Progress
from gpux.loading import obtain
from gpux.machine import choices, probes
from gpux.machine.key import key
from gpux.machine.proofs import Book
from gpux.planning import ANY, AUTO, Candidate, Measured, Rejected
from gpux.provider import Probe, Provider, State, find
from gpux.race import entrants
from gpux.race.goals import Goal
from gpux.race.items import Items, gather
from gpux.race.proving import Proving
from gpux.registry import disk
from gpux.registry.store import Store

QUALITIES = ("exact", "near", ANY)


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
        refused: Candidates that do not run, and why.
        items: What is answered.
        proving: Proves candidates, and knows their proofs.
        quality: The worst proof that takes part.
    """

    artifact: Artifact
    task: str
    machine: str
    providers: dict[str, Provider]
    versions: dict[str, dict[str, str]]
    entrants: tuple[Candidate, ...]
    refused: tuple[Rejected, ...]
    items: Items
    proving: Proving
    quality: str
    cores: int = field(default_factory=hardware.cores_allowed)

    @property
    def usual(self) -> int:
        """The task's own batch size."""
        return self.items.usual

    def simplicity(self, candidate: Candidate) -> tuple[int, ...]:
        """Smaller is simpler; see :func:`gpux.race.entrants.simplicity`."""
        variants = [variant.name for variant in self.artifact.manifest.variants]
        return entrants.simplicity(candidate, list(self.providers), variants)

    def certificate(self, candidate: Candidate) -> Certificate:
        """The proof of a candidate; threads and batches need none of their own."""
        found = self.proving.known(candidate)
        assert found is not None  # noqa: S101 - only those that are proven run
        return found

    def refined(self, candidate: Candidate) -> list[Candidate]:
        """The candidate with other values of settings that matter to few models, as far as they are proven well enough."""
        return self.proving.sort(
            entrants.refined(candidate, self.providers[candidate.provider]), self.quality
        )[0]

    def job(self, candidate: Candidate, goal: Goal) -> dict[str, Any]:
        """What the process of a candidate is told."""
        items = self.items.of_a_run(goal, candidate.batch)
        asked: dict[str, Any] = {**goal.settings(len(items)), "parameters": dict(self.items.parameters)}
        measuring = replace(settle(**asked), isolation="process")
        return {
            "artifact": str(self.artifact.directory),
            "task": self.task,
            "strict": False,
            "quality": ANY,
            "preparation": {},
            "inputs": items,
            "typed": False,
            "mode": "onnx",
            "provider": candidate.provider,
            "variant": candidate.variant,
            "threads": candidate.threads,
            "options": dict(candidate.options),
            "batch": candidate.batch,
            "settings": encode(measuring),
        }

    @contextmanager
    def alone(self, waiting: Callable[[], None], *, keep: bool) -> Iterator[None]:
        """The lock of races, for two at once would measure each other; none where nothing can and need be written.

        Raises:
            StoreUnwritable: There is no place for it in the store, and the winner is to be kept there.
        """
        root = Store().root
        with ExitStack() as stack:
            try:
                stack.enter_context(disk.locked(root / "locks" / "race.lock", root=root, waiting=waiting))
            except StoreUnwritable as error:
                if keep:
                    error.hint = f"{error.hint}, or add --no-keep to measure all the same"
                    raise
            yield

    def remember(self, measured: Measured) -> bool:
        """Make ``auto`` follow a measurement on this machine as it is now; whether it could be written down."""
        return choices.store(self.artifact, self.machine, measured)


@dataclass(frozen=True, slots=True)
class Wish:
    """Who may take part; see :func:`gpux.tune`.

    Attributes:
        quality: The worst proof that takes part.
        providers: Only these; every one that ``auto`` may choose when empty.
        variants: Only these; all that are stored when empty.
        task: Another task that the stored graph can answer.
        typed: Whether texts among the inputs are lines as a person typed them.
    """

    quality: str
    providers: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    task: str | None = None
    typed: bool = False


def line_up(
    model: str | PathLike[str] | Artifact, inputs: Any, wish: Wish, *, goal: Goal, progress: Progress
) -> Field:
    """Find the candidates and prove those that were not proven here yet.

    Raises:
        InvalidSetting: There is no such quality.
        NoCandidate: Nothing that works here is proven well enough.
        GpuxError: The model cannot be pulled, a provider or a variant is none, or the task cannot take the inputs.
    """
    if wish.quality not in QUALITIES:
        raise InvalidSetting(
            f"quality `{wish.quality}` is none of {', '.join(QUALITIES)}",
            hint="use --quality near",
            setting="quality",
        )
    available = discovery.discover()
    named = [] if AUTO in wish.providers else [find(name, available).name for name in wish.providers]
    artifact, wanted = obtain(model, None, task=wish.task, progress=progress)
    chosen = [
        artifact.variant(name).name for name in dict.fromkeys((*wish.variants, *([wanted] if wanted else [])))
    ]
    running = {name: one for name, one in available.items() if (name in named if named else one.rank >= 0)}
    tried = probes.probe(available, running)
    pipeline = tasks.find(wish.task or artifact.task)
    candidates = entrants.first(
        artifact,
        running,
        tried,
        variants=chosen or [variant.name for variant in artifact.manifest.variants],
        cores=hardware.cores_allowed(),
    )
    machine = key(available)
    items = gather(artifact, pipeline, inputs, goal, typed=wish.typed)
    proving = Proving(artifact, Book(artifact, machine), running, tried, pipeline, progress)
    good, refused = proving.sort(candidates, wish.quality)
    refused = [*refused, *(_idle(one) for one in tried if one.state is not State.WORKS)]
    if not good:
        raise _nothing(artifact, wish.quality, refused)
    return Field(
        artifact=artifact,
        task=wish.task or artifact.task,
        machine=machine,
        providers=running,
        versions={one.provider: dict(one.versions) for one in tried},
        entrants=tuple(good),
        refused=tuple(refused),
        items=items,
        proving=proving,
        quality=wish.quality,
    )


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
