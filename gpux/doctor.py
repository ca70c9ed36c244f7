"""Looks over this machine for what keeps GPUX from working, and says what to type; changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from gpux import discovery, hardware, settings
from gpux.errors import GpuxError
from gpux.export import toolchains
from gpux.provider import State

_LOW = 2 << 30  # a converted model of moderate size, twice


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        subject: What.
        state: ``ok``, ``note`` (works, with less) or ``fail``.
        finding: What was found.
        remedy: The line to type, where there is one.
    """

    subject: str
    state: str
    finding: str
    remedy: str | None = None


def diagnose() -> tuple[Check, ...]:
    """Run every check; one that cannot be made is a finding itself."""
    checks: list[Check] = []
    looks: tuple[Callable[[], list[Check]], ...] = (
        _python,
        _runtimes,
        _providers,
        _threads,
        _exporter,
        _store,
        _pip,
        _hub,
    )
    for look in looks:
        try:
            checks += look()
        except GpuxError as error:
            checks.append(Check(look.__name__.strip("_"), "fail", error.message, error.hint))
    return tuple(checks)


def _python() -> list[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    return [Check("python", "ok", f"{version} in {sys.prefix}")]


def _runtimes() -> list[Check]:
    found = sorted(
        {
            f"{dist.name} {dist.version}"
            for dist in metadata.distributions()
            if (dist.name or "").lower().startswith("onnxruntime") and _is_runtime(dist)
        }
    )
    if not found:
        return [Check("runtime", "fail", "no ONNX Runtime is installed", "pip install 'gpux[cpu]'")]
    if len(found) > 1:
        names = " ".join(line.split()[0] for line in found)
        remedy = f"pip uninstall -y {names}, then install one again, such as pip install 'gpux[cpu]'"
        return [Check("runtime", "fail", f"{' and '.join(found)} overwrite each other's files", remedy)]
    return [Check("runtime", "ok", found[0])]


def _is_runtime(dist: metadata.Distribution) -> bool:
    """Whether a distribution brings the package ``onnxruntime``; plug-ins, -genai and -extensions live beside it."""
    beside = ("onnxruntime-ep-", "onnxruntime-genai", "onnxruntime-extensions", "onnxruntime-qnn")
    if (dist.name or "").lower().startswith(beside):
        return False
    files = dist.files  # none where whoever installed it kept no record
    return files is None or any(file.parts[:2] == ("onnxruntime", "__init__.py") for file in files)


def _providers() -> list[Check]:
    checks = []
    for probe in (one.probe() for one in discovery.discover().values()):
        if probe.state is State.WORKS:
            checks.append(Check(f"provider {probe.provider}", "ok", "computed the self-test rightly"))
        else:
            state = "fail" if probe.provider == "cpu" else "note"
            checks.append(
                Check(f"provider {probe.provider}", state, probe.reason or str(probe.state), probe.hint)
            )
    return checks


def _threads() -> list[Check]:
    machine = hardware.describe()
    asked = settings.threads()
    if asked and asked > machine.cores_allowed:
        finding = (
            f"GPUX_THREADS is {asked}, this process may use {machine.cores_allowed} of {machine.cores} cores"
        )
        return [Check("threads", "note", finding, f"export GPUX_THREADS={machine.cores_allowed}")]
    return [
        Check(
            "threads",
            "ok",
            f"{machine.cores_allowed} of {machine.cores} cores may be used; {machine.processor}",
        )
    ]


def _exporter() -> list[Check]:
    found = toolchains.find()
    if found.python is None:
        finding = "no conversion toolchain is installed: only repositories that hold ONNX can be pulled"
        return [Check("exporter", "note", finding, found.hint)]
    if lacking := toolchains.lacking(Path(found.python)):
        finding = f"{found.python} ({found.place}) lacks {', '.join(lacking)}"
        remedy = "point GPUX_EXPORTER_PYTHON at another interpreter, or unset it"
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
                "set GPUX_HOME to a folder of yours",
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


def _hub() -> list[Check]:
    if settings.offline():
        return [
            Check(
                "hub",
                "note",
                "offline was asked for: only stored and cached models can be used",
                "unset GPUX_OFFLINE HF_HUB_OFFLINE",
            )
        ]
    from urllib.request import getproxies, proxy_bypass

    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    what = endpoint
    try:
        target = urlsplit(endpoint)
        proxy = getproxies().get(target.scheme)
        if proxy and not proxy_bypass(target.hostname or ""):
            target, what = urlsplit(proxy), f"the proxy {_without_password(proxy)}"
        if not target.hostname:
            return [
                Check("hub", "fail", f"`{what}` is no address", "export HF_ENDPOINT=https://huggingface.co")
            ]
        port = target.port or (443 if target.scheme == "https" else 80)
        socket.create_connection((target.hostname, port), timeout=3).close()
    except (OSError, ValueError) as error:
        remedy = "check the network, or set HF_ENDPOINT to a mirror, HTTPS_PROXY to a proxy, GPUX_OFFLINE=1 to stay off it"
        return [Check("hub", "note", f"{what} is out of reach: {error}", remedy)]
    return [Check("hub", "ok", f"{what} answers")]


def _without_password(address: str) -> str:
    scheme, slashes, rest = address.rpartition("://")
    return f"{scheme}{slashes}{rest.rpartition('@')[2]}"
