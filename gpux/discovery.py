"""The door through which providers come in: entry points of the group ``gpux.providers``, the built-in ones among them.

Those of the group ``gpux.provider_families`` make several, out of what they find installed. One plug-in that cannot be
loaded, or whose probe raises, keeps no other from working.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from gpux.entry_points import entry_points, packages
from gpux.errors import ProviderError, ProviderUnavailable
from gpux.provider import (
    Opened,
    Options,
    Probe,
    Provider,
    Runtime,
    Setting,
    State,
    computes,
    formats,
    settings,
)

ENTRY_POINTS = "gpux.providers"
FAMILIES = "gpux.provider_families"
"""Each a function of one argument that returns providers. The argument tells the import name and folder of every package on
the path whose name begins with a text (:func:`gpux.entry_points.packages`)."""


@dataclass(slots=True)
class _Guarded:
    """A provider whose probe raises nothing, whatever the plug-in's own does."""

    inner: Provider
    name: str
    runtime: Runtime
    extra: str
    rank: int
    settings: tuple[Setting, ...] = ()
    computes: bool = True
    formats: tuple[str, ...] = (".onnx",)

    def probe(self) -> Probe:
        try:
            probe: object = self.inner.probe()
        except Exception as error:  # noqa: BLE001 - one plug-in's mistake must not stop the others
            return self._broken(f"its probe raised {_said(error)}")
        if isinstance(probe, Probe):
            return probe
        return self._broken(f"its probe returned {type(probe).__name__}, not a Probe")

    def open(self, graph: Path, options: Options, /) -> Opened:
        return self.inner.open(graph, options)

    def _broken(self, reason: str) -> Probe:
        return Probe(self.name, State.INSTALLED, reason=reason, hint=_reinstall(self.runtime.distribution))


@dataclass(slots=True)
class _Unloadable:
    """Stands for a plug-in that cannot be loaded, so that the others can be used and this one says why it cannot."""

    name: str
    runtime: Runtime
    reason: str
    hint: str
    extra: str = ""
    rank: int = -1

    def probe(self) -> Probe:
        return Probe(self.name, State.INSTALLED, reason=self.reason, hint=self.hint)

    def open(self, graph: Path, options: Options, /) -> Opened:
        raise ProviderUnavailable(
            f"provider `{self.name}` cannot run here: {self.reason}", hint=self.hint, provider=self.name
        )


def discover() -> dict[str, Provider]:
    """Every installed provider by name, highest rank first; a plug-in that cannot be loaded comes last and says why.

    Raises:
        ProviderError: Two packages claim one name.
    """
    found: dict[str, _Guarded] = {}
    unloadable: list[_Unloadable] = []
    for name, value in entry_points(ENTRY_POINTS):
        provider = _load(name, value)
        if isinstance(provider, _Unloadable):
            unloadable.append(provider)
            continue
        if (other := found.get(provider.name)) and other != provider:
            raise ProviderError(
                f"two packages bring a provider named `{provider.name}`",
                hint=f"uninstall one of them; `{value}` is the second",
                provider=provider.name,
            )
        found[provider.name] = provider
    for name, value in entry_points(FAMILIES):
        for provider in _family(name, value):
            if isinstance(provider, _Unloadable):
                unloadable.append(provider)
            elif not _claimed(provider, found):
                found[provider.name] = provider
    for broken in unloadable:  # under the entry point's name, unless a provider that was loaded has it
        if broken.name in found:
            broken.name = broken.runtime.native
    everyone: list[Provider] = [*unloadable, *found.values()]
    return {one.name: one for one in sorted(everyone, key=lambda one: -one.rank)}


def _load(name: str, value: str) -> _Guarded | _Unloadable:
    try:
        provider = _named(value)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a foreign module raises while it is imported
        return _broken(name, value, error)
    return _checked(provider, name, value)


def _family(name: str, value: str) -> Iterator[_Guarded | _Unloadable]:
    try:
        for provider in _named(value)(packages):
            yield _checked(provider, name, value)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as above; what it made until then stays
        yield _broken(name, value, error)


def _named(value: str) -> Any:
    module, _, attribute = value.partition(":")
    return getattr(import_module(module), attribute)


def _claimed(provider: _Guarded, found: Mapping[str, _Guarded]) -> bool:
    """Whether a provider that has a line of its own goes by that name, or runs that module."""
    modules = {module for other in found.values() for module in other.runtime.modules}
    return provider.name in found or not modules.isdisjoint(provider.runtime.modules)


def _checked(provider: Any, name: str, value: str) -> _Guarded | _Unloadable:
    kinds = {"name": str, "runtime": Runtime, "extra": str, "rank": int}
    try:
        complete = isinstance(provider, Provider) and all(
            isinstance(getattr(provider, member), kind) for member, kind in kinds.items()
        )
        given: object = settings(provider)
        complete &= isinstance(given, tuple) and all(isinstance(one, Setting) for one in given)
    except Exception:  # noqa: BLE001 - a member may be code
        complete = False
    if not complete:
        reason = (
            f"its plug-in `{value}` is no provider: it needs name, runtime, extra, rank, probe and open, "
            "and settings, if it has any, as a tuple of Setting"
        )
        return _Unloadable(name.lower(), Runtime("", value), reason, "see docs/providers.md for the contract")
    return _Guarded(
        provider,
        provider.name,
        provider.runtime,
        provider.extra,
        provider.rank,
        settings(provider),
        computes(provider),
        formats(provider),
    )


def _broken(name: str, value: str, error: BaseException) -> _Unloadable:
    reason = f"its plug-in `{value}` cannot be loaded ({_said(error)})"
    return _Unloadable(name.lower(), Runtime("", value), reason, _reinstall(""))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0][:200]}"


def _reinstall(distribution: str) -> str:
    return f"reinstall or uninstall {distribution or 'the package that brings it'}"
