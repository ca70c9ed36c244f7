"""Reference or artifact → open model: the one place where store, plan, session and task meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from operator import sub
from os import PathLike
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any

from gpux import settings, tasks
from gpux.artifact import BLUEPRINT, Artifact
from gpux.discovery import discover
from gpux.errors import (
    ArtifactNotFound,
    ProviderUnavailable,
    RunFailed,
    SourceError,
    UnknownTask,
    UnsupportedModel,
    UsageError,
)
from gpux.events import Progress, Stopwatch, silent
from gpux.forecasting import check, forecast
from gpux.machine import probes
from gpux.machine.deciding import Decision
from gpux.model import Model
from gpux.pipelines.pipeline import Pipeline
from gpux.planning import AUTO, Plan, Request, components, free
from gpux.provider import Probe, Provider, Setting, find
from gpux.provider import settings as provider_settings
from gpux.reference import MLPACKAGE, default_variant, parse
from gpux.registry.store import Store
from gpux.session import Session, open_session

_PROCESS = "cpu"
"""The provider whose memory is this process's own, and whose needs are known."""

_OUTDATED = "a race was run for this model with other hardware, drivers or packages, and is not followed; gpux tune runs it again"


def load(
    model: str | PathLike[str] | Artifact,
    *,
    provider: str | None = None,
    variant: str | None = None,
    task: str | None = None,
    threads: int | None = None,
    strict: bool = False,
    quality: str = "near",
    options: Mapping[str, str] | None = None,
    batch: int | None = None,
    token: str | None = None,
    offline: bool | None = None,
    progress: Progress = silent,
) -> Model:
    """Open a model, pulling it first where it is not stored.

    Args:
        model: An artifact, or a reference or name as :func:`gpux.pull` takes.
        provider: ``auto``, a provider's name, or its runtime's own name; ``GPUX_PROVIDER`` when ``None``. Of a model of several
            components each can have its own: ``vision=cuda,decoder=cpu``.
        variant: A precision; the reference's own ``:variant``, or ``GPUX_VARIANT``, when ``None``. By component likewise:
            ``vision=fp32,decoder=q4``.
        task: Another task that the stored graph can answer; the artifact's own when ``None``.
        threads: Intra-op threads; ``GPUX_THREADS``, or the cores that this process may use, when ``None``.
        strict: Make partial placement an error.
        quality: The worst proof that is taken: ``exact``, ``near`` or ``any``.
        options: Settings of the named provider; ``gpux providers --verbose`` lists them.
        batch: Items that are computed together where many are answered; measured or the task's own choice when ``None``.
        token: A Hub token, for a pull.
        offline: Whether a pull keeps off the network; as the environment says when ``None``.
        progress: Receives the steps of a pull, and of a proof where a provider is new to the model.

    Raises:
        GpuxError: See :mod:`gpux.errors`.
    """
    started = perf_counter()
    on, as_ = components.read(provider, what="provider"), components.read(variant, what="variant")
    available = _available(*(on.values or (settings.provider(),)))
    watch = Stopwatch(progress)
    artifact, named = obtain(model, as_.first, task=task, token=token, offline=offline, progress=watch)
    watch.stop()
    asked = Request(on.rest or "", as_.rest or named, quality, threads, strict, dict(options or {}), batch)
    request, task = _complete(asked, artifact), _task(artifact, task)
    pipeline = tasks.find(task)
    resolved = perf_counter()
    decision = _decision(artifact, available, request, pipeline, progress)
    apart = _apart(artifact, request, on, as_, partial(_decision, artifact, available, pipeline=pipeline))
    opening = _Opening(artifact, _affordable(artifact, decision.plan()), available, decision, apart)
    planned = perf_counter()
    pipeline.prefetch(artifact)
    session = _opened(opening, artifact, available, decision)
    opened = perf_counter()
    ready = _follow(pipeline, artifact, session, request)
    moments = (started + sum(watch.seconds.values()), resolved, planned, opened, perf_counter())
    timings = dict(zip(("resolve", "plan", "open", "task"), map(sub, moments[1:], moments), strict=False))
    told = _repeatable(request, provider, variant) if apart else request
    loaded = partial(Model, artifact, told, session.plan, session, ready, task=task, timings=timings)
    return loaded(preparation=watch.seconds)


def _repeatable(request: Request, provider: str | None, variant: str | None) -> Request:
    """What was asked for as it was asked for, so that another process can ask for the same."""
    return replace(request, provider=provider or request.provider, variant=variant or request.variant)


