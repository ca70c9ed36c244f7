"""The DirectML provider: ONNX Runtime's DmlExecutionProvider, for any DirectX 12 device on Windows."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from gpux.provider import Device, Opened, Options, Runtime, Setting, setting

from ._onnxruntime import OnnxRuntimeProvider
from ._onnxruntime_options import GRAPH, number
from ._onnxruntime_session import OnnxRuntimeSession

_DEVICE = Setting("device", "The adapter's number, counted from 0 as DXGI counts.", default="0", numeric=True)


class DirectMl(OnnxRuntimeProvider):
    """Devices with a DirectX 12 driver."""

    name = "directml"
    runtime = Runtime("onnxruntime-directml", "DmlExecutionProvider", ("onnxruntime",))
    extra = "directml"
    rank = 50
    settings: tuple[Setting, ...] = (GRAPH, _DEVICE)
    systems: ClassVar[tuple[str, ...]] = ("win32",)

    def devices(self) -> tuple[Device, ...]:
        """The adapters that ONNX Runtime found, in DXGI's order; one without a name where it does not tell."""
        adapters = sorted(_adapters().items())
        return tuple(Device(name, "gpu", memory) for _, (name, memory) in adapters) or (
            Device("adapter 0", "gpu"),
        )

    def provider_options(self, options: Options) -> dict[str, str]:
        """The adapter.

        https://onnxruntime.ai/docs/execution-providers/DirectML-ExecutionProvider.html
        """
        return {"device_id": str(self._index(options))}

    def adjust(self, settings: Any) -> None:
        """DirectML takes neither memory patterns nor parallel execution."""
        import onnxruntime

        settings.enable_mem_pattern = False
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL

    def device(self, options: Options) -> str:
        """The name of the adapter that was chosen."""
        index = self._index(options)
        return _adapters().get(index, (f"adapter {index}", None))[0]

    def wrap(self, session: Any, options: Options) -> Opened:
        """A session that lets one thread in at a time."""
        device, precision = self.device(options), self.precision(options)
        return _OneAtATime(session, self.name, self.native(), device, precision)

    def _index(self, options: Options) -> int:
        return number(setting("device", options.extra, self), name="device", provider=self.name)


class _OneAtATime(OnnxRuntimeSession):
    """DirectML's sessions, unlike the others, must not be run by two threads at once (its page, under Configuration)."""

    def __init__(self, session: Any, name: str, native: str, device: str, precision: str) -> None:
        super().__init__(session, name, native, device, precision)
        self._lock = threading.Lock()

    def run(
        self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Run the graph once, after whoever came before."""
        with self._lock:
            return super().run(feeds, outputs)


def _adapters() -> dict[int, tuple[str, int | None]]:
    """DXGI's number → name and memory in bytes, as ONNX Runtime tells since 1.23; empty where it does not."""
    import onnxruntime

    found: dict[int, tuple[str, int | None]] = {}
    listed: Callable[[], Sequence[Any]] = getattr(onnxruntime, "get_ep_devices", tuple)
    for one in listed():
        metadata = dict(one.device.metadata)
        index = str(metadata.get("DxgiAdapterNumber", ""))
        if one.ep_name == "DmlExecutionProvider" and index.isdecimal():
            # In text such as `8192 MB`.
            memory = re.match(r"(\d+) MB", str(metadata.get("DxgiVideoMemory", "")))
            name = str(metadata.get("Description") or f"adapter {index}")
            found[int(index)] = (name, int(memory[1]) << 20 if memory else None)
    return found


provider = DirectMl()
