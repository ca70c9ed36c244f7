"""Builds the files of machines that are not here, as Linux shows them: ``/proc``, ``/sys`` and ``/dev`` below a folder."""

from pathlib import Path

NVIDIA = "NVRM version: NVIDIA UNIX {kind}  {version}  {rest}\nGCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04) \n"
INFORMATION = (
    "Model: \t\t {model}\nIRQ:   \t\t 185\nGPU UUID: \t GPU-12345678-90ab-cdef-1234-567890abcdef\n"
    "Video BIOS: \t 96.00.99.00.01\nBus Type: \t PCIe\nDMA Size: \t 52 bits\nDMA Mask: \t 0xfffffffffffff\n"
    "Bus Location: \t {address}\nDevice Minor: \t {minor}\nGPU Firmware: \t {version}\nGPU Excluded:\t No\n"
)


class Machine:
    """A folder that is filled with a machine's files."""

    def __init__(self, root):
        self.root = Path(root)

    def file(self, path, text=""):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def link(self, path, target):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def pci(self, address, group, vendor, device, driver=None, **files):
        """A device in its place below the root port, and its entry on the bus."""
        place = f"sys/devices/pci0000:00/0000:00:01.0/{address}"
        for name, text in {"class": group, "vendor": vendor, "device": device, **files}.items():
            self.file(f"{place}/{name}", f"{text}\n")
        if driver:
            self.link(f"{place}/driver", f"../../../../bus/pci/drivers/{driver}")
        self.link(f"sys/bus/pci/devices/{address}", f"../../../devices/pci0000:00/0000:00:01.0/{address}")

    def nvidia(
        self,
        address="0000:01:00.0",
        model="NVIDIA H100 80GB HBM3",
        version="580.65.06",
        *,
        minor=0,
        node=True,
        sysfs=True,
    ):
        if sysfs:
            self.pci(address, "0x030200", "0x10de", "0x2330", "nvidia")
        self.file(
            "proc/driver/nvidia/version",
            NVIDIA.format(
                kind="Open Kernel Module for x86_64",
                version=version,
                rest="Release Build  (dvs-builder@U16-A24-9-2)",
            ),
        )
        text = INFORMATION.format(model=model, address=address, minor=minor, version=version)
        self.file(f"proc/driver/nvidia/gpus/{address}/information", text)
        if node:
            self.file(f"dev/nvidia{minor}")
            self.file("dev/nvidiactl")

    def amd(self, address="0000:65:00.0", *, target=90010, kfd=True, product=None):
        files = {"product_name": product} if product else {}
        self.pci(address, "0x038000", "0x1002", "0x740f", "amdgpu", **files)
        bus, slot = int(address[5:7], 16), int(address[8:10], 16)
        self.file("sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 64\nvendor_id 0\n")
        self.file(
            "sys/class/kfd/kfd/topology/nodes/1/properties",
            f"simd_count 416\nvendor_id 4098\ndomain 0\nlocation_id {bus << 8 | slot << 3}\ngfx_target_version {target}\n",
        )
        if kfd:
            self.file("dev/kfd")
