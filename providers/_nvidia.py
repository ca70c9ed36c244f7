"""What the providers on NVIDIA devices share: CUDA's libraries loaded before they are needed, devices, driver."""

from __future__ import annotations

import contextlib
import functools
import io
import threading
from typing import ClassVar

from gpux.provider import Device, Options, Setting, setting

from . import _gpu_devices
from ._onnxruntime import OnnxRuntimeProvider
from ._onnxruntime_options import number

DEVICE = Setting("device", "The device's number, counted from 0 as CUDA counts.", default="0", numeric=True)
_SILENT = 4
_LOCK = threading.Lock()  # standard output is the whole process's: it is turned away once, by one thread


class NvidiaProvider(OnnxRuntimeProvider):
    """An execution provider of onnxruntime-gpu."""

    systems: ClassVar[tuple[str, ...]] = ("linux", "win32")

    def devices(self) -> tuple[Device, ...]:
        """The devices that CUDA shows to this process."""
        return tuple(Device(gpu.name, "gpu", gpu.memory) for gpu in _gpu_devices.nvidia())

    def versions(self) -> dict[str, str]:
        """The CUDA that ONNX Runtime was built for, and the driver."""
        import onnxruntime

        built = getattr(onnxruntime, "cuda_version", "")
        return ({"cuda": str(built)} if built else {}) | _gpu_devices.nvidia_versions()

    def prepare(self) -> None:
        """Load CUDA and cuDNN from the nvidia wheels, or from where the system has them."""
        with _LOCK:
            _preload()

    def index(self, options: Options) -> int:
        """The number of the device that was chosen."""
        return number(setting("device", options.extra, self), name="device", provider=self.name)

    def device(self, options: Options) -> str:
        """The name of the device that was chosen."""
        devices, index = self.devices(), self.index(options)
        return devices[index].name if index < len(devices) else f"NVIDIA GPU {index}"


@functools.cache
def _preload() -> None:
    import onnxruntime

    # The provider's library that does not load is logged with a code of its own; what it lacks is told by the error.
    if hasattr(onnxruntime, "set_default_logger_severity"):
        onnxruntime.set_default_logger_severity(_SILENT)
    preload = getattr(onnxruntime, "preload_dlls", None)
    if preload is not None:  # since 1.21; it prints to standard output, where a user's results belong
        with contextlib.redirect_stdout(io.StringIO()):
            preload()
