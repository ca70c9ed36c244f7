"""The TensorRT provider: ONNX Runtime's TensorrtExecutionProvider, which compiles a graph for one NVIDIA device."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from gpux.provider import Options, Runtime, Setting, setting

from . import _gpu_devices, _shape_profile
from ._nvidia import DEVICE, NvidiaProvider
from ._onnxruntime import CPU
from ._onnxruntime_options import GRAPH, size
from ._precision import PRECISION, computed

CUDA = "CUDAExecutionProvider"
_WORKSPACE = Setting(
    "workspace", "The most device memory while it compiles, such as 4GiB; all when not given."
)
_PROFILES = Setting(
    "profiles",
    "Whether it compiles once for the sizes that the task will ask for; else again whenever one is outside those seen.",
    default="on",
    values=("on", "off"),
)
_LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")  # each needs those before it
_TF32_SINCE = (8, 0)


class Tensorrt(NvidiaProvider):
    """NVIDIA devices, whole graphs compiled; what TensorRT does not take goes to CUDA, then to the CPU."""

    name = "tensorrt"
    runtime = Runtime("onnxruntime-gpu", "TensorrtExecutionProvider", ("onnxruntime",))
    extra = "tensorrt"
    rank = 80  # behind cuda where nothing was measured: compiling takes minutes
    settings: tuple[Setting, ...] = (GRAPH, DEVICE, PRECISION, _WORKSPACE, _PROFILES)
    behind: ClassVar[tuple[str, ...]] = (CUDA, CPU)
    library: ClassVar[str] = "tensorrt"

    def prepare(self) -> None:
        """Load CUDA's libraries, then TensorRT's from its wheels, where those are installed."""
        super().prepare()
        _load()

    def versions(self) -> dict[str, str]:
        """The driver, CUDA and TensorRT."""
        found = _version()
        return super().versions() | ({"tensorrt": found} if found else {})

    def provider_options(self, options: Options) -> dict[str, str]:
        """Device, precision, memory and caches.

        https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
        """
        found = {"device_id": str(self.index(options))}
        precision = computed(options.precision, setting("precision", options.extra, self))
        if precision in {"fp16", "bf16"}:
            found[f"trt_{precision}_enable"] = "True"
        if limit := setting("workspace", options.extra, self):
            found["trt_max_workspace_size"] = str(size(limit, name="workspace", provider=self.name))
        if options.cache is not None:
            folder = str(self._folder(options.cache, precision))
            found |= {"trt_engine_cache_enable": "True", "trt_engine_cache_path": folder}
            found |= {"trt_timing_cache_enable": "True", "trt_timing_cache_path": folder}
        return found

    def graph_options(self, graph: Path | bytes, options: Options) -> dict[str, str]:
        """The range of shapes to compile for, where all of it is known: TensorRT takes no part of it."""
        if setting("profiles", options.extra, self) == "off":
            return {}
        shapes = _shape_profile.ranges(graph, options.dimensions)
        return {
            f"trt_profile_{which}_shapes": ",".join(
                f"{name}:{'x'.join(map(str, shape))}" for name, shape in one.items()
            )
            for which, one in zip(("min", "opt", "max"), shapes, strict=False)
        }

    def behind_options(self, name: str, options: Options) -> dict[str, str]:
        """CUDA on the same device, and as exact."""
        return {"device_id": str(self.index(options)), "use_tf32": "0"} if name == CUDA else {}

    def precision(self, options: Options) -> str:
        """What was compiled for; an fp32 engine rounds to TF32 wherever the device can, which ONNX Runtime cannot turn off."""
        found = computed(options.precision, setting("precision", options.extra, self))
        gpus, index = _gpu_devices.nvidia(), self.index(options)
        capability = gpus[index].capability if index < len(gpus) else None
        rounds = capability is not None and capability >= _TF32_SINCE
        off = os.environ.get("NVIDIA_TF32_OVERRIDE") == "0"
        return "tf32" if found == "fp32" and rounds and not off else found

    def _folder(self, cache: Path, precision: str) -> Path:
        """Engines of another version do not load, and their names do not tell."""
        import onnxruntime

        versions = f"onnxruntime-{onnxruntime.__version__}-tensorrt-{_version() or 'unknown'}"
        folder = cache / f"{versions}-{precision}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@functools.cache
def _load() -> tuple[ctypes.CDLL, ...]:
    """TensorRT's libraries from the folder of the ``tensorrt`` wheels, for the whole process."""
    spec = find_spec("tensorrt_libs")
    found = []
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if sys.platform == "win32":
            os.add_dll_directory(folder)
        for stem in _LIBRARIES:
            form = f"{stem}_[0-9]*.dll" if sys.platform == "win32" else f"lib{stem}.so.*"
            for path in sorted(Path(folder).glob(form)):
                with contextlib.suppress(OSError):  # the error when opening tells what it lacks
                    found.append(ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL))
    return tuple(found)


def _version() -> str:
    """TensorRT's own, of the wheels or of the system; empty where it is not found."""
    names = ("nvinfer_10.dll",) if sys.platform == "win32" else ("libnvinfer.so.10",)
    for library in [*_load(), *map(_gpu_devices.load, [names])]:
        if library is not None and hasattr(library, "getInferLibVersion"):
            number = int(library.getInferLibVersion())  # 101601 is 10.16.1
            return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return ""


provider = Tensorrt()
