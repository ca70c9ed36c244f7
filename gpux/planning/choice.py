"""The pure choice: an artifact, probes, proofs and a request in; a plan with every rejected candidate out. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpux.artifact import QUALITIES, Artifact, Variant
from gpux.errors import InvalidSetting, ProviderUnavailable
from gpux.planning.fitness import Fitness
from gpux.planning.records import ANY, AUTO, Candidate, Measured, Plan, Proof, ProofKey, Rejected, Request
from gpux.provider import Probe, Provider, State, check, find


def choose(
    artifact: Artifact,
    providers: Mapping[str, Provider],
    probes: Sequence[Probe],
    request: Request,
    *,
    cores: int,
    proofs: Mapping[ProofKey, Proof] | None = None,
    measured: Measured | None = None,
    note: str | None = None,
) -> Plan:
    """Choose a provider and a variant.

    Args:
        artifact: The model.
        providers: Installed providers by name, best rank first.
        probes: What they found; a provider without a probe is left out.
        request: What was asked for.
        cores: Cores that this process may use.
        proofs: How well providers compute the model here; a candidate without one may be chosen, without a certificate.
        measured: What a race found; followed where nothing but a quality was asked for.
        note: What the plan says to the user besides; an outdated measurement is added.

    Raises:
        InvalidSetting: The quality is none, nobody runs so many threads, or the provider lacks an option.
        UnknownProvider: The named provider is not installed.
        UnknownVariant: The artifact lacks the named variant.
        ProviderUnavailable: The named provider does not work here; the message says why.
        ProofFailed: The named provider computes the model wrongly, or not as well as was asked for.
        NoCandidate: Nothing that works is good enough.
    """
    named = None if request.provider == AUTO else find(request.provider, providers).name
    _check(request, named, providers)
    threads = cores if request.threads is None else _threads(request.threads, max(4 * cores, 256))
    variants = [artifact.variant(request.variant)] if request.variant else list(artifact.manifest.variants)
    by_name = {probe.provider: probe for probe in probes}
    if named and named in by_name:
        _must_work(by_name[named])
    fits = Fitness(providers, by_name, request, named, proofs or {})
    followed = measured if measured and _free(request) else None
    candidates = _candidates(providers, variants, request, threads, followed)
    refusals = [(one, fits.refuse(one, artifact.variant(one.variant))) for one in candidates]
    accepted = [candidate for candidate, refusal in refusals if refusal is None]
    rejected = [refusal for _, refusal in refusals if refusal is not None]
    if not accepted:
        raise fits.nothing(artifact, rejected)
    best, (reason, others) = accepted[0], _explain(accepted, rejected, followed, named=named)
    return Plan(
        provider=best.provider,
        variant=best.variant,
        threads=best.threads,
        strict=request.strict,
        reason=reason,
        rejected=others,
        options=dict(best.options),
        batch=best.batch,
        certificate=fits.certificate(best, artifact.variant(best.variant)),
        versions=dict(by_name[best.provider].versions),
        note=note or _fallen(followed, best, rejected),
    )


def _explain(
    accepted: Sequence[Candidate],
    rejected: Sequence[Rejected],
    measured: Measured | None,
    *,
    named: str | None,
) -> tuple[str, tuple[Rejected, ...]]:
    """Why the first is the choice, and why each of the others is not."""
    best = accepted[0]
    if measured and best == measured.winner:
        return measured.reason, (*measured.others, *_unlike(rejected, measured))
    behind = f"ranked behind {best.provider} {best.variant}; nothing was measured"
    slower = [Rejected(other.provider, other.variant, behind) for other in accepted[1:]]
    reason = "named" if named else f"highest rank of the providers that work ({len(accepted)} fit)"
    return reason, (*rejected, *slower)


def _free(request: Request) -> bool:
    """Whether nothing was asked for that a race did not know."""
    asked = (request.variant, request.threads, request.batch)
    return request.provider == AUTO and all(one is None for one in asked)


def _check(request: Request, named: str | None, providers: Mapping[str, Provider]) -> None:
    if request.quality not in {*QUALITIES[:2], ANY}:
        raise InvalidSetting(
            f"quality `{request.quality}` is none of exact, near, any", hint="use --quality near"
        )
    if not request.options:
        return
    if named is None:
        first = next(iter(request.options))
        raise InvalidSetting(
            f"option `{first}` is a provider's, and none is named",
            hint="name it with --provider; gpux providers --verbose lists the options of each",
            setting=first,
        )
    check(providers[named], request.options)


def _candidates(
    providers: Mapping[str, Provider],
    variants: Sequence[Variant],
    request: Request,
    threads: int,
    measured: Measured | None,
) -> list[Candidate]:
    """Every candidate, best first: the one that won a race, then by rank and in the order of the variants."""
    options = dict(request.options)
    ranked = [
        Candidate(name, variant.name, threads, options, request.batch)
        for name in providers
        for variant in variants
    ]
    if measured is None or measured.winner.provider not in providers:
        return ranked
    if all(variant.name != measured.winner.variant for variant in variants):
        return ranked
    return [measured.winner, *ranked]


def _fallen(measured: Measured | None, best: Candidate, rejected: Sequence[Rejected]) -> str | None:
    """What became of a race's winner that is not the choice any more."""
    if measured is None or best == measured.winner:
        return None
    why = next((r.reason for r in rejected if r.provider == measured.winner.provider), "it is gone")
    return f"the race chose {measured.winner}, which does not run as asked any more: {why}"


def _unlike(rejected: Sequence[Rejected], measured: Measured) -> list[Rejected]:
    """Those that no race measured."""
    known = {(one.provider, one.variant) for one in measured.others}
    known.add((measured.winner.provider, measured.winner.variant))
    return [one for one in rejected if (one.provider, one.variant) not in known]


def _must_work(probe: Probe) -> None:
    if probe.state is State.WORKS:
        return
    raise ProviderUnavailable(
        f"provider `{probe.provider}` cannot run here: {probe.reason or probe.state}",
        hint=probe.hint or "gpux providers",
        provider=probe.provider,
        state=str(probe.state),
    )


def _threads(given: object, most: int) -> int:
    whole = isinstance(given, int) and not isinstance(given, bool)
    if isinstance(given, int) and whole and 1 <= given <= most:
        return given
    # An integer of thousands of digits has no text in Python.
    many = f"{given} threads" if isinstance(given, int) and abs(given) < 1 << 63 else "so many threads"
    raise InvalidSetting(
        f"{many} cannot run anything here"
        if whole
        else f"threads are a whole number, not {type(given).__name__}",
        hint=f"give --threads a number from 1 to {most}",
    )
