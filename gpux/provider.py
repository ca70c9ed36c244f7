"""The provider contract, and the door through which providers come in; knows no provider and no runtime.

A provider is one object with six members (:class:`Provider`), published as an entry point of the group
``gpux.providers``. The built-in ones come in the same way.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gpux.errors import ProviderError, ProviderUnavailable, UnknownProvider
from gpux.tensors import TensorSpec

if TYPE_CHECKING:
    import numpy as np

ENTRY_POINTS = "gpux.providers"


class State(StrEnum):
    """How far a provider got on this machine; each state includes the ones before it."""

    MISSING = "missing"
    INSTALLED = "installed"
    LISTED = "listed"
    WORKS = "works"


@dataclass(frozen=True, slots=True)
class Runtime:
    """The software behind a provider: the distribution on the package index, and the runtime's own name for it."""

    distribution: str
    native: str


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a provider can run on; ``memory`` in bytes where the runtime tells."""

    name: str
    kind: str
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a provider found when it tried itself.

    Attributes:
        provider: The provider's name.
        state: How far it got.
        devices: The devices it would run on.
        versions: Package or driver → version.
        reason: Why it is not further, or ``None`` when it works.
        hint: The line to type to get further, or ``None``.
    """

    provider: str
    state: State
    devices: tuple[Device, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    reason: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Which nodes ran where, as the runtime tells after it opened the graph.

    Attributes:
        provider: The provider that was wanted.
        device: Its device's name.
        precision: The precision it really computes in (``fp32`` …).
        nodes: The runtime's own provider name → number of nodes.
        share: Nodes on the wanted provider / all nodes, from 0 to 1.
        left_behind: Operator types that went elsewhere.
    """

    provider: str
    device: str
    precision: str
    nodes: Mapping[str, int]
    share: float
    left_behind: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.provider} ({self.device}, {self.precision}, {self.share:.0%} of {sum(self.nodes.values())} nodes)"


@dataclass(frozen=True, slots=True)
class Options:
    """How to open a graph.

    Attributes:
        threads: Intra-op threads, at least 1.
        precision: The precision of the graph's weights.
        cache: A directory for compiled engines of this graph, created when used.
        extra: Options of one provider, by its runtime's own names.
    """

    threads: int
    precision: str = "fp32"
    cache: Path | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


class Opened(Protocol):
    """A graph that a provider opened. Safe to run from several threads at once."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...
    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...
    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Arrays in by input name, arrays out by output name (all outputs when ``None``)."""
        ...

    def placement(self) -> Placement: ...
    def close(self) -> None: ...


@runtime_checkable
class Provider(Protocol):
    """One way to run a graph.

    Attributes:
        name: GPUX's name for it (``cpu``, ``openvino``).
        runtime: The software behind it.
        extra: What ``pip install 'gpux[…]'`` brings it.
        rank: Higher goes first where nothing was measured; negative is never chosen by ``auto``.
    """

    name: str
    runtime: Runtime
    extra: str
    rank: int

    def probe(self) -> Probe:
        """Try the provider on this machine, up to running :mod:`gpux.selftest`'s graph; raises nothing."""
        ...

    def open(self, graph: Path, options: Options, /) -> Opened:
        """Open a graph file.

        Raises:
            gpux.errors.RunFailed: The runtime refused the graph.
            gpux.errors.ProviderUnavailable: The runtime is not here.
        """
        ...


@dataclass(slots=True)
class _Guarded:
    """A provider whose probe raises nothing, whatever the plug-in's own does."""

    inner: Provider
    name: str
    runtime: Runtime
    extra: str
    rank: int

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
    from gpux.entry_points import entry_points

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
    for broken in unloadable:  # under the entry point's name, unless a provider that was loaded has it
        if broken.name in found:
            broken.name = broken.runtime.native
    everyone: list[Provider] = [*unloadable, *found.values()]
    return {one.name: one for one in sorted(everyone, key=lambda one: -one.rank)}


def find(name: str, providers: Mapping[str, Provider]) -> Provider:
    """The provider of that name, or of that runtime's own name (``CPUExecutionProvider``).

    Raises:
        UnknownProvider: There is none; the hint names the closest.
    """
    for provider in providers.values():
        if name.lower() == provider.name or name == provider.runtime.native:
            return provider
    names = ["auto", *providers, *(p.runtime.native for p in providers.values())]
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    raise UnknownProvider(
        f"there is no provider `{name}` in this installation",
        hint=f"did you mean `{close[0]}`"
        if close
        else f"providers here are {', '.join(providers)}; see gpux providers",
        provider=name,
    )


def _load(name: str, value: str) -> _Guarded | _Unloadable:
    module, _, attribute = value.partition(":")
    try:
        provider = getattr(import_module(module), attribute)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a foreign module raises while it is imported
        reason = f"its plug-in `{value}` cannot be loaded ({_said(error)})"
        return _Unloadable(name.lower(), Runtime("", value), reason, _reinstall(""))
    kinds = {"name": str, "runtime": Runtime, "extra": str, "rank": int}
    try:
        complete = isinstance(provider, Provider) and all(
            isinstance(getattr(provider, member), kind) for member, kind in kinds.items()
        )
    except Exception:  # noqa: BLE001 - a member may be code
        complete = False
    if not complete:
        reason = f"its plug-in `{value}` is no provider: it needs name, runtime, extra, rank, probe and open"
        return _Unloadable(name.lower(), Runtime("", value), reason, "see docs/providers.md for the contract")
    return _Guarded(provider, provider.name, provider.runtime, provider.extra, provider.rank)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0][:200]}"


def _reinstall(distribution: str) -> str:
    return f"reinstall or uninstall {distribution or 'the package that brings it'}"
