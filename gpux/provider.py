"""The provider contract: six members, a seventh for those with settings, and the records that go through them.

Knows no provider and no runtime.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from gpux.errors import InvalidSetting, UnknownProvider
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
    """The software behind a provider.

    Attributes:
        distribution: The distribution on the package index that brings it.
        native: The runtime's own name for the provider.
        modules: Import names of which one must be found, or the provider is missing and need not be tried.
    """

    distribution: str
    native: str
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """A device that a provider can run on.

    Attributes:
        name: As its maker calls it.
        kind: ``cpu``, ``gpu``, ``npu`` …
        memory: Bytes, where the runtime tells.
        precisions: What it really computes in, where the runtime tells (``fp32``, ``bf16`` …): others are accepted and become
            one of these.
    """

    name: str
    kind: str
    memory: int | None = None
    precisions: tuple[str, ...] = ()


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
class Setting:
    """One setting of a provider, which users give as ``--option NAME=VALUE``.

    Attributes:
        name: Lower case, such as ``precision``.
        help: One line for people.
        default: Its value when it is not given; ``""`` where the provider decides.
        values: What it may be; anything when empty.
        race: Those of its values that are worth measuring against each other.
        refine: Those that matter to few models, and are measured on a race's best candidate where there is time.
        numeric: Whether it can change the numbers that come out, so that each value needs a proof of its own.
    """

    name: str
    help: str
    default: str = ""
    values: tuple[str, ...] = ()
    race: tuple[str, ...] = ()
    refine: tuple[str, ...] = ()
    numeric: bool = False


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


def together(placements: Sequence[Placement]) -> Placement:
    """Where the nodes of several graphs of one model went, as one."""
    first = placements[0]
    if len(placements) == 1:
        return first
    nodes: dict[str, int] = {}
    taken = 0.0
    for one in placements:
        taken += one.share * sum(one.nodes.values())
        for name, count in one.nodes.items():
            nodes[name] = nodes.get(name, 0) + count
    names = {one.provider: one.device for one in placements}
    left = sorted({operator for one in placements for operator in one.left_behind})
    return Placement(
        provider="+".join(names),
        device="+".join(dict.fromkeys(names.values())),
        precision="+".join(dict.fromkeys(one.precision for one in placements)),
        nodes=nodes,
        share=taken / (sum(nodes.values()) or 1),
        left_behind=tuple(left),
    )


@dataclass(frozen=True, slots=True)
class Options:
    """How to open a graph.

    Attributes:
        threads: Intra-op threads, at least 1.
        precision: The precision of the graph's weights.
        cache: A directory for compiled engines of this graph alone, created when used; none may be kept when ``None``.
        extra: The provider's settings that were given, by name, checked by :func:`check`; a name that begins with
            ``runtime.`` goes to the runtime as it stands behind that.
        dimensions: Symbolic dimension of the graph's inputs → (smallest, usual, largest) size that the task will ask for,
            for runtimes that compile for a range; empty where nobody knows.
    """

    threads: int
    precision: str = "fp32"
    cache: Path | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    dimensions: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


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


class Bound(Protocol):
    """A graph with tensors that stay where it computes, from one run to the next. For one thread at a time."""

    def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Run once: arrays for the inputs that do not stay, arrays for the outputs that are named."""
        ...

    def grow(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Make room, or give some up: each tensor keeps what it holds at its beginning along every axis."""
        ...

    def pick(self, rows: Sequence[int], *, held: bool = True) -> None:
        """Put rows of the first axis in this order, in what stays and, where asked, in what is held; one may come several times."""
        ...

    def fork(self, rows: Sequence[int]) -> Bound:
        """Another one, that begins with a copy of these rows."""
        ...

    def join(self, other: Bound) -> None:
        """Take the rows of another one of the same graph behind its own; where the third axis is shorter, zeros come before it.

        The other one is not used any more.
        """
        ...

    def close(self) -> None:
        """Let go of the memory."""
        ...


@runtime_checkable
class Binds(Protocol):
    """An open graph that can keep tensors where it computes; optional, see :class:`Opened`."""

    def bind(
        self,
        pairs: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        held: Mapping[str, np.ndarray],
        moving: bool = False,
    ) -> Bound:
        """Tensors that stay: input → the output that is written over it, zeros at first.

        Args:
            pairs: Input → output.
            shapes: Input → shape.
            held: Further inputs that are the same in every run.
            moving: Whether an output has a shape of its own, and takes the input's place after the run.
        """
        ...


@runtime_checkable
class Provider(Protocol):
    """One way to run a graph. One that has settings lists them as a seventh member, ``settings``; see :func:`settings`.

    One that opens other graphs than ONNX lists their endings as ``formats``; see :func:`formats`.

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
    # Lower case on both sides: capitals that differ must not outweigh the letters.
    names = {
        one.lower(): one for one in (*(p.runtime.native for p in providers.values()), *providers, "auto")
    }
    close = [names[one] for one in difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)]
    raise UnknownProvider(
        f"there is no provider `{name}` in this installation",
        hint=f"did you mean `{close[0]}`"
        if close
        else f"providers here are {', '.join(providers)}; see gpux providers",
        provider=name,
    )


RUNTIME = "runtime."
"""What a setting's name begins with when it is meant for the runtime as it stands."""


def settings(provider: Provider) -> tuple[Setting, ...]:
    """The provider's settings; none where it has no such member."""
    found: tuple[Setting, ...] = getattr(provider, "settings", ())
    return found


def computes(provider: Provider) -> bool:
    """Whether its outputs mean anything: one that says ``computes = False`` is a test double, which no proof could pass."""
    return bool(getattr(provider, "computes", True))


def formats(provider: Provider) -> tuple[str, ...]:
    """Endings of the graphs that the provider opens; ``.onnx`` alone where it has no such member."""
    found: tuple[str, ...] = getattr(provider, "formats", (".onnx",))
    return found


def setting(name: str, given: Mapping[str, str], provider: Provider) -> str:
    """The value of one setting: as given, else its default."""
    return given.get(name) or next(one.default for one in settings(provider) if one.name == name)


def check(provider: Provider, given: Mapping[str, str]) -> dict[str, str]:
    """The settings that were given for a provider, if it has them all.

    Raises:
        InvalidSetting: It lacks one, or one cannot have that value; the hint names the closest.
    """
    known = {one.name: one for one in settings(provider)}
    for name, value in given.items():
        if name.startswith(RUNTIME):
            continue
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            listed = f"its options are {', '.join(known)}" if known else "it has none"
            raise InvalidSetting(
                f"provider `{provider.name}` has no option `{name}`",
                hint=f"did you mean `{close[0]}`" if close else listed,
                provider=provider.name,
                setting=name,
            )
        values = known[name].values
        if values and value not in values:
            raise InvalidSetting(
                f"option `{name}` of provider `{provider.name}` is `{value}`",
                hint=f"use one of {', '.join(values)}",
                provider=provider.name,
                setting=name,
            )
    return dict(given)
