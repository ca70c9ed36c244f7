"""Accelerators as systems list them, from trees of files as real machines have them.

The texts are those that drivers print (NVIDIA's nv-procfs.c, the kernel's kfd_topology.c and pci-sysfs.c).
"""

import subprocess
import sys
from pathlib import Path

import pytest
from machines import NVIDIA, Machine

from gpux import devices
from gpux.devices import Accelerator


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def told(machine):
    return [(one.vendor, one.kind, one.name, one.address, one.driver) for one in found(machine)]


def found(machine):
    return devices.accelerators(machine.root)


def test_nothing_here(machine):
    assert found(machine) == ()
    assert devices.nvidia_driver(machine.root) is None


def test_nvidia_gpus_have_the_names_that_the_driver_gives_them(machine):
    machine.nvidia(minor=0)
    machine.nvidia("0000:62:00.0", "NVIDIA GeForce RTX 3090", minor=1)
    assert told(machine) == [
        ("nvidia", "gpu", "NVIDIA H100 80GB HBM3", "0000:01:00.0", "580.65.06"),
        ("nvidia", "gpu", "NVIDIA GeForce RTX 3090", "0000:62:00.0", "580.65.06"),
    ]
    assert devices.nodes(found(machine)[0], machine.root) == (
        machine.root / "dev/nvidia0",
        machine.root / "dev/nvidia1",
    )


@pytest.mark.parametrize(
    ("kind", "version", "rest", "numbers"),
    [
        ("x86_64 Kernel Module", "535.129.03", "Thu Oct 19 18:56:32 UTC 2023", (535, 129, 3)),
        ("x86_64 Kernel Module", "384.81", "Wed Aug 17 22:24:07 PDT 2016", (384, 81)),
        (
            "Open Kernel Module for x86_64",
            "565.57.01",
            "Release Build  (dvs-builder@U16-A24-9-2)",
            (565, 57, 1),
        ),
        ("Open Kernel Module for aarch64", "540.4.0", "Release Build  (buildbrain@mobile)", (540, 4, 0)),
    ],
)
def test_the_versions_that_nvidias_drivers_print(machine, kind, version, rest, numbers):
    machine.file("proc/driver/nvidia/version", NVIDIA.format(kind=kind, version=version, rest=rest))
    assert devices.nvidia_driver(machine.root) == numbers


def test_an_nvidia_gpu_without_its_driver_and_one_on_nouveau(machine):
    machine.pci("0000:01:00.0", "0x030000", "0x10de", "0x2204")
    machine.pci("0000:02:00.0", "0x030000", "0x10de", "0x2204", "nouveau")
    machine.pci("0000:01:00.1", "0x040300", "0x10de", "0x1aef", "snd_hda_intel")  # its sound
    assert told(machine) == [
        ("nvidia", "gpu", "NVIDIA GPU 10de:2204", "0000:01:00.0", None),
        ("nvidia", "gpu", "NVIDIA GPU 10de:2204", "0000:02:00.0", "nouveau"),
    ]
    assert devices.nvidia_driver(machine.root) is None


def test_nvidia_gpus_where_sys_is_hidden_or_only_dev_shows(tmp_path):
    hidden = Machine(tmp_path / "hidden")
    hidden.nvidia(sysfs=False)
    assert told(hidden) == [("nvidia", "gpu", "NVIDIA H100 80GB HBM3", "0000:01:00.0", "580.65.06")]
    sandbox = Machine(tmp_path / "sandbox")
    sandbox.file("dev/nvidia3")
    sandbox.file("dev/nvidiactl")
    assert told(sandbox) == [("nvidia", "gpu", "NVIDIA GPU", "/dev/nvidia3", "nvidia")]
    windows = Machine(tmp_path / "windows")  # Windows' Linux shows Microsoft's adapter instead of the GPU
    windows.pci("1af4:00:00.0", "0x030200", "0x1414", "0x008e", "dxgkrnl")
    windows.file("dev/dxg")
    assert found(windows) == ()
    windows.file("usr/lib/wsl/lib/libcuda.so.1")
    assert told(windows) == [("nvidia", "gpu", "NVIDIA GPU of Windows", "/dev/dxg", "dxgkrnl")]


