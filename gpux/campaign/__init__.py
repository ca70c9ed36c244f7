"""Configurations of one model measured against each other: one process each, in turns, on the same inputs.

The one place where the benchmark, the store and the exporter's environment meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from gpux.bench.settings import Measuring
from gpux.errors import GpuxError, InvalidInput, InvalidSetting
from gpux.events import Progress, Stopwatch, silent

if TYPE_CHECKING:
    from gpux.artifact import Artifact
    from gpux.bench.suite import Suite
    from gpux.campaign.axes import Configuration
    from gpux.campaign.member import Bench, Member
    from gpux.campaign.remote import Place

ISOLATIONS = ("process", "off")


class Sweeping(Measuring, total=False):
    """What a caller may ask of a sweep besides how to measure: what :func:`gpux.load` takes, for all configurations.

    Attributes:
        provider: ``auto``, a provider's name, or its runtime's own name.
        variant: A precision.
        task: Another task that the graph can answer.
        threads: Intra-op threads.
        strict: Whether partial placement is an error.
        quality: The worst proof that is taken.
        options: Settings of the named provider.
        batch: Items that are computed together where many are answered.
        token: A Hub token, for a pull.
        offline: Whether to keep off the network.
    """

    provider: str | None
    variant: str | None
    task: str | None
    threads: int | None
    strict: bool
    quality: str
    options: Mapping[str, str] | None
    batch: int | None
    token: str | None
    offline: bool | None


def sweep(
    model: str | PathLike[str] | Artifact,
    axes: Mapping[str, Iterable[str | int]] | Iterable[str] = (),
    inputs: Any = None,
    *,
    typed: bool = False,
    isolation: str = "process",
    progress: Progress = silent,
    save: Callable[[Suite], None] | None = None,
    **asked: Unpack[Sweeping],
) -> Suite:
    """Measure every combination of the axes' values, each in a process of its own, taking turns round by round.

    A configuration that cannot run, fails, or runs out of memory gives a row that says so, and the others go on. Ctrl-C
    keeps what was measured.

    Args:
        model: As :func:`gpux.load` takes it.
        axes: Axis → values, or texts such as ``batch=1,8``. The axes are ``provider``, ``variant``, ``mode`` (``onnx``, and
            ``torch`` for the source model in PyTorch), ``threads``, ``sequence``, ``concurrency``, ``batch``.
        inputs: One item or a list of them, as JSON can hold them; the task's own when ``None``.
        typed: Whether texts among the inputs are lines as a person typed them, which the task still has to read.
        isolation: ``process``, or ``off`` to open every model in this process, where they disturb each other.
        progress: Receives the steps of a pull and of the measurement.
        save: Called with what there is so far, whenever a configuration is finished and now and then before.
        **asked: How to measure and what to load; see :class:`Sweeping`.

    Raises:
        InvalidSetting: An axis, a value or a setting is wrong.
        GpuxError: The model cannot be pulled.
    """
    from gpux.campaign.conductor import Conductor
    from gpux.campaign.outcome import suite

    wishes = {name: asked.pop(name, None) for name in _LOADING}  # type: ignore[misc]
    checked, configurations = _configurations(axes, isolation, wishes, asked)
    items = None if inputs is None else _plain(inputs)
    fetching = {name: wishes[name] for name in ("task", "token", "offline")}
    watch = Stopwatch(progress)
    artifact, missing = _obtain(model, configurations, fetching, watch)
    watch.stop()
    job = _job(artifact, wishes, watch.seconds) | {"inputs": items, "typed": typed}

    def bench(configuration: Configuration) -> Bench:
        if error := missing.get(configuration.variant or ""):
            raise error
        return _bench(artifact, configuration, job, fetching, progress)

    members = [_member(configuration, bench) for configuration in configurations]
    conductor = Conductor(
        [member for member in members if member.error is None],
        progress=progress,
        save=lambda: save(suite(members, checked, conductor)) if save else None,
    )
    conductor.run()
    return suite(members, checked, conductor)


_LOADING = (
    "provider",
    "variant",
    "task",
    "threads",
    "strict",
    "quality",
    "options",
    "batch",
    "token",
    "offline",
)


def _configurations(
    axes: Mapping[str, Iterable[str | int]] | Iterable[str],
    isolation: str,
    wishes: Mapping[str, Any],
    asked: Measuring,
) -> tuple[dict[str, tuple[str | int, ...]], tuple[Configuration, ...]]:
    """The axes as they were read, and what they make."""
    from gpux.bench.settings import settle
    from gpux.campaign import axes as varied

    if isolation not in ISOLATIONS:
        raise InvalidSetting(
            f"`isolate` is `{isolation}`, not {' or '.join(ISOLATIONS)}",
            hint="give --isolate process",
            setting="isolate",
        )
    checked = varied.check(axes) if isinstance(axes, Mapping) else varied.read(axes)
    expanded = varied.expand(
        checked,
        provider=wishes["provider"],
        variant=wishes["variant"],
        threads=wishes["threads"],
        settings=replace(settle(**asked), isolation=isolation),
    )
    return checked, expanded


def _job(artifact: Artifact, wishes: Mapping[str, Any], preparation: Mapping[str, float]) -> dict[str, Any]:
    """What every process is told of the model."""
    return {
        "artifact": str(artifact.directory),
        "task": wishes["task"],
        "strict": bool(wishes["strict"]),
        "quality": wishes["quality"] or "near",
        "options": dict(wishes["options"] or {}),
        "batch": wishes["batch"],
        "preparation": dict(preparation),
    }


def _member(configuration: Configuration, bench: Callable[[Configuration], Bench]) -> Member:
    from gpux.campaign.member import Member

    try:
        return Member(configuration, bench(configuration))
    except GpuxError as error:
        return Member(configuration, None, error=error)


def _obtain(
    model: str | PathLike[str] | Artifact,
    configurations: Iterable[Configuration],
    fetching: Mapping[str, Any],
    progress: Progress,
) -> tuple[Artifact, dict[str, GpuxError]]:
    """The artifact with every variant that is asked for, and why it lacks the others."""
    from gpux.loading import obtain

    wanted = list(dict.fromkeys(c.variant for c in configurations if c.mode == "onnx")) or [None]
    missing: dict[str, GpuxError] = {}
    for variant in wanted:
        try:
            obtain(model, variant, **fetching, progress=progress)
        except GpuxError as error:
            if variant is None or len(wanted) == 1:
                raise
            missing[variant] = error
    if len(missing) == len(wanted):
        raise next(iter(missing.values()))
    there = next(variant for variant in wanted if variant not in missing)
    return obtain(model, there, **fetching, progress=progress)[0], missing


def _bench(
    artifact: Artifact,
    configuration: Configuration,
    job: Mapping[str, Any],
    fetching: Mapping[str, Any],
    progress: Progress,
) -> Bench:
    from gpux.bench.records import encode
    from gpux.campaign.remote import Place, Remote

    whole = {
        **job,
        "mode": configuration.mode,
        "provider": configuration.provider,
        "variant": configuration.variant,
        "threads": configuration.threads,
        "settings": encode(configuration.settings),
    }
    together = configuration.settings.isolation == "off"
    if configuration.mode == "torch":
        if together:
            raise InvalidSetting(
                "mode=torch runs in the exporter's environment, which is another process",
                hint="leave --isolate off out",
                setting="isolate",
            )
        return Remote(whole, _exporter(artifact, fetching, progress))
    if together:
        from gpux.campaign.local import Local

        return Local(whole)
    return Remote(whole, Place())


def _exporter(artifact: Artifact, fetching: Mapping[str, Any], progress: Progress) -> Place:
    from gpux.campaign.remote import Place
    from gpux.export import toolchains
    from gpux.registry.origin import checkpoint

    python = toolchains.require()
    away = {name: fetching[name] for name in ("token", "offline")}
    snapshot = checkpoint(artifact, python, **away, progress=progress)
    return Place(python, toolchains.ENVIRONMENT, snapshot.directory)


def _plain(inputs: Any) -> Any:
    import json

    if not isinstance(inputs, Iterable):
        inputs = [inputs]
    try:
        return json.loads(json.dumps(inputs if isinstance(inputs, str | dict) else list(inputs)))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"these inputs cannot be handed to another process: {error}",
            hint="give texts, numbers, lists and mappings, or measure with model.benchmark(...)",
        ) from error
