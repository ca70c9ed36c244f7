"""What the doctor says about accelerators, on machines that are made of files."""

import re
import sys

import pytest
from machines import Machine

from gpux import devices
from gpux.doctor import accelerators, cuda
from gpux.doctor.packages import Package

UBUNTU = 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n'


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "machine")


def packages(machine, *names):
    return [
        Package(
            name,
            "1.31.1",
            machine.root / "site-packages",
            name in {"onnxruntime", "onnxruntime-gpu", "onnxruntime-migraphx"},
        )
        for name in names
    ]


def look(machine, *names, usable=lambda _: True):
    found = accelerators.check(
        devices.accelerators(machine.root), packages(machine, *names), root=machine.root, usable=usable
    )
    assert len(found) == 1
    return found[0]


def test_none(machine):
    assert look(machine, "onnxruntime").state == "ok"


def test_a_gpu_with_all_it_needs(machine):
    machine.nvidia()
    machine.nvidia("0000:02:00.0", minor=1)
    check = look(machine, "onnxruntime-gpu")
    assert (check.subject, check.state, check.finding) == (
        "nvidia gpu",
        "ok",
        "2 × NVIDIA H100 80GB HBM3 (driver 580.65.06)",
    )


def test_an_nvidia_gpu_without_its_runtime(machine):
    machine.nvidia()
    check = look(machine, "onnxruntime", "numpy")
    assert check.state == "note"
    assert check.remedy == "pip uninstall -y onnxruntime && pip install 'gpux[cuda]'"
    assert look(machine).remedy == "pip install 'gpux[cuda]'"
    assert look(machine, "onnxruntime", "onnxruntime-ep-webgpu").state == "ok"


def test_an_amd_gpu_without_its_runtime(machine):
    machine.amd()
    expected = "pip uninstall -y onnxruntime && pip install 'gpux[rocm]'"
    assert look(machine, "onnxruntime").remedy == expected
    assert look(machine, "onnxruntime-migraphx").state == "ok"


@pytest.mark.parametrize(
    ("address", "group", "device", "driver", "file"),
    [
        ("0000:00:02.0", "0x030000", "0x7d55", "xe", "dev/dri/renderD128"),
        ("0000:00:0b.0", "0x120000", "0x7d1d", "intel_vpu", "dev/accel/accel0"),
    ],
)
def test_an_intel_gpu_or_npu_without_its_runtime(machine, address, group, device, driver, file):
    machine.pci(address, group, "0x8086", device, driver)
    machine.file(file)
    check = look(machine, "onnxruntime")
    assert (check.state, check.remedy) == ("note", "pip install 'gpux[openvino]'")
    assert look(machine, "onnxruntime", "openvino").state == "ok"
    assert look(machine, "onnxruntime", "onnxruntime-ep-openvino").state == "ok"


def test_a_snapdragon_without_its_runtime(machine):
    machine.file("dev/fastrpc-cdsp")
    assert look(machine, "onnxruntime").remedy == "pip install 'gpux[qnn]'"
    assert look(machine, "onnxruntime-qnn").state == "ok"


@pytest.mark.parametrize("kind", ["gpu", "npu"])
def test_apple_silicon_without_its_runtime(machine, kind):
    apple = [devices.Accelerator("apple", kind, "GPU of Apple M4", kind, "macOS 15.6")]
    assert accelerators.check(apple, [], root=machine.root)[0].remedy == "pip install 'gpux[apple]'"
    have = packages(machine, "onnxruntime")
    assert accelerators.check(apple, have, root=machine.root)[0].state == "ok"


