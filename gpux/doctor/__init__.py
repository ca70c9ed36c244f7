"""Looks over this machine for what keeps GPUX from working, and says what to type; changes nothing."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import metadata
from pathlib import Path

from gpux import devices, discovery, hardware, settings
from gpux.doctor import accelerators, cuda, network, packages
from gpux.doctor.check import Check
from gpux.errors import GpuxError
from gpux.export import toolchains
from gpux.hardware import Machine
from gpux.machine import probes
from gpux.provider import Probe, Provider, State

__all__ = ["Check", "diagnose"]

_LOW = 2 << 30  # a converted model of moderate size, twice

Look = Callable[[], list[Check]]


def diagnose() -> tuple[Check, ...]:
    """Run every check, several at once; one that cannot be made is a finding itself."""
    lists = cache(packages.installed), cache(devices.accelerators)
    return run(
        {
            "python": _python,
            "runtime": lambda: _runtimes(*lists),
            "accelerators": lambda: _accelerators(*lists),
            "providers": _providers,
            "threads": _threads,
            "exporter": _exporter,
            "store": _store,
            "pip": _pip,
            "index": network.index,
            "hub": network.hub,
        }
    )


def run(looks: Mapping[str, Look]) -> tuple[Check, ...]:
    """The findings of several looks, in their order."""
    with ThreadPoolExecutor(max_workers=len(looks)) as pool:
        waiting = [pool.submit(_guarded, name, look) for name, look in looks.items()]
        return tuple(check for one in waiting for check in one.result())


def _guarded(name: str, look: Look) -> list[Check]:
    try:
        return look()
    except GpuxError as error:
        return [Check(name, "fail", error.message, error.hint)]
    except Exception as error:  # noqa: BLE001 - one look's mistake must not hide what the others found
        said = f"this could not be looked at ({type(error).__name__}: {error})"
        return [Check(name, "fail", said, "pip install --upgrade gpux")]


def _python() -> list[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    return [Check("python", "ok", f"{version} in {sys.prefix}")]


Packages = Callable[[], tuple[packages.Package, ...]]
Accelerators = Callable[[], tuple[devices.Accelerator, ...]]


def _runtimes(installed: Packages, listed: Accelerators) -> list[Check]:
    install = accelerators.install_line(listed(), installed())
    return [*packages.runtimes(installed(), install), *packages.pairs(installed())]


def _accelerators(installed: Packages, listed: Accelerators) -> list[Check]:
    driver = devices.nvidia_driver()
    return [
        *accelerators.check(listed(), installed()),
        *cuda.check(installed(), listed(), driver=driver),
    ]


def _providers() -> list[Check]:
    found = discovery.discover()
    return judge(probes.probe(found, fresh=True), found)


def judge(tried: Iterable[Probe], found: Mapping[str, Provider]) -> list[Check]:
    """What providers found when they tried themselves. Those whose software nobody installed are one line."""
    checks, absent = [], []
    for probe in tried:
        subject = f"provider {probe.provider}"
        if probe.state is State.WORKS:
            checks.append(Check(subject, "ok", "computed the self-test rightly"))
        elif probe.state is State.MISSING and probe.provider != "cpu":
            absent.append(probe.provider)
        else:
            state = "fail" if probe.provider == "cpu" else "note"
            remedy = _remedy(probe, found.get(probe.provider))
            checks.append(Check(subject, state, probe.reason or str(probe.state), remedy))
    if absent:
        finding = f"not installed: {', '.join(absent)}; gpux providers says what each needs"
        checks.append(Check("providers", "ok", finding))
    return checks


def _remedy(probe: Probe, provider: Provider | None) -> str:
    """The probe's own line; for one that leads back here, or is none, the line that installs the provider again."""
    hint = probe.hint or ""
    if hint and not hint.startswith(("gpux doctor", "reinstall")):
        return hint
    if provider and provider.extra:
        return f"pip install --force-reinstall 'gpux[{provider.extra}]'"
    distribution = provider.runtime.distribution if provider else ""
    if provider and not distribution:  # a plug-in that could not be loaded is known by its entry point alone
        points = metadata.entry_points(group=discovery.ENTRY_POINTS)
        names = (one.dist.name for one in points if one.dist and one.value == provider.runtime.native)
        distribution = next(names, "")
    return f"pip install --force-reinstall {distribution}" if distribution else "gpux providers --json"


def _threads() -> list[Check]:
    affinity = getattr(os, "sched_getaffinity", None)
    visible = len(affinity(0)) if affinity else os.cpu_count() or 1
    return threads(hardware.describe(), visible, settings.threads(), os.environ)


def threads(machine: Machine, visible: int, asked: int | None, environment: Mapping[str, str]) -> list[Check]:
    """Threads against cores; ``visible`` cores are those of the affinity, by which libraries size their pools.

    GPUX itself counts the container's quota too; OpenMP, OpenBLAS, torch and numpy do not.
    """
    allowed = machine.cores_allowed
    if asked and asked > allowed:
        finding = f"GPUX_THREADS is {asked}, this process may use {allowed} of {machine.cores} cores"
        return [Check("threads", "note", finding, f"export GPUX_THREADS={allowed}")]
    said = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    pool = int(said) if said.isdecimal() and int(said) else visible
    if allowed < visible and pool > allowed:
        finding = f"the quota is {allowed} of {visible} cores, and libraries start {pool} threads"
        return [Check("threads", "note", finding, f"export OMP_NUM_THREADS={allowed}")]
    finding = f"{allowed} of {machine.cores} cores may be used; {machine.processor}"
    return [Check("threads", "ok", finding)]


def _exporter() -> list[Check]:
    found = toolchains.find()
    if found.python is None:
        finding = "no conversion toolchain is installed: only repositories that hold ONNX can be pulled"
        return [Check("exporter", "note", finding, found.hint)]
    if lacking := toolchains.lacking(Path(found.python)):
        finding = f"{found.python} ({found.place}) lacks {', '.join(lacking)}"
        remedy = "unset GPUX_EXPORTER_PYTHON, or point it at another interpreter"
        return [Check("exporter", "fail", finding, remedy)]
    return [Check("exporter", "ok", f"{found.toolchain} in {found.place} ({found.python})")]


def _store() -> list[Check]:
    root = settings.home()
    probe = root / f".doctor-{uuid.uuid4().hex}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return [
            Check(
                "store",
                "fail",
                f"{root} cannot be written: {error.strerror}",
                "export GPUX_HOME=/path/to/a/folder",
            )
        ]
    free = shutil.disk_usage(root).free
    if free < _LOW:
        return [Check("store", "note", f"{root} has {free >> 20} MiB free", "gpux prune")]
    return [Check("store", "ok", f"{root}, {free >> 30} GiB free")]


def _pip() -> list[Check]:
    try:
        version = metadata.version("pip")
    except metadata.PackageNotFoundError:
        return [
            Check(
                "pip",
                "note",
                "pip is not in this environment: `pypi:` references need it",
                f"{sys.executable} -m ensurepip",
            )
        ]
    return [Check("pip", "ok", version)]
