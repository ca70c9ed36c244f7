"""Proofs per provider: the artifact's own probes, run on a provider the first time it is to be used for them here.

Kept in the artifact's folder under the machine's key. A provider that returns other numbers than the model is refused with
the figures, and one that crashes on the graph does so in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux.artifact import QUALITIES, Artifact, Certificate, OutputParity
from gpux.errors import GpuxError, ProofFailed
from gpux.events import Event, Progress, silent
from gpux.head import Head
from gpux.machine.files import read, write
from gpux.planning import Candidate, Plan, Proof, ProofKey, proof_key
from gpux.provider import Probe, Provider

if TYPE_CHECKING:
    from gpux.registry.proving import Ground

FOLDER = "machines"
"""The folder of an artifact that holds what each machine found out about it; no part of the artifact, and gone with it."""


def folder(artifact: Artifact, machine: str) -> Path:
    """Where one machine keeps what it found out about an artifact."""
    return artifact.directory / FOLDER / machine


def engines(artifact: Artifact, machine: str, key: ProofKey) -> Path:
    """Where a provider may keep what it compiles of a variant with these settings."""
    return folder(artifact, machine) / "engines" / f"{key[0]}-{key[1]}-{_short(key)}"


class Book(Mapping[ProofKey, Proof]):
    """The proofs of one artifact on this machine, read when they are asked for.

    Args:
        artifact: The model.
        machine: The machine's key.
    """

    def __init__(self, artifact: Artifact, machine: str) -> None:
        self._artifact = artifact
        self._machine = machine
        self._path = folder(artifact, machine) / "proofs.json"
        self._found = _read(self._path)

    def __getitem__(self, key: ProofKey) -> Proof:
        return self._found[key]

    def __iter__(self) -> Any:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def prove(
        self,
        candidate: Candidate | Plan,
        provider: Provider,
        probe: Probe,
        *,
        head: Head,
        dimensions: Mapping[str, tuple[int, int, int]],
        progress: Progress = silent,
    ) -> Proof:
        """Run the artifact's probes on a candidate, and remember what came of it; raises nothing.

        Args:
            candidate: What is to be proven.
            provider: Its provider.
            probe: What that provider found.
            head: The task's head.
            dimensions: The sizes that the task will ask for.
            progress: Receives the steps.
        """
        from gpux.registry.proving import Ground  # the prover's imports would cost every load

        key = proof_key(provider, candidate)
        progress(Event("prove", f"proving {candidate.variant} on {candidate.provider}"))
        ground = Ground(
            provider=candidate.provider,
            threads=candidate.threads,
            options=dict(key[2]),
            cache=engines(self._artifact, self._machine, key),
            dimensions=dimensions,
            versions=probe.versions,
            lenient=True,
        )
        try:
            found = Proof(self._run(candidate.variant, ground, head, progress))
        except GpuxError as error:
            found = Proof(None, _why(error), error.hint)
        self._found[key] = found
        self._write()
        return found

    def _run(self, variant: str, ground: Ground, head: Head, progress: Progress) -> Certificate:
        from gpux.export import proof
        from gpux.registry import assembly
        from gpux.registry.proving import prove

        artifact = self._artifact
        files = {name: artifact.path(f"{assembly.PROOF}/{name}.npz") for name in ("probes", "reference")}
        if not all(path.is_file() for path in files.values()):
            raise ProofFailed(
                "the artifact holds no probes to prove it with",
                hint=f"gpux pull {artifact.reference} --force",
            )
        stored = artifact.variant(variant)
        own = stored.certificate.reference
        first = artifact.manifest.variants[0].name
        certificate = prove(
            artifact.path(stored.graphs["model"]),
            variant=variant,
            head=head,
            probes=files["probes"],
            reference=files["reference"],
            against=f"onnx {first} on {stored.certificate.provider}" if own == proof.ITSELF else own,
            save=None,
            progress=progress,
            ground=ground,
        ).certificate
        if own != proof.ITSELF:
            return certificate
        # Nothing showed what this variant's precision costs, so no provider can show more than the pull did.
        worst = max(certificate.quality, stored.certificate.quality, key=QUALITIES.index)
        return replace(certificate, quality=worst)

    def _write(self) -> None:
        # Another process may have proven something meanwhile: what it found stays.
        self._found = {**_read(self._path), **self._found}
        write(self._path, {"proofs": [_encode(key, one) for key, one in self._found.items()]})


def _read(path: Path) -> dict[ProofKey, Proof]:
    records = read(path).get("proofs", [])
    known = [_decode(record) for record in records] if isinstance(records, list) else []
    return dict(one for one in known if one is not None)


def _why(error: GpuxError) -> str:
    said = error.message.rpartition("could not be proven: ")[2]
    return said.replace("the worker process failed: it", "its process")


def _short(key: ProofKey) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]


def _encode(key: ProofKey, one: Proof) -> dict[str, Any]:
    certificate = asdict(one.certificate) if one.certificate else None
    return {"key": key, "certificate": certificate, "reason": one.reason, "hint": one.hint}


def _decode(record: Any) -> tuple[ProofKey, Proof] | None:
    try:
        provider, variant, options = record["key"]
        key = (str(provider), str(variant), tuple((str(name), str(value)) for name, value in options))
        raw = record["certificate"]
        return key, Proof(_certificate(raw) if raw else None, record["reason"], record["hint"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _certificate(raw: Mapping[str, Any]) -> Certificate:
    outputs = tuple(OutputParity(**one) for one in raw["outputs"])
    return Certificate(
        quality=str(raw["quality"]),
        reference=str(raw["reference"]),
        provider=str(raw["provider"]),
        runtime=str(raw["runtime"]),
        probes=tuple(map(str, raw["probes"])),
        outputs=outputs,
    )
