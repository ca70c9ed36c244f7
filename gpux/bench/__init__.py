"""The benchmark: measure, then summarise, then report; rendering is a room of its own and nothing here prints.

Knows a loaded model by :class:`gpux.bench.subject.Subject` only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpux.errors import InvalidInput, InvalidSetting

if TYPE_CHECKING:
    from gpux.bench.report import Report
    from gpux.bench.subject import Subject


def benchmark(
    model: Subject,
    inputs: Any = None,
    *,
    runs: int = 100,
    warmup: int = 10,
    progress: Callable[[int, int], None] | None = None,
    **parameters: Any,
) -> Report:
    """Measure a loaded model on this machine.

    Every run answers all of ``inputs`` in one call. One first run is measured apart, then ``warmup`` runs, then ``runs``
    steady runs, and only the steady ones enter the statistics. Ctrl-C keeps what was measured.

    Args:
        model: A loaded model, as :func:`gpux.load` returns it.
        inputs: One item or a list of them; the task's own realistic items when ``None``.
        runs: Steady runs, at least 1.
        warmup: Runs between the first run and the steady ones, at least 0.
        progress: Called between runs with the runs done and the runs in all.
        parameters: The task's own parameters, the same for every run.

    Raises:
        InvalidSetting: ``runs`` or ``warmup`` is out of range.
        InvalidInput: The inputs are empty, or the task cannot take them or a parameter.
        RunFailed: The runtime failed in a run.
    """
    from gpux.bench import identity, measure, report, summary, warnings

    _check("runs", runs, 1)
    _check("warmup", warmup, 0)
    items = model.pipeline.samples() if inputs is None else inputs
    single = model.pipeline.is_item(items)
    if not single:
        items = list(items)
        if not items:
            raise InvalidInput("an empty list leaves nothing to measure", hint="give at least one input")
    who = identity.identify(model, [items] if single else items)
    measured = measure.measure(
        model, items, runs=runs, warmup=warmup, progress=progress, parameters=parameters
    )
    summaries = summary.summarise(measured.samples, items=who.inputs.count)
    return report.Report(
        schema=report.SCHEMA,
        interrupted=measured.interrupted,
        identity=who,
        settings=report.Settings(runs=runs, warmup=warmup, parameters=report.plain(parameters)),
        samples=measured.samples,
        summaries=summaries,
        cautions=warnings.judge(measured.samples, summaries, asked=runs),
    )


def _check(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidSetting(
            f"`{name}` is `{value}`, not a whole number of {least} or more",
            hint=f"give --{name} {least} or more",
            setting=name,
        )
