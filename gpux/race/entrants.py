"""Which candidates run a race: every provider, variant and setting worth measuring; then what else to try on the best.

Pure: records in, candidates out, simplest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from gpux.artifact import Artifact
from gpux.planning import Candidate
from gpux.provider import Probe, Provider, Setting, State, setting, settings

PRECISION = "precision"
SHAPES = "shapes"
BATCHES = (4, 8, 32, 64, 128, 256)
"""Batch sizes around the tasks' own, which is 16."""


def first(
    artifact: Artifact,
    providers: Mapping[str, Provider],
    probes: Iterable[Probe],
    *,
    variants: Sequence[str],
    cores: int,
) -> list[Candidate]:
    """A candidate per provider, variant and combination of settings, on all cores that may be used.

    Args:
        artifact: The model.
        providers: Those that may take part, best rank first.
        probes: What they found.
        variants: Names of the variants that take part.
        cores: Cores that this process may use.
    """
    found = [
        Candidate(probe.provider, variant, cores, options)
        for probe in probes
        if probe.state is State.WORKS
        for variant in variants
        for options in _settings(providers[probe.provider], probe, artifact)
    ]
    return sorted(found, key=lambda one: simplicity(one, list(providers), variants))


def simplicity(candidate: Candidate, providers: Sequence[str], variants: Sequence[str]) -> tuple[int, ...]:
    """Smaller is simpler: fewer settings, the task's own batches, the better rank, the earlier variant, fewer threads."""
    return (
        len(candidate.options),
        int(candidate.batch is not None),
        list(providers).index(candidate.provider),
        list(variants).index(candidate.variant),
        candidate.threads,
    )


def threads(candidate: Candidate, cores: int) -> list[Candidate]:
    """The candidate with fewer threads: one, and half of them."""
    counts = sorted({1, cores // 2, cores} - {candidate.threads, 0})
    return [_with(candidate, threads=count) for count in counts]


def refined(candidate: Candidate, provider: Provider) -> list[Candidate]:
    """The candidate with each other value of the settings that matter to few models, one setting at a time."""
    return [
        _with(candidate, options={**candidate.options, one.name: value})
        for one in settings(provider)
        for value in one.refine
        if value != setting(one.name, candidate.options, provider)
    ]


def batches(candidate: Candidate, usual: int, tried: Iterable[int]) -> list[Candidate]:
    """The candidate with the next smaller and the next larger batch size, where they were not tried yet."""
    ladder = sorted({*BATCHES, usual})
    place, known = ladder.index(candidate.batch or usual), set(tried)
    beside = [*ladder[max(0, place - 1) : place], *ladder[place + 1 : place + 2]]
    return [_with(candidate, batch=size) for size in beside if size not in known]


def _with(
    candidate: Candidate,
    *,
    threads: int | None = None,
    batch: int | None = None,
    options: Mapping[str, str] | None = None,
) -> Candidate:
    return Candidate(
        candidate.provider,
        candidate.variant,
        threads or candidate.threads,
        candidate.options if options is None else options,
        batch or candidate.batch,
    )


def _settings(provider: Provider, probe: Probe, artifact: Artifact) -> list[dict[str, str]]:
    """Every combination of the settings that are worth measuring, defaults left out."""
    axes = {one.name: _values(one, probe, artifact) for one in settings(provider)}
    axes = {name: values for name, values in axes.items() if len(values) > 1}
    defaults = {one.name: one.default for one in settings(provider)}
    return [
        {name: value for name, value in zip(axes, chosen, strict=True) if value != defaults[name]}
        for chosen in product(*axes.values())
    ]


def _values(setting: Setting, probe: Probe, artifact: Artifact) -> tuple[str, ...]:
    values = setting.race
    if setting.name == PRECISION:
        able = {precision for device in probe.devices for precision in device.precisions}
        return tuple(v for v in values if v == setting.default or not able or v in able)
    if setting.name == SHAPES and not values and "fixed" in setting.values and _steady(artifact):
        return (setting.default, "fixed")
    return values


def _steady(artifact: Artifact) -> bool:
    """Whether all inputs have one shape but for the batch: only then does a graph per shape stay a few graphs."""
    shapes = [spec.shape for component in artifact.manifest.components for spec in component.inputs]
    return all(isinstance(size, int) for shape in shapes for size in shape[1:])
