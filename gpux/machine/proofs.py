"""Proofs per provider: the artifact's own probes, run on a provider the first time it is to be used for them here.

Kept in the artifact's folder under the machine's key. A provider that returns other numbers than the model is refused with
the figures, and one that crashes on the graph does so in a process of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux import integrity
from gpux.artifact import MACHINES, QUALITIES, Artifact, Certificate, OutputParity
from gpux.errors import CorruptArtifact, GpuxError, ProofFailed, StoreUnwritable, WorkerFailed
from gpux.events import Event, Progress, silent
from gpux.head import Head
from gpux.machine.files import read, text, write
from gpux.planning import Candidate, Plan, Proof, ProofKey, proof_key
from gpux.provider import Placement, Probe, Provider

if TYPE_CHECKING:
    from gpux.registry.proving import Ground


DOUBT = 3600.0
"""Seconds after which a proof that came to no figures is tried again: the memory or the device may have been another's."""


def folder(artifact: Artifact, machine: str) -> Path:
    """Where one machine keeps what it found out about an artifact."""
    return artifact.directory / MACHINES / machine


def engines(artifact: Artifact, machine: str, key: ProofKey) -> Path:
    """Where a provider may keep what it compiles of a variant with these settings."""
    return folder(artifact, machine) / "engines" / f"{key[0]}-{key[1]}-{_short(key)}"


_STRANGE = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)


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
        self._tried: dict[ProofKey, float] = {}
        self._found = self._read()

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
        """Run the artifact's probes on a candidate, and remember what came of it; one process at a time. Raises nothing.

        Args:
            candidate: What is to be proven.
            provider: Its provider.
            probe: What that provider found.
            head: The task's head.
            dimensions: The sizes that the task will ask for.
            progress: Receives the steps.
        """
        key = proof_key(provider, candidate)
        with _alone(self._path, lambda: progress(Event("prove", "waiting for another process that proves"))):
            self._found = {**self._found, **self._read()}
            if key not in self._found:
                progress(Event("prove", f"proving {candidate.variant} on {candidate.provider}"))
                self._prove(key, candidate, probe, head=head, dimensions=dimensions, progress=progress)
        return self._found[key]

    def _prove(
        self,
        key: ProofKey,
        candidate: Candidate | Plan,
        probe: Probe,
        *,
        head: Head,
        dimensions: Mapping[str, tuple[int, int, int]],
        progress: Progress,
    ) -> None:
        from gpux.registry.proving import Ground  # the prover's imports would cost every load

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
            found = self._run(candidate.variant, ground, head, progress)
        except GpuxError as error:
            found = Proof(None, _why(error), _hint(error))
            if not _lasting(error):
                self._tried[key] = time.time()
        self._found[key] = found
        self._write()

    def _run(self, variant: str, ground: Ground, head: Head, progress: Progress) -> Proof:
        from gpux.export import proof
        from gpux.registry import assembly
        from gpux.registry.conversion import start
        from gpux.registry.proving import prove

        artifact = self._artifact
        files = {name: artifact.path(f"{assembly.PROOF}/{name}.npz") for name in ("probes", "reference")}
        if not all(path.is_file() for path in files.values()):
            raise CorruptArtifact(
                "the artifact holds no probes to prove it with",
                hint=f"gpux pull {artifact.reference} --force",
            )
        integrity.check(artifact, [f"{assembly.PROOF}/{path.name}" for path in files.values()])
        stored = artifact.variant(variant)
        own = stored.certificate.reference
        first = artifact.manifest.variants[0].name
        proven = prove(
            {name: artifact.path(path) for name, path in stored.graphs.items()},
            variant=variant,
            head=head,
            probes=files["probes"],
            reference=files["reference"],
            against=f"onnx {first} on {stored.certificate.provider}" if own == proof.ITSELF else own,
            save=None,
            progress=progress,
            ground=ground,
            settings=start(artifact.read_json("generation_config.json"), artifact.read_json("config.json"))
            if head.generates
            else None,
        )
        certificate = proven.certificate
        if own != proof.ITSELF:
            return Proof(certificate, placement=proven.placement)
        # Nothing showed what this variant's precision costs, so no provider can show more than the pull did.
        worst = max(certificate.quality, stored.certificate.quality, key=QUALITIES.index)
        return Proof(replace(certificate, quality=worst), placement=proven.placement)

    def _write(self) -> None:
        # Another process may have proven something meanwhile: what it found stays.
        mine = dict(self._tried)
        self._found = {**self._read(), **self._found}
        self._tried |= mine
        records = [_encode(key, one, self._tried.get(key)) for key, one in self._found.items()]
        write(self._path, {"proofs": records})

    def _read(self) -> dict[ProofKey, Proof]:
        records = read(self._path).get("proofs", [])
        found: dict[ProofKey, Proof] = {}
        now = time.time()
        for record in records if isinstance(records, list) else []:
            with contextlib.suppress(*_STRANGE):
                key, one, tried = _decode(record)
                if tried is None or 0 <= now - tried < DOUBT:
                    found[key] = one
                    self._tried |= {} if tried is None else {key: tried}
        return found


