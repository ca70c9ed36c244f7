"""The raw samples: every run of every phase, by column, exactly as it was read; computes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Series:
    """Runs of one phase in the order in which they began, by column; every column has one entry per run.

    Attributes:
        start: Seconds from the beginning of the benchmark to the beginning of the run; in scenario ``server`` to the
            query's arrival, whether or not anybody was free to answer it.
        seconds: Seconds from there to the answer.
        query: Which query of the workload the run answered.
        round: In which round of the configuration, from 0.
        stages: Stage → seconds that the model booked to it in the run; ``queue`` is the wait of a query that arrived.
        pieces: Seconds from the run's beginning to each piece of its answer, for tasks that answer piece by piece;
            empty for all others.
        tokens: New tokens in each of those pieces.
        proposed: Tokens that the run guessed ahead of the model; empty where no run did.
        accepted: Those of them that the model itself would have chosen.
    """

    start: tuple[float, ...]
    seconds: tuple[float, ...]
    query: tuple[int, ...]
    round: tuple[int, ...]
    stages: dict[str, tuple[float, ...]] = field(default_factory=dict)
    pieces: tuple[tuple[float, ...], ...] = ()
    tokens: tuple[tuple[int, ...], ...] = ()
    proposed: tuple[int, ...] = ()
    accepted: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that ended in an error.

    Attributes:
        phase: ``first``, ``warmup`` or ``steady``.
        start: As in :class:`Series`.
        seconds: Seconds until it failed.
        query: Which query it was to answer.
        error: The error's class.
        message: The error's sentence.
    """

    phase: str
    start: float
    seconds: float
    query: int
    error: str
    message: str


@dataclass(frozen=True, slots=True)
class Samples:
    """Everything that was measured, phase by phase.

    Attributes:
        preparation: Step (``download``, ``export``, ``prove`` …) → seconds, where the model had to be pulled first.
        load: Part → seconds, as the model was loaded; ``open`` holds the runtime's own compilation or engine build.
        first: The benchmark's first run.
        warmup: The runs that count for nothing: before the steady ones, and at the beginning of every later round.
        steady: The runs that count.
        failures: The runs that failed, in no other column.
        began: Seconds at which each round of steady runs began.
        unanswered: Queries that arrived, and still waited when the time was over.
    """

    preparation: dict[str, float]
    load: dict[str, float]
    first: Series
    warmup: Series
    steady: Series
    failures: tuple[Failure, ...] = ()
    began: tuple[float, ...] = ()
    unanswered: int = 0
