"""What this machine has, as this process sees it: cores allowed, memory allowed, processor, system; no GPU runtime."""

from __future__ import annotations

import math
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """The identity of a machine in reports; sizes in bytes, ``None`` where the system does not say."""

    system: str
    release: str
    architecture: str
    processor: str
    cores: int
    cores_allowed: int
    memory: int | None
    features: tuple[str, ...]


def describe() -> Machine:
    """This machine."""
    return Machine(
        system=platform.system(),
        release=platform.release(),
        architecture=platform.machine(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        cores_allowed=cores_allowed(),
        memory=memory_allowed(),
        features=_features(),
    )


def cores_allowed() -> int:
    """Cores this process may use: its affinity, cut by the container's quota (cgroup v1 and v2)."""
    if hasattr(os, "process_cpu_count"):  # Python ≥ 3.13
        cores = os.process_cpu_count() or 1
    elif hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _quota()
    return max(1, min(cores, math.ceil(quota))) if quota else cores


def memory_allowed() -> int | None:
    """Bytes of memory this process may use: the machine's, cut by the container's limit."""
    total: int | None = None
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = [_number(_CGROUP / "memory.max"), _number(_CGROUP / "memory" / "memory.limit_in_bytes")]
    known = [value for value in (total, *limits) if value]
    return min(known) if known else None


def memory_available() -> int | None:
    """Bytes that could be taken now without anything being swapped or killed; ``None`` where the system does not say."""
    lines = _text(Path("/proc/meminfo")).splitlines()
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    limit, used = _number(_CGROUP / "memory.max"), _number(_CGROUP / "memory.current")
    if limit is not None and used is not None:
        free.append(max(0, limit - used))
    if not free:
        try:
            import psutil
        except ImportError:
            return None
        return int(psutil.virtual_memory().available)
    return min(free)


def _quota() -> float | None:
    v2 = _text(_CGROUP / "cpu.max").split()
    if len(v2) == 2 and v2[0].isdecimal() and v2[1].isdecimal():
        return int(v2[0]) / int(v2[1])
    quota, period = (
        _number(_CGROUP / "cpu" / "cpu.cfs_quota_us"),
        _number(_CGROUP / "cpu" / "cpu.cfs_period_us"),
    )
    return quota / period if quota and period else None


def _processor() -> str:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    if sys.platform == "darwin":
        import subprocess

        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return (
            subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
            or platform.processor()
        )
    return platform.processor() or platform.machine()


def _features() -> tuple[str, ...]:
    wanted = (
        "avx2",
        "avx512f",
        "avx512_vnni",
        "avx512_bf16",
        "avx_vnni",
        "amx_int8",
        "amx_bf16",
        "asimd",
        "asimddp",
        "i8mm",
        "bf16",
        "sve",
    )
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith(("flags", "Features")):
            have = set(line.partition(":")[2].split())
            return tuple(name for name in wanted if name in have)
    return ()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() and int(text) < 1 << 60 else None
