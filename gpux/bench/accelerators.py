"""The NVIDIA GPUs of this machine, as NVML tells of them; knows neither models nor other makers.

NVML is reached through nvidia-ml-py (``pynvml``), which is optional. Every GPU of the machine is told of, used or not.
https://docs.nvidia.com/deploy/nvml-api/
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from gpux.bench.reading import Ticking

INTERVAL = 0.1
"""Seconds between two samples; one costs a few calls into the driver per GPU, in a thread of its own."""

THROTTLES = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
"""Bits of nvmlClocksEventReasons that slow a busy GPU down → their names; idleness and settings are none."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One GPU while something was measured; memory in bytes, ``None`` where the driver does not tell.

    Attributes:
        index: Its number in NVML, which is the order of the PCI bus.
        name: The product.
        driver: Version of the driver.
        total: Its memory.
        used: Memory that all programs used at the end.
        used_peak: The largest ``used`` of all samples.
        own: Memory that this process used at the end; ``None`` in most containers, where the driver counts process
            numbers of another name space, and where this process is not among those that compute on it.
        own_peak: The largest ``own`` of all samples.
        utilisation: Mean of the samples in percent: how much of the time any kernel ran, of all programs.
        temperature: The highest of the samples in degrees Celsius.
        throttles: What slowed it down in any sample: the names in :data:`THROTTLES`.
        joules: Energy that the whole board took.
    """

    index: int
    name: str
    driver: str
    total: int | None
    used: int | None
    used_peak: int | None
    own: int | None
    own_peak: int | None
    utilisation: float | None
    temperature: int | None
    throttles: tuple[str, ...]
    joules: float | None


@dataclass(frozen=True, slots=True)
class Watched:
    """The GPUs, and why there are none (``None`` where there is one)."""

    devices: tuple[Accelerator, ...]
    reason: str | None


class Nvml:
    """NVML, opened; every call answers ``None`` where the library, the driver or the GPU does not know it."""

    def __init__(self, library: ModuleType) -> None:
        self.library = library
        count = int(self.ask("nvmlDeviceGetCount") or 0)
        handles = [(index, self.ask("nvmlDeviceGetHandleByIndex", index)) for index in range(count)]
        self.handles = {index: handle for index, handle in handles if handle is not None}

    @classmethod
    def open(cls) -> Nvml | str:
        """NVML with at least one GPU, or why there is none."""
        try:
            import pynvml
        except ImportError:
            return "NVML is not asked: nvidia-ml-py is not installed (pip install 'gpux[nvml]')"
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            return f"NVML does not open: {error}"
        found = cls(pynvml)
        if not found.handles:
            found.close()
            return "NVML shows no GPU"
        return found

    def close(self) -> None:
        """Let go of the driver; NVML counts its openers."""
        self.ask("nvmlShutdown")

    def ask(self, function: str, *arguments: Any) -> Any:
        """What a function of the library answers, or ``None``."""
        known = getattr(self.library, function, None)
        if known is None:
            return None
        try:
            return known(*arguments)
        except self.library.NVMLError:
            return None

    def joules(self, handle: Any) -> float | None:
        """Energy of one GPU since its driver was loaded (Volta and later)."""
        millijoules = self.ask("nvmlDeviceGetTotalEnergyConsumption", handle)
        return None if millijoules is None else millijoules / 1000

    def own(self, handle: Any) -> int | None:
        """Bytes that this process has on one GPU."""
        for function in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
            for process in self.ask(function, handle) or ():
                if process.pid == os.getpid() and process.usedGpuMemory is not None:
                    return int(process.usedGpuMemory)
        return None

    def throttles(self, handle: Any) -> int:
        """The bits of what slows one GPU down now; the function was renamed in driver 535."""
        for function in (
            "nvmlDeviceGetCurrentClocksEventReasons",
            "nvmlDeviceGetCurrentClocksThrottleReasons",
        ):
            bits = self.ask(function, handle)
            if bits is not None:
                return int(bits)
        return 0


@dataclass(slots=True)
class _Column:
    """The samples of one GPU so far."""

    joules: float | None
    memory: Any = None
    used_peak: int | None = None
    own: int | None = None
    own_peak: int | None = None
    busy: list[int] = field(default_factory=list)
    temperature: int | None = None
    bits: int = 0


class Watch:
    """Samples the GPUs between :meth:`begin` and :meth:`end`; without a GPU there is no thread and no cost."""

    def __init__(self) -> None:
        opened = Nvml.open()
        self._reason = opened if isinstance(opened, str) else None
        self._nvml = None if isinstance(opened, str) else opened
        self._columns: dict[int, _Column] = {}
        self._lock = threading.Lock()
        self._ticking: Ticking | None = None

    @classmethod
    def begin(cls) -> Watch:
        """Take the first sample and go on every :data:`INTERVAL` seconds."""
        watch = cls()
        if watch._nvml is not None:
            watch._columns = {i: _Column(watch._nvml.joules(h)) for i, h in watch._nvml.handles.items()}
            watch.sample()
            watch._ticking = Ticking(watch.sample, interval=INTERVAL, name="gpux-accelerators")
        return watch

    def sample(self) -> None:
        """Take a sample now; called by the thread, and by who knows that memory is at its highest."""
        nvml = self._nvml
        if nvml is None:
            return
        with self._lock:
            for index, handle in nvml.handles.items():
                column = self._columns[index]
                column.memory = nvml.ask("nvmlDeviceGetMemoryInfo", handle)
                if column.memory is not None:
                    column.used_peak = _larger(column.used_peak, int(column.memory.used))
                column.own = nvml.own(handle)
                column.own_peak = _larger(column.own_peak, column.own)
                rates = nvml.ask("nvmlDeviceGetUtilizationRates", handle)
                if rates is not None:
                    column.busy.append(int(rates.gpu))
                degrees = nvml.ask("nvmlDeviceGetTemperature", handle, 0)  # NVML_TEMPERATURE_GPU
                column.temperature = _larger(column.temperature, degrees)
                column.bits |= nvml.throttles(handle)

    def so_far(self) -> Watched:
        """What was sampled until now."""
        nvml = self._nvml
        if nvml is None:
            return Watched((), self._reason)
        self.sample()
        driver = _words(nvml.ask("nvmlSystemGetDriverVersion"))
        return Watched(
            tuple(_record(nvml, index, driver, column) for index, column in self._columns.items()), None
        )

    def end(self) -> Watched:
        """Take the last sample and let go of the driver; a second time is a mistake."""
        if self._ticking is not None:
            self._ticking.stop()
        found = self.so_far()
        if self._nvml is not None:
            self._nvml.close()
            self._nvml, self._reason = None, "the watch has ended"
        return found


def _record(nvml: Nvml, index: int, driver: str, column: _Column) -> Accelerator:
    handle = nvml.handles[index]
    memory, joules = column.memory, nvml.joules(handle)
    return Accelerator(
        index=index,
        name=_words(nvml.ask("nvmlDeviceGetName", handle)),
        driver=driver,
        total=None if memory is None else int(memory.total),
        used=None if memory is None else int(memory.used),
        used_peak=column.used_peak,
        own=column.own,
        own_peak=column.own_peak,
        utilisation=sum(column.busy) / len(column.busy) if column.busy else None,
        temperature=column.temperature,
        throttles=tuple(name for bit, name in THROTTLES.items() if column.bits & bit),
        joules=None if joules is None or column.joules is None else joules - column.joules,
    )


def _larger(one: int | None, other: int | None) -> int | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _words(value: Any) -> str:
    """Older versions of the library answer in bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "unknown")
