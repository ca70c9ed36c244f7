"""Whether the CUDA that onnxruntime-gpu was built for finds its driver and its libraries; loads none of them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gpux.devices import Accelerator
from gpux.doctor import accelerators as advice
from gpux.doctor.check import Check
from gpux.doctor.packages import CPU, Package

_GPU = "onnxruntime-gpu"

# https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html: a runtime of one major version
# runs on every driver from these on. Windows: the release notes of CUDA 12; those of CUDA 13 name no other number.
_DRIVERS: dict[int, tuple[int, ...]] = {11: (450, 80, 2), 12: (525, 60, 13), 13: (580,)}
_WINDOWS_DRIVERS: dict[int, tuple[int, ...]] = {11: (452, 39), 12: (528, 33), 13: (580,)}


def check(
    packages: Sequence[Package],
    accelerators: Sequence[Accelerator],
    *,
    driver: tuple[int, ...] | None,
    lacking: Sequence[str] | None = None,
    root: Path = Path("/"),
) -> list[Check]:
    """Findings about onnxruntime-gpu; none without it. A GPU that has no driver is another look's finding.

    ``lacking`` names the libraries that were not found; they are looked for where it is ``None``.
    """
    package = next((one for one in packages if one.name == _GPU), None)
    if package is None:
        return []
    if not any(one.vendor == "nvidia" for one in accelerators):
        if sum(one.runtime for one in packages) > 1:  # which is the finding, with a line for both
            return []
        finding = f"{_GPU} {package.version} is installed, and there is no NVIDIA GPU: it runs on the CPU"
        return [Check("cuda", "note", finding, f"pip uninstall -y {_GPU} && {CPU}")]
    wanted = built_for(package)
    if wanted is None:
        return [Check("cuda", "ok", f"{_GPU} {package.version} does not say which CUDA it was built for")]
    checks = []
    least = (_WINDOWS_DRIVERS if sys.platform == "win32" else _DRIVERS).get(wanted)
    if driver and least and driver < least:
        finding = f"driver {_dotted(driver)} is too old for CUDA {wanted}, which {_GPU} {package.version} uses: it needs {_dotted(least)}"
        checks.append(Check("cuda", "fail", finding, advice.driver_line(root)))
    missing = missing_libraries(package, wanted, root=root) if lacking is None else lacking
    if missing:
        finding = f"{_GPU} {package.version} uses libraries of CUDA {wanted} that are not here: {', '.join(missing)}"
        checks.append(Check("cuda", "fail", finding, f"pip install '{_GPU}[cuda,cudnn]=={package.version}'"))
    said = f", on driver {_dotted(driver)}" if driver else ""
    return checks or [
        Check("cuda", "ok", f"{_GPU} {package.version} finds the libraries of CUDA {wanted}{said}")
    ]


def built_for(package: Package) -> int | None:
    """The major version of CUDA that an onnxruntime-gpu was built for: as its build says, else by its requirements."""
    try:
        text = (package.folder / "onnxruntime/capi/build_and_package_info.py").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^cuda_version = ['\"](\d+)", text, re.MULTILINE)
    found = found or re.search(r"nvidia-cudnn-cu(\d+)", " ".join(package.requires))
    return int(found[1]) if found else None


def missing_libraries(package: Package, cuda: int, *, root: Path = Path("/")) -> tuple[str, ...]:
    """The libraries that it opens and that lie in no folder where they are looked for."""
    names = _libraries(cuda, windows=sys.platform == "win32")
    folders = [package.folder, *map(Path, sys.path)] if root == Path("/") else [package.folder]
    places = list(_places(folders, os.environ if root == Path("/") else {}))
    try:  # what the loader knows, by name
        cache = (root / "etc/ld.so.cache").read_bytes()
    except OSError:
        cache = b""
    return tuple(
        name
        for name in names
        if f"{name}\0".encode() not in cache and not any((place / name).exists() for place in places)
    )


def _libraries(cuda: int, *, windows: bool) -> tuple[str, ...]:
    # What libonnxruntime_providers_cuda.so 1.31 links, and cuDNN and cuFFT, which it opens when a node needs them.
    fft = {11: 10, 12: 11}.get(cuda, 12)
    if windows:
        return (
            f"cublasLt64_{cuda}.dll",
            f"cublas64_{cuda}.dll",
            f"cudart64_{cuda}.dll",
            f"cufft64_{fft}.dll",
            "cudnn64_9.dll",
        )
    major = "11.0" if cuda == 11 else cuda
    cudnn = "libcudnn.so.8" if cuda == 11 else "libcudnn.so.9"
    return (
        f"libcublasLt.so.{cuda}",
        f"libcublas.so.{cuda}",
        "libcurand.so.10",
        f"libcudart.so.{major}",
        f"libcufft.so.{fft}",
        cudnn,
    )


def _places(folders: Iterable[Path], environment: Mapping[str, str]) -> Iterable[Path]:
    """NVIDIA's wheels (one folder per library, one for all since CUDA 13), torch's, the loader's path, conda's."""
    for folder in dict.fromkeys(folders):
        for pattern in ("nvidia/*/lib", "nvidia/*/bin", "nvidia/*/bin/*", "torch/lib"):
            yield from folder.glob(pattern)
    for variable in ("LD_LIBRARY_PATH", "PATH" if sys.platform == "win32" else ""):
        yield from map(Path, filter(None, environment.get(variable, "").split(os.pathsep)))
    if environment:
        yield Path(sys.prefix) / "lib"


def _dotted(numbers: tuple[int, ...]) -> str:
    # NVIDIA writes two digits behind the first dot: 525.60.13, 470.57.02.
    return ".".join([str(numbers[0]), *(f"{number:02}" for number in numbers[1:])])
