"""The ROCm provider: AMD devices through MIGraphX, or through ONNX Runtime's own ROCm kernels where a build before 1.23 has them."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Any, ClassVar

from gpux.provider import Device, Opened, Options, Placement, Runtime, Setting, setting

from . import _gpu_devices
from ._onnxruntime import OnnxRuntimeProvider
from ._onnxruntime_options import GRAPH, number, size
from ._onnxruntime_session import OnnxRuntimeSession
from ._precision import PRECISION, computed

OLD = "ROCMExecutionProvider"
_DEVICE = Setting("device", "The device's number, counted from 0 as HIP counts.", default="0", numeric=True)
_MEMORY = Setting(
    "memory_limit", "The most device memory for tensors, such as 4GiB; all of it when not given."
)
_TUNE = Setting(
    "tune",
    "Whether MIGraphX tries every kernel while it compiles: much slower to open, perhaps quicker to run.",
    default="off",
    values=("off", "on"),
)
_LIBRARIES = ("libamdhip64.so.*", "libmigraphx_c.so.*")


class Rocm(OnnxRuntimeProvider):
    """AMD devices, whole graphs compiled by MIGraphX."""

    name = "rocm"
    runtime = Runtime("onnxruntime-migraphx", "MIGraphXExecutionProvider", ("onnxruntime",))
    extra = "rocm"
    rank = 85
    settings: tuple[Setting, ...] = (GRAPH, _DEVICE, PRECISION, _MEMORY, _TUNE)
    library: ClassVar[str] = "migraphx"
    systems: ClassVar[tuple[str, ...]] = ("linux",)

    def native(self) -> str:
        """MIGraphX, or the ROCm kernels where the build lists only those."""
        try:
            from onnxruntime import get_available_providers
        except ImportError:
            return self.runtime.native
        here = get_available_providers()
        return OLD if OLD in here and self.runtime.native not in here else self.runtime.native

    def prepare(self) -> None:
        """Load HIP and MIGraphX from ROCm's own folder, which the loader may not know."""
        import onnxruntime

        if hasattr(onnxruntime, "set_default_logger_severity"):
            onnxruntime.set_default_logger_severity(4)
        folder = Path(os.environ.get("ROCM_PATH") or "/opt/rocm") / "lib"
        for form in _LIBRARIES:
            for path in sorted(folder.glob(form)):
                with contextlib.suppress(OSError):  # the error when opening tells what it lacks
                    ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)

    def devices(self) -> tuple[Device, ...]:
        """The devices that HIP shows to this process."""
        return tuple(Device(gpu.name, "gpu", gpu.memory) for gpu in _gpu_devices.amd())

    def provider_options(self, options: Options) -> dict[str, str]:
        """Device, precision, memory and the cache of compiled models.

        https://onnxruntime.ai/docs/execution-providers/MIGraphX-ExecutionProvider.html
        """
        index = number(setting("device", options.extra, self), name="device", provider=self.name)
        limit = setting("memory_limit", options.extra, self)
        memory = str(size(limit, name="memory_limit", provider=self.name)) if limit else ""
        if self.native() == OLD:
            return {"device_id": str(index)} | ({"gpu_mem_limit": memory} if memory else {})
        found = {"device_id": str(index)} | ({"migraphx_mem_limit": memory} if memory else {})
        precision = computed(options.precision, setting("precision", options.extra, self))
        if options.precision == "fp32" and precision != "fp32":
            found[f"migraphx_{precision}_enable"] = "1"
        tuned = setting("tune", options.extra, self) == "on"
        if tuned:
            found["migraphx_exhaustive_tune"] = "1"
        if options.cache is not None:
            import onnxruntime

            folder = (
                options.cache
                / f"onnxruntime-{onnxruntime.__version__}-migraphx-{precision}{'-tuned' if tuned else ''}"
            )
            folder.mkdir(parents=True, exist_ok=True)
            found["migraphx_model_cache_dir"] = str(folder)
        return found

    def session_options(self, options: Options) -> dict[str, str]:
        """Builds that old do not tell where nodes went, so that the whole graph must go to the device, or nothing."""
        return {"session.disable_cpu_ep_fallback": "1"} if self.native() == OLD else {}

    def precision(self, options: Options) -> str:
        """What MIGraphX was told to compute in; the old kernels follow the graph."""
        if self.native() == OLD:
            return options.precision
        return computed(options.precision, setting("precision", options.extra, self))

    def device(self, options: Options) -> str:
        """The name of the device that was chosen."""
        devices = self.devices()
        index = number(setting("device", options.extra, self), name="device", provider=self.name)
        return devices[index].name if index < len(devices) else f"AMD GPU {index}"

    def wrap(self, session: Any, options: Options) -> Opened:
        """A session whose placement the runtime tells, or of which it is known beforehand."""
        if self.native() != OLD:
            return super().wrap(session, options)
        return _Whole(session, self.name, OLD, self.device(options), self.precision(options))


class _Whole(OnnxRuntimeSession):
    def placement(self) -> Placement:
        """The whole graph, counted as one: it would not have opened otherwise."""
        return Placement(self._name, self._device, self._precision, {self._native: 1}, 1.0)


provider = Rocm()
