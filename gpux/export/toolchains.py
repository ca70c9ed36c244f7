"""Conversion toolchains: where one is installed, and how to install one in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from gpux import settings
from gpux.errors import ExporterMissing, StoreUnwritable, UsageError
from gpux.events import Event, Progress, silent


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A way to convert checkpoints.

    Attributes:
        name: What ``--exporter`` and ``gpux exporter install`` call it.
        extra: The extra of this package that lists its requirements.
        modules: What must be importable.
        covers: What it converts, for people.
        systems: The values of ``sys.platform`` that it has packages for; all when empty.
        alone: Whether its requirements contradict another toolchain's, so that it belongs in an environment of its own.
    """

    name: str
    extra: str
    modules: tuple[str, ...]
    covers: str
    systems: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Installation:
    """A toolchain as it is found: its interpreter, or ``None`` and the line to type."""

    toolchain: str
    covers: str
    python: str | None
    place: str
    hint: str | None = None


TRANSFORMERS = Toolchain(
    "transformers",
    "export",
    ("torch", "transformers", "onnx", "onnxscript"),
    "encoders of every family transformers knows",
)
COREML = Toolchain(
    "coreml",
    "coreml",
    ("torch", "transformers", "coremltools"),
    "the same encoders to .mlpackage, for Apple machines",
    ("linux", "darwin"),
)
OPTIMUM = Toolchain(
    "optimum",
    "optimum",
    ("torch", "transformers", "onnx", "optimum", "onnxruntime"),
    "encoders that optimum-onnx knows, laid out as optimum does",
    alone=True,
)
GENAI = Toolchain(
    "genai",
    "genai",
    ("torch", "transformers", "onnx", "onnxruntime_genai"),
    "decoders that onnxruntime-genai's builder knows",
    alone=True,
)
TOOLCHAINS = {toolchain.name: toolchain for toolchain in (TRANSFORMERS, COREML, OPTIMUM, GENAI)}
TOKENIZER = "tokenizer"
"""The worker's route that converts a vocabulary and nothing else, with the ``transformers`` toolchain."""


# What a toolchain works on was fetched; it has no business on the network, and no telemetry leaves it.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

_LACKS = (
    "import sys; from importlib.util import find_spec; print(*[m for m in sys.argv[1:] if not find_spec(m)])"
)
_KNOWS = "import sys; from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES as known; sys.exit(sys.argv[1] not in known)"


def find(toolchain: Toolchain = TRANSFORMERS) -> Installation:
    """Where a toolchain is: ``GPUX_EXPORTER_PYTHON``, this environment, or one made by :func:`install`, in that order.

    The named interpreter is the ``transformers`` toolchain whatever it has; any other only if it has its modules.

    Raises:
        ExporterMissing: ``GPUX_EXPORTER_PYTHON`` names no interpreter.
    """
    named = settings.exporter_python()
    if named:
        if not named.exists():
            raise ExporterMissing(
                f"`GPUX_EXPORTER_PYTHON` names `{named}`, which is not there",
                hint="point it at a Python interpreter, or unset it",
                python=str(named),
            )
        if toolchain is TRANSFORMERS or not lacking(named, toolchain):
            return Installation(toolchain.name, toolchain.covers, str(named), "GPUX_EXPORTER_PYTHON")
    if all(find_spec(module) for module in toolchain.modules):
        return Installation(toolchain.name, toolchain.covers, sys.executable, "this environment")
    own = _interpreter(_environment(toolchain))
    if own.exists():
        return Installation(toolchain.name, toolchain.covers, str(own), "its own environment")
    return Installation(
        toolchain.name, toolchain.covers, None, "not installed", f"gpux exporter install {toolchain.name}"
    )


