"""Tensors that stay between runs, for open graphs that cannot keep them themselves: arrays, handed over each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING

from gpux.provider import Binds, Bound, Opened
from gpux.tensors import TensorSpec, stacked

if TYPE_CHECKING:
    import numpy as np


class Bindable:
    """An open graph that can be bound, whether its runtime knows of that or not.

    Attributes:
        inputs: The graph's inputs.
        outputs: The graph's outputs.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self.inputs: tuple[TensorSpec, ...] = opened.inputs
        self.outputs: tuple[TensorSpec, ...] = opened.outputs

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run once."""
        return self._opened.run(feeds, outputs)

    def bind(
        self,
        pairs: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        held: Mapping[str, np.ndarray],
        moving: bool = False,
    ) -> Bound:
        """Tensors that stay; see :meth:`gpux.provider.Binds.bind`."""
        if isinstance(self._opened, Binds):
            return self._opened.bind(pairs, shapes, held=held, moving=moving)
        return HostBound(self._opened, pairs, shapes, held=held, moving=moving)


class HostBound:
    """The state of a graph as arrays; every run copies what the runtime copies. See :class:`gpux.provider.Bound`.

    Args:
        opened: The open graph.
        pairs: Input → the output that takes its place.
        shapes: Input → shape.
        held: Further inputs that stay as they are.
        moving: Whether the output has a shape of its own.
    """

    def __init__(
        self,
        opened: Opened,
        pairs: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        *,
        held: Mapping[str, np.ndarray],
        moving: bool,
    ) -> None:
        import numpy as np

        del moving  # an output takes the input's place whatever its shape
        types = {spec.name: spec.dtype for spec in opened.inputs}
        self._opened, self._pairs = opened, dict(pairs)
        self._state = {name: np.zeros(shapes[name], types[name]) for name in pairs}
        self._held = dict(held)

    def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Run once."""
        names = [*outputs, *self._pairs.values()]
        found = self._opened.run({**feeds, **self._held, **self._state}, names)
        self._state = {name: found[output] for name, output in self._pairs.items()}
        return {name: found[name] for name in outputs}

    def grow(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Other shapes: each tensor keeps what it holds at its beginning along every axis."""
        import numpy as np

        for name, shape in shapes.items():
            old, new = self._state[name], np.zeros(shape, self._state[name].dtype)
            kept = tuple(slice(min(a, b)) for a, b in zip(old.shape, shape, strict=True))
            new[kept] = old[kept]
            self._state[name] = new

    def pick(self, rows: Sequence[int], *, held: bool = True) -> None:
        """Rows of the first axis in this order."""
        order = list(rows)
        self._state = {name: array[order] for name, array in self._state.items()}
        if held:
            self._held = {name: array[order] for name, array in self._held.items()}

    def fork(self, rows: Sequence[int]) -> HostBound:
        """Another one, with copies of these rows."""
        made = copy(self)
        made.pick(rows)
        return made

    def join(self, other: Bound) -> None:
        """Take another's rows."""
        state, held = other.contents()  # type: ignore[attr-defined]  # the same graph is bound in one way
        self._state = {name: stacked(array, state[name]) for name, array in self._state.items()}
        self._held = {name: stacked(array, held[name]) for name, array in self._held.items()}
        other.close()

    def contents(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What stays: the state, and further inputs."""
        return self._state, self._held

    def close(self) -> None:
        """Let go of the memory."""
        self._state, self._held = {}, {}
