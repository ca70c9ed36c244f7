"""The accelerators of this machine as its system lists them: files on Linux, the registry on Windows, sysctl on a Mac.

Knows no runtime, loads no vendor's library and starts no process, so a GPU that lacks its software is seen too.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_MAKERS = {"0x10de": "nvidia", "0x1002": "amd", "0x1022": "amd", "0x8086": "intel", "0x17cb": "qualcomm"}
_TITLES = {"nvidia": "NVIDIA", "amd": "AMD", "intel": "Intel", "qualcomm": "Qualcomm", "other": "unknown"}

# Adapters that only draw, most of them a hypervisor's: QEMU, virtio, Red Hat, VMware, Hyper-V, Cirrus, VirtualBox, ASPEED, Matrox.
_PLAIN = {"0x1234", "0x1af4", "0x1b36", "0x15ad", "0x1414", "0x1013", "0x80ee", "0x1a03", "0x102b"}

# Linux, drivers/accel: what drives an NPU, and the devices that it drives, for those that nothing drives yet. The class
# alone does not tell: FPGA cards share Intel's, and AMD's is "signal processing".
_NPU_DRIVERS = {"intel_vpu", "amdxdna", "qaic", "habanalabs"}
_NPUS = {
    ("0x8086", "0x7d1d"), ("0x8086", "0xad1d"), ("0x8086", "0x643e"), ("0x8086", "0xb03e"),
    ("0x1022", "0x1502"), ("0x1022", "0x17f0"),
}  # fmt: skip

_LENT = {"vfio-pci", "pci-stub", "pciback"}
"""Drivers that keep a device for a virtual machine: it is not this system's to use."""

# Windows' classes of display adapters and of compute accelerators, below HKEY_LOCAL_MACHINE.
_CLASSES = r"SYSTEM\CurrentControlSet\Control\Class"
_CLASS_KINDS = {
    "{4d36e968-e325-11ce-bfc1-08002be10318}": "gpu",
    "{f01a9d53-3ff6-48d2-9f97-c8a7004be10c}": "npu",
}


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One device that could run a model.

    Attributes:
        vendor: ``nvidia``, ``amd``, ``intel``, ``apple``, ``qualcomm`` or ``other``.
        kind: ``gpu`` or ``npu``.
        name: The driver's name for it; the maker and the PCI ids where no driver tells one.
        address: Where it is: ``0000:01:00.0``, a file in ``/dev``, a registry key.
        driver: The driver's version, its name where it tells none, ``None`` where none is bound.
    """

    vendor: str
    kind: str
    name: str
    address: str
    driver: str | None


def accelerators(root: Path = Path("/")) -> tuple[Accelerator, ...]:
    """Every accelerator that the system lists, by address; whatever lies under another root is read as a Linux's files."""
    if root == Path("/") and sys.platform == "darwin":
        return tuple(_apple())
    if root == Path("/") and sys.platform == "win32":
        return tuple(_windows())
    return tuple(_linux(str(root).rstrip("/")))


def nvidia_driver(root: Path = Path("/")) -> tuple[int, ...] | None:
    """The version of NVIDIA's kernel driver, or ``None`` where it is not loaded (nouveau is another driver)."""
    if root == Path("/") and sys.platform == "win32":
        known = (version(one.driver) for one in accelerators() if one.vendor == "nvidia")
        return next((numbers for numbers in known if numbers), None)
    return version(_nvidia_version(str(root).rstrip("/")))


def version(text: str | None) -> tuple[int, ...] | None:
    """``580.65.06`` as numbers; ``None`` for what is no version."""
    return tuple(map(int, text.split("."))) if text and re.fullmatch(r"\d+(\.\d+)+", text) else None


def nodes(accelerator: Accelerator, root: Path = Path("/")) -> tuple[Path, ...] | None:
    """The device files through which a process uses such an accelerator, those that are there; ``None`` where it needs none."""
    files = {
        ("nvidia", "gpu"): ("dev", r"nvidia\d+|dxg"),
        ("amd", "gpu"): ("dev", "kfd"),
        ("intel", "gpu"): ("dev/dri", r"renderD\d+"),
        ("intel", "npu"): ("dev/accel", r"accel\d+"),
        ("amd", "npu"): ("dev/accel", r"accel\d+"),
    }
    if (accelerator.vendor, accelerator.kind) not in files or (
        root == Path("/") and sys.platform in {"win32", "darwin"}
    ):
        return None
    folder, pattern = files[accelerator.vendor, accelerator.kind]
    return tuple(root / folder / name for name in _names(str(root / folder)) if re.fullmatch(pattern, name))


