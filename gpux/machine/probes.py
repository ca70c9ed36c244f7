"""Tries providers in a process of their own, so that one that crashes or hangs costs an answer and not the program.

What was found is kept under the machine's key, so that choosing costs nothing the next time.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux import settings
from gpux.errors import GpuxError, WorkerFailed
from gpux.machine.files import read, text, whole, write
from gpux.machine.key import key
from gpux.provider import Device, Probe, Provider, State

if TYPE_CHECKING:
    from gpux.worker import parent

DOUBT = 600.0
"""Seconds after which a provider that did not work is tried again: what kept it may have been mended outside GPUX's sight."""

_TOGETHER = 4
_STRANGE = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError)


def probe(
    providers: Mapping[str, Provider],
    names: Iterable[str] | None = None,
    *,
    fresh: bool = False,
    machine: str | None = None,
) -> tuple[Probe, ...]:
    """What providers found when they tried themselves here: remembered, or tried now; raises nothing.

    Args:
        providers: Those that are installed, by name.
        names: Those to ask; all when ``None``.
        fresh: Try all again, whatever is remembered.
        machine: The machine's key, where it is known already.

    Returns:
        One per name, in the order of ``providers``.
    """
    asked = set(providers if names is None else names)
    wanted = [name for name in providers if name in asked]
    look = cache(_found)
    found = {name: _missing(providers[name], look) for name in wanted}
    open_questions = [name for name in wanted if found[name] is None]
    if open_questions:
        path = _path(machine or key(providers))
        remembered = {} if fresh else _read(path)
        found |= {name: remembered[name] for name in open_questions if name in remembered}
        untried = {name: providers[name] for name in open_questions if found[name] is None}
        tried = _try(untried) if untried else {}
        if tried:
            found |= tried
            _remember(path, tried)
    return tuple(one for one in found.values() if one is not None)


def doubt(provider: str, providers: Mapping[str, Provider]) -> None:
    """Forget that a provider works, because it just did not; the next :func:`probe` tries it again."""
    path = _path(key(providers))
    kept = read(path)
    if kept.pop(provider, None) is not None:
        write(path, kept)


def _missing(provider: Provider, look: Callable[[str], bool]) -> Probe | None:
    """The answer for a provider whose software is not installed, which needs no trial."""
    modules = provider.runtime.modules
    if not modules or any(look(module) for module in modules):
        return None
    reason = f"`{provider.runtime.distribution}` is not installed"
    hint = (
        f"pip install 'gpux[{provider.extra}]'"
        if provider.extra
        else f"pip install {provider.runtime.distribution}"
    )
    return Probe(provider.name, State.MISSING, reason=reason, hint=hint)


def _found(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _try(providers: Mapping[str, Provider]) -> dict[str, Probe]:
    """Probe in child processes: providers that share a runtime share one, until one of them breaks it."""
    groups: dict[tuple[str, ...], list[Provider]] = {}
    for name, provider in providers.items():
        groups.setdefault(provider.runtime.modules[:1] or ("", name), []).append(provider)
    from concurrent.futures import ThreadPoolExecutor  # where everything is remembered, nobody pays for these

    live: list[parent.Worker] = []
    over = threading.Event()
    with ThreadPoolExecutor(_TOGETHER) as pool:
        trials = [pool.submit(_try_group, group, live, over) for group in groups.values()]
        try:
            return {name: one for trial in trials for name, one in trial.result().items()}
        except BaseException:  # Ctrl-C: the pool would wait for the slowest
            over.set()
            for worker in live:
                worker.close()
            raise


def _try_group(group: list[Provider], live: list[parent.Worker], over: threading.Event) -> dict[str, Probe]:
    from gpux.worker import parent

    found: dict[str, Probe] = {}
    worker: parent.Worker | None = None
    patience = settings.probe_timeout()
    bounds = replace(parent.limits(), timeout=patience, stall=patience)
    try:
        for provider in group:
            if over.is_set():
                break
            try:
                if worker is None:
                    live.append(worker := parent.Worker("gpux.machine.prober", bounds=bounds))
                found[provider.name] = _own(worker.ask({"provider": provider.name}), provider)
            except WorkerFailed as error:
                found[provider.name] = _broken(provider, error, patience)
                if worker is not None:
                    worker.close()
                    worker = None
            except GpuxError as error:
                found[provider.name] = Probe(
                    provider.name, State.INSTALLED, reason=error.message, hint=error.hint
                )
    finally:
        if worker is not None:
            worker.close()
    return found


def _own(record: Mapping[str, Any], provider: Provider) -> Probe:
    """A provider's answer, if it is one that can be kept and shown."""
    try:
        one = _decode(record)
    except _STRANGE as error:
        hint = f"pip install --upgrade {provider.runtime.distribution}"
        reason = f"its probe holds what no probe may: {error}"
        return Probe(provider.name, State.INSTALLED, reason=reason, hint=hint)
    return replace(one, provider=provider.name)


def _broken(provider: Provider, error: WorkerFailed, patience: int) -> Probe:
    why = error.message.rpartition("the worker process failed: ")[2]
    install = f"pip install --force-reinstall {provider.runtime.distribution}"
    if why.startswith(("it hung", "it was stopped")):
        reason = f"it did not finish trying itself in {patience} seconds"
        hint = f"GPUX_PROBE_TIMEOUT={4 * patience} gpux providers --fresh, if it was only slow; or {install}"
        return Probe(provider.name, State.INSTALLED, reason=reason, hint=hint)
    return Probe(provider.name, State.INSTALLED, reason=f"trying it broke its process: {why}", hint=install)


def _path(name: str) -> Path:
    return settings.home() / "machine" / f"{name}.json"


def _read(path: Path) -> dict[str, Probe]:
    found: dict[str, Probe] = {}
    now = time.time()
    for name, record in read(path).items():
        with contextlib.suppress(*_STRANGE):
            one = _decode(record)
            age = now - float(record["tried"])
            if one.provider == name and (one.state is State.WORKS or 0 <= age < DOUBT):
                found[name] = one
    return found


def _remember(path: Path, tried: Mapping[str, Probe]) -> None:
    records = {
        name: {**json.loads(json.dumps(asdict(one))), "tried": time.time()} for name, one in tried.items()
    }
    write(path, {**read(path), **records})


def _decode(record: Mapping[str, Any]) -> Probe:
    return Probe(
        provider=str(record["provider"]),
        state=State(record["state"]),
        devices=tuple(_device(device) for device in record["devices"]),
        versions={str(name): str(version) for name, version in record["versions"].items()},
        reason=text(record["reason"]),
        hint=text(record["hint"]),
    )


def _device(record: Mapping[str, Any]) -> Device:
    memory = record["memory"]
    return Device(
        name=str(record["name"]),
        kind=str(record["kind"]),
        memory=None if memory is None else whole(memory, least=0, most=1 << 60),
        precisions=tuple(map(str, record["precisions"])),
    )
