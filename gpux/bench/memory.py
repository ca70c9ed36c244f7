"""The memory that a model takes: bytes on disk by variant and component, and this process's resident memory, now, at its peak, over time."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from time import perf_counter_ns

from gpux.artifact import Artifact
from gpux.bench.accelerators import Accelerator
from gpux.bench.reading import Ticking, psutil, text

SHARED = "shared"
"""Bytes of a variant's folder that belong to no one component."""

POINTS = 2000
SAMPLED = 0.01
NOISE = 32 << 20
"""Bytes by which the kernel's resident figures may differ among themselves: each core keeps a part of the count."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Resident bytes over time, by column.

    Attributes:
        seconds: When, counted from the origin of the trace.
        bytes: How many.
    """

    seconds: tuple[float, ...]
    bytes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """What a model takes; bytes, ``None`` where the system does not tell.

    Attributes:
        disk: Variant → component → bytes on disk; see :func:`on_disk`.
        parameters: Parameters of the source model.
        before: Resident memory of the process before the model was loaded.
        loaded: Resident memory after it.
        peak: Peak of the resident memory while it was measured.
        how: How the peak was read.
        trace: Resident memory over time.
        devices: The GPUs.
        cache: Bytes of the keys and values of the run with the most tokens, where the model remembers what it read: the bytes
            of a token × tokens of prompt and answer. A provider may set more aside.
    """

    disk: dict[str, dict[str, int]]
    parameters: int | None
    before: int | None
    loaded: int | None
    peak: int | None
    how: str
    trace: Curve
    devices: tuple[Accelerator, ...]
    cache: int | None = None


def on_disk(artifact: Artifact) -> dict[str, dict[str, int]]:
    """Variant → component → bytes, as the manifest lists them; every file is counted once.

    A component's graph counts with the files of its folder, which hold its weights. Where several graphs share a folder, a
    file goes to the graph whose name it begins with, and to ``shared`` where there is none.
    """
    found: dict[str, dict[str, int]] = {}
    for variant in artifact.manifest.variants:
        sizes = dict.fromkeys(variant.graphs, 0)
        for file in artifact.manifest.files:
            owner = _owner(PurePosixPath(file.path), variant.graphs)
            if owner is not None:
                sizes[owner] = sizes.get(owner, 0) + file.size
        found[variant.name] = sizes
    return found


def _owner(path: PurePosixPath, graphs: dict[str, str]) -> str | None:
    places = {name: PurePosixPath(graph) for name, graph in graphs.items()}
    for name, graph in places.items():
        if path == graph:
            return name
    above = [graph.parent for graph in places.values() if graph.parent in path.parents]
    if not above:
        return None
    nearest = max(above, key=lambda folder: len(folder.parts))
    near = {name: graph for name, graph in places.items() if graph.parent == nearest}
    part = path.relative_to(nearest).parts[0]
    named = [
        name
        for name, graph in near.items()
        if part.startswith((graph.name, f"{graph.stem}.", f"{graph.stem}_"))
    ]
    if named:
        return max(named, key=lambda name: len(near[name].stem))
    if not nearest.parts:
        return None  # the artifact's own folder holds the tokenizer and the like
    return next(iter(near)) if len(near) == 1 else SHARED


def resident() -> int | None:
    """Bytes of this process that are in memory now, shared pages included; about 10 µs on Linux.

    Other systems are asked through psutil; without it they do not tell.
    """
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        module = psutil()
        return None if module is None else int(module.Process().memory_info().rss)
    try:
        return int(os.read(descriptor, 128).split()[1]) * _PAGE
    finally:
        os.close(descriptor)


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Highest:
    """A peak of resident memory: bytes, ``None`` where the system does not tell, and how it was read."""

    bytes: int | None
    how: str