def test_a_device_file_that_was_not_passed_into_a_container(machine):
    machine.nvidia(node=False)
    assert devices.nodes(found(machine)[0], machine.root) == ()
    assert not devices.contained(machine.root)
    machine.file("proc/1/cgroup", "0::/\n")
    assert not devices.contained(machine.root)
    machine.file(".dockerenv")
    assert devices.contained(machine.root)


@pytest.mark.parametrize(
    "text", ["12:cpuset:/docker/0123456789ab\n", "0::/kubepods.slice/kubepods-burstable.slice/x.scope\n"]
)
def test_containers_by_their_control_group(machine, text):
    machine.file("proc/1/cgroup", text)
    assert devices.contained(machine.root)


def test_amd_gpus_with_product_target_and_driver(machine):
    machine.amd(product="AMD Instinct MI210")
    machine.pci("0000:03:00.0", "0x030000", "0x1002", "0x744c")
    assert told(machine) == [
        ("amd", "gpu", "AMD GPU 1002:744c", "0000:03:00.0", None),
        ("amd", "gpu", "AMD Instinct MI210 (gfx90a)", "0000:65:00.0", "amdgpu"),
    ]
    machine.file("sys/module/amdgpu/version", "6.12.12\n")
    assert found(machine)[1].driver == "6.12.12"
    assert devices.nodes(found(machine)[1], machine.root) == (machine.root / "dev/kfd",)


@pytest.mark.parametrize(("number", "name"), [(110501, "gfx1151"), (90402, "gfx942"), (100300, "gfx1030")])
def test_amds_targets_by_number(machine, number, name):
    machine.amd(target=number)
    assert found(machine)[0].name == f"AMD GPU 1002:740f ({name})"


def test_an_accelerator_of_the_processing_class(machine):
    machine.pci("0000:05:00.0", "0x120000", "0x1002", "0x74a1", "amdgpu")
    machine.pci("0000:06:00.0", "0x120000", "0x1da3", "0x1020", "habanalabs")
    machine.pci("0000:07:00.0", "0x120000", "0x17cb", "0xa100", "qaic")
    machine.pci("0000:08:00.0", "0x120000", "0x8086", "0x09c4", "dfl-pci")  # an FPGA card
    assert [(one.vendor, one.kind) for one in found(machine)] == [
        ("amd", "gpu"),
        ("other", "npu"),
        ("qualcomm", "npu"),
    ]


def test_intel_gpus_and_npus(machine):
    machine.pci("0000:00:02.0", "0x030000", "0x8086", "0x7d55", "i915")
    machine.pci("0000:00:0b.0", "0x120000", "0x8086", "0x7d1d", "intel_vpu")
    machine.file("dev/accel/accel0")
    assert told(machine) == [
        ("intel", "gpu", "Intel GPU 8086:7d55", "0000:00:02.0", "i915"),
        ("intel", "npu", "Intel NPU 8086:7d1d", "0000:00:0b.0", "intel_vpu"),
    ]
    gpu, npu = found(machine)
    assert devices.nodes(gpu, machine.root) == ()
    assert devices.nodes(npu, machine.root) == (machine.root / "dev/accel/accel0",)


def test_npus_without_their_drivers(machine):
    machine.pci("0000:00:0b.0", "0x120000", "0x8086", "0x643e")
    machine.pci("0000:c4:00.1", "0x118000", "0x1022", "0x17f0")
    machine.pci("0000:c4:00.2", "0x118000", "0x8086", "0x461d", "proc_thermal_pci")
    assert [(one.vendor, one.kind, one.driver) for one in found(machine)] == [
        ("intel", "npu", None),
        ("amd", "npu", None),
    ]


def test_a_snapdragons_npu(machine):
    machine.file("dev/fastrpc-cdsp")
    machine.file("dev/fastrpc-adsp")
    machine.file("sys/devices/soc0/machine", "SC8280XP\n")
    assert told(machine) == [("qualcomm", "npu", "Hexagon NPU of SC8280XP", "/dev/fastrpc-cdsp", "fastrpc")]


@pytest.mark.parametrize(
    "vendor", ["0x1234", "0x1af4", "0x1b36", "0x15ad", "0x1414", "0x1013", "0x1a03", "0x102b"]
)
def test_a_hypervisors_or_a_servers_display_is_no_accelerator(machine, vendor):
    for number, group in enumerate(("0x030000", "0x038000", "0x030200")):
        machine.pci(f"0000:0{number}:02.0", group, vendor, "0x1111", "bochs-drm")
    assert found(machine) == ()


