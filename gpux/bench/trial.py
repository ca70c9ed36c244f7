"""One configuration from its first run to its report: measures, watches the machine meanwhile, and sums up.

The same for a benchmark in this process and for one that takes turns with others in processes of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpux.bench import accelerators, agreement, cache, calls, documents, memory, summary, warnings
from gpux.bench.conditions import Watching
from gpux.bench.energy import Energy, Meter
from gpux.bench.identity import identify
from gpux.bench.measure import Measurement, Tick
from gpux.bench.memory import Memory, Peak, Trace
from gpux.bench.report import Report
from gpux.bench.workload import prepare

if TYPE_CHECKING:
    from gpux.bench.identity import Identity
    from gpux.bench.samples import Samples
    from gpux.bench.settings import Settings
    from gpux.bench.subject import Subject


COMPARED = 32
"""Items whose answers are compared between configurations; those of one query where that has more."""


class Trial:
    """A loaded model that is measured in rounds.

    Args:
        model: A loaded model.
        inputs: One item or a list of them; the task's own when ``None``.
        settings: How to measure.
        parameters: The task's own parameters, as the model takes them.
        mode: ``onnx``, or ``torch`` for the source model in PyTorch.
        before: Bytes of this process before the model was loaded, where somebody read them.
        peak: The watch on this process's memory since then; begun now when ``None``.
        shared: Whether other models are measured in this process, so that its memory is nobody's alone.
        tick: Told how far it is.
        stop: Set from any thread to end a phase after the runs under way.

    Raises:
        InvalidInput: The inputs are empty, or the task cannot take them or a parameter.
    """

    def __init__(
        self,
        model: Subject,
        inputs: Any,
        settings: Settings,
        *,
        parameters: Mapping[str, Any],
        mode: str = "onnx",
        before: int | None = None,
        peak: Peak | None = None,
        shared: bool = False,
        tick: Tick | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        parameters = calls.bounded(model, parameters)
        settings = replace(settings, parameters=documents.plain(parameters))
        queries = prepare(model.pipeline, inputs, settings, parameters)
        self._model = model
        self._parameters = parameters
        self._asked = queries.calls[: max(1, COMPARED // queries.record.batch)]
        self._settings = replace(settings, batch=queries.record.batch)
        self._identity = identify(model, queries.record, mode=mode)
        call, queries = calls.prepare(model, queries, settings, parameters)
        self._measurement = Measurement(call, queries, settings, tick=tick, stop=stop)
        self._shared = shared
        self._before, self._loaded = before, memory.resident()
        self._peak = peak or Peak.begin()
        self._trace = Trace.begin()
        self._devices = accelerators.Watch.begin()
        self._watching: Watching | None = None
        self._meter: Meter | None = None
        self._rounds = 0

    def begin(self) -> None:
        """The first run and the warm-up.

        Raises:
            GpuxError: The model failed in its very first run.
        """
        self._measurement.first()
        self._measurement.warm_up()

    def round(self, *, runs: int | None, seconds: float | None, more: bool = False) -> None:
        """Steady runs; every round but the first begins with some that do not count.

        Args:
            runs: As many; ``None`` for no limit.
            seconds: After so many, none begins; ``None`` for no limit.
            more: Whether they go on with the round before, which nobody interrupted.
        """
        if self._watching is None or self._meter is None:
            self._watching, self._meter = Watching.begin(), Meter.begin()
            self._rounds = 1
        else:
            if not more:
                self._measurement.settle()
                self._rounds += 1
            self._watching = self._watching.resumed()
            self._meter.resume()
        try:
            self._measurement.steady(runs=runs, seconds=seconds)
        finally:
            self._watching = self._watching.paused()
            self._meter.pause()

    @property
    def identity(self) -> Identity:
        """What is measured, as the open model tells."""
        return self._identity

    @property
    def done(self) -> int:
        """Steady runs so far."""
        return self._measurement.done

    @property
    def begun(self) -> int:
        """Steady runs that began so far, failed ones too."""
        return self._measurement.begun

    def paces(self, since: int) -> list[float]:
        """Seconds per item of the steady runs from one on, in the order in which they ended."""
        return [seconds / (self._settings.batch or 1) for seconds in self._measurement.seconds(since)]

    @property
    def pace(self) -> float:
        """Seconds of a run, as the warm-up had it."""
        return self._measurement.pace

    @property
    def broken(self) -> bool:
        """Whether so many runs failed in a row that nothing more will come of it."""
        return self._measurement.broken

    def answers(self) -> list[list[float] | None]:
        """The numbers of the answers to the first items, one by one; asked for once, outside all figures.

        Raises:
            Exception: What the model raised.
        """
        found: list[Any] = []
        for call in self._asked:
            answer = self._model.timed(call, **self._parameters)[0]
            found += answer if isinstance(call, list) else [answer]
        return [agreement.numbers(answer) for answer in found]

    def report(self, *, interrupted: bool = False) -> Report:
        """Everything so far."""
        model, settings = self._model, replace(self._settings, rounds=max(1, self._rounds))
        samples = self._measurement.samples(preparation=model.preparation, load=model.timings)
        found = summary.summarise(samples, workload=self._identity.workload, settings=settings)
        conditions = (self._watching or Watching.begin()).end()
        return Report(
            schema=documents.SCHEMA,
            interrupted=interrupted,
            identity=self._identity,
            settings=settings,
            samples=samples,
            memory=self._memory(samples),
            energy=self._energy(),
            conditions=conditions,
            summaries=found,
            cautions=warnings.judge(
                samples,
                found,
                settings=settings,
                identity=self._identity,
                conditions_found=conditions,
                settled=self._measurement.settled,
                interrupted=interrupted,
            ),
        )

    def close(self) -> None:
        """End the threads that watch the machine."""
        self._peak.end()
        self._trace.end()
        self._devices.end()
        if self._meter is not None:
            self._meter.end()

    def _energy(self) -> Energy:
        if self._meter is not None:
            return self._meter.so_far()
        return Energy(None, 0.0, {}, "no steady run was begun")

    def _memory(self, samples: Samples) -> Memory:
        components = self._model.artifact.manifest.components
        highest = self._peak.so_far()
        if self._shared:
            highest = memory.Highest(None, "several models share this process")
        return Memory(
            disk=memory.on_disk(self._model.artifact),
            parameters=self._model.artifact.manifest.parameters,
            before=None if self._shared else self._before,
            loaded=None if self._shared else self._loaded,
            peak=highest.bytes,
            how=highest.how,
            trace=self._trace.so_far(),
            devices=self._devices.so_far().devices,
            cache=cache.largest(
                (spec for component in components for spec in component.inputs),
                samples.steady,
                self._identity.workload,
            ),
        )
