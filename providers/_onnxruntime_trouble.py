"""What a runtime or a loader says when a device cannot be used → a reason in words and the line to type; knows no provider."""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import dataclass
from pathlib import Path

_INSTALL = "pip install 'gpux[{extra}]'"
_NVIDIA = "install the NVIDIA driver, then nvidia-smi; in a container, docker run --gpus all"
_AMD = "install ROCm, then sudo apt install migraphx; in a container, docker run --device /dev/kfd --device /dev/dri"
_ROOM = (
    "give smaller batches (--batch-size 1) or a smaller --variant, close other programs on the device, "
    "or try --provider cpu"
)
# What is said (dlopen's, CUDA's, HIP's, DirectML's and ONNX Runtime's own words), the reason, the hint; the first that fits.
# CUDA's numbers: https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html; HIP has the same.
_SAID: tuple[tuple[str, str, str], ...] = (
    (r"libcuda\.so\S*: cannot open|nvcuda\.dll", "no NVIDIA driver can be reached from here", _NVIDIA),
    (
        r"(lib(?:migraphx|amdhip|hsa|hip|roc|MIOpen)[^\s:]*): cannot open",
        "`{0}` is missing, which comes with ROCm",
        _AMD,
    ),
    (r"(lib[^\s:/]+): cannot open shared object", "`{0}` is missing, which {native} needs", _INSTALL),
    (r'depends on "([^"]+)" which is missing', "`{0}` is missing, which {native} needs", _INSTALL),
    (r"Could not find module '[^']*?([^'\\/]+)'", "`{0}` is missing, or a library that it needs", _INSTALL),
    (r"Library not loaded: (\S+)", "`{0}` is missing, which {native} needs", _INSTALL),
    (
        r"undefined symbol: (\S+)|version `([^']+)' not found",
        "a library that {native} needs is of another version than it was built for",
        "pip install --upgrade 'gpux[{extra}]'",
    ),
    (
        r"cuDNN is (?:not available|unavailable)|cuDNN library was not found",
        "`libcudnn` is missing, which {native} needs for this graph",
        _INSTALL,
    ),
    (
        r"CUDA failure 100\b|no CUDA-capable device|[Ii]nvalid device ID: \d+, must be between 0 \(inclusive\) and 0\b",
        "there is no device that this process may use",
        "nvidia-smi -L (rocminfo for AMD); CUDA_VISIBLE_DEVICES or HIP_VISIBLE_DEVICES may hide it",
    ),
    (
        r"HIP failure 100\b|no ROCm-capable device",
        "there is no device that this process may use",
        "rocminfo; HIP_VISIBLE_DEVICES may hide it, and your user must be in the groups render and video",
    ),
    (
        r"CUDA failure (?:35|803)\b|driver version is insufficient",
        "the NVIDIA driver is too old for this build of onnxruntime",
        "nvidia-smi tells the newest CUDA of your driver; install a newer driver, then gpux doctor",
    ),
    (
        r"[Ii]nvalid device ID: (\d+), must be between 0 \(inclusive\) and (\d+)",
        "there is no device {0}: this process sees {1}, counted from 0",
        "--option device=0",
    ),
    (
        r"(?:CUDA|HIP) failure 101\b|invalid device ordinal|887A0002",
        "there is no device of that number",
        "--option device=0",
    ),
    (
        r"(?:CUDA|HIP) failure (?:98|209)\b|no kernel image",
        "the device is older or newer than those that this build of onnxruntime has code for",
        "pip install --upgrade 'gpux[{extra}]', or try --provider cpu",
    ),
    (
        r"graph capture",
        "the graph cannot be captured: every node must run on {native}, and none may branch",
        "--option cuda_graph=off",
    ),
    (
        r"optimization profile|[Pp]rofile shape|profile (?:min|max|opt)",
        "",
        "--option profiles=off, which builds another engine for sizes outside the range",
    ),
    (r"out of memory|(?:CUDA|HIP) failure 2\b|OUT_?OF_?MEMORY|8007000E|OOM|bad_alloc|[Aa]llocat", "", _ROOM),
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a device cannot be used, and what to type."""

    reason: str
    hint: str


def explain(said: str, *, native: str, extra: str) -> Trouble | None:
    """What it means in words; ``None`` where it is nothing that is known here."""
    for pattern, reason, hint in _SAID:
        if match := re.search(pattern, said):
            words = reason.format(*match.groups(), native=native) if reason else first_line(said)
            return Trouble(words, hint.format(extra=extra))
    return None


def unloaded(stem: str) -> str:
    """What the loader says of a provider's own library beside ONNX Runtime; empty when it loads, or there is none.

    ONNX Runtime only logs this for CUDA and goes on with the CPU (seen in 1.31.1).
    """
    import onnxruntime

    folder = Path(onnxruntime.__file__).parent / "capi"
    form = "{}.dll" if sys.platform == "win32" else "lib{}.dylib" if sys.platform == "darwin" else "lib{}.so"
    library = folder / form.format(f"onnxruntime_providers_{stem}")
    if not stem or not library.exists():
        return ""
    try:
        shared = folder / form.format("onnxruntime_providers_shared")
        if shared.exists():  # holds the symbols that the other expects to be there
            ctypes.CDLL(str(shared), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return ""


def first_line(error: object) -> str:
    """What ONNX Runtime says, without its codes, the place in its source, and its further lines."""
    text = str(error).strip().splitlines()
    line = text[0] if text else type(error).__name__
    return re.sub(r"^.*\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)