def contained(root: Path = Path("/")) -> bool:
    """Whether this is a container, into which devices must be passed."""
    marks = (root / ".dockerenv", root / "run/.containerenv")
    if any(mark.exists() for mark in marks) or (
        root == Path("/") and "KUBERNETES_SERVICE_HOST" in os.environ
    ):
        return True
    return bool(re.search(r"docker|kubepods|containerd|libpod|lxc", _text(f"{root}/proc/1/cgroup") or ""))


def _linux(root: str) -> Iterator[Accelerator]:
    nvidia, targets = _nvidia_version(root), _gfx_targets(root)
    seen: dict[str, Accelerator] = {}
    for address, folder in _folders(root):
        if address in seen or (found := _device(root, address, folder, nvidia, targets)) is None:
            continue
        seen[address] = found
    for address in _names(f"{root}/proc/driver/nvidia/gpus"):  # where /sys is hidden
        if address not in seen:
            name = _nvidia_name(root, address) or "NVIDIA GPU"
            seen[address] = Accelerator("nvidia", "gpu", name, address, nvidia)
    if not any(one.vendor == "nvidia" for one in seen.values()):
        for one in _nvidia_files(root):
            seen[one.address] = one
    # A Snapdragon's NPU is no PCI device: the kernel's fastrpc gives it a file.
    for name in _names(f"{root}/dev"):
        if re.fullmatch(r"fastrpc-cdsp\d*", name):
            title = (_text(f"{root}/sys/devices/soc0/machine") or "").strip() or "Snapdragon"
            seen[f"/dev/{name}"] = Accelerator(
                "qualcomm", "npu", f"Hexagon NPU of {title}", f"/dev/{name}", "fastrpc"
            )
    yield from (seen[address] for address in sorted(seen))


def _folders(root: str) -> Iterator[tuple[str, str]]:
    """Address and folder of every PCI device, then of the graphics and compute devices that no PCI bus showed."""
    pci = f"{root}/sys/bus/pci/devices"
    for address in _names(pci):
        yield address, f"{pci}/{address}"
    for kind, pattern in (("drm", r"card\d+"), ("accel", r"accel\d+")):
        for name in _names(f"{root}/sys/class/{kind}"):
            if re.fullmatch(pattern, name):
                folder = f"{root}/sys/class/{kind}/{name}/device"
                yield os.path.basename(os.path.realpath(folder)), folder  # noqa: PTH119


def _device(
    root: str, address: str, folder: str, nvidia: str | None, targets: Mapping[str, str]
) -> Accelerator | None:
    group = (_text(f"{folder}/class") or "").strip()
    if group[:4] not in {"0x03", "0x12"} and group[:6] != "0x1180":
        return None
    maker, model = ((_text(f"{folder}/{name}") or "").strip() for name in ("vendor", "device"))
    bound = _linked(f"{folder}/driver")
    kind = _kind(group, maker, model, bound)
    if kind is None or bound in _LENT or os.path.lexists(f"{folder}/physfn"):  # a slice of one that is listed
        return None
    vendor = _MAKERS.get(maker, "other")
    name = f"{_TITLES[vendor]} {kind.upper()} {maker[2:]}:{model[2:]}"
    if vendor == "nvidia":
        told = _nvidia_name(
            root, address
        )  # only by the driver that serves it, which a container's sysfs may hide
        if told or bound == "nvidia":
            return Accelerator(vendor, kind, told or name, address, nvidia or "nvidia")
    if vendor == "amd":
        target = f" ({targets[address]})" if address in targets else ""
        name = ((_text(f"{folder}/product_name") or "").strip() or name) + target
    driver = (_text(f"{root}/sys/module/{bound}/version") or "").strip() if bound else None
    return Accelerator(vendor, kind, name, address, driver or bound)


def _kind(group: str, maker: str, model: str, driver: str | None) -> str | None:
    if driver in _NPU_DRIVERS or (maker, model) in _NPUS:
        return "npu"
    if maker in _PLAIN or group.startswith("0x1180"):
        return None
    if group.startswith("0x12"):
        if maker in {"0x10de", "0x1002"}:
            return "gpu"
        return None if maker == "0x8086" else "npu"
    # A maker that nobody knows may draw a server's console; what has no screen (3D controller) computes.
    return "gpu" if maker in _MAKERS or group.startswith("0x0302") else None


def _nvidia_version(root: str) -> str | None:
    # NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023
    # The open one says "Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@…)".
    line = (_text(f"{root}/proc/driver/nvidia/version") or "").partition("\n")[0]
    found = re.search(r"\s(\d+\.\d+(?:\.\d+)*)(?:\s|$)", line)
    return found[1] if found else None


def _nvidia_name(root: str, address: str) -> str | None:
    text = _text(f"{root}/proc/driver/nvidia/gpus/{address}/information") or ""
    found = re.search(r"^Model:\s*(\S.*?)\s*$", text, re.MULTILINE)
    return found[1] if found else None


