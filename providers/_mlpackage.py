"""Core ML packages through coremltools, which predicts on macOS alone; a provider file calls :func:`open_package`."""

from __future__ import annotations

import contextlib
import platform
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from gpux.errors import ProviderUnavailable, RunFailed
from gpux.package_reader import summarise
from gpux.provider import Opened, Options

from ._mlpackage_session import GPU, NAME, NEURAL_ENGINE, PackageSession, place, said

UNITS = {"all": "ALL", "cpu": "CPU_ONLY", "gpu": "CPU_AND_GPU", "ane": "CPU_AND_NE"}
"""What ``units`` may be → coremltools' own name; the CPU is always allowed."""

_DEVICES = {
    "MLCPUComputeDevice": "CPU",
    "MLGPUComputeDevice": GPU,
    "MLNeuralEngineComputeDevice": NEURAL_ENGINE,
}


def open_package(path: Path, options: Options, units: str = "all") -> Opened:
    """Open an ``.mlpackage``.

    Args:
        path: The package's directory.
        options: Its ``cache`` keeps the compiled model, by the version of macOS that compiled it.
        units: One of :data:`UNITS`.

    Raises:
        ProviderUnavailable: This is no macOS, or coremltools is not installed.
        RunFailed: Core ML refused the package.
    """
    if platform.system() != "Darwin":
        raise ProviderUnavailable(
            f"a Core ML package runs on macOS alone, this is {platform.system()}",
            hint="run the model's fp32 variant here: --variant fp32",
            provider=NAME,
        )
    try:
        import coremltools
    except ImportError as error:
        raise ProviderUnavailable(
            "`coremltools` is not installed", hint="pip install 'coremltools>=9,<10'", provider=NAME
        ) from error
    allowed = coremltools.ComputeUnit[UNITS[units]]
    scratch = tempfile.TemporaryDirectory()
    try:
        summary = summarise(coremltools.utils.load_spec(str(path)))
        compiled = _compiled(coremltools, path, options.cache or Path(scratch.name))
        model = coremltools.models.CompiledMLModel(str(compiled), allowed)
        counts = _counts(coremltools, compiled, allowed)
    except Exception as error:
        scratch.cleanup()
        raise RunFailed(
            f"Core ML refused `{path.name}`: {said(error)}",
            hint="gpux verify, or --variant fp32",
            provider=NAME,
        ) from error
    return PackageSession(model, summary, place(counts, summary, units), scratch)


def _compiled(coremltools: Any, path: Path, folder: Path) -> Path:
    kept = folder / f"macos-{platform.mac_ver()[0]}.mlmodelc"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as made:
            fresh = coremltools.models.utils.compile_model(str(path), str(Path(made) / kept.name))
            with contextlib.suppress(OSError):  # another process was quicker: its model is the same
                Path(fresh).rename(kept)
    return kept


def _counts(coremltools: Any, compiled: Path, allowed: Any) -> dict[str, Counter[str]] | None:
    counts: dict[str, Counter[str]] = {}
    try:
        plan = coremltools.models.compute_plan.MLComputePlan.load_from_path(str(compiled), allowed)
        for function in plan.model_structure.program.functions.values():
            for operation in function.block.operations:
                usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
                if usage is not None:  # constants run nowhere
                    kind = type(usage.preferred_compute_device).__name__
                    counts.setdefault(_DEVICES.get(kind, kind), Counter())[operation.operator_name] += 1
    except Exception:  # noqa: BLE001 - whatever an older macOS raises: it cannot tell, and the package runs all the same
        return None
    return counts
