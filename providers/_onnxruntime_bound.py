"""Tensors that stay on an ONNX Runtime device between runs: bound once, written in place, or handed on; knows no provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np

from gpux.tensors import stacked

_STATIC = "cpu"


class OnnxRuntimeBound:
    """An I/O binding whose state is bound to input and output alike, so that a kernel that can writes in place.

    Args:
        session: ONNX Runtime's own session.
        device: Where the state lies (``cpu``, ``cuda``).
        pairs: Input of the state → output of the state.
        shapes: Input of the state → shape.
        dtypes: Input → numpy's name of its type.
        held: Further inputs that stay as they are.
        moving: Whether an output is another tensor than its input, which takes its place after the run.
        failed: Makes the error of a run.
    """

    def __init__(
        self,
        session: Any,
        device: str,
        *,
        pairs: Mapping[str, str],
        shapes: Mapping[str, tuple[int, ...]],
        dtypes: Mapping[str, str],
        held: Mapping[str, np.ndarray],
        moving: bool,
        failed: Callable[[Exception], Exception],
    ) -> None:
        self._session, self._device, self._pairs, self._moving = session, device, dict(pairs), moving
        self._failed = failed
        self._binding = session.io_binding()
        self._state = {name: self._value(np.zeros(shapes[name], dtypes[name])) for name in pairs}
        self._held = {name: self._value(array) for name, array in held.items()}
        self._wanted: tuple[str, ...] = ()
        for name, value in self._held.items():
            self._binding.bind_ortvalue_input(name, value)
        self._bind()

    def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Run once."""
        binding = self._binding
        wanted = tuple(outputs)
        try:
            if wanted != self._wanted:
                self._want(wanted)
            for name, array in feeds.items():
                binding.bind_cpu_input(name, np.ascontiguousarray(array))
            for name in wanted:
                binding.bind_output(name, _STATIC)
            if self._moving:
                for name in self._pairs.values():
                    binding.bind_output(name, self._device)
            self._session.run_with_iobinding(binding)
            found = binding.get_outputs()
            answers = {name: found[place].numpy() for place, name in enumerate(wanted)}
        except Exception as error:
            raise self._failed(error) from error
        if self._moving:
            for place, name in enumerate(self._pairs, len(wanted)):
                self._state[name] = found[place]
                binding.bind_ortvalue_input(name, found[place])
        return answers

    def grow(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Other shapes: each tensor keeps what it holds at its beginning along every axis."""
        for name, shape in shapes.items():
            old = self._state[name].numpy()
            new = np.zeros(shape, old.dtype)
            kept = tuple(slice(min(a, b)) for a, b in zip(old.shape, shape, strict=True))
            new[kept] = old[kept]
            self._state[name] = self._value(new)
        self._bind()

    def pick(self, rows: Sequence[int], *, held: bool = True) -> None:
        """Rows of the first axis in this order."""
        order = list(rows)
        self._state = {name: self._value(value.numpy()[order]) for name, value in self._state.items()}
        for name, value in self._held.items() if held else ():
            if order != list(range(len(array := value.numpy()))):
                self._held[name] = self._value(array[order])
                self._binding.bind_ortvalue_input(name, self._held[name])
        self._bind()

    def fork(self, rows: Sequence[int]) -> OnnxRuntimeBound:
        """Another one, with copies of these rows."""
        made, order = copy(self), list(rows)
        made.fill(*({n: v[order] for n, v in kept.items()} for kept in self.contents()), fresh=True)
        return made

    def join(self, other: Any) -> None:
        """Take another's rows."""
        both = zip(self.contents(), other.contents(), strict=True)
        self.fill(*({n: stacked(v, more[n]) for n, v in kept.items()} for kept, more in both))
        other.close()

    def contents(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What stays: the state, and further inputs."""
        state, held = ({n: v.numpy() for n, v in one.items()} for one in (self._state, self._held))
        return state, held

    def fill(
        self, state: Mapping[str, np.ndarray], held: Mapping[str, np.ndarray], *, fresh: bool = False
    ) -> None:
        """Keep this from now on; in a binding of its own where it is another's copy."""
        self._binding = self._session.io_binding() if fresh else self._binding
        self._state, self._held = ({n: self._value(v) for n, v in kept.items()} for kept in (state, held))
        for name, value in self._held.items():
            self._binding.bind_ortvalue_input(name, value)
        self._bind()

    def close(self) -> None:
        """Let go of the memory."""
        self._binding.clear_binding_inputs()
        self._binding.clear_binding_outputs()
        self._state, self._held = {}, {}

    def _value(self, array: np.ndarray) -> Any:
        import onnxruntime

        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), self._device, 0)

    def _bind(self) -> None:
        for name, value in self._state.items():
            self._binding.bind_ortvalue_input(name, value)
        self._want(self._wanted)

    def _want(self, wanted: tuple[str, ...]) -> None:
        # The outputs come back in the order in which they were first bound: those that are wanted before the state.
        self._wanted = wanted
        self._binding.clear_binding_outputs()
        for name in wanted:
            self._binding.bind_output(name, _STATIC)
        for name, output in self._pairs.items():
            if self._moving:
                self._binding.bind_output(output, self._device)
            else:
                self._binding.bind_ortvalue_output(output, self._state[name])