class Peak:
    """The peak of this process's resident memory between :meth:`begin` and :meth:`end`.

    Linux: the kernel's own high-water mark, set back at the beginning (proc_pid_clear_refs(5)); one that is open already
    keeps what it saw. Where that is refused, and elsewhere: the mark of the process's whole life where it rose meanwhile,
    which makes it this span's; else the largest of samples taken every 10 ms by a thread.
    """

    _open: list[Peak] = []  # noqa: RUF012 - the mark is the process's, and so is the list of who watches it
    _lock = threading.Lock()

    def __init__(self, process: Path) -> None:
        self._process = process
        self._seen = 0
        self._ticking: Ticking | None = None
        with self._lock:
            self._life = _life(process)
            for peak in self._open:
                peak.see(self._life)
            self._reset = _reset(process)
            self._open.append(self)
        if not self._reset:
            self._sample()
            self._ticking = Ticking(self._sample, interval=SAMPLED, name="gpux-peak")

    @classmethod
    def begin(cls, *, process: Path = Path("/proc/self")) -> Peak:
        """Set the mark back, or begin to sample.

        Args:
            process: The directory with the process's ``status`` and ``clear_refs``.
        """
        return cls(process)

    def end(self) -> Highest:
        """The peak since; a second time is a mistake."""
        if self._ticking is not None:
            self._ticking.stop()
        found = self.so_far()
        with self._lock:
            self._open.remove(self)
        return found

    def so_far(self) -> Highest:
        """The peak until now."""
        if self._ticking is not None:
            self._sample()
        life = _life(self._process)
        if self._reset:
            return Highest(
                max(self._seen, life or 0), "the kernel's high-water mark, set back at the beginning"
            )
        if life is not None and self._life is not None and life > self._life:
            return Highest(life, "the system's high-water mark of the process, which rose meanwhile")
        if self._seen:
            return Highest(
                self._seen, f"sampled every {SAMPLED * 1000:.0f} ms, so that a shorter peak is not seen"
            )
        if life is not None:
            return Highest(
                life, "the system's high-water mark since the process began, which may be an earlier one"
            )
        return Highest(None, "this system tells no memory of a process without psutil: pip install psutil")

    def see(self, size: int | None) -> None:
        """Take a figure in that was read elsewhere in this span."""
        self._seen = max(self._seen, size or 0)

    def _sample(self) -> None:
        self.see(resident())


def _reset(process: Path) -> bool:
    """Set the high-water mark back, and see that it was."""
    try:
        (process / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    mark, now = _status(process, "VmHWM"), _status(process, "VmRSS")
    return mark is not None and now is not None and mark - now < NOISE


def _status(process: Path, name: str) -> int | None:
    for line in (text(process / "status") or "").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def _life(process: Path) -> int | None:
    """The high-water mark of the process: since it began, or since it was set back."""
    mark = _status(process, "VmHWM")
    if mark is not None:
        return mark
    if sys.platform == "win32":
        module = psutil()
        return None if module is None else int(module.Process().memory_info().peak_wset)
    else:  # noqa: RET505 - a type checker for one system has to see that this is another's
        import resource

        # macOS counts bytes, everyone else kilobytes: getrusage(2).
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


class Trace:
    """Resident memory over time, sampled by a thread between :meth:`begin` and :meth:`end`.

    A sample with the thread's waking costs some 100 µs: at the default interval 0.2 % of one core. Past :data:`POINTS` points, neighbours are
    merged into the larger of the two and the interval is doubled, so that no peak that was sampled is lost.
    """

    def __init__(self, *, interval: float, origin: int | None, read: Callable[[], int | None]) -> None:
        self._read = read
        self._origin = perf_counter_ns() if origin is None else origin
        self._points: list[tuple[float, int]] = []
        self._sample()
        self._ticking = Ticking(self._sample, interval=interval, name="gpux-memory") if self._points else None

    @classmethod
    def begin(
        cls,
        *,
        interval: float = 0.05,
        origin: int | None = None,
        read: Callable[[], int | None] = resident,
    ) -> Trace:
        """Take the first sample; where the system tells nothing, there is no thread.

        Args:
            interval: Seconds between two samples.
            origin: What ``time.perf_counter_ns`` gave at second 0; now when ``None``.
            read: What is sampled.
        """
        return cls(interval=interval, origin=origin, read=read)

    def end(self) -> Curve:
        """Take the last sample; empty columns where the system tells nothing."""
        if self._ticking is not None:
            self._ticking.stop()
            self._sample()
        return self.so_far()

    def so_far(self) -> Curve:
        """The samples until now."""
        return Curve(tuple(at for at, _ in self._points), tuple(size for _, size in self._points))

    def _sample(self) -> None:
        size = self._read()
        if size is None:
            return
        self._points.append(((perf_counter_ns() - self._origin) / 1e9, size))
        if len(self._points) >= POINTS:
            self._thin()

    def _thin(self) -> None:
        points = self._points
        pairs = zip(points[::2], points[1::2], strict=False)
        odd = points[-1:] if len(points) % 2 else []
        self._points = [max(pair, key=lambda point: point[1]) for pair in pairs] + odd
        if self._ticking is not None:
            self._ticking.interval *= 2
