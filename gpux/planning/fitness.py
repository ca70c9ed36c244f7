"""Whether a candidate may be chosen: its provider works, and its proof is as good as was asked for. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from gpux.artifact import QUALITIES, UNPROVEN, Artifact, Certificate, Variant
from gpux.errors import GpuxError, NoCandidate, ProofFailed
from gpux.planning.records import ANY, Candidate, Plan, Proof, ProofKey, Rejected, Request
from gpux.provider import Probe, Provider, State, computes, formats, settings


def proof_key(provider: Provider, candidate: Candidate | Plan) -> ProofKey:
    """What a proof of this candidate holds for: threads and batches change no number beyond rounding."""
    silent = {one.name for one in settings(provider) if not one.numeric}
    given = tuple(sorted((name, value) for name, value in candidate.options.items() if name not in silent))
    return candidate.provider, candidate.variant, given


def stands(certificate: Certificate, probe: Probe) -> bool:
    """Whether the proof made at the pull holds for a provider's defaults here: it ran there, on the same runtime."""
    versions = " ".join(f"{name} {version}" for name, version in probe.versions.items())
    return certificate.provider == probe.provider and certificate.runtime == versions


def good_enough(quality: str, asked: str) -> bool:
    """Whether a class of certificates is at least the one that was asked for; what was never run is never good enough."""
    if quality == UNPROVEN:
        return False
    return asked == ANY or QUALITIES.index(quality) <= QUALITIES.index(asked)


def cannot_open(provider: Provider, variant: Variant) -> tuple[str, str | None] | None:
    """Why, and what to do, where the variant's graphs are of a kind that the provider does not open."""
    opens = formats(provider)
    kinds = {PurePosixPath(path).suffix for path in variant.graphs.values()} - set(opens)
    if not kinds:
        return None
    hint = "drop --variant, or name another provider; see gpux providers"
    return f"it opens {' and '.join(opens)}, not {min(kinds)}", hint


@dataclass(frozen=True, slots=True)
class Fitness:
    """What a candidate must be."""

    providers: Mapping[str, Provider]
    probes: Mapping[str, Probe]
    request: Request
    named: str | None
    proofs: Mapping[ProofKey, Proof]

    def refuse(self, candidate: Candidate, variant: Variant) -> Rejected | None:
        """Why a candidate cannot be chosen."""
        provider, probe = self.providers[candidate.provider], self.probes.get(candidate.provider)
        said = self._unfit(provider, probe) or cannot_open(provider, variant)
        proof = self._proof(candidate, variant) if said is None else None
        if said is None:
            # What nobody has proven on its provider yet is held to the proof of the pull, where that proved anything.
            known = proof or (None if variant.certificate.quality == UNPROVEN else Proof(variant.certificate))
            said = self._unproven(known, variant) if known else None
        if said is None:
            return None
        return Rejected(candidate.provider, candidate.variant, *said)

    def certificate(self, candidate: Candidate, variant: Variant) -> Certificate | None:
        """The proof of a candidate on its provider, where there is one."""
        proof = self._proof(candidate, variant)
        return proof.certificate if proof else None

    def nothing(self, artifact: Artifact, rejected: Sequence[Rejected]) -> GpuxError:
        """The error when no candidate is left."""
        first = min(rejected, key=self._distance, default=None)
        provider = self.providers[first.provider] if first else None
        opens = provider and first and not cannot_open(provider, artifact.variant(first.variant))
        if self.named and first and opens and first.provider == self.named:
            return ProofFailed(
                f"provider `{first.provider}` does not run `{artifact.reference}` as asked: {first.reason}",
                hint=first.hint,
                provider=first.provider,
                reference=artifact.reference,
            )
        why = f": {first.provider} {first.variant} — {first.reason}" if first else ""
        return NoCandidate(
            f"nothing on this machine can run `{artifact.reference}` as asked{why}",
            hint=(first and first.hint) or "gpux providers",
            reference=artifact.reference,
            rejected=[f"{r.provider} {r.variant}: {r.reason}" for r in rejected],
        )

    def _distance(self, rejected: Rejected) -> int:
        """How far a candidate was from being the choice: what works and is not good enough says more than what is missing."""
        if not self._considered(self.providers[rejected.provider]):
            return 2
        probe = self.probes.get(rejected.provider)
        return int(probe is None or probe.state is not State.WORKS)

    def _considered(self, provider: Provider) -> bool:
        """Whether a provider is among those that could be the choice at all."""
        return provider.name == self.named if self.named else provider.rank >= 0 and computes(provider)

    def _unfit(self, provider: Provider, probe: Probe | None) -> tuple[str, str | None] | None:
        if not self._considered(provider):
            return f"`{self.named}` was asked for" if self.named else "never chosen unless named", None
        if probe is None or probe.state is not State.WORKS:
            return (probe.reason if probe else None) or "it was not probed", probe.hint if probe else None
        return None

    def _proof(self, candidate: Candidate, variant: Variant) -> Proof | None:
        provider, probe = self.providers[candidate.provider], self.probes[candidate.provider]
        key = proof_key(provider, candidate)
        known = self.proofs.get(key)
        if known is not None and known.certificate is None:
            return known
        if not computes(provider) or (not key[2] and stands(variant.certificate, probe)):
            return Proof(variant.certificate)
        return known

    def _unproven(self, proof: Proof, variant: Variant) -> tuple[str, str | None] | None:
        if proof.certificate is None:
            return proof.reason or "it could not be proven", proof.hint
        quality, asked = proof.certificate.quality, self.request.quality
        if good_enough(quality, asked) or (self.request.variant and _as_pulled(quality, variant)):
            return None
        where = (
            ""
            if proof.certificate is variant.certificate
            else f" on this provider (min cosine {proof.certificate.min_cosine:.6f})"
        )
        named = self.request.variant or not _as_pulled(quality, variant)
        hint = (
            "pass --quality any" if named else f"name it with --variant {variant.name}, or pass --quality any"
        )
        return f"its certificate is `{quality}`{where}, `{asked}` was asked for", hint


def _as_pulled(quality: str, variant: Variant) -> bool:
    """Whether a proof is as good as the pull's: whoever names a variant takes what that showed, and no more than that."""
    own = variant.certificate.quality
    return own == UNPROVEN or good_enough(quality, own)
