"""The graphics processors that CUDA and HIP show to this process, in their own order; knows no ONNX Runtime.

Asked of the driver's own library, so that ``CUDA_VISIBLE_DEVICES`` holds and the numbers are those that a runtime takes.
"""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import dataclass
from pathlib import Path

_CUDA = ("nvcuda.dll",) if sys.platform == "win32" else ("libcuda.so.1", "libcuda.so")
_HIP = (
    ("amdhip64_7.dll", "amdhip64_6.dll", "amdhip64.dll")
    if sys.platform == "win32"
    else ("libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so")
)
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_KERNEL_MODULE = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One processor: its name, its memory in bytes, and its compute capability where there is such a thing."""

    name: str
    memory: int | None
    capability: tuple[int, int] | None = None


def nvidia() -> tuple[Gpu, ...]:
    """What the CUDA driver shows; nothing where there is none."""
    library = load(_CUDA)
    try:
        if library is None or library.cuInit(0):
            return ()
        return tuple(_nvidia(library, index) for index in range(_integer(library.cuDeviceGetCount)))
    except AttributeError:  # a library of that name that is another
        return ()


def amd() -> tuple[Gpu, ...]:
    """What HIP shows; nothing where there is none."""
    library = load(_HIP)
    try:
        if library is None:
            return ()
        found = []
        for index in range(_integer(library.hipGetDeviceCount)):
            name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
            named = not library.hipDeviceGetName(name, len(name), index)
            told = not library.hipDeviceTotalMem(ctypes.byref(memory), index)
            label = name.value.decode(errors="replace") if named and name.value else f"AMD GPU {index}"
            found.append(Gpu(label, memory.value if told else None))
        return tuple(found)
    except AttributeError:
        return ()


def nvidia_versions() -> dict[str, str]:
    """The driver's version, and the newest CUDA that it runs; what is not told is left out."""
    found = {}
    if driver := _nvml() or kernel_module(_KERNEL_MODULE):
        found["nvidia driver"] = driver
    library = load(_CUDA)
    if library is not None and hasattr(library, "cuDriverGetVersion"):
        number = _integer(library.cuDriverGetVersion)
        if number:  # 13000 is 13.0
            found["cuda of the driver"] = f"{number // 1000}.{number % 1000 // 10}"
    return found


def _nvidia(library: ctypes.CDLL, index: int) -> Gpu:
    device = ctypes.c_int()
    if library.cuDeviceGet(ctypes.byref(device), index):
        return Gpu(f"NVIDIA GPU {index}", None)
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    named = not library.cuDeviceGetName(name, len(name), device)
    told = not library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    major = _integer(library.cuDeviceGetAttribute, _MAJOR, device)
    minor = _integer(library.cuDeviceGetAttribute, _MINOR, device)
    label = name.value.decode(errors="replace") if named and name.value else f"NVIDIA GPU {index}"
    return Gpu(label, memory.value if told else None, (major, minor) if major else None)


def _nvml() -> str:
    """What nvidia-ml-py tells, where it is installed and the driver answers it."""
    try:
        import pynvml

        pynvml.nvmlInit()
        try:
            told = pynvml.nvmlSystemGetDriverVersion()
        finally:
            pynvml.nvmlShutdown()
    except Exception:  # noqa: BLE001 - an optional library: whatever stops it, the next source is asked
        return ""
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)


def kernel_module(path: Path) -> str:
    """The version in the file that NVIDIA's kernel module keeps; empty where there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    match = re.search(r"NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return match[1] if match else ""


def _integer(function: ctypes._NamedFuncPointer, *arguments: object) -> int:
    """What a function of the driver writes to its first argument; 0 when it fails."""
    found = ctypes.c_int()
    return found.value if not function(ctypes.byref(found), *arguments) else 0


def load(names: tuple[str, ...]) -> ctypes.CDLL | None:
    """The first of these libraries that the system finds."""
    for name in names:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None