def _nvidia_files(root: str) -> Iterator[Accelerator]:
    """What is known where only device files show: sandboxes, and Windows' Linux, whose driver is Windows'."""
    for name in _names(f"{root}/dev"):
        if re.fullmatch(r"nvidia\d+", name):
            yield Accelerator(
                "nvidia", "gpu", "NVIDIA GPU", f"/dev/{name}", _nvidia_version(root) or "nvidia"
            )
    if os.path.exists(f"{root}/dev/dxg") and os.path.exists(f"{root}/usr/lib/wsl/lib/libcuda.so.1"):  # noqa: PTH110
        yield Accelerator("nvidia", "gpu", "NVIDIA GPU of Windows", "/dev/dxg", "dxgkrnl")


def _gfx_targets(root: str) -> dict[str, str]:
    """PCI address → ``gfx90a`` of every GPU that AMD's compute driver lists.

    https://docs.kernel.org/gpu/amdgpu: ``gfx_target_version 90010`` is major, minor and stepping in two decimal digits each.
    """
    found = {}
    for node in _names(f"{root}/sys/class/kfd/kfd/topology/nodes"):
        text = _text(f"{root}/sys/class/kfd/kfd/topology/nodes/{node}/properties") or ""
        numbers = {name: int(value) for name, value in re.findall(r"^(\w+) (\d{1,19})$", text, re.MULTILINE)}
        target, place = numbers.get("gfx_target_version", 0), numbers.get("location_id", 0)
        if target:
            address = (
                f"{numbers.get('domain', 0):04x}:{place >> 8 & 255:02x}:{place >> 3 & 31:02x}.{place & 7}"
            )
            found[address] = f"gfx{target // 10000}{target // 100 % 100:x}{target % 100:x}"
    return found


def _apple() -> Iterator[Accelerator]:
    import platform

    name = _sysctl("machdep.cpu.brand_string")  # Apple's also where an Intel interpreter is translated
    if name.startswith("Apple") or platform.machine() == "arm64":
        driver = f"macOS {platform.mac_ver()[0]}"
        yield Accelerator("apple", "gpu", f"GPU of {name or 'Apple silicon'}", "gpu", driver)
        yield Accelerator("apple", "npu", f"Neural Engine of {name or 'Apple silicon'}", "ane", driver)


def _sysctl(name: str) -> str:
    import ctypes

    try:
        ask = ctypes.CDLL(None).sysctlbyname
        size = ctypes.c_size_t(256)
        answer = ctypes.create_string_buffer(size.value)
        failed = ask(name.encode(), answer, ctypes.byref(size), None, ctypes.c_size_t(0))
    except (OSError, AttributeError):
        return ""
    return "" if failed else answer.value.decode(errors="replace")


def _windows() -> Iterator[Accelerator]:
    """From the registry, which keeps devices that were taken out as long as their drivers are installed."""
    for group, kind in _CLASS_KINDS.items():
        for index in range(64):
            key = f"{_CLASSES}\\{group}\\{index:04}"
            if (values := _registry(key)) is None:
                break
            if found := registered(values, kind, key):
                yield found


def _registry(key: str) -> dict[str, object] | None:
    if sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as opened:
                rows = [winreg.EnumValue(opened, number) for number in range(winreg.QueryInfoKey(opened)[1])]
        except OSError:
            return None
        return {name: value for name, value, _ in rows}
    return None


def registered(values: Mapping[str, object], kind: str, key: str) -> Accelerator | None:
    """The accelerator that a key of Windows' driver classes describes; ``None`` for what only draws."""
    identity = str(values.get("MatchingDeviceId", "")).lower()
    found = re.search(r"ven_([0-9a-z]{4})", identity)
    maker = f"0x{found[1]}" if found else ""
    vendor = "qualcomm" if maker == "0xqcom" else _MAKERS.get(maker, "other")
    if not found or maker in _PLAIN or (vendor == "other" and kind == "gpu"):
        return None
    driver = str(values.get("DriverVersion", "")) or None
    digits = (driver or "").replace(".", "")[-5:]
    if vendor == "nvidia" and len(digits) == 5:  # 32.0.15.8088 is NVIDIA's 580.88
        driver = f"{digits[:3]}.{digits[3:]}"
    return Accelerator(vendor, kind, str(values.get("DriverDesc", "")) or vendor, key, driver)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - strings, as a server has hundreds of devices
    except OSError:
        return []


def _linked(path: str) -> str | None:
    try:
        return os.path.basename(os.readlink(path))  # noqa: PTH115, PTH119
    except OSError:
        return None


def _text(path: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.read(descriptor, 1 << 16).decode(errors="replace")
    except OSError:
        return None
    finally:
        os.close(descriptor)
