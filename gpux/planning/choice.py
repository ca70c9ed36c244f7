"""The pure choice: an artifact, probes, proofs and a request in; a plan with every rejected candidate out. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpux.artifact import QUALITIES, Artifact, Variant
from gpux.errors import InvalidSetting, ProviderUnavailable
from gpux.planning.fitness import Fitness
from gpux.planning.following import BATCH, fallen, free, lapsed, most_threads
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
        note: What the plan says to the user besides; what became of a measurement that is not followed when ``None``.

    Raises:
        InvalidSetting: The quality, the threads or the batch are none, or the provider lacks an option.
        UnknownProvider: The named provider is not installed.
        UnknownVariant: The artifact lacks the named variant.
        ProviderUnavailable: The named provider does not work here; the message says why.
        ProofFailed: The named provider computes the model wrongly, or not as well as was asked for.
        NoCandidate: Nothing that works is good enough.
    """
    named = _named(request, providers)
    threads = cores if request.threads is None else _threads(request.threads, most_threads(cores))
    variants = [artifact.variant(request.variant)] if request.variant else list(artifact.manifest.variants)
    by_name = {probe.provider: probe for probe in probes}
    _must_work(by_name.get(named or ""))
    fits = Fitness(providers, by_name, request, named, proofs or {})
    followed = measured if measured and free(request) else None
    gone = lapsed(followed.winner, providers, [one.name for one in variants], cores) if followed else None
    first = [followed.winner] if followed and not gone else []
    candidates = [*first, *_candidates(providers, variants, request, threads)]
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
        note=note or fallen(followed, best, rejected, gone),
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


def _named(request: Request, providers: Mapping[str, Provider]) -> str | None:
    """The provider that was asked for, and whether everything else that was can be."""
    named = None if request.provider == AUTO else find(request.provider, providers).name
    if request.quality not in {*QUALITIES[:2], ANY}:
        raise InvalidSetting(
            f"quality `{request.quality}` is none of exact, near, any", hint="use --quality near"
        )
    batch: object = request.batch
    if batch is not None and not (type(batch) is int and 1 <= batch <= BATCH):
        raise InvalidSetting(
            "a batch is a whole number of items that fit into memory",
            hint=f"give a batch from 1 to {BATCH}, or none",
            setting="batch",
        )
    if not request.options:
        return named
    if named is None:
        first = next(iter(request.options))
        raise InvalidSetting(
            f"option `{first}` is a provider's, and none is named",
            hint="name it with --provider; gpux providers --verbose lists the options of each",
            setting=first,
        )
    check(providers[named], request.options)
    return named


def _candidates(
    providers: Mapping[str, Provider],
    variants: Sequence[Variant],
    request: Request,
    threads: int,
) -> list[Candidate]:
    """Every candidate with the settings that were asked for, by rank and in the order of the variants."""
    options = dict(request.options)
    return [
        Candidate(name, variant.name, threads, options, request.batch)
        for name in providers
        for variant in variants
    ]


def _unlike(rejected: Sequence[Rejected], measured: Measured) -> list[Rejected]:
    """Those that no race measured."""
    known = {(one.provider, one.variant) for one in measured.others}
    known.add((measured.winner.provider, measured.winner.variant))
    return [one for one in rejected if (one.provider, one.variant) not in known]


def _must_work(probe: Probe | None) -> None:
    if probe is None or probe.state is State.WORKS:
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