@contextlib.contextmanager
def _alone(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """The lock of one model's proofs here; none where the store cannot be written, for then nothing is shared either."""
    from gpux.registry import disk

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(StoreUnwritable):
            stack.enter_context(disk.locked(path.with_suffix(".lock"), root=path.parent, waiting=waiting))
        yield


def _why(error: GpuxError) -> str:
    said = error.message.rpartition("could not be proven: ")[2]
    return said.replace("the worker process failed: it", "its process")


def _hint(error: GpuxError) -> str | None:
    """The pull's own hints speak of storing, and nothing is stored here."""
    if isinstance(error, ProofFailed):
        return "use another --provider, or --provider auto, which takes the best that computes the model"
    return error.hint


def _lasting(error: GpuxError) -> bool:
    """Whether it would be found again: other numbers would; a process that died, or a device that was full, may not."""
    return isinstance(error, ProofFailed) and not isinstance(error.__cause__, WorkerFailed)


def _short(key: ProofKey) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:8]


def _encode(key: ProofKey, one: Proof, tried: float | None) -> dict[str, Any]:
    certificate = asdict(one.certificate) if one.certificate else None
    placement = asdict(one.placement) if one.placement else None
    record = {"key": key, "certificate": certificate, "placement": placement}
    return {**record, "reason": one.reason, "hint": one.hint, "tried": tried}


def _decode(record: Any) -> tuple[ProofKey, Proof, float | None]:
    provider, variant, options = record["key"]
    key = (str(provider), str(variant), tuple((str(name), str(value)) for name, value in options))
    raw, tried = record["certificate"], record["tried"]
    certificate = None if raw is None else _certificate(raw)
    where = record.get("placement")
    placement = None if where is None else _placement(where)
    one = Proof(certificate, text(record["reason"]), text(record["hint"]), placement)
    return key, one, None if tried is None else float(tried)


def _placement(raw: Mapping[str, Any]) -> Placement:
    nodes = {str(name): int(count) for name, count in raw["nodes"].items()}
    return Placement(
        provider=str(raw["provider"]),
        device=str(raw["device"]),
        precision=str(raw["precision"]),
        nodes=nodes,
        share=_figure(raw["share"]),
        left_behind=tuple(map(str, raw["left_behind"])),
    )


def _certificate(raw: Mapping[str, Any]) -> Certificate:
    outputs = tuple(_parity(one) for one in raw["outputs"])
    if raw["quality"] not in QUALITIES or not outputs:
        raise ValueError("no certificate says that")
    return Certificate(
        quality=str(raw["quality"]),
        reference=str(raw["reference"]),
        provider=str(raw["provider"]),
        runtime=str(raw["runtime"]),
        probes=tuple(map(str, raw["probes"])),
        outputs=outputs,
    )


def _parity(raw: Mapping[str, Any]) -> OutputParity:
    top1 = raw["top1"]
    return OutputParity(
        name=str(raw["name"]),
        max_abs=_figure(raw["max_abs"]),
        max_rel=_figure(raw["max_rel"]),
        min_cosine=_figure(raw["min_cosine"]),
        explained=_figure(raw["explained"]),
        top1=None if top1 is None else _figure(top1),
    )


def _figure(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("no figure of a proof")
    return float(value)