@pytest.mark.parametrize(
    ("release", "line"),
    [
        (UBUNTU, "sudo ubuntu-drivers install"),
        ("ID=linuxmint\nID_LIKE=ubuntu\n", "sudo ubuntu-drivers install"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install akmod-nvidia"),
        ("ID=debian\n", "sudo apt install nvidia-driver"),
        ("ID=arch\n", "sudo pacman -S nvidia-open"),
        ("ID=nobody\n", "install NVIDIA's driver"),
    ],
)
@pytest.mark.parametrize("driver", [None, "nouveau"])
def test_an_nvidia_gpu_without_its_driver(machine, release, line, driver):
    machine.file("etc/os-release", release)
    machine.pci("0000:01:00.0", "0x030000", "0x10de", "0x2204", driver)
    check = look(machine, "onnxruntime")
    assert check.state == "note"
    assert check.remedy.startswith(line)
    assert look(machine, "onnxruntime-gpu").state == "fail"  # what was installed for it cannot work


@pytest.mark.parametrize(
    ("group", "vendor", "device", "line"),
    [
        ("0x038000", "0x1002", "0x740f", "sudo modprobe amdgpu"),
        ("0x030000", "0x8086", "0x56a0", "sudo modprobe i915 || sudo modprobe xe"),
        ("0x120000", "0x8086", "0x7d1d", "sudo modprobe intel_vpu"),
        ("0x118000", "0x1022", "0x17f0", "sudo modprobe amdxdna"),
    ],
)
def test_others_without_their_drivers(machine, group, vendor, device, line):
    machine.pci("0000:03:00.0", group, vendor, device)
    assert look(machine, "onnxruntime").remedy == line


def test_a_gpu_that_was_not_passed_into_the_container(machine):
    machine.nvidia(node=False)
    assert look(machine, "onnxruntime").remedy == "sudo nvidia-modprobe -u -c 0"
    machine.file(".dockerenv")
    check = look(machine, "onnxruntime-gpu")
    assert (check.state, check.remedy) == ("fail", "docker run --gpus all …")
    assert check.finding == "NVIDIA H100 80GB HBM3 was not passed into this container"


def test_an_amd_gpu_that_was_not_passed_into_the_container(machine):
    machine.amd(kfd=False)
    machine.file("run/.containerenv")
    assert look(machine, "onnxruntime").remedy == "docker run --device /dev/kfd --device /dev/dri …"


def test_a_device_file_that_this_user_may_not_open(machine):
    machine.amd()
    check = look(machine, "onnxruntime-migraphx", usable=lambda path: path.name != "kfd")
    assert check.state == "fail"
    assert check.remedy.startswith("sudo usermod -aG render,video")


def test_the_line_for_two_runtimes_suits_the_gpu(machine):
    both = packages(machine, "onnxruntime", "onnxruntime-gpu")
    assert accelerators.install_line((), both) == "pip install 'gpux[cpu]'"
    machine.nvidia()
    here = devices.accelerators(machine.root)
    assert accelerators.install_line(here, both) == "pip install 'gpux[cuda]'"
    assert accelerators.install_line(here, packages(machine, "onnxruntime")) == "pip install 'gpux[cpu]'"


BUILD = (
    "package_name = 'onnxruntime-gpu'\n__version__ = '1.31.1'\ncuda_version = '{}'\n"  # as its wheel has it
)


def cuda_look(machine, *, version="13.0", driver=(580, 65, 6), lacking=()):
    machine.file("site-packages/onnxruntime/capi/build_and_package_info.py", BUILD.format(version))
    return cuda.check(
        packages(machine, "onnxruntime-gpu"),
        devices.accelerators(machine.root),
        driver=driver,
        lacking=lacking,
        root=machine.root,
    )


def test_cuda_is_not_looked_at_without_its_runtime(machine):
    machine.nvidia()
    assert cuda.check(packages(machine, "onnxruntime"), devices.accelerators(machine.root), driver=None) == []


def test_cuda_without_a_gpu(machine):
    (check,) = cuda_look(machine)
    assert check.state == "note"
    assert check.remedy == "pip uninstall -y onnxruntime-gpu && pip install 'gpux[cpu]'"
    both = packages(machine, "onnxruntime", "onnxruntime-gpu")
    assert cuda.check(both, (), driver=None, root=machine.root) == []  # one line mends both


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' drivers have other numbers")
@pytest.mark.parametrize(
    ("version", "driver", "state"),
    [
        ("13.0", (580, 65, 6), "ok"),
        ("13.1", (579, 99), "fail"),
        ("12.8", (525, 60, 13), "ok"),
        ("12.8", (525, 60, 11), "fail"),
        ("13.0", (550, 54, 14), "fail"),
        ("13.0", None, "ok"),  # Windows' Linux does not tell
        ("99.0", (580, 65, 6), "ok"),
    ],
)
def test_a_driver_too_old(machine, version, driver, state):
    machine.nvidia()
    machine.file("etc/os-release", UBUNTU)
    (check,) = cuda_look(machine, version=version, driver=driver)
    assert check.state == state
    if state == "fail":
        assert check.remedy == "sudo ubuntu-drivers install"
        assert ".".join(f"{n:02}" for n in driver) in check.finding


def test_what_a_build_was_made_for(machine):
    (package,) = packages(machine, "onnxruntime-gpu")
    assert cuda.built_for(package) is None
    machine.nvidia()
    (check,) = cuda.check([package], devices.accelerators(machine.root), driver=(580,), root=machine.root)
    assert (check.state, "does not say" in check.finding) == ("ok", True)
    by_requirement = Package(
        package.name,
        "1.31.1",
        package.folder,
        requires=('nvidia-cudnn-cu13~=9.0; extra == "cudnn"',),
    )
    assert cuda.built_for(by_requirement) == 13
    cuda_look(machine, version="12.8")
    assert cuda.built_for(by_requirement) == 12


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's libraries have other names")
def test_libraries_are_found_in_wheels_in_torch_and_by_the_loader(machine):
    machine.nvidia()
    (package,) = packages(machine, "onnxruntime-gpu")
    every = cuda.missing_libraries(package, 13, root=machine.root)
    # What readelf lists of libonnxruntime_providers_cuda.so 1.31.1, and the two that it opens later.
    linked = {"libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudart.so.13"}
    assert set(every) == linked | {"libcufft.so.12", "libcudnn.so.9"}
    (check,) = cuda_look(machine, lacking=None)
    assert check.state == "fail"
    assert check.remedy == "pip install 'onnxruntime-gpu[cuda,cudnn]==1.31.1'"
    for name in linked:
        machine.file(f"site-packages/nvidia/cu13/lib/{name}")
    assert set(cuda.missing_libraries(package, 13, root=machine.root)) == {"libcufft.so.12", "libcudnn.so.9"}
    machine.file("site-packages/torch/lib/libcudnn.so.9")
    machine.file("etc/ld.so.cache", "glibc-ld.so.cache1.1\0libcufft.so.12\0/usr/lib/libcufft.so.12\0")
    assert cuda.missing_libraries(package, 13, root=machine.root) == ()
    assert [c.state for c in cuda_look(machine, lacking=None)] == ["ok"]
    assert "libcublas.so.12" in cuda.missing_libraries(package, 12, root=machine.root)


def test_every_finding_ends_in_a_line_to_type(machine):
    machine.nvidia(node=False)
    machine.amd(kfd=False)
    machine.pci("0000:00:02.0", "0x030000", "0x8086", "0x7d55")
    machine.pci("0000:00:0b.0", "0x120000", "0x8086", "0x7d1d")
    machine.file("dev/fastrpc-cdsp")
    for names in ((), ("onnxruntime",), ("onnxruntime-gpu",)):
        here = devices.accelerators(machine.root)
        found = accelerators.check(here, packages(machine, *names), root=machine.root)
        found += (
            cuda_look(machine, driver=(400, 1), lacking=("libcudnn.so.9",))
            if "onnxruntime-gpu" in names
            else []
        )
        assert len(found) >= 5
        for check in found:
            assert re.match(r"(pip|sudo|docker|gpux|export|install NVIDIA's) ", check.remedy or ""), check
