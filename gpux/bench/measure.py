"""Calls a loaded model and writes down how long it took; computes nothing from that and knows no report.

The wall time of a run is read around the whole call from ``time.perf_counter_ns``; the stages are the model's own. The
garbage collector is off inside a run and as the caller left it between runs, so that memory stays bounded.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpux.bench.subject import Subject

NANO = 1e9


@dataclass(frozen=True, slots=True)
class Series:
    """Runs of one phase, in order, by column; every column has one entry per run.

    Attributes:
        start: Seconds from the beginning of the benchmark to the beginning of the run.
        seconds: Wall seconds of the run.
        stages: Stage → seconds that the model booked to it in the run.
    """

    start: tuple[float, ...]
    seconds: tuple[float, ...]
    stages: dict[str, tuple[float, ...]]

    def __len__(self) -> int:
        return len(self.seconds)


@dataclass(frozen=True, slots=True)
class Samples:
    """Everything that was measured, phase by phase.

    Attributes:
        load: Part → seconds, as the model was loaded; empty where it does not say.
        first: The benchmark's first run.
        warmup: The runs after it that count for nothing.
        steady: The runs that count.
    """

    load: dict[str, float]
    first: Series
    warmup: Series
    steady: Series


@dataclass(frozen=True, slots=True)
class Measured:
    """The samples, and whether Ctrl-C cut them short."""

    samples: Samples
    interrupted: bool


@dataclass(slots=True)
class _Recorder:
    begin: int
    start: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)

    def series(self) -> Series:
        names = dict.fromkeys(name for run in self.stages for name in run)
        columns = {name: tuple(run.get(name, 0.0) for run in self.stages) for name in names}
        return Series(tuple(self.start), tuple(self.seconds), columns)


def measure(
    model: Subject,
    inputs: Any,
    *,
    runs: int,
    warmup: int,
    progress: Callable[[int, int], None] | None,
    parameters: Mapping[str, Any],
) -> Measured:
    """Time one first run, ``warmup`` runs and ``runs`` steady runs of ``model.timed(inputs, **parameters)``.

    Ctrl-C ends the measurement; the run that it hit is dropped and the finished ones are kept.
    """
    begin = perf_counter_ns()
    first, warm, steady = _Recorder(begin), _Recorder(begin), _Recorder(begin)
    total, done, interrupted = 1 + warmup + runs, 0, False
    try:
        for recorder, count in ((first, 1), (warm, warmup), (steady, runs)):
            for _ in range(count):
                _run(model, inputs, parameters, recorder)
                done += 1
                if progress is not None:
                    progress(done, total)
    except KeyboardInterrupt:
        interrupted = True
    samples = Samples(dict(model.timings), first.series(), warm.series(), steady.series())
    return Measured(samples, interrupted)


def _run(model: Subject, inputs: Any, parameters: Mapping[str, Any], recorder: _Recorder) -> None:
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = perf_counter_ns()
        _, stages = model.timed(inputs, **parameters)
        end = perf_counter_ns()
    finally:
        if collecting:
            gc.enable()
    recorder.start.append((start - recorder.begin) / NANO)
    recorder.seconds.append((end - start) / NANO)
    recorder.stages.append(stages)
