"""The provider contract: six members, and the records that go through them; knows no provider and no runtime."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gpux.errors import UnknownProvider
from gpux.tensors import TensorSpec

if TYPE_CHECKING:
    import numpy as np


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
