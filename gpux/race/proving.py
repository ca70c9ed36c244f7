"""Which candidates are proven well enough to run a race; proves those that were not proven here yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gpux.artifact import UNPROVEN, Artifact, Certificate
from gpux.events import Progress
from gpux.machine.proofs import Book
from gpux.pipelines.pipeline import Pipeline
from gpux.planning import Candidate, Rejected, cannot_open, good_enough, proof_key, stands
from gpux.provider import Probe, Provider


@dataclass(frozen=True, slots=True)
class Proving:
    """The proofs of a race.

    Attributes:
        artifact: The model.
        book: Its proofs on this machine.
        providers: Those that take part.
        probes: What they found.
        pipeline: The task.
        progress: Receives the steps of a proof.
    """

    artifact: Artifact
    book: Book
    providers: Mapping[str, Provider]
    probes: Sequence[Probe]
    pipeline: type[Pipeline]
    progress: Progress

    def sort(self, candidates: Iterable[Candidate], quality: str) -> tuple[list[Candidate], list[Rejected]]:
        """Those that are proven well enough, and why the others are not."""
        good: list[Candidate] = []
        refused: list[Rejected] = []
        for candidate in candidates:
            why, hint = self._refusal(candidate, quality)
            if why:
                refused.append(
                    Rejected(candidate.provider, candidate.variant, why, hint, _settings(candidate))
                )
            else:
                good.append(candidate)
        return good, refused

    def known(self, candidate: Candidate) -> Certificate | None:
        """The certificate of a candidate, if it was proven; of the pull where that holds here."""
        provider, pulled = self.providers[candidate.provider], self._pulled(candidate)
        key = proof_key(provider, candidate)
        if not key[2] and stands(pulled, self._probe(candidate)):
            return pulled
        found = self.book.get(key)
        return found.certificate if found else None

    def _refusal(self, candidate: Candidate, quality: str) -> tuple[str, str | None]:
        """Why a candidate does not run and the line to type; nothing where it does."""
        pulled = self._pulled(candidate)
        unfit = cannot_open(self.providers[candidate.provider], self.artifact.variant(candidate.variant))
        if unfit is not None:
            return unfit
        if pulled.quality != UNPROVEN and not good_enough(pulled.quality, quality):
            return f"its certificate is `{pulled.quality}`, `{quality}` was asked for", None
        certificate = self.known(candidate)
        if certificate is None:
            provider = self.providers[candidate.provider]
            found = self.book.get(proof_key(provider, candidate)) or self.book.prove(
                candidate,
                provider,
                self._probe(candidate),
                head=self.pipeline.head.of(self.artifact.manifest.architecture),
                dimensions=self.pipeline.dimensions(self.artifact),
                progress=self.progress,
            )
            if found.certificate is None:
                return found.reason or "it could not be proven", found.hint
            certificate = found.certificate
        if good_enough(certificate.quality, quality):
            return "", None
        cosine = f"(min cosine {certificate.min_cosine:.6f})"
        return (
            f"its certificate on this provider is `{certificate.quality}` {cosine}, `{quality}` was asked for",
            None,
        )

    def _pulled(self, candidate: Candidate) -> Certificate:
        return self.artifact.variant(candidate.variant).certificate

    def _probe(self, candidate: Candidate) -> Probe:
        return next(one for one in self.probes if one.provider == candidate.provider)


def _settings(candidate: Candidate) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(candidate.options.items()))
