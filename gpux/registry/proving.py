"""Runs the proof of one graph in a worker process and makes its certificate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gpux.artifact import Certificate, Component, OutputParity
from gpux.errors import ProofFailed, WorkerFailed
from gpux.events import Progress
from gpux.export import proof
from gpux.head import TEXT, Head
from gpux.provider import Placement
from gpux.tensors import TensorSpec
from gpux.worker import parent

_FULL = {"fp32", "fp16", "bf16"}
_PATIENCE = 120.0  # seconds, whatever the size
_SLOWEST = 10 << 20  # bytes of weights a second, for opening and all probes


@dataclass(frozen=True, slots=True)
class Proven:
    """A graph that passed: its certificate, what it takes and gives, and where its nodes went."""

    certificate: Certificate
    components: tuple[Component, ...]
    placement: Placement


@dataclass(frozen=True, slots=True)
class Ground:
    """What a graph is proven on; the CPU provider with its defaults, as at every pull, when nothing is said.

    Attributes:
        provider: The provider's name.
        threads: Intra-op threads; as many as the process may use when ``None``.
        options: The provider's settings.
        cache: Where it may keep compiled engines.
        dimensions: What :class:`gpux.provider.Options` says of them.
        versions: The software behind it, where a probe has told; asked when empty.
        lenient: Whether ``lossy`` is a result too where a graph of full or half precision is proven, as long as it computes
            the model: it is for whoever chooses a provider to say what is good enough.
    """

    provider: str = "cpu"
    threads: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None
    dimensions: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    lenient: bool = False


def prove(
    graphs: Mapping[str, Path],
    *,
    variant: str,
    head: Head,
    probes: Path,
    reference: Path | None,
    against: str,
    save: Path | None,
    progress: Progress,
    ground: Ground | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Proven:
    """Prove one variant.

    Args:
        graphs: Component → ONNX file.
        variant: Its precision, which decides what is good enough.
        head: The task's head.
        probes: The inputs (:func:`gpux.export.probes.save`); found by the proof where the task takes tensors of any meaning.
        reference: The expected outputs; the graph's own, row by row, when ``None``.
        against: What the reference is, for the certificate.
        save: Where to write the graph's outputs, so that other variants can be compared with them.
        progress: Receives the steps.
        ground: What it is proven on.
        settings: Of a generator, what an answer begins with.

    Raises:
        ProofFailed: It crashed its runtime, or computes something else.
        RunFailed: The runtime refused it.
    """
    ground = ground or Ground()
    job = {
        **_told(ground, head),
        "graphs": {name: str(path) for name, path in graphs.items()},
        "settings": dict(settings or {}),
        "variant": variant,
        "probes": str(probes),
        "reference": str(reference) if reference else None,
        "save": str(save) if save else None,
    }
    try:
        result = parent.run("gpux.registry.prover", job, progress=progress, bounds=_bounds(graphs.values()))
    except WorkerFailed as error:
        raise ProofFailed(
            f"the {variant} graph could not be proven: {error.message}",
            hint=error.hint,
            variant=variant,
            output=error.details.get("output", ""),
        ) from error
    outputs = tuple(OutputParity(**parity) for parity in result["parity"])
    quality = _quality(outputs, against, variant)
    runtime, shapes = result["runtime"], tuple(result["shapes"])
    certificate = Certificate(quality, against, ground.provider, runtime, shapes, outputs)
    proof.accept(certificate, variant=variant, full_precision=variant in _FULL and not ground.lenient)
    components = tuple(
        Component(name, _specs(told["inputs"]), _specs(told["outputs"]))
        for name, told in result["components"].items()
    )
    return Proven(certificate, components, _placement(result["placement"]))


def _quality(outputs: tuple[OutputParity, ...], against: str, variant: str) -> str:
    quality = proof.classify(outputs)
    return proof.against_itself(quality, variant) if against == proof.ITSELF else quality


def _told(ground: Ground, head: Head) -> dict[str, object]:
    return {
        "aliases": dict(head.aliases),
        "scores": list(head.scores),
        "unordered": list(head.unordered),
        # An embedding can be made of other outputs than the model's own; class scores cannot.
        # A text graph of another use is common, and has the right inputs; detectors and the like come with outputs of many names.
        "needs": list(head.scores) if head.takes == (TEXT,) else [],
        "raw": not head.takes,
        "generates": head.generates,
        "provider": ground.provider,
        "threads": ground.threads,
        "options": dict(ground.options),
        "cache": str(ground.cache) if ground.cache else None,
        "dimensions": {name: list(sizes) for name, sizes in ground.dimensions.items()},
        "versions": dict(ground.versions),
    }


def _bounds(graphs: Iterable[Path]) -> parent.Limits:
    """A graph can be made to run for ever; a few small probes of an honest one cannot take as long as this."""
    own = parent.limits()
    files = {file for graph in graphs for file in graph.parent.rglob("*") if file.is_file()}
    data = sum(file.stat().st_size for file in files)
    return replace(own, timeout=min(own.timeout, _PATIENCE + data / _SLOWEST))


def _placement(raw: Mapping[str, Any]) -> Placement:
    return Placement(**{**raw, "left_behind": tuple(raw["left_behind"])})


def _specs(raw: list[dict[str, object]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(str(s["name"]), str(s["dtype"]), tuple(s["shape"])) for s in raw)  # type: ignore[arg-type]
