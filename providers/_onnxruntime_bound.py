"""Tensors that stay on an ONNX Runtime device between runs: bound once, written in place, or handed on; knows no provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

_STATIC, _SMALL = "cpu", 64


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
        self._session, self._device, self._failed = session, device, failed
        self._pairs, self._moving = dict(pairs), moving
        self._binding = session.io_binding()
        self._state = {name: self._value(np.zeros(shapes[name], dtypes[name])) for name in pairs}
        self._held = {name: self._value(array) for name, array in held.items()}
        self._wanted: tuple[str, ...] = ()
        self._fed: dict[str, np.ndarray] = {}
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
                fed = self._fed.get(name)
                if fed is not None and fed.shape == array.shape and fed.dtype == array.dtype:
                    fed[...] = array
                else:
                    self._feed(name, array)
            for name in wanted:
                binding.bind_output(name, _STATIC)
            if self._moving:
                for name in self._pairs.values():
                    binding.bind_output(name, self._device)
            self._session.run_with_iobinding(binding)
            # Wrapping a state of 60 tensors that nobody looks at takes longer than all else here together.
            found = (binding if self._moving else getattr(binding, "_iobinding", binding)).get_outputs()
            answers = {name: found[place].numpy() for place, name in enumerate(wanted)}
        except Exception as error:
            raise self._failed(error) from error
        if self._moving:
            for place, name in enumerate(self._pairs, len(wanted)):
                self._state[name] = found[place]
                binding.bind_ortvalue_input(name, found[place])
        return answers

    def _feed(self, name: str, array: np.ndarray) -> None:
        """Bind an input; a small one that the runtime reads where it lies is written over in later runs, which is quicker."""
        small = array.size <= _SMALL and self._device == _STATIC  # elsewhere it is copied when it is bound
        bound = np.array(array) if small else np.ascontiguousarray(array)
        self._binding.bind_cpu_input(name, bound)
        if small:
            self._fed[name] = bound
        else:
            self._fed.pop(name, None)

    def grow(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Other shapes: each tensor keeps what it holds at its beginning along every axis; all of them change, or none."""

        def resized(name: str, value: Any) -> Any:
            old = value.numpy()
            new = np.zeros(shapes.get(name, old.shape), old.dtype)
            kept = tuple(slice(min(a, b)) for a, b in zip(old.shape, new.shape, strict=True))
            new[kept] = old[kept]
            return self._value(new)

        self._replace(resized)

    def pick(self, rows: Sequence[int], *, held: bool = True) -> None:
        """Rows of the first axis in this order."""
        order = list(rows)
        self._replace(lambda _, value: self._value(value.numpy()[order]))
        for name, value in self._held.items() if held else ():
            if order != list(range(len(array := value.numpy()))):
                self._held[name] = self._value(array[order])
                self._binding.bind_ortvalue_input(name, self._held[name])

    def contents(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What stays: the state, and further inputs."""
        state = {name: value.numpy() for name, value in self._state.items()}
        return state, {name: value.numpy() for name, value in self._held.items()}

    def close(self) -> None:
        """Let go of the memory."""
        self._binding.clear_binding_inputs()
        self._binding.clear_binding_outputs()
        self._state, self._held = {}, {}

    def _replace(self, change: Callable[[str, Any], Any]) -> None:
        self._state = {name: change(name, value) for name, value in self._state.items()}
        self._bind()

    def _value(self, array: np.ndarray) -> Any:
        import onnxruntime

        array = np.ascontiguousarray(array)
        try:
            return onnxruntime.OrtValue.ortvalue_from_numpy(array, self._device, 0)
        except Exception as error:  # the device has no room for it
            raise self._failed(error) from error

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
