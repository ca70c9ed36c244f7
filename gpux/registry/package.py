"""The ``mlpackage`` variant: a Core ML package from the checkpoint, and its certificate, which is none where it cannot predict."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux.artifact import UNPROVEN, Certificate, Component, OutputParity, Variant
from gpux.errors import ProofFailed
from gpux.events import Event, Progress
from gpux.export import proof, toolchains
from gpux.package_reader import SUFFIX
from gpux.reference import MLPACKAGE
from gpux.registry import exporting

if TYPE_CHECKING:
    from gpux.registry.conversion import Order

_PYTORCH = "pytorch fp32"


def add_package(order: Order, workspace: Path, component: Component, progress: Progress) -> Variant:
    """Convert the checkpoint, and put the package into the workspace.

    Args:
        order: What to convert.
        workspace: Where the artifact is put together.
        component: The graph that is stored beside it.
        progress: Receives the steps.

    Raises:
        ExporterMissing: The toolchain is not installed.
        UnsupportedModel: The model cannot be converted.
        ProofFailed: The package's specification does not fit, or on macOS its answers.
    """
    python = toolchains.require(toolchains.COREML)
    snapshot = order.fetch(exporting.weights(order, python))
    scratch = workspace / f".{MLPACKAGE}"
    scratch.mkdir()
    made = exporting.run(
        order,
        snapshot,
        scratch,
        toolchain=toolchains.COREML,
        python=python,
        settings={"scores": list(order.head.scores)},
        progress=progress,
    )
    _fit(made["outputs"], component, order)
    certificate = certify(made)
    said = f"{MLPACKAGE} is for macOS {made['macos']} or later; its proof: {certificate.quality}"
    progress(Event("prove", said))
    graph = f"{MLPACKAGE}/model{SUFFIX}"
    (workspace / MLPACKAGE).mkdir()
    (scratch / f"model{SUFFIX}").rename(workspace / graph)
    shutil.rmtree(scratch)
    return Variant(MLPACKAGE, {"model": graph}, toolchains.COREML.name, dict(made["versions"]), certificate)


def certify(made: dict[str, Any]) -> Certificate:
    """The certificate of what the route made.

    Raises:
        ProofFailed: It predicted, and computes something else than the model.
    """
    runtime = f"coremltools {made['versions']['coremltools']}"
    if made["parity"] is None:
        return Certificate(UNPROVEN, "nothing", "", runtime, (), ())
    outputs = tuple(OutputParity(**parity) for parity in made["parity"])
    certificate = Certificate(
        proof.classify(outputs), _PYTORCH, toolchains.COREML.name, runtime, tuple(made["shapes"]), outputs
    )
    return proof.accept(certificate, variant=MLPACKAGE, full_precision=True)


def _fit(outputs: list[str], component: Component, order: Order) -> None:
    """Hold the package's outputs to those of the graph beside it: a task must find in both what it reads."""
    aliases = order.head.aliases
    beside = {aliases.get(spec.name, spec.name) for spec in component.outputs} | {
        spec.name for spec in component.outputs
    }
    if not beside & set(outputs):
        raise ProofFailed(
            f"the package gives {', '.join(outputs)}, the graph beside it {', '.join(s.name for s in component.outputs)}",
            hint="pull it without --variant mlpackage",
        )
