"""What exactly was measured: model, proof, provider, placement, threads, versions, machine and inputs."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Any

from gpux import hardware
from gpux._version import __version__

if TYPE_CHECKING:
    from gpux.bench.subject import Subject

DISTRIBUTIONS = (
    "numpy",
    "tokenizers",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-migraphx",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "openvino",
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What every run answered.

    Attributes:
        count: Items per run.
        characters: Characters of all items together; ``None`` where an item is no text.
        sha256: Hexadecimal digest of the items; ``None`` where an item has no bytes of its own to hash.
    """

    count: int
    characters: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of a benchmark.

    Attributes:
        reference: The model's canonical reference.
        resolved: The commit or digest at its source.
        digest: The artifact's digest.
        task: What the model answers.
        variant: The precision of its weights.
        quality: Its certificate's class.
        against: What it was proven against.
        min_cosine: Its certificate's smallest cosine.
        provider: The provider that really ran.
        device: The device it ran on.
        precision: The precision it really computed in.
        nodes: The runtime's own provider name → number of graph nodes.
        share: Nodes on that provider / all nodes, from 0 to 1.
        threads: Intra-op threads.
        versions: Software → version.
        machine: The machine.
        started: When the benchmark began: ISO 8601, UTC.
        inputs: What every run answered.
    """

    reference: str
    resolved: str
    digest: str
    task: str
    variant: str
    quality: str
    against: str
    min_cosine: float
    provider: str
    device: str
    precision: str
    nodes: dict[str, int]
    share: float
    threads: int
    versions: dict[str, str]
    machine: hardware.Machine
    started: str
    inputs: Inputs


def identify(model: Subject, items: Sequence[Any]) -> Identity:
    """The identity of a benchmark of these items that begins now."""
    artifact, plan, placement = model.artifact, model.plan, model.placement
    certificate = artifact.variant(plan.variant).certificate
    return Identity(
        reference=artifact.reference,
        resolved=artifact.manifest.source.resolved,
        digest=artifact.digest,
        task=model.task,
        variant=plan.variant,
        quality=certificate.quality,
        against=certificate.reference,
        min_cosine=certificate.min_cosine,
        provider=placement.provider,
        device=placement.device,
        precision=placement.precision,
        nodes=dict(placement.nodes),
        share=placement.share,
        threads=plan.threads,
        versions=versions(),
        machine=hardware.describe(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        inputs=describe(items),
    )


def versions() -> dict[str, str]:
    """Versions of GPUX, Python, and every installed package that computes: runtimes and provider plug-ins."""
    found = {"gpux": __version__, "python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for entry in entry_points(group="gpux.providers"):
        if entry.dist is not None:
            found.setdefault(entry.dist.name, entry.dist.version)
    return found


def describe(items: Sequence[Any]) -> Inputs:
    """The description of the items of one run."""
    texts = list(_texts(items))
    characters = None if None in texts else sum(len(text) for text in texts if text is not None)
    try:
        data = json.dumps(list(items), sort_keys=True, separators=(",", ":"), default=_bytes)
    except TypeError:
        return Inputs(len(items), characters, None)
    return Inputs(len(items), characters, hashlib.sha256(data.encode()).hexdigest())


def _texts(items: Iterable[Any]) -> Iterable[str | None]:
    for item in items:
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from _texts(item.values())
        elif isinstance(item, list | tuple):
            yield from _texts(item)
        else:
            yield None


def _bytes(value: Any) -> list[str]:
    if isinstance(value, bytes):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if not hasattr(value, "tobytes"):
        raise TypeError(type(value).__name__)
    # numpy arrays and Pillow images alike: their bytes mean nothing without a shape and a type.
    shape = str(getattr(value, "shape", None) or getattr(value, "size", None))
    kind = str(getattr(value, "dtype", None) or getattr(value, "mode", None))
    return [kind, shape, hashlib.sha256(value.tobytes()).hexdigest()]
