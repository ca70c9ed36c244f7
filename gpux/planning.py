"""The pure choice: an artifact, probes and a request in; a plan with every rejected candidate out. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from gpux.artifact import QUALITIES, UNPROVEN, Artifact, Certificate, Variant
from gpux.errors import InvalidSetting, NoCandidate, ProviderUnavailable
from gpux.provider import Probe, Provider, State, find, formats

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for.

    Attributes:
        provider: ``auto``, a provider's name, or its runtime's own name.
        variant: A variant's name; the best allowed one when ``None``.
        quality: The worst certificate class that ``auto`` may take: ``exact``, ``near`` (default) or ``any``.
        threads: Intra-op threads; as many as the process may use when ``None``.
        strict: Whether partial placement is an error.
    """

    provider: str = AUTO
    variant: str | None = None
    quality: str = "near"
    threads: int | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that was not chosen, and why."""

    provider: str
    variant: str
    reason: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run, and every candidate that will not.

    Attributes:
        provider: The chosen provider.
        variant: The chosen variant.
        threads: Intra-op threads.
        strict: Whether partial placement is an error.
        reason: Why this candidate won.
        rejected: The others.
        options: Options of the provider, by its runtime's own names.
    """

    provider: str
    variant: str
    threads: int
    strict: bool
    reason: str
    rejected: tuple[Rejected, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


def choose(
    artifact: Artifact,
    providers: Mapping[str, Provider],
    probes: Sequence[Probe],
    request: Request,
    *,
    cores: int,
    proofs: Mapping[tuple[str, str], Certificate] | None = None,
) -> Plan:
    """Choose a provider and a variant.

    Args:
        artifact: The model.
        providers: Installed providers by name, best rank first.
        probes: What they found; a provider without a probe is left out.
        request: What was asked for.
        cores: Cores that this process may use.
        proofs: Provider and variant → a proof that was made on this machine, where the artifact holds none.

    Raises:
        InvalidSetting: The quality is none, or nobody runs so many threads.
        UnknownProvider: The named provider is not installed.
        UnknownVariant: The artifact lacks the named variant.
        ProviderUnavailable: The named provider does not work here; the message says why.
        NoCandidate: Nothing that works is good enough.
    """
    named = None if request.provider == AUTO else find(request.provider, providers).name
    if request.quality not in {*QUALITIES[:2], "any"}:
        raise InvalidSetting(
            f"quality `{request.quality}` is none of exact, near, any", hint="use --quality near"
        )
    threads = cores if request.threads is None else _threads(request.threads, max(4 * cores, 256))
    variants = [artifact.variant(request.variant)] if request.variant else list(artifact.manifest.variants)
    by_name = {probe.provider: probe for probe in probes}
    if named and named in by_name:
        _must_work(by_name[named])
    accepted: list[tuple[str, Variant]] = []
    rejected: list[Rejected] = []
    for name, provider in providers.items():
        for variant in variants:
            proven = (proofs or {}).get((name, variant.name), variant.certificate)
            refusal = _refusal(
                provider, by_name.get(name), replace(variant, certificate=proven), named, request
            )
            if refusal:
                rejected.append(refusal)
            else:
                accepted.append((name, variant))
    if not accepted:
        raise _nothing(artifact, rejected)
    name, variant = accepted[0]
    rejected.extend(
        Rejected(n, v.name, f"ranked behind {name} {variant.name}; nothing was measured")
        for n, v in accepted[1:]
    )
    reason = "named" if named else f"highest rank of the providers that work ({len(accepted)} fit)"
    return Plan(name, variant.name, threads, request.strict, reason, tuple(rejected))


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


def _refusal(
    provider: Provider, probe: Probe | None, variant: Variant, named: str | None, request: Request
) -> Rejected | None:
    if named and provider.name != named:
        return Rejected(provider.name, variant.name, f"`{named}` was asked for")
    if not named and provider.rank < 0:
        return Rejected(provider.name, variant.name, "never chosen unless named")
    if probe is None or probe.state is not State.WORKS:
        reason = (probe.reason if probe else None) or "it was not probed"
        return Rejected(provider.name, variant.name, reason, probe.hint if probe else None)
    if unfit := cannot_open(provider, variant) or unproven(variant):
        return Rejected(provider.name, variant.name, *unfit)
    quality = variant.certificate.quality
    if (
        not request.variant
        and request.quality != "any"
        and QUALITIES.index(quality) > QUALITIES.index(request.quality)
    ):
        hint = f"name it with --variant {variant.name}, or pass --quality any"
        return Rejected(
            provider.name,
            variant.name,
            f"its certificate is `{quality}`, `{request.quality}` was asked for",
            hint,
        )
    return None


def cannot_open(provider: Provider, variant: Variant) -> tuple[str, str | None] | None:
    """Why, and what to do, where the variant's graphs are of a kind that the provider does not open."""
    opens = formats(provider)
    for path in variant.graphs.values():
        kind = PurePosixPath(path).suffix
        if kind not in opens:
            return (
                f"it opens {' and '.join(opens)}, not {kind}",
                "drop --variant, or name another provider; see gpux providers",
            )
    return None


def unproven(variant: Variant) -> tuple[str, str | None] | None:
    """Why, and what to do, where nothing ever ran the variant; no request lets it pass."""
    if variant.certificate.quality != UNPROVEN:
        return None
    return (
        "converted, its specification checked, never predicted: only macOS can",
        "pull it again on macOS with --force, where it is proven",
    )


def _must_work(probe: Probe) -> None:
    if probe.state is State.WORKS:
        return
    raise ProviderUnavailable(
        f"provider `{probe.provider}` cannot run here: {probe.reason or probe.state}",
        hint=probe.hint or "gpux providers",
        provider=probe.provider,
        state=str(probe.state),
    )


def _nothing(artifact: Artifact, rejected: Sequence[Rejected]) -> NoCandidate:
    serious = [
        r for r in rejected if "never chosen" not in r.reason and "was asked for" not in r.reason
    ] or list(rejected)
    first = serious[0] if serious else None
    why = f": {first.provider} {first.variant} — {first.reason}" if first else ""
    return NoCandidate(
        f"nothing on this machine can run `{artifact.reference}` as asked{why}",
        hint=(first and first.hint) or "gpux providers",
        reference=artifact.reference,
        rejected=[f"{r.provider} {r.variant}: {r.reason}" for r in rejected],
    )
