"""Tries providers in a process of their own, so that one that crashes or hangs costs an answer and not the program.

What was found is kept under the machine's key, so that choosing costs nothing the next time.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpux import settings
from gpux.errors import WorkerFailed
from gpux.machine.files import read, write
from gpux.machine.key import key
from gpux.provider import Device, Probe, Provider, State
from gpux.worker import parent

PATIENCE = 90.0
"""Seconds that one provider gets to compute three nodes: some build an engine first."""

DOUBT = 600.0
"""Seconds after which a provider that did not work is tried again: what kept it may have been mended outside GPUX's sight."""

_TOGETHER = 4


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
    wanted = [name for name in providers if names is None or name in set(names)]
    look = cache(_found)
    found = {name: _missing(providers[name], look) for name in wanted}
    open_questions = [name for name in wanted if found[name] is None]
    if open_questions:
        path = _path(machine or key(providers))
        remembered = {} if fresh else _read(path)
        found |= {name: remembered[name] for name in open_questions if name in remembered}
        tried = _try({name: providers[name] for name in open_questions if found[name] is None})
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
    for provider in providers.values():
        groups.setdefault(provider.runtime.modules[:1], []).append(provider)
    with ThreadPoolExecutor(_TOGETHER) as pool:
        return {name: one for found in pool.map(_try_group, groups.values()) for name, one in found.items()}


def _try_group(group: list[Provider]) -> dict[str, Probe]:
    found: dict[str, Probe] = {}
    worker: parent.Worker | None = None
    bounds = replace(parent.limits(), timeout=PATIENCE, stall=PATIENCE)
    try:
        for provider in group:
            try:
                worker = worker or parent.Worker("gpux.machine.prober", bounds=bounds)
                found[provider.name] = _decode(worker.ask({"provider": provider.name}))
            except WorkerFailed as error:
                found[provider.name] = _broken(provider, error)
                if worker is not None:
                    worker.close()
                    worker = None
    finally:
        if worker is not None:
            worker.close()
    return found


def _broken(provider: Provider, error: WorkerFailed) -> Probe:
    why = error.message.rpartition("the worker process failed: ")[2]
    install = f"pip install --force-reinstall {provider.runtime.distribution}"
    return Probe(provider.name, State.INSTALLED, reason=f"trying it broke its process: {why}", hint=install)


def _path(name: str) -> Path:
    return settings.home() / "machine" / f"{name}.json"


def _read(path: Path) -> dict[str, Probe]:
    found: dict[str, Probe] = {}
    now = time.time()
    for name, record in read(path).items():
        with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
            one = _decode(record)
            age = now - float(record["tried"])
            if one.state is State.WORKS or 0 <= age < DOUBT:
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
        devices=tuple(
            Device(**{**device, "precisions": tuple(device["precisions"])}) for device in record["devices"]
        ),
        versions={str(name): str(version) for name, version in record["versions"].items()},
        reason=record["reason"],
        hint=record["hint"],
    )
