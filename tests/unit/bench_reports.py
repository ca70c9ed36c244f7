"""Builders of real benchmark records for tests: times go in, and what the benchmark itself would write comes out."""

import itertools
from dataclasses import fields, replace

import numpy as np

from gpux.bench import documents, memory, summary, warnings
from gpux.bench.accelerators import Accelerator
from gpux.bench.conditions import Conditions
from gpux.bench.energy import Energy
from gpux.bench.identity import Identity
from gpux.bench.memory import Curve, Memory
from gpux.bench.report import Report
from gpux.bench.samples import Failure, Samples, Series
from gpux.bench.settings import settle
from gpux.bench.suite import Reason, Row, Suite
from gpux.bench.workload import Workload
from gpux.hardware import Machine

MACHINE = Machine(
    "Linux", "6.12.0", "x86_64", "Example Processor 3000", 8, 8, 16 << 30, ("avx2", "avx512_vnni")
)
VERSIONS = {"gpux": "0.2.0", "python": "3.13.1", "numpy": "2.3.1", "onnxruntime": "1.31.1"}
CONDITIONS = Conditions(
    seconds=1.0, cores=8, load=0.1, own=0.5, others=0.01, iowait=0.0, steal=0.0, frequency_begin=3000.0,
    frequency_end=3000.0, frequency_limit=None, throttles=None, switches=3, quota_periods=0, quota_seconds=0.0,
    governor=None, power=None,
    unknown=dict.fromkeys(("frequency_limit", "throttles", "governor", "power"), "not on this machine"),
)  # fmt: skip
GPU = Accelerator(0, "Example GPU", "570.1", 24 << 30, 2 << 30, 3 << 30, None, None, 50.0, 60, (), None)


def times(median=0.01, *, cv=0.05, n=200, seed=0):
    """Log-normal seconds of this median and about this coefficient of variation."""
    return (median * np.exp(np.random.default_rng(seed).normal(0, cv, n))).tolist()


def series(seconds, *, queries=1, start=0.0, clients=1, stages=("preprocess", "infer", "postprocess")):
    """Runs one after another, or of several clients that each wait for their answer."""
    free, begins = [start] * clients, []
    for number, value in enumerate(seconds):
        client = number % clients
        begins.append(free[client])
        free[client] += value
    order = sorted(range(len(begins)), key=begins.__getitem__)
    column = tuple(float(seconds[i]) for i in order)
    part = {name: tuple(value * 0.9 / len(stages) for value in column) for name in stages}
    return Series(
        start=tuple(begins[i] for i in order),
        seconds=column,
        query=tuple(number % queries for number in range(len(column))),
        round=(0,) * len(column),
        stages=part if column else {},
    )


def report(seconds=None, *, batch=1, concurrency=1, rate=None, scenario=None, level="task", sequence=None,
           parameters=None, cost_per_hour=None, items=2, noun="texts", origin="the task's own samples",
           sha256="5" * 64, tokens=12.0, characters=40, failures=0, interrupted=False, warmup=3, first=0.012,
           peak=500 << 20, devices=(), joules=None, machine=None, versions=None, conditions=None, **identity):  # fmt: skip
    """A report of these steady seconds per run; whatever else is not named is the same in every report.

    ``machine``, ``versions`` and ``conditions`` are mappings of what differs from the usual; further names are fields of
    :class:`Identity`.
    """
    seconds = times() if seconds is None else list(seconds)
    settings = settle(
        runs=max(1, len(seconds)), warmup=warmup, batch_size=None if scenario == "offline" else batch,
        sequence_length=sequence, concurrency=concurrency, rate=rate, scenario=scenario, level=level,
        cost_per_hour=cost_per_hour, parameters=parameters,
    )  # fmt: skip
    batch = items if scenario == "offline" else batch
    queries = -(-items // batch)
    workload = Workload(
        origin,
        noun,
        items,
        batch,
        {"tokens": (tokens * batch,) * queries} if tokens else {},
        characters,
        sha256,
    )
    steady = series(seconds, queries=queries, start=1.0, clients=concurrency)
    samples = Samples(
        preparation={},
        load={"plan": 0.01, "open": 0.25},
        first=series([first]),
        warmup=series([0.011] * warmup, start=0.5),
        steady=steady,
        failures=tuple(
            Failure("steady", 2.0 + n, 0.01, 0, "RunFailed", "the runtime failed") for n in range(failures)
        ),
    )
    settings = replace(settings, batch=batch)
    summaries = summary.summarise(samples, workload=workload, settings=settings)
    found = replace(CONDITIONS, **(conditions or {}))
    known = {
        "reference": "org/tiny", "resolved": "0" * 40, "digest": "d" * 64, "task": "feature-extraction",
        "mode": "onnx", "variant": "fp32", "quality": "exact", "against": "pytorch fp32", "proven_on": "cpu",
        "min_cosine": 0.99999999, "top1": None, "provider": "cpu", "device": "cpu", "precision": "fp32",
        "nodes": {"CPUExecutionProvider": 9}, "share": 1.0, "left_behind": (), "threads": 8, "options": {},
        "started": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    unknown = set(identity) - {field.name for field in fields(Identity)}
    assert not unknown, f"no field of a report: {unknown}"
    versions = {name: text for name, text in {**VERSIONS, **(versions or {})}.items() if text is not None}
    return Report(
        schema=documents.SCHEMA,
        interrupted=interrupted,
        identity=Identity(
            **{**known, **identity},
            versions=versions,
            machine=replace(MACHINE, **(machine or {})),
            workload=workload,
        ),
        settings=settings,
        samples=samples,
        memory=Memory(
            disk={"fp32": {"model": 90 << 20}}, parameters=22_700_000, before=100 << 20, loaded=300 << 20,
            peak=peak, how=memory.Highest(peak, "VmHWM").how, trace=Curve((0.0, 0.5), (300 << 20, 310 << 20)),
            devices=tuple(devices),
        ),
        energy=Energy(joules, 1.0, {} if joules is None else {"package-0": joules}, None if joules else "no counter"),
        conditions=found,
        summaries=summaries,
        cautions=warnings.judge(
            samples, summaries, settings=settings, conditions_found=found, interrupted=interrupted
        ),
    )  # fmt: skip


def suite(rows, *, interrupted=False, interleaved=True):
    """A suite of ``(axes, report or reason)`` pairs; the axes' values are texts or numbers."""
    built, axes = [], {}
    for given, outcome in rows:
        chosen = {name: str(value) for name, value in given.items()}
        for name, value in chosen.items():
            axes.setdefault(name, []).append(value)
        label = " · ".join(f"{n} {v}" if v.isdecimal() else v for n, v in chosen.items())
        known = isinstance(outcome, Report)
        built.append(Row(label, chosen, outcome if known else None, None if known else outcome))
    return Suite(
        schema=documents.SCHEMA,
        interrupted=interrupted,
        axes={name: tuple(dict.fromkeys(values)) for name, values in axes.items()},
        interleaved=interleaved,
        rows=tuple(built),
    )


def sweep(**axes):
    """Every combination of the axes' values, in order, as mappings."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


OUT_OF_MEMORY = Reason("WorkerFailed", "the worker ran out of memory", "use a smaller batch")
