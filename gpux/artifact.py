"""The artifact: a directory whose ``manifest.json`` says what it is, where it came from and how well it was proven.

Reads, writes and verifies manifests; knows neither sources nor runtimes. An artifact's digest is the sha256 of its
manifest's bytes, and the manifest holds the sha256 of every other file, so one digest covers every byte.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpux.errors import CorruptArtifact, UnknownVariant
from gpux.tensors import TensorSpec

SCHEMA = 1
MANIFEST = "manifest.json"
MACHINES = "machines"
"""The folder with what machines find out about an artifact: no part of it, and no source may bring one."""
BLUEPRINT = "gpux.json"
"""The file with what the ``gpux.yml`` of a model of one's own said; no source may bring one."""
UNPROVEN = "unproven"
QUALITIES = ("exact", "near", "lossy", UNPROVEN)
"""Certificate classes from best to worst; see :class:`Certificate`."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of an artifact: path relative to it (forward slashes), bytes, sha256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where the model came from: canonical reference, commit or digest, and what the source said of itself."""

    reference: str
    resolved: str
    license: str | None
    pipeline_tag: str | None
    library: str | None


@dataclass(frozen=True, slots=True)
class Component:
    """One graph of the model with its typed inputs and outputs; encoders have one, named ``model``."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class OutputParity:
    """How far one output lies from its reference over all probes.

    Attributes:
        name: The output.
        max_abs: Largest absolute difference.
        max_rel: Largest difference relative to the reference's largest magnitude in the same probe.
        min_cosine: Smallest cosine similarity over the vectors of the last axis.
        explained: Share of the reference's variance over all vectors that the output reproduces: 1 − Σ(a−b)²/Σ(a−ā)².
        top1: Share of rows whose largest entry agrees, ties in the reference left out; ``None`` where no entry is a class.
    """

    name: str
    max_abs: float
    max_rel: float
    min_cosine: float
    explained: float
    top1: float | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """The proof of one variant.

    Attributes:
        quality: ``exact`` (every cosine ≥ 0.99999), ``near`` (≥ 0.9995 and full top-1 agreement), ``lossy``, or
            ``unproven``: converted, and never run.
        reference: What it was compared with: ``pytorch fp32``, ``onnx fp32``, ``itself`` (batch against single) or
            ``nothing``.
        provider: The provider that ran it, ``cpu`` at pull unless it runs no ONNX; ``""`` where none did.
        runtime: Name and version of the runtime.
        probes: The shapes that were compared, as ``batch×length`` texts.
        outputs: The figures, per output.
    """

    quality: str
    reference: str
    provider: str
    runtime: str
    probes: tuple[str, ...]
    outputs: tuple[OutputParity, ...]

    @property
    def min_cosine(self) -> float:
        """The smallest cosine over all outputs; 0 where nothing was compared."""
        return min((output.min_cosine for output in self.outputs), default=0.0)

    @property
    def max_abs(self) -> float:
        """The largest absolute difference over all outputs; infinite where nothing was compared."""
        return max((output.max_abs for output in self.outputs), default=math.inf)


@dataclass(frozen=True, slots=True)
class Variant:
    """One precision of the model.

    Attributes:
        name: One of :data:`gpux.reference.VARIANTS`.
        graphs: Component name → path of its graph in the artifact.
        exporter: The route that made it (``ready``, ``transformers``, ``optimum``, ``genai``, ``coreml``).
        versions: The toolchain's packages and versions.
        certificate: Its proof.
    """

    name: str
    graphs: dict[str, str]
    exporter: str
    versions: dict[str, str]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that ``manifest.json`` holds; the same model converted the same way gives the same bytes."""

    schema: int
    gpux: str
    source: Source
    task: str
    architecture: str | None
    parameters: int | None
    components: tuple[Component, ...]
    variants: tuple[Variant, ...]
    files: tuple[File, ...]

    def to_json(self) -> bytes:
        """Canonical bytes: sorted keys, two-space indent, UTF-8."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> Manifest:
        """Parse :meth:`to_json`'s bytes.

        Raises:
            ValueError, KeyError, TypeError: The bytes are no manifest of this schema.
        """
        raw = json.loads(data)
        if raw["schema"] != SCHEMA:
            raise ValueError(f"manifest schema {raw['schema']}, this version reads {SCHEMA}")
        return cls(
            schema=raw["schema"],
            gpux=raw["gpux"],
            source=Source(**raw["source"]),
            task=raw["task"],
            architecture=raw["architecture"],
            parameters=raw["parameters"],
            components=tuple(
                Component(c["name"], _specs(c["inputs"]), _specs(c["outputs"])) for c in raw["components"]
            ),
            variants=tuple(_variant(v) for v in raw["variants"]),
            files=tuple(File(**f) for f in raw["files"]),
        )


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored model: its directory, digest and manifest.

    Made by :func:`gpux.pull`, opened by :func:`gpux.load`.
    """

    directory: Path
    digest: str
    manifest: Manifest

    @property
    def task(self) -> str:
        """The task that the model answers."""
        return self.manifest.task

    @property
    def reference(self) -> str:
        """The canonical reference it was pulled by."""
        return self.manifest.source.reference

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.manifest.files)

    @property
    def certificate(self) -> Certificate:
        """The first variant's proof (the one that is used when none is named)."""
        return self.manifest.variants[0].certificate

    def variant(self, name: str | None = None) -> Variant:
        """The variant of that name, or the first.

        Raises:
            UnknownVariant: The artifact has no such variant.
        """
        if name is None:
            return self.manifest.variants[0]
        for variant in self.manifest.variants:
            if variant.name == name:
                return variant
        have = ", ".join(v.name for v in self.manifest.variants)
        raise UnknownVariant(
            f"`{self.reference}` is stored as {have}, not as `{name}`",
            hint=f"gpux pull {self.reference} --variant {name}",
            reference=self.reference,
            variant=name,
        )

    def path(self, relative: str) -> Path:
        """The absolute path of one of its files."""
        return self.directory / relative

    def read_json(self, relative: str) -> dict[str, Any]:
        """One of its JSON files, or ``{}`` where it has none.

        Raises:
            CorruptArtifact: The file is no JSON object.
        """
        if not any(file.path == relative for file in self.manifest.files):
            return {}
        try:
            data = json.loads(self.path(relative).read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise corrupt(self, f"`{relative}` cannot be read ({error})") from error
        if not isinstance(data, dict | list):
            raise corrupt(self, f"`{relative}` is no JSON object")
        return data if isinstance(data, dict) else {"items": data}


def read(directory: Path) -> Artifact:
    """Read an artifact from its directory, whose name is its digest.

    Raises:
        CorruptArtifact: The manifest is missing, altered, or of another schema.
    """
    digest = directory.name
    try:
        data = (directory / MANIFEST).read_bytes()
    except OSError as error:
        raise CorruptArtifact(
            f"artifact `{digest[:12]}` has no readable manifest",
            hint="gpux verify",
            digest=digest,
            path=directory,
        ) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise CorruptArtifact(
            f"the manifest of artifact `{digest[:12]}` was altered after it was stored",
            hint="gpux verify",
            digest=digest,
            path=directory,
        )
    try:
        return Artifact(directory, digest, Manifest.from_json(data))
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptArtifact(
            f"the manifest of artifact `{digest[:12]}` cannot be read by this version ({error})",
            hint="pull the model again with --force",
            digest=digest,
            path=directory,
        ) from error


def verify(artifact: Artifact, paths: frozenset[str] | None = None) -> Iterator[str]:
    """Hash the artifact's files and yield a sentence for each that differs from the manifest.

    Args:
        artifact: The artifact.
        paths: Only these files; all when ``None``.
    """
    for file in artifact.manifest.files:
        if paths is not None and file.path not in paths:
            continue
        path = artifact.path(file.path)
        try:
            size = path.stat().st_size
            if size != file.size:
                yield f"`{file.path}` has {size} bytes, the manifest says {file.size}"
                continue
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            yield f"`{file.path}` cannot be read ({error.strerror or error})"
            continue
        if digest != file.sha256:
            yield f"`{file.path}` has other content than was stored (sha256 {digest[:12]}…, not {file.sha256[:12]}…)"


def corrupt(artifact: Artifact, what: str) -> CorruptArtifact:
    """The error for an artifact whose bytes are not what they were."""
    return CorruptArtifact(
        f"`{artifact.reference}` is damaged: {what}",
        hint=f"gpux pull {artifact.reference} --force",
        reference=artifact.reference,
        digest=artifact.digest,
    )


def _specs(raw: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(s["name"], s["dtype"], tuple(s["shape"])) for s in raw)


def _variant(raw: dict[str, Any]) -> Variant:
    certificate = dict(raw["certificate"])
    outputs = tuple(OutputParity(**o) for o in certificate.pop("outputs"))
    probes = tuple(certificate.pop("probes"))
    return Variant(
        name=raw["name"],
        graphs=dict(raw["graphs"]),
        exporter=raw["exporter"],
        versions=dict(raw["versions"]),
        certificate=Certificate(**certificate, probes=probes, outputs=outputs),
    )
