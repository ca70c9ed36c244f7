"""How to measure: every setting of a benchmark, checked once; knows neither models nor inputs."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict, Unpack

from gpux.bench.documents import plain
from gpux.errors import InvalidSetting

RUNS = 100
WARMUP = 10
AUTO = "auto"
MULTI = 8
"""Items of a query of MLPerf's multi-stream scenario."""

MOST = 1_000_000_000
"""Beyond this, a number of runs, inputs, seconds or queries per second is a slip."""

SCENARIOS = ("single-stream", "multi-stream", "closed-loop", "server", "offline")
LEVELS = ("task", "graph")
EACH = "off during each run"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a benchmark measures.

    The scenarios are MLPerf Inference's (Reddi et al., "MLPerf Inference Benchmark", 2020): ``single-stream`` asks for one
    item after the other, ``multi-stream`` for a batch after the other, ``server`` lets queries arrive at random (Poisson)
    whether or not the last one is answered, and ``offline`` asks for everything at once. ``closed-loop`` is several clients
    that each wait for their answer.

    Attributes:
        scenario: One of :data:`SCENARIOS`.
        runs: Steady runs asked for; ``None`` where only ``duration`` ends them.
        duration: Seconds after which no steady run begins; ``None`` for no limit.
        warmup: Runs between the first and the steady ones; ``None`` for as many as the steady state takes.
        batch: Items per run; ``None`` for all of them.
        sequence: Exact length of made inputs in tokens; ``None`` for inputs as they are.
        concurrency: Clients that ask at once; in ``server``, workers that answer.
        rate: Queries that arrive per second, in ``server``.
        level: ``task`` (what a caller waits for) or ``graph`` (the runtime alone, on tensors made beforehand).
        seed: Of the arrival times.
        cost_per_hour: What the machine costs per hour, in any currency.
        parameters: The task's own parameters, as JSON.
        rounds: Parts that the steady runs were cut into, so that configurations could take turns.
        isolation: ``process`` where every configuration ran in a process of its own, else ``off``.
        clock: The clock that was read around each run.
        collector: What Python's garbage collector did.
        percentiles: How percentiles are defined; see :func:`gpux.bench.stats.percentile`.
    """

    scenario: str = "single-stream"
    runs: int | None = RUNS
    duration: float | None = None
    warmup: int | None = WARMUP
    batch: int | None = 1
    sequence: int | None = None
    concurrency: int = 1
    rate: float | None = None
    level: str = "task"
    seed: int = 0
    cost_per_hour: float | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    rounds: int = 1
    isolation: str = "off"
    clock: str = "perf_counter_ns"
    collector: str = EACH
    percentiles: str = "linear interpolation"


class Measuring(TypedDict, total=False):
    """What a caller may ask of a benchmark; each may be left out.

    Attributes:
        runs: Steady runs, at least 1; 100 when neither this nor ``duration`` is given.
        warmup: Runs between the first run and the steady ones, at least 0 (10 when left out), or ``"auto"``: until a
            change-point test says that the steady state is reached.
        duration: Seconds after which no steady run begins, above 0.
        batch_size: Items per run, at least 1; what the scenario asks for when left out.
        sequence_length: Make inputs of exactly so many tokens each.
        concurrency: Clients that ask at once, each as soon as it has its answer; with ``rate``, workers that answer.
        rate: Queries per second that arrive at random times, whether or not the ones before are answered.
        scenario: One of :data:`SCENARIOS`; follows from the others when left out.
        level: ``task``: from an item to its answer; ``graph``: the runtime alone, on tensors made beforehand.
        seed: Of the arrival times.
        cost_per_hour: What the machine costs per hour, at least 0, for the cost of a million items.
        parameters: The task's own parameters, the same for every run.
    """

    runs: int | None
    warmup: int | str
    duration: float | None
    batch_size: int | None
    sequence_length: int | None
    concurrency: int | None
    rate: float | None
    scenario: str | None
    level: str
    seed: int
    cost_per_hour: float | None
    parameters: Mapping[str, Any] | None


def settle(**asked: Unpack[Measuring]) -> Settings:
    """Check what was asked for, and fill in the rest.

    Raises:
        InvalidSetting: There is no such setting, a value is out of range, or two contradict each other.
    """
    for name in asked:
        if name not in Measuring.__annotations__:
            close = difflib.get_close_matches(name, Measuring.__annotations__, n=1)
            hint = f"did you mean `{close[0]}`" if close else "the task's own go into parameters={…}"
            raise InvalidSetting(f"a benchmark has no setting `{name}`", hint=hint, setting=name)
    runs, duration, warmup = asked.get("runs"), asked.get("duration"), asked.get("warmup", WARMUP)
    batch, concurrency, rate = asked.get("batch_size"), asked.get("concurrency"), asked.get("rate")
    sequence, cost, level = (
        asked.get("sequence_length"),
        asked.get("cost_per_hour"),
        asked.get("level", "task"),
    )
    seed = asked.get("seed", 0)
    _whole("runs", runs, 1)
    _whole("warmup", None if warmup == AUTO else warmup, 0, also=f" or {AUTO}")
    _whole("batch-size", batch, 1)
    _whole("sequence-length", sequence, 1)
    _whole("concurrency", concurrency, 1)
    _whole("seed", seed, 0)
    _above_zero("duration", duration, "seconds")
    _above_zero("rate", rate, "queries per second")
    if cost is not None and not _finite(cost, least=0):
        raise _wrong("cost-per-hour", cost, "an amount of 0 or more")
    if level not in LEVELS:
        raise _wrong("level", level, " or ".join(LEVELS))
    parameters = asked.get("parameters") or {}
    if not isinstance(parameters, Mapping) or not all(isinstance(name, str) for name in parameters):
        raise _wrong("parameters", parameters, "a mapping of the task's own parameters by name")
    chosen = _scenario(asked.get("scenario"), batch, concurrency, rate)
    return Settings(
        scenario=chosen,
        runs=RUNS if runs is None and duration is None else runs,
        duration=None if duration is None else float(duration),
        warmup=None if isinstance(warmup, str) else warmup,
        batch=batch or {"multi-stream": MULTI, "offline": None}.get(chosen, 1),
        sequence=sequence,
        concurrency=concurrency or 1,
        rate=None if rate is None else float(rate),
        level=level,
        seed=seed,
        cost_per_hour=None if cost is None else float(cost),
        parameters=plain(parameters),
        collector=EACH if (concurrency or 1) == 1 and rate is None else "off during each round",
    )


def _scenario(asked: str | None, batch: int | None, concurrency: int | None, rate: float | None) -> str:
    if asked is not None and asked not in SCENARIOS:
        raise _wrong("scenario", asked, f"one of {', '.join(SCENARIOS)}")
    clients = (concurrency or 1) > 1
    found = "server" if rate else "closed-loop" if clients else "multi-stream" if (batch or 1) > 1 else None
    chosen = asked or found or "single-stream"
    wrong = {
        "server": rate is None and "needs --rate, the queries that arrive per second",
        "single-stream": (rate or clients or (batch or 1) > 1)
        and "is one item at a time: no --rate, --concurrency or --batch-size",
        "multi-stream": (rate or clients or batch == 1)
        and "is one batch at a time: no --rate or --concurrency, and a --batch-size above 1",
        "closed-loop": (rate or not clients) and "needs a --concurrency above 1, and no --rate",
        "offline": (rate or batch) and "asks for everything at once: no --rate or --batch-size",
    }[chosen]
    if wrong:
        raise InvalidSetting(
            f"scenario `{chosen}` {wrong}",
            hint="leave --scenario out: it follows from the others",
            setting="scenario",
        )
    return chosen


def _whole(name: str, value: Any, least: int, also: str = "") -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
        raise _wrong(name, value, f"a whole number of {least} or more{also}")


def _above_zero(name: str, value: Any, unit: str) -> None:
    if value is not None and (not _finite(value, least=0) or not 0 < value <= MOST):
        raise _wrong(name, value, f"a number of {unit} above 0, up to {MOST:,}")


def _finite(value: Any, *, least: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -MOST <= value <= 10**15 and math.isfinite(value) and value >= least


def _wrong(name: str, value: Any, wanted: str) -> InvalidSetting:
    # An integer of thousands of digits has no text in Python.
    shown = "a number of many digits" if isinstance(value, int) and abs(value) > MOST**2 else value
    return InvalidSetting(
        f"`{name}` is `{shown}`, not {wanted}", hint=f"give --{name} {wanted}", setting=name
    )