def test_a_device_that_a_virtual_machine_has_is_not_ours(machine):
    machine.pci("0000:01:00.0", "0x030000", "0x10de", "0x2204", "vfio-pci")
    assert found(machine) == ()


def test_virtual_functions_are_slices_of_one_gpu(machine):
    machine.pci("0000:03:00.0", "0x030000", "0x8086", "0x56c0", "xe")
    machine.pci("0000:03:00.1", "0x030000", "0x8086", "0x56c0", "xe")
    machine.link("sys/devices/pci0000:00/0000:00:01.0/0000:03:00.1/physfn", "../0000:03:00.0")
    assert [one.address for one in found(machine)] == ["0000:03:00.0"]


def test_graphics_that_no_bus_lists(machine):
    machine.pci("0000:03:00.0", "0x030000", "0x1002", "0x744c", "amdgpu")
    place = "../../../devices/pci0000:00/0000:00:01.0/0000:03:00.0"
    (machine.root / "sys/bus/pci/devices/0000:03:00.0").unlink()
    machine.link("sys/class/drm/card0/device", place)
    machine.file("sys/class/drm/card0-DP-1/status", "connected\n")
    assert [(one.vendor, one.address) for one in found(machine)] == [("amd", "0000:03:00.0")]


def test_a_tree_of_damaged_files(machine):
    machine.pci("0000:01:00.0", "", "", "")
    machine.pci("0000:02:00.0", "0x030000", "0x10de", "")
    machine.file("proc/driver/nvidia/version", "\n")
    (machine.root / "proc/driver/nvidia/gpus/0000:02:00.0/information").mkdir(parents=True)
    machine.file("sys/class/kfd/kfd/topology/nodes/1/properties", "gfx_target_version x\nlocation_id\n")
    assert [(one.vendor, one.driver) for one in found(machine)] == [("nvidia", None)]


def test_the_registrys_devices():
    values = {
        "DriverDesc": "NVIDIA GeForce RTX 4090",
        "DriverVersion": "32.0.15.8088",
        "MatchingDeviceId": r"PCI\VEN_10DE&DEV_2684",
    }
    assert devices.registered(values, "gpu", "key") == Accelerator(
        "nvidia", "gpu", "NVIDIA GeForce RTX 4090", "key", "580.88"
    )
    boost = {"DriverDesc": "Intel(R) AI Boost", "MatchingDeviceId": r"PCI\VEN_8086&DEV_7D1D"}
    assert devices.registered(boost, "npu", "key") == Accelerator(
        "intel", "npu", "Intel(R) AI Boost", "key", None
    )
    hexagon = {"DriverDesc": "Qualcomm(R) Hexagon(TM) NPU", "MatchingDeviceId": r"ACPI\VEN_QCOM&DEV_0D0A"}
    assert devices.registered(hexagon, "npu", "key").vendor == "qualcomm"
    for identity in (r"ROOT\BasicDisplay", r"VMBUS\{da0a7802}", r"PCI\VEN_1234&DEV_1111"):
        assert devices.registered({"MatchingDeviceId": identity}, "gpu", "key") is None


def test_what_is_no_accelerator_costs_one_file_each(machine):
    """A server has hundreds of bridges: reading more than their class would cost more than the two milliseconds there are."""
    for number in range(300):
        machine.pci(f"0000:{number // 8:02x}:{number % 8:02x}.0", "0x060400", "0x8086", "0x1234", "pcieport")
    opened, listening = [], [True]
    sys.addaudithook(
        lambda event, given: opened.append(str(given[0])) if listening and event == "open" else None
    )
    assert found(machine) == ()
    listening.clear()
    assert len([path for path in opened if "/0000:" in path]) == 300


def test_this_machine_is_read_without_a_process_or_a_library():
    if sys.platform != "linux":
        pytest.skip(f"this system is {sys.platform}")
    code = (
        "import sys\nseen = []\nfrom gpux import devices\nimport pathlib\n"
        "sys.addaudithook(lambda event, _: seen.append(event))\ndevices.accelerators(); devices.nvidia_driver()\n"
        "print({e for e in seen if e.startswith(('subprocess', 'os.fork', 'os.exec', 'os.posix_spawn', 'ctypes', 'import'))})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.strip() == "set()"
