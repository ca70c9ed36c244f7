"""What keeps an accelerator that the system lists from being used: no driver, no device file, no permission, no runtime."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpux import devices
from gpux.devices import Accelerator
from gpux.doctor.check import Check
from gpux.doctor.packages import CPU, Package


@dataclass(frozen=True, slots=True)
class _Software:
    """What runs on an accelerator.

    Attributes:
        install: The line that installs it.
        replaces: Whether that brings another onnxruntime, before which the one that is there must go.
        serve: The distributions that will do.
    """

    install: str
    replaces: bool
    serve: frozenset[str]


def _software(install: str, *, replaces: bool, serve: str) -> _Software:
    return _Software(install, replaces, frozenset(serve.split()))


_ANY_GPU = "onnxruntime-ep-webgpu onnxruntime-webgpu onnxruntime-directml onnxruntime-ggml "
_INTEL = _software(
    "pip install 'gpux[openvino]'",
    replaces=False,
    serve="openvino onnxruntime-ep-openvino onnxruntime-openvino",
)
_APPLE = _software(
    "pip install 'gpux[apple]'",
    replaces=False,
    serve="onnxruntime onnxruntime-ep-mlx onnxruntime-silicon",
)
_SOFTWARE = {
    ("nvidia", "gpu"): _software(
        "pip install 'gpux[cuda]'",
        replaces=True,
        serve=_ANY_GPU
        + "onnxruntime-gpu onnxruntime-ep-nv-tensorrt-rtx-cu12 onnxruntime-ep-nv-tensorrt-rtx-cu13",
    ),
    ("amd", "gpu"): _software(
        "pip install 'gpux[rocm]'", replaces=True, serve=_ANY_GPU + "onnxruntime-migraphx onnxruntime-rocm"
    ),
    ("intel", "gpu"): _INTEL,
    ("intel", "npu"): _INTEL,
    ("apple", "gpu"): _APPLE,
    ("apple", "npu"): _APPLE,
    ("qualcomm", "npu"): _software("pip install 'gpux[qnn]'", replaces=False, serve="onnxruntime-qnn"),
}

_PASS = {
    ("nvidia", "gpu"): "docker run --gpus all …",
    ("amd", "gpu"): "docker run --device /dev/kfd --device /dev/dri …",
    ("intel", "gpu"): "docker run --device /dev/dri …",
    ("intel", "npu"): "docker run --device /dev/accel …",
    ("amd", "npu"): "docker run --device /dev/accel …",
}
_LOAD = {
    ("nvidia", "gpu"): "sudo nvidia-modprobe -u -c 0",
    ("amd", "gpu"): "sudo modprobe amdgpu",
    ("intel", "gpu"): "sudo modprobe i915 || sudo modprobe xe",
    ("intel", "npu"): "sudo modprobe intel_vpu",
    ("amd", "npu"): "sudo modprobe amdxdna",
}
# What each family of Linux calls the package of NVIDIA's driver.
_NVIDIA_DRIVERS = {
    "ubuntu": "sudo ubuntu-drivers install",
    "debian": "sudo apt install nvidia-driver",
    "fedora": "sudo dnf install akmod-nvidia",
    "arch": "sudo pacman -S nvidia-open",
    "suse": "sudo zypper install nvidia-open-driver-G06-signed-kmp-default",
}


def check(
    accelerators: Sequence[Accelerator],
    packages: Sequence[Package],
    *,
    root: Path = Path("/"),
    usable: Callable[[Path], bool] | None = None,
) -> list[Check]:
    """One finding per kind of accelerator: the first thing that keeps it from being used."""
    kinds: dict[tuple[str, str, str, str | None], list[Accelerator]] = {}
    for one in accelerators:
        kinds.setdefault((one.vendor, one.kind, one.name, one.driver), []).append(one)
    if not kinds:
        return [Check("accelerators", "ok", "none on this machine: the processor computes")]
    return [_check(alike, packages, root, usable or _usable) for alike in kinds.values()]


def install_line(accelerators: Sequence[Accelerator], packages: Sequence[Package]) -> str:
    """The line that installs the onnxruntime which suits these accelerators and what was installed; the CPU's otherwise."""
    names = {one.name for one in packages if one.runtime}
    for one in accelerators:
        software = _SOFTWARE.get((one.vendor, one.kind))
        if software and software.replaces and names & software.serve:
            return software.install
    return CPU


def driver_line(root: Path = Path("/")) -> str:
    """The line that installs NVIDIA's driver on this system."""
    if root == Path("/") and sys.platform == "win32":
        return "winget install Nvidia.NvidiaApp"
    try:
        text = (root / "etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    names = re.findall(r"[a-z]+", " ".join(re.findall(r"^ID(?:_LIKE)?=(.*)$", text, re.MULTILINE)))
    found = next((_NVIDIA_DRIVERS[name] for name in names if name in _NVIDIA_DRIVERS), None)
    return found or "install NVIDIA's driver with your system's package manager, then: sudo modprobe nvidia"


def _check(
    alike: Sequence[Accelerator], packages: Sequence[Package], root: Path, usable: Callable[[Path], bool]
) -> Check:
    one, key = alike[0], (alike[0].vendor, alike[0].kind)
    software = _SOFTWARE.get(key)
    serves = [p for p in packages if software and p.name in software.serve]
    # What was installed for it and cannot reach it is broken; what nobody installed is only missed.
    state = "fail" if serves and one.vendor != "apple" else "note"
    subject = f"{one.vendor} {one.kind}"
    name = f"{len(alike)} × {one.name}" if len(alike) > 1 else one.name
    inside = devices.contained(root)
    if one.driver is None or one.driver == "nouveau":
        lacks = "has no driver" if one.driver is None else "runs on nouveau, which computes nothing"
        remedy = driver_line(root) if one.vendor == "nvidia" else _LOAD.get(key)
        where = " (on the host: this is a container)" if inside else ""
        return Check(subject, state, f"{name} {lacks}{where}", remedy)
    files = devices.nodes(one, root)
    if files == () and inside:
        return Check(subject, state, f"{name} was not passed into this container", _PASS[key])
    if files == ():
        return Check(subject, state, f"{name} has a driver, but no file in /dev", _LOAD[key])
    if files and not any(map(usable, files)):
        finding = f"{name} is there, but this user may not open {files[0]}"
        return Check(subject, state, finding, 'sudo usermod -aG render,video "$USER", and log in again')
    if software and not serves and not (one.vendor == "amd" and sys.platform == "win32"):
        others = [p.name for p in packages if p.runtime] if software.replaces else []
        first = f"pip uninstall -y {' '.join(others)} && " if others else ""
        finding = f"{name} is there, and no runtime that uses it"
        return Check(subject, "note", finding, first + software.install)
    return Check(subject, "ok", f"{name} (driver {one.driver})")


def _usable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)