def obtain(
    model: str | PathLike[str] | Artifact,
    variant: str | None = None,
    *,
    task: str | None = None,
    token: str | None = None,
    offline: bool | None = None,
    progress: Progress = silent,
) -> tuple[Artifact, str | None]:
    """The stored artifact that has a variant, pulled where it is not stored, and the variant that the reference names.

    Raises:
        GpuxError: See :func:`gpux.pull`.
    """
    if isinstance(model, Artifact):
        return model, None
    fetch = partial(_pull, task=task, token=token, offline=offline, progress=progress)
    return _resolve(model, variant, fetch)


def plan(
    model: str | Artifact, *, provider: str | None = None, variant: str | None = None, quality: str = "near"
) -> Plan:
    """What :func:`load` would choose, and why every other candidate would not run.

    Raises:
        ArtifactNotFound: The model is not stored.
        ProviderError: Nothing fits.
    """
    artifact = model if isinstance(model, Artifact) else Store().get(model)
    request = _complete(Request(provider or "", variant, quality), artifact)
    decision = _decision(artifact, discover(), request, tasks.find(artifact.task))
    chosen = decision.look()
    if chosen.note is None and free(request) and decision.outdated():
        return replace(chosen, note=_OUTDATED)
    return chosen


def providers(*, fresh: bool = False) -> tuple[Probe, ...]:
    """Every installed provider, tried in a process of its own: its state, devices, versions, and what stops it.

    Args:
        fresh: Try all again, instead of taking what is remembered of this machine as it is.
    """
    return probes.probe(discover(), fresh=fresh)


def options() -> dict[str, tuple[Setting, ...]]:
    """Provider → the settings that :func:`load` takes for it as ``options``."""
    return {name: provider_settings(one) for name, one in discover().items()}


def _companion(request: Request, name: str) -> Model:
    """Another model, stored already, opened as the first one was asked for; a variant may stand behind its name."""
    reference = parse(name)
    return load(
        Store().get(str(reference.base)),
        provider=request.provider,
        variant=reference.variant,
        quality=request.quality,
        threads=request.threads,
        options=request.options,
    )


def _complete(asked: Request, artifact: Artifact) -> Request:
    """What is asked for, where the caller says nothing by the environment, else by the ``gpux.yml`` that the model was built from."""
    told = artifact.read_json(BLUEPRINT).get("runtime")
    own: Mapping[str, Any] = told if isinstance(told, dict) else {}
    provider, options = asked.provider or settings.named_provider(), dict(asked.options)
    if provider is None and own.get("provider"):
        provider, options = str(own["provider"]), options or dict(own.get("options") or {})
    threads = settings.threads() if asked.threads is None else asked.threads
    return replace(
        asked,
        provider=provider or AUTO,
        variant=asked.variant or default_variant() or own.get("variant"),
        threads=own.get("threads") if threads is None else threads,
        options=options,
    )


def _decision(
    artifact: Artifact,
    available: Mapping[str, Provider],
    request: Request,
    pipeline: type[Pipeline],
    progress: Progress = silent,
) -> Decision:
    # A task that runs any graph proves nothing of its own: the graph is held to what the stored task reads of it.
    pipeline = pipeline if pipeline.head.takes else tasks.find(artifact.task)
    return Decision(
        artifact,
        available,
        request,
        head=pipeline.head.of(artifact.manifest.architecture),
        dimensions=pipeline.dimensions(artifact),
        progress=progress,
    )


def _follow(pipeline: type[Pipeline], artifact: Artifact, session: Session, request: Request) -> Pipeline:
    """The task over the session; files that were stored by another version may hold what this one cannot follow."""
    try:
        ready = pipeline(artifact, session)
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        session.close()
        raise UnsupportedModel(
            f"the configuration of `{artifact.reference}` cannot be followed: {error}",
            hint=f"gpux pull {artifact.reference} --force",
            reference=artifact.reference,
        ) from error
    ready.companion = partial(_companion, request)
    return ready


def _apart(
    artifact: Artifact,
    request: Request,
    on: components.Shared,
    as_: components.Shared,
    decide: Callable[..., Decision],
) -> dict[str, tuple[Plan, Path | None]]:
    """The plan of each component that is to run in a way of its own, and where its provider may keep what it compiles.

    What a component runs on was proven with the whole model on it.

    Raises:
        UsageError: The model has no such component.
        GpuxError: As :meth:`gpux.machine.deciding.Decision.plan`.
    """
    names = [component.name for component in artifact.manifest.components]
    for shared, what in ((on, "provider"), (as_, "variant")):
        shared.check(names, reference=artifact.reference, what=what)
    found: dict[str, tuple[Plan, Path | None]] = {}
    for name in names:
        if name not in on.own and name not in as_.own:
            continue
        own = replace(
            request,
            provider=on.own.get(name, request.provider),
            variant=as_.own.get(name, request.variant),
            options={} if name in on.own else request.options,
        )
        decision = decide(request=own)
        plan = decision.plan()
        found[name] = plan, decision.cache(plan)
    return found


