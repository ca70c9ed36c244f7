"""Opens what a plan chose, runs it, and reports where it really ran; knows no task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpux import integrity
from gpux.artifact import Artifact
from gpux.binding import Bindable
from gpux.errors import InvalidInput, PlacementRefused, ProviderUnavailable, RunFailed
from gpux.planning import Plan
from gpux.provider import Bound, Opened, Options, Placement, Provider, together
from gpux.tensors import TensorSpec

if TYPE_CHECKING:
    import numpy as np


class Session:
    """One graph, open on one provider. Safe to run from several threads; a context manager.

    Attributes:
        plan: The choice that it follows.
        placement: Which nodes ran where, as the runtime told when the graph was opened.
        inputs: The graph's inputs.
        outputs: The graph's outputs.
        parts: Every component of the model by name, this one among them; a model of one graph has one.
        own: The placement of this component alone, where ``placement`` is that of all.
    """

    def __init__(self, opened: Opened, plan: Plan, name: str = "model") -> None:
        self._opened: Opened | None = opened
        self.plan = plan
        self.parts: dict[str, Session] = {name: self}
        self.own: Placement = opened.placement()
        self.placement = self.own
        self.inputs: tuple[TensorSpec, ...] = opened.inputs
        self.outputs: tuple[TensorSpec, ...] = opened.outputs
        self._expected = [(spec.name, _dtype(spec.dtype), len(spec.shape)) for spec in opened.inputs]

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run the graph once.

        Args:
            feeds: One array per input, of the input's dtype and rank.
            outputs: Names of the outputs to return; all when ``None``.

        Raises:
            InvalidInput: An input is missing, unknown, or of another dtype or rank.
            RunFailed: The runtime failed, or the session is closed.
        """
        if self._opened is None:
            raise RunFailed("the session is closed", hint="load the model again")
        try:
            for name, dtype, rank in self._expected:
                array = feeds[name]
                if array.dtype != dtype or array.ndim != rank:
                    raise self._refuse(feeds)
        except (AttributeError, LookupError, TypeError):
            raise self._refuse(feeds) from None
        if len(feeds) != len(self._expected):
            raise self._refuse(feeds)
        return self._opened.run(feeds, outputs)

    def bind(
        self,
        pairs: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        held: Mapping[str, np.ndarray],
        moving: bool = False,
    ) -> Bound:
        """Keep tensors where the graph computes, from one run to the next; see :meth:`gpux.provider.Binds.bind`.

        Raises:
            RunFailed: The session is closed.
        """
        if self._opened is None:
            raise RunFailed("the session is closed", hint="load the model again")
        return Bindable(self._opened).bind(pairs, shapes, held=held, moving=moving)

    def close(self) -> None:
        """Let go of the runtime's memory; running afterwards is an error."""
        for part in self.parts.values():
            if part is not self:
                part.close()
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def join(self, parts: Mapping[str, Session]) -> None:
        """Become the last of a model's components: its placement is that of all, and closing it closes them."""
        self.parts = {**parts, **self.parts}
        self.placement = together([part.own for part in self.parts.values()])

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse(self, feeds: Any) -> InvalidInput:
        takes = "it takes " + ", ".join(map(str, self.inputs))
        if not isinstance(feeds, Mapping):
            return InvalidInput(f"the inputs are {type(feeds).__name__}, not a mapping of arrays", hint=takes)
        for name in feeds:
            if all(name != spec.name for spec in self.inputs):
                return InvalidInput(f"the graph has no input `{name}`", hint=takes, input=name)
        for spec in self.inputs:
            if spec.name not in feeds:
                return InvalidInput(f"input `{spec.name}` is missing", hint=takes, input=spec.name)
            array = feeds[spec.name]
            if not hasattr(array, "dtype") or not hasattr(array, "ndim"):
                return InvalidInput(
                    f"input `{spec.name}` is {type(array).__name__}, not an array of {spec.dtype}",
                    hint=takes,
                    input=spec.name,
                )
            if array.dtype != spec.dtype:
                return InvalidInput(
                    f"input `{spec.name}` is {array.dtype}, not {spec.dtype}", hint=takes, input=spec.name
                )
            if array.ndim != len(spec.shape):
                return InvalidInput(
                    f"input `{spec.name}` has {array.ndim} dimensions, not {len(spec.shape)}",
                    hint=takes,
                    input=spec.name,
                )
        return InvalidInput("the inputs do not fit the graph", hint=takes)


def _dtype(name: str) -> np.dtype[Any] | str:
    """The type itself, which compares in a fraction of the time that a name takes; the name where numpy has none."""
    import numpy as np

    try:
        return np.dtype(name)
    except TypeError:
        return name


def open_session(
    artifact: Artifact,
    plan: Plan,
    providers: Mapping[str, Provider],
    *,
    component: str | None = None,
    cache: Path | None = None,
    dimensions: Mapping[str, tuple[int, int, int]] | None = None,
    apart: Mapping[str, tuple[Plan, Path | None]] | None = None,
) -> Session:
    """Open an artifact, or one component of it, as the plan says.

    Args:
        artifact: The model.
        plan: The choice.
        providers: Installed providers by name.
        component: Which graph of it; all, of which the last is given back, when ``None``.
        cache: Where the provider may keep what it compiles.
        dimensions: The sizes that the task will ask for; see :class:`gpux.provider.Options`.
        apart: Components that have a plan of their own → that, and where its provider may keep what it compiles.

    Raises:
        CorruptArtifact: A file was altered since it was stored.
        RunFailed: The runtime refused the graph.
        ProviderUnavailable: The provider took not one node of the graph.
        PlacementRefused: ``strict`` was asked for and part of the graph went elsewhere.
    """
    if component is None:

        def part(name: str) -> Session:
            own, place = (apart or {}).get(name, (plan, cache))
            return open_session(artifact, own, providers, component=name, cache=place, dimensions=dimensions)

        return _together(list(artifact.variant(plan.variant).graphs), part)
    graph = artifact.variant(plan.variant).graphs[component]
    prefix = graph.rpartition("/")[0]
    integrity.check(
        artifact,
        [f.path for f in artifact.manifest.files if f.path == graph or f.path.startswith(f"{prefix}/")],
    )
    options = Options(
        threads=plan.threads,
        precision=plan.variant,
        cache=cache,
        extra=plan.options,
        dimensions=dimensions or {},
    )
    session = Session(providers[plan.provider].open(artifact.path(graph), options), plan, component)
    _accept(session, plan)
    return session


def _together(names: Sequence[str], part: Callable[[str], Session]) -> Session:
    """The last of the components, which holds the others; none stays open where one fails."""
    others: dict[str, Session] = {}
    try:
        for name in names[:-1]:
            others[name] = part(name)
        session = part(names[-1])
    except BaseException:
        for other in others.values():
            other.close()
        raise
    session.join(others)
    return session


def _accept(session: Session, plan: Plan) -> None:
    placement = session.placement
    elsewhere = ", ".join(placement.left_behind) or "nothing"
    if placement.share == 0:
        session.close()
        raise ProviderUnavailable(
            f"provider `{plan.provider}` took none of the graph's {sum(placement.nodes.values())} nodes",
            hint=f"it left behind {elsewhere}; try --provider auto",
            provider=plan.provider,
        )
    if plan.strict and placement.share < 1:
        session.close()
        raise PlacementRefused(
            f"provider `{plan.provider}` took {placement.share:.0%} of the graph, and --strict asks for all of it",
            hint=f"it left behind {elsewhere}; drop --strict to accept that",
            provider=plan.provider,
            share=placement.share,
        )
