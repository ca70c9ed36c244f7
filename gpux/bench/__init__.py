"""The benchmark: measure, then summarise, then report; rendering is a room of its own and nothing here prints.

Knows a loaded model by :class:`gpux.bench.subject.Subject` only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

if TYPE_CHECKING:
    from gpux.bench.report import Report
    from gpux.bench.settings import Measuring
    from gpux.bench.subject import Subject


def benchmark(
    model: Subject,
    inputs: Any = None,
    *,
    progress: Callable[[str, int, int | None], None] | None = None,
    **settings: Unpack[Measuring],
) -> Report:
    """Measure a loaded model in this process.

    One first run is measured apart, then the warm-up, then the steady runs, and only the steady ones enter the statistics.
    Runs take the inputs in turn, ``batch_size`` at a time. Ctrl-C keeps what was measured. A run that fails is counted and
    the others go on.

    Args:
        model: A loaded model, as :func:`gpux.load` returns it.
        inputs: One item or a list of them; the task's own realistic items when ``None``.
        progress: Called now and then with the phase, its runs done, and its runs in all where that is known.
        **settings: How to measure; see :class:`gpux.bench.settings.Measuring`.

    Raises:
        InvalidSetting: A setting is out of range, or two contradict each other.
        InvalidInput: The inputs are empty, or the task cannot take them or a parameter.
        RunFailed: The runtime failed in the very first run.
    """
    from gpux.bench.settings import settle
    from gpux.bench.trial import Trial

    checked = settle(**settings)
    parameters = dict(settings.get("parameters") or {})
    trial = Trial(model, inputs, checked, parameters=parameters, tick=progress)
    interrupted = False
    try:
        try:
            trial.begin()
            trial.round(runs=checked.runs, seconds=checked.duration)
        except KeyboardInterrupt:
            interrupted = True
        return trial.report(interrupted=interrupted)
    finally:
        trial.close()