class _Opening(Thread):
    """Opens a session in a thread of its own: runtimes do that outside Python's lock, so that other files can be read."""

    def __init__(
        self,
        artifact: Artifact,
        chosen: Plan,
        available: Mapping[str, Provider],
        decision: Decision,
        apart: Mapping[str, tuple[Plan, Path | None]],
    ) -> None:
        super().__init__(name="gpux-open", daemon=True)
        self.plan, self.apart = chosen, apart
        self._open = partial(
            open_session,
            artifact,
            chosen,
            available,
            cache=decision.cache(chosen),
            dimensions=decision.dimensions,
            apart=apart,
        )
        self._session: Session | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._session = self._open()
        except BaseException as error:  # noqa: BLE001 - raised again by wait, in the caller's thread
            self._error = error

    def wait(self) -> Session:
        """The session, or the error that opening it raised."""
        self.join()
        if self._session is None:
            raise self._error or RuntimeError("the opening thread ended without a session")
        return self._session


def _opened(
    opening: _Opening, artifact: Artifact, available: Mapping[str, Provider], decision: Decision
) -> Session:
    """The open session; where ``auto`` chose what then does not open, of the next best candidate, which says so."""
    while True:
        try:
            return opening.wait()
        except (ProviderUnavailable, RunFailed) as error:
            if opening.apart:  # it may be one of those that were named
                raise
            opening = _Opening(artifact, decision.fail(opening.plan, error), available, decision, {})


def _affordable(artifact: Artifact, chosen: Plan) -> Plan:
    """The plan, unless this process's memory cannot hold what it opens; a device with memory of its own has its own errors."""
    if chosen.provider != _PROCESS:
        return chosen
    low = chosen.options.get("memory") == "low"
    others = [
        forecast(artifact, one.name)
        for one in artifact.manifest.variants
        if one.name not in {chosen.variant, MLPACKAGE}
    ]
    found = forecast(artifact, chosen.variant, memory="low" if low else "fast")
    check(found, artifact.reference, others, low=low)
    return chosen


def _available(*wanted: str) -> dict[str, Provider]:
    found = discover()
    for name in wanted:
        if name != AUTO:
            find(name, found)  # a misspelt name is told before anything is fetched
    return found


def _pull(text: str, variants: tuple[str, ...], **wishes: Any) -> Artifact:
    from gpux.registry.pull import pull

    return pull(text, variants=variants, **wishes)


def _resolve(
    text: str | PathLike[str], variant: str | None, fetch: Callable[[str, tuple[str, ...]], Artifact]
) -> tuple[Artifact, str | None]:
    reference = parse(text)
    text, named = str(text), reference.variant
    if variant and named not in {None, variant}:
        raise UsageError(f"`{text}` asks for {named}, and the variant for {variant}", hint="give one of them")
    wanted = variant or named or default_variant()
    store = Store()
    entry = store.find(str(reference.base))
    if entry:
        artifact = store.read(entry.digest)
        if wanted in {None, *(v.name for v in artifact.manifest.variants)}:
            return artifact, named
    # A short name means something else to the sources: the stored model says where it came from.
    origin = store.read(entry.digest).reference if entry else text
    try:
        return fetch(origin, (wanted,) if wanted else ()), named
    except SourceError as error:
        error.hint = _closest(store, text) or error.hint
        raise


def _closest(store: Store, text: str) -> str | None:
    """The hint that names a stored model of almost that name, where there is one."""
    try:
        store.locate(text)
    except ArtifactNotFound as error:
        return error.hint if str(error.hint).startswith("did you mean") else None
    return None


def _task(artifact: Artifact, task: str | None) -> str:
    if task is None or task == artifact.task:
        return artifact.task
    saved = artifact.manifest.architecture
    wanted, stored = tasks.find(task).head.of(saved), tasks.find(artifact.task).head.of(saved)
    # Another reading of the same graph, or the graph as it is.
    same = all(getattr(wanted, key) == getattr(stored, key) for key in ("autos", "outputs", "takes"))
    if same or not wanted.takes:
        return task
    raise UnknownTask(
        f"`{artifact.reference}` is stored for {artifact.task}, not for {task}",
        hint=f"gpux pull {artifact.reference} --task {task} --force",
        task=task,
    )
