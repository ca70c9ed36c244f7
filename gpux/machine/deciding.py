"""From a request to a proven plan: asks probes, proofs and the stored choice, chooses, and proves what was not proven yet."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path

from gpux import hardware
from gpux.artifact import Artifact
from gpux.errors import GpuxError, NoCandidate
from gpux.events import Progress, silent
from gpux.head import Head
from gpux.machine import choices, probes
from gpux.machine.key import key
from gpux.machine.proofs import Book, engines
from gpux.planning import AUTO, Plan, Proof, ProofKey, Request, choose, proof_key
from gpux.provider import Probe, Provider, find


class Decision:
    """The choice for one artifact and one request, made again when what was chosen fails to open.

    Args:
        artifact: The model.
        available: Installed providers by name, best rank first.
        request: What was asked for.
        head: The head of the task.
        dimensions: The sizes that the task will ask for.
        progress: Receives the steps of a proof.
    """

    def __init__(
        self,
        artifact: Artifact,
        available: Mapping[str, Provider],
        request: Request,
        *,
        head: Head,
        dimensions: Mapping[str, tuple[int, int, int]],
        progress: Progress = silent,
    ) -> None:
        self._artifact = artifact
        self._available = available
        self._request = request
        self._head = head
        self._progress = progress
        self.dimensions = dimensions
        self._machine = key(available)
        self._book = Book(artifact, self._machine)
        self._failed: dict[ProofKey, Proof] = {}
        self._note: str | None = None
        self._probes = _probes(available, request, self._machine)

    def plan(self) -> Plan:
        """The best candidate that is proven; whatever must be proven first is.

        Raises:
            GpuxError: As :func:`gpux.planning.choose`.
        """
        while True:
            chosen = self.look()
            if chosen.certificate is not None:
                return chosen
            known = {one.provider: one for one in self._probes}
            self._book.prove(
                chosen,
                self._available[chosen.provider],
                known[chosen.provider],
                head=self._head,
                dimensions=self.dimensions,
                progress=self._progress,
            )

    def look(self) -> Plan:
        """The best candidate as far as it is known, proving nothing."""
        return choose(
            self._artifact,
            self._available,
            self._probes,
            self._request,
            cores=hardware.cores_allowed(),
            proofs=ChainMap(self._failed, self._book),  # type: ignore[arg-type]  # it is only read
            measured=choices.recall(self._artifact, self._machine),
            note=self._note,
        )

    def outdated(self) -> bool:
        """Whether a race was run for the model under other circumstances than these, and none since."""
        return choices.outdated(self._artifact, self._machine)

    def cache(self, plan: Plan) -> Path:
        """Where the plan's provider may keep what it compiles."""
        return engines(self._artifact, self._machine, proof_key(self._available[plan.provider], plan))

    def fail(self, plan: Plan, error: GpuxError) -> Plan:
        """Another plan, because this one did not open; where there is none, or it was named, its error is raised."""
        if self._request.provider != AUTO:
            raise error
        self._failed[proof_key(self._available[plan.provider], plan)] = Proof(None, error.message, error.hint)
        probes.doubt(plan.provider, self._available)
        self._note = f"`{plan.provider}` was the choice and did not open: {error.message}"
        try:
            return self.plan()
        except NoCandidate:
            raise error from None


def _probes(available: Mapping[str, Provider], request: Request, machine: str) -> tuple[Probe, ...]:
    """Probes of the named provider, or of every candidate of ``auto``."""
    names = [find(request.provider, available).name] if request.provider != AUTO else None
    if names is None:
        names = [name for name, one in available.items() if one.rank >= 0]
    return probes.probe(available, names, machine=machine)
