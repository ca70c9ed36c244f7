"""The energy that a measurement took, from the processor's and the GPUs' own counters; where there is none it says so.

The counters see whole packages and boards: idle power and other programs are in the figure. Nothing is estimated.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpux.bench.accelerators import Nvml
from gpux.bench.reading import Ticking, number, text

INTERVAL = 20.0
"""Seconds between two readings. A package's counter wraps after minutes at the soonest: 65 kJ at 400 W last 160 s."""

POWERCAP = "sys/class/powercap"


@dataclass(frozen=True, slots=True)
class Energy:
    """What was used.

    Attributes:
        joules: The sum of ``domains``; ``None`` where there is none.
        seconds: How long it was metered.
        domains: ``package-0``, ``package-0/dram``, ``gpu-0`` … → joules; no part is in two of them.
        reason: Why a counter of the processor or of a GPU is missing, with what to type where that helps; ``None`` where
            none is. There may be joules all the same: those of the other counters.
    """

    joules: float | None
    seconds: float
    domains: dict[str, float]
    reason: str | None

    @property
    def watts(self) -> float | None:
        """Mean power."""
        return None if self.joules is None or not self.seconds else self.joules / self.seconds

    def per_inference(self, items: float) -> float | None:
        """Joules per item, where ``items`` were answered in all."""
        return None if self.joules is None or not items else self.joules / items

    def per_joule(self, items: float) -> float | None:
        """Items per joule, where ``items`` were answered in all."""
        return items / self.joules if self.joules else None


@dataclass(slots=True)
class _Counter:
    """One RAPL domain: its file, the range after which it starts again, the last reading, and the sum (all microjoules)."""

    file: Path
    range: int
    last: int
    sum: int = 0

    def read(self, *, counts: bool) -> bool:
        """Take a reading, and add what came since the last one where it counts; false where the file is gone."""
        now = number(self.file)
        if now is None:
            return False
        if counts:
            self.sum += now - self.last if now >= self.last else now + self.range - self.last
        self.last = now
        return True


class Meter:
    """Adds up energy between :meth:`begin` and :meth:`end`, wrapping counters included."""

    def __init__(self, root: Path) -> None:
        self._counters: dict[str, _Counter] = {}
        self._lock = threading.Lock()
        self._reasons: list[str] = []
        self._open_domains(root)
        self._nvml = self._open_boards(root)
        self._boards = self._joules()
        self._begin = time.perf_counter()
        self._pause: tuple[float, dict[str, float]] | None = None
        self._ticking = Ticking(self.tick, interval=INTERVAL, name="gpux-energy") if self._counters else None

    @classmethod
    def begin(cls, *, root: Path = Path("/")) -> Meter:
        """Take the first reading, and go on every :data:`INTERVAL` seconds where a counter may wrap.

        Args:
            root: The directory that holds ``sys``.
        """
        return cls(root)

    def tick(self) -> None:
        """Read the counters; at least once per range of each counter, else a wrap is missed. From any thread."""
        with self._lock:
            for name, counter in list(self._counters.items()):
                if not counter.read(counts=self._pause is None):
                    del self._counters[name]
                    self._reasons.append(f"`{counter.file}` could not be read any more")

    def pause(self) -> None:
        """What is used from now on does not count."""
        if self._pause is None:
            self.tick()
            self._pause = (time.perf_counter(), self._joules())

    def resume(self) -> None:
        """What is used from now on counts again."""
        if self._pause is not None:
            self.tick()
            since, boards = self._pause
            self._begin += time.perf_counter() - since
            now = self._joules()
            self._boards = {
                name: joules + max(0.0, now.get(name, 0.0) - boards.get(name, 0.0))
                for name, joules in self._boards.items()
            }
            self._pause = None

    def so_far(self) -> Energy:
        """What was used until now, or until the pause."""
        self.tick()
        clock, now = self._pause or (time.perf_counter(), self._joules())
        domains = {name: counter.sum / 1e6 for name, counter in self._counters.items()}
        # A driver that was loaded anew counts from zero.
        boards = {name: joules - self._boards[name] for name, joules in now.items() if name in self._boards}
        domains |= {name: joules for name, joules in boards.items() if joules >= 0}
        return Energy(
            sum(domains.values()) if domains else None,
            clock - self._begin,
            domains,
            "; ".join(self._reasons) or None,
        )

    def end(self) -> Energy:
        """Take the last reading; a second time is a mistake."""
        if self._ticking is not None:
            self._ticking.stop()
        found = self.so_far()
        if self._nvml is not None:
            self._nvml.close()
        return found

    def _joules(self) -> dict[str, float]:
        if self._nvml is None:
            return {}
        told = {f"gpu-{index}": self._nvml.joules(handle) for index, handle in self._nvml.handles.items()}
        return {name: joules for name, joules in told.items() if joules is not None}

    def _open_boards(self, root: Path) -> Nvml | None:
        opened = Nvml.open()
        if isinstance(opened, str):
            if (root / "proc/driver/nvidia").exists():
                self._reasons.append(f"the GPUs are missing: {opened}")
            return None
        silent = [index for index, handle in opened.handles.items() if opened.joules(handle) is None]
        self._reasons += [f"GPU {index} counts no energy" for index in silent]
        return opened

    def _open_domains(self, root: Path) -> None:
        """Open every package and every memory: cores and uncore are in their package, psys holds all of them."""
        directory = root / POWERCAP
        zones = dict(
            reversed(list(_zones(directory)))
        )  # intel-rapl-mmio shows the package of intel-rapl once more
        if not zones:
            self._reasons.append(
                f"the system shows no RAPL counter under {directory}; most virtual machines and every system but Linux have none"
            )
        for name, zone in sorted(zones.items()):
            file = zone / "energy_uj"
            try:
                last, limit = (
                    int((zone / n).read_text("ascii")) for n in ("energy_uj", "max_energy_range_uj")
                )
            except PermissionError:
                # CVE-2020-8694: what a processor computes can be told from its power, so only root may read it.
                self._reasons.append(
                    f"`{file}` is for root only; type: sudo chmod a+r {directory}/*/energy_uj"
                )
            except (OSError, ValueError) as error:
                self._reasons.append(f"`{zone}` cannot be read ({error})")
            else:
                self._counters[name] = _Counter(file, limit, last)


def _zones(directory: Path) -> Iterator[tuple[str, Path]]:
    """Packages and memories: their names and directories, as https://docs.kernel.org/power/powercap/powercap.html lays them."""
    try:
        found = [path for path in directory.iterdir() if "rapl" in path.name and ":" in path.name]
    except OSError:
        return
    for zone in sorted(found, key=lambda path: path.name.partition(":")):
        name = text(zone / "name") or ""
        if name.startswith("package"):
            yield name, zone
        elif name == "dram":
            parent = text(directory / zone.name.rpartition(":")[0] / "name")
            yield f"{parent or zone.name}/dram", zone
