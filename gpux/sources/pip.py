"""Asks pip, in a process of its own, for a package's wheel: its indices, proxies and certificates are the user's own.

Only wheels are asked for, so nothing is built; nothing is installed, imported or executed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gpux import settings
from gpux.errors import (
    AccessDenied,
    GpuxError,
    ModelNotFound,
    NetworkFailed,
    RevisionNotFound,
    SourceError,
    StoreUnwritable,
)
from gpux.events import Event, Progress

_VERSIONS = re.compile(r"\(from versions: ([^)]*)\)")
_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|Read timed out|ProxyError|SSLError|NameResolutionError"
    r"|Connection (?:refused|reset|aborted|broken)|ConnectionError|Max retries exceeded|5\d\d (?:Server|Client) Error|IncompleteRead"
)
_DENIED = re.compile(r"40[13] (?:Client )?Error|HTTP error 40[13]|User for .*: *$", re.MULTILINE)
_FULL = re.compile(r"\[Errno (?:28|122)\]|No space left on device|Disk quota exceeded")


@dataclass(frozen=True, slots=True)
class Found:
    """What an unpinned name means to pip right now."""

    version: str
    sha256: str | None


def resolve(project: str, version: str | None) -> Found:
    """Ask which wheel a name means, without its content where the index offers metadata apart (PEP 658).

    Raises:
        SourceError: One of its kinds.
    """
    arguments = [
        "install",
        "--dry-run",
        "--ignore-installed",
        "--quiet",
        "--report",
        "-",
        *_COMMON,
        _requirement(project, version),
    ]
    result = _run(arguments, Path.cwd())
    try:
        entry = json.loads(result.stdout)["install"][0]
        digest = entry["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        return Found(entry["metadata"]["version"], digest)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise _failure(project, version, result.stderr) from None


def download(project: str, version: str | None, folder: Path, progress: Progress) -> Path:
    """Download a project's wheel into an empty folder, and return its path.

    Raises:
        SourceError: One of its kinds.
        StoreUnwritable: The disk is full.
    """
    temporary, target = folder / "tmp", folder / "wheel"
    temporary.mkdir()
    target.mkdir()
    arguments = [
        "download",
        "--dest",
        str(target),
        "--progress-bar",
        "off",
        *_COMMON,
        _requirement(project, version),
    ]
    # pip collects the wheel in its temporary folder; there its size can be watched, on the disk that must hold it anyway.
    result = _run(
        arguments, temporary, watch=temporary, tell=lambda size: progress(Event("download", project, size))
    )
    wheels = sorted(target.glob("*.whl"))
    if result.returncode or not wheels:
        raise _failure(project, version, result.stderr + result.stdout)
    return wheels[0]


# Only pip's warnings about retries tell an index that is out of reach from one that has no such project.
_COMMON = ("--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check", "--retries", "3")


def _requirement(project: str, version: str | None) -> str:
    return f"{project}=={version}" if version else project


def _run(
    arguments: list[str], folder: Path, *, watch: Path | None = None, tell: object = None
) -> subprocess.CompletedProcess[str]:
    # -P: a file named pip.py in the current folder must not be run in pip's place.
    command = [sys.executable, "-P", "-m", "pip", *arguments]
    if "GPUX_NETWORK_TIMEOUT" in os.environ:  # otherwise pip's own settings hold
        command += ["--timeout", str(settings.network_timeout())]
    environment = {
        **os.environ,
        "PIP_NO_COLOR": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",  # nothing is installed
        "PIP_USER": "0",
        **({"TMPDIR": str(watch), "TEMP": str(watch), "TMP": str(watch)} if watch else {}),
    }
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        errors="replace", env=environment, cwd=folder if watch else None,
    ) as process:  # fmt: skip
        most = 0
        try:
            while True:
                try:
                    output, errors = process.communicate(timeout=0.25 if watch else None)
                    break
                except subprocess.TimeoutExpired:
                    if watch and callable(tell):
                        most = max(most, _size(watch))
                        tell(most)
        except BaseException:
            process.kill()
            raise
    if "No module named pip" in errors:
        raise SourceError(
            "`pypi:` references need pip, which this Python does not have",
            hint=f"{sys.executable} -m ensurepip, or: uv pip install pip",
        )
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def _size(folder: Path) -> int:
    largest = 0
    for path, _, files in os.walk(folder):
        for name in files:
            try:
                largest = max(largest, (Path(path) / name).stat().st_size)
            except OSError:  # gone already
                continue
    return largest


def _failure(project: str, version: str | None, output: str) -> GpuxError:
    name = f"pypi:{_requirement(project, version)}"
    if _FULL.search(output):
        return StoreUnwritable(
            f"the disk filled up while `{name}` was downloaded",
            hint="free some space (gpux df), or set GPUX_HOME to another disk",
        )
    if _DENIED.search(output):
        return AccessDenied(
            f"the package index refused `{name}`",
            hint="check pip's credentials: pip config list",
            reference=name,
        )
    if _NETWORK.search(output):
        return NetworkFailed(
            f"the package index cannot be reached for `{name}`",
            hint="check the network and pip's settings: pip config list",
            reference=name,
        )
    found = _VERSIONS.search(output)
    versions = [v.strip() for v in found[1].split(",") if v.strip() not in {"", "none"}] if found else []
    if versions and version:
        return RevisionNotFound(
            f"`{project}` has no wheel of version `{version}`",
            hint=f"there are {', '.join(versions[-8:])}: gpux pull pypi:{project}=={versions[-1]}",
            reference=name,
            revision=version,
            versions=versions,
        )
    if found is None and "No matching distribution" not in output:
        last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "no message")
        return SourceError(
            f"pip could not download `{name}` ({last.removeprefix('ERROR: ')[:200]})",
            hint="pip config list",
            reference=name,
        )
    return _missing(project, version, name)


def _missing(project: str, version: str | None, name: str) -> GpuxError:
    """Tell a project without a wheel for this machine from one that does not exist."""
    listed = _run(["index", "versions", "--disable-pip-version-check", project], Path.cwd())
    if listed.returncode == 0 and (match := re.search(r"Available versions: (.*)", listed.stdout)):
        versions = match[1].split(", ")
        if version and version not in versions:
            return RevisionNotFound(
                f"`{project}` has no version `{version}`",
                hint=f"there are {', '.join(versions[:8])}",
                reference=name,
                revision=version,
            )
        return ModelNotFound(
            f"`{name}` has no wheel for this machine, only a source distribution, which would have to run code",
            hint="GPUX takes wheels only; ask the author for one",
            reference=name,
        )
    return ModelNotFound(
        f"the package index has no project `{project}`",
        hint="check the spelling, and pip's index settings: pip config list",
        reference=name,
    )
