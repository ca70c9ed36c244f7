"""What exactly was measured: model, proof, provider, placement, threads, versions, machine and inputs."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING

from gpux import hardware
from gpux._version import __version__
from gpux.bench.workload import Workload

if TYPE_CHECKING:
    from gpux.artifact import Certificate
    from gpux.bench.subject import Subject

DISTRIBUTIONS = ("numpy", "tokenizers")
FRAMEWORKS = ("torch", "transformers")
"""Named where they are in the process: only the measurement of a source model loads them."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a benchmark.

    Attributes:
        reference: The model's canonical reference.
        resolved: The commit or digest at its source.
        digest: The artifact's digest.
        task: What the model answers.
        mode: ``onnx`` for the converted graph, ``torch`` for the source model in PyTorch.
        variant: The precision of its weights.
        quality: Its certificate's class; ``reference`` for the source model itself.
        against: What it was proven against.
        proven_on: The provider that ran its proof.
        min_cosine: Its certificate's smallest cosine.
        top1: Its certificate's smallest top-1 agreement, from 0 to 1; ``None`` where no output is a class.
        provider: The provider that really ran.
        device: The device it ran on.
        precision: The precision it really computed in.
        nodes: The runtime's own provider name → number of graph nodes.
        share: Nodes on that provider / all nodes, from 0 to 1.
        left_behind: Operator types that ran elsewhere.
        threads: Intra-op threads.
        options: The provider's settings that differ from its defaults, and ``batch``, the items that are computed together
            where many are answered, where that is not the task's own choice.
        versions: Software → version.
        machine: The machine.
        started: When the benchmark began: ISO 8601, UTC.
        workload: What every run answered.
    """

    reference: str
    resolved: str
    digest: str
    task: str
    mode: str
    variant: str
    quality: str
    against: str
    proven_on: str
    min_cosine: float
    top1: float | None
    provider: str
    device: str
    precision: str
    nodes: dict[str, int]
    share: float
    left_behind: tuple[str, ...]
    threads: int
    options: dict[str, str]
    versions: dict[str, str]
    machine: hardware.Machine
    started: str
    workload: Workload


def identify(model: Subject, workload: Workload, *, mode: str = "onnx") -> Identity:
    """The identity of a benchmark of these inputs that begins now."""
    artifact, plan, placement = model.artifact, model.plan, model.placement
    certificate = plan.certificate or artifact.variant(plan.variant).certificate
    source = mode == "torch"
    return Identity(
        reference=artifact.reference,
        resolved=artifact.manifest.source.resolved,
        digest=artifact.digest,
        task=model.task,
        mode=mode,
        variant=plan.variant,
        quality="reference" if source else certificate.quality,
        against="itself" if source else certificate.reference,
        proven_on=placement.provider if source else certificate.provider,
        min_cosine=1.0 if source else certificate.min_cosine,
        top1=None if source else _top1(certificate),
        provider=placement.provider,
        device=placement.device,
        precision=placement.precision,
        nodes=dict(placement.nodes),
        share=placement.share,
        left_behind=tuple(placement.left_behind),
        threads=plan.threads,
        options={**plan.options, **({"batch": str(plan.batch)} if plan.batch else {})},
        versions=versions(plan.versions),
        machine=hardware.describe(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        workload=workload,
    )


def versions(software: Mapping[str, str]) -> dict[str, str]:
    """Versions of GPUX, Python, what computes before and after the graph, and the packages that bring providers.

    Args:
        software: What lies behind the provider: its runtime, its driver.
    """
    found = {"gpux": __version__, "python": platform.python_version(), **software}
    for name in (*DISTRIBUTIONS, *(name for name in FRAMEWORKS if name in sys.modules)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for entry in entry_points(group="gpux.providers"):
        if entry.dist is not None:
            found.setdefault(entry.dist.name, entry.dist.version)
    return found


def _top1(certificate: Certificate) -> float | None:
    found = [output.top1 for output in certificate.outputs if output.top1 is not None]
    return min(found) if found else None
