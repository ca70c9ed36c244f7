"""An open session whose runs are recorded as CUDA graphs, one per combination of shapes, and replayed from then on.

ONNX Runtime replays what stands at the addresses that it recorded, so each recording has its own arrays on the device:
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html#using-cuda-graphs-preview
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._onnxruntime_session import OnnxRuntimeSession, failed

LIMIT = 16
"""Recordings of one session; shapes that come after that run without one."""
_KEY, _NONE = "gpu_graph_id", "-1"


@dataclass(frozen=True, slots=True)
class _Recording:
    binding: Any
    how: Any
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class CudaGraphSession(OnnxRuntimeSession):
    """Runs one at a time, in a thread of its own: a recording belongs to the thread that made it, and so do its arrays.

    Args:
        index: The number of the device that holds the arrays.
        kind: ONNX Runtime's name for that kind of device; it only records on ``cuda``.
    """

    def __init__(
        self,
        session: Any,
        name: str,
        native: str,
        device: str,
        precision: str,
        *,
        index: int,
        kind: str = "cuda",
    ) -> None:
        super().__init__(session, name, native, device, precision)
        self._where = (kind, index)
        self._recordings: dict[tuple[object, ...], _Recording] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gpux-cuda-graph")

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run the graph once: the first time of a combination of shapes plainly, and then from its recording."""
        names = self._output_names if outputs is None else list(outputs)
        try:
            return self._thread.submit(self._run, feeds, names).result()
        except Exception as error:
            raise failed(self._native, error, self._name) from error

    def close(self) -> None:
        """Let go of the recordings, then of the session; both where they were made."""
        if self._session is not None:
            self._thread.submit(self._release).result()
            self._thread.shutdown()

    def _release(self) -> None:
        self._recordings.clear()
        self._session = None

    def _run(self, feeds: Mapping[str, np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
        arrays = {name: np.asarray(array, order="C") for name, array in feeds.items()}
        shapes = sorted((name, array.shape, array.dtype.str) for name, array in arrays.items())
        key = (*shapes, *names)
        found = self._recordings.get(key)
        if found is None:
            values = dict(zip(names, self._session.run(names, arrays, _how(_NONE)), strict=True))
            if len(self._recordings) < LIMIT and all(map(_fixed, [*arrays.values(), *values.values()])):
                self._recordings[key] = self._bind(arrays, values)
            return values
        for name, array in arrays.items():
            found.inputs[name].update_inplace(array)
        found.binding.synchronize_inputs()
        # The first of these runs records, and ONNX Runtime replays at once what it recorded.
        self._session.run_with_iobinding(found.binding, found.how)
        found.binding.synchronize_outputs()
        return {name: value.numpy() for name, value in found.outputs.items()}

    def _bind(self, arrays: Mapping[str, np.ndarray], values: Mapping[str, np.ndarray]) -> _Recording:
        from onnxruntime import OrtValue

        binding = self._session.io_binding()
        inputs, outputs = (
            {name: OrtValue.ortvalue_from_numpy(array, *self._where) for name, array in some.items()}
            for some in (arrays, values)
        )
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        return _Recording(binding, _how(str(len(self._recordings) + 1)), inputs, outputs)


def _fixed(array: Any) -> bool:
    """Whether it has a place on the device: an array of numbers with at least one."""
    return isinstance(array, np.ndarray) and array.size > 0 and array.dtype.kind in "biuf"


def _how(recording: str) -> Any:
    from onnxruntime import RunOptions

    found = RunOptions()
    found.add_run_config_entry(_KEY, recording)
    return found