def require(toolchain: Toolchain = TRANSFORMERS) -> Path:
    """The toolchain's interpreter.

    Raises:
        ExporterMissing: It is not installed; the hint is the line that installs it.
    """
    found = find(toolchain)
    if found.python is None:
        raise ExporterMissing(
            f"converting this model needs the `{toolchain.name}` toolchain, which is not installed",
            hint=f"{found.hint}"
            + ("" if toolchain.alone else f", or pip install 'gpux[{toolchain.extra}]' beside gpux"),
            exporter=toolchain.name,
        )
    return Path(found.python)


def lacking(python: Path, toolchain: Toolchain = TRANSFORMERS) -> tuple[str, ...]:
    """The toolchain's modules that an interpreter does not find; all of them where it cannot be started."""
    try:
        done = subprocess.run(
            [str(python), "-c", _LACKS, *toolchain.modules], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return toolchain.modules
    return tuple(done.stdout.split())


def knows(python: Path, model_type: str) -> bool:
    """Whether the toolchain of that interpreter has a model type built in, so that it needs no code from a repository."""
    command = [str(python), "-P", "-c", _KNOWS, model_type]
    return (
        subprocess.run(
            command, env={**os.environ, **ENVIRONMENT}, capture_output=True, check=False
        ).returncode
        == 0
    )


def named(name: str) -> Toolchain:
    """The toolchain of that name.

    Raises:
        UsageError: There is none.
    """
    if name not in TOOLCHAINS:
        raise UsageError(
            f"there is no exporter `{name}`", hint=f"exporters are {', '.join(TOOLCHAINS)}", exporter=name
        )
    return TOOLCHAINS[name]


def requirements(toolchain: Toolchain) -> list[str]:
    """What the toolchain needs from a package index, as this package's own metadata lists it."""
    marker = f'extra == "{toolchain.extra}"'
    lines = metadata.requires("gpux") or []
    return [line.partition(";")[0].strip() for line in lines if marker in line.replace("'", '"')]


def install(toolchain: Toolchain, *, progress: Progress = silent) -> Installation:
    """Make an environment of its own for a toolchain under the store, with pip and its settings.

    torch comes first and alone, so that no other package's wider range picks another build of it.

    Raises:
        ExporterMissing: It has no packages for this system, or pip failed; the error carries its last lines.
        StoreUnwritable: The environment cannot be written.
    """
    if toolchain.systems and sys.platform not in toolchain.systems:
        raise ExporterMissing(
            f"the `{toolchain.name}` toolchain has no packages for {sys.platform}",
            hint=f"pull the model on {' or '.join(toolchain.systems)}",
            exporter=toolchain.name,
        )
    directory = _environment(toolchain)
    python = _interpreter(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnwritable(
            f"`{directory.parent}` cannot be written: {error.strerror}",
            hint="set GPUX_HOME to a writable folder",
            path=directory.parent,
        ) from error
    progress(Event("install", f"making an environment for {toolchain.name}"))
    _run([sys.executable, "-P", "-m", "venv", "--clear", str(directory)])
    pip = [str(python), "-P", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    needed = requirements(toolchain)
    first = [line for line in needed if line.startswith("torch")]
    for batch in (first, [line for line in needed if line not in first]):
        progress(Event("install", f"installing {', '.join(batch)}"))
        _run([*pip, *batch, *(first if batch is not first else [])])
    return find(toolchain)


def exporters() -> tuple[Installation, ...]:
    """Every toolchain, and where each is installed."""
    return tuple(find(toolchain) for toolchain in TOOLCHAINS.values())


def install_exporter(name: str, *, progress: Progress = silent) -> Installation:
    """Install a toolchain by name; see :func:`install`.

    Raises:
        UsageError: There is no toolchain of that name.
    """
    return install(named(name), progress=progress)


def _environment(toolchain: Toolchain) -> Path:
    return settings.home() / "exporters" / toolchain.name


def _interpreter(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise ExporterMissing(
            f"`{' '.join(command[1:4])}` failed with code {done.returncode}: {_last_line(done.stdout)}",
            hint="check the package index and pip's settings, then try again",
            output=done.stdout[-4000:],
        )


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip() and not line.startswith("[notice]")]
    return lines[-1].strip() if lines else "no output"
