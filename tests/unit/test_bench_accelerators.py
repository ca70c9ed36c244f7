"""GPUs through NVML.

No machine that runs these tests has a GPU for certain. So there are two kinds of tests: those that ask the real nvidia-ml-py
on this machine, and those that ask a test double, which is a real module named ``pynvml`` in a directory of its own, first on
the path of a process of its own. The double answers with the names, the records and the errors of the library, from a file of
figures that moves on by one at every sample; what a real driver does it cannot show.
"""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gpux.bench import accelerators, records
from gpux.bench.accelerators import Accelerator, Watch

DOUBLE = '''
"""A double of nvidia-ml-py: what GPUs answer stands in gpus.json beside it."""
import json, os, pathlib, types

class NVMLError(Exception):
    pass
class NVMLError_NotSupported(NVMLError):
    pass
class NVMLError_DriverNotLoaded(NVMLError):
    pass

here = pathlib.Path(__file__).parent
gpus = json.loads((here / "gpus.json").read_text())
opened = calls = 0

def told(gpu, name):
    value = gpus[gpu].get(name)
    if value is None:
        raise NVMLError_NotSupported("Not Supported")
    if isinstance(value, list):
        return value.pop(0) if len(value) > 1 else value[0]
    return value

def nvmlInit():
    global opened
    if gpus == "no driver":
        raise NVMLError_DriverNotLoaded("Driver Not Loaded")
    opened += 1
def nvmlShutdown():
    global opened
    opened -= 1
def nvmlDeviceGetCount():
    return len(gpus)
def nvmlDeviceGetHandleByIndex(index):
    return index
def nvmlSystemGetDriverVersion():
    return "580.65.06"
def nvmlDeviceGetName(gpu):
    return told(gpu, "name").encode() if gpu else told(gpu, "name")
def nvmlDeviceGetMemoryInfo(gpu):
    total, used = told(gpu, "memory")
    return types.SimpleNamespace(total=total, used=used, free=total - used)
def nvmlDeviceGetComputeRunningProcesses(gpu):
    other = types.SimpleNamespace(pid=1, usedGpuMemory=7)
    own = told(gpu, "own")
    mine = [] if own == "elsewhere" else [types.SimpleNamespace(pid=os.getpid(), usedGpuMemory=own)]
    return [other, *mine]
def nvmlDeviceGetUtilizationRates(gpu):
    return types.SimpleNamespace(gpu=told(gpu, "busy"), memory=0)
def nvmlDeviceGetTemperature(gpu, sensor):
    assert sensor == 0
    return told(gpu, "degrees")
def nvmlDeviceGetCurrentClocksThrottleReasons(gpu):
    return told(gpu, "bits")
def nvmlDeviceGetTotalEnergyConsumption(gpu):
    return told(gpu, "millijoules")
'''

FULL = {
    "name": "Card A",
    "memory": [[1000, 100], [1000, 700], [1000, 300]],
    "own": [50, 600, 200],
    "busy": [0, 90, 60],
    "degrees": [40, 71, 65],
    "bits": [0x1, 0x4 | 0x40, 0x1],
    "millijoules": [5_000_000, 5_042_500],
}
POOR = {"name": "Card B", "memory": [[2000, 10]], "own": ["elsewhere"]}

WATCH = """
import dataclasses, json, threading, pynvml
from gpux.bench import accelerators
accelerators.INTERVAL = 60.0  # every sample is asked for below
watch = accelerators.Watch.begin()
threads = threading.active_count()
watch.sample()
found = watch.end()
print(json.dumps([dataclasses.asdict(found), threads, threading.active_count(), pynvml.opened]))
"""


def run(code, folder, gpus=None):
    if gpus is not None:
        folder.mkdir(exist_ok=True)
        (folder / "pynvml.py").write_text(DOUBLE)
        (folder / "gpus.json").write_text(json.dumps(gpus))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_gpu_is_told_of_with_its_peaks_and_means(tmp_path):
    watched, during, after, opened = run(WATCH, tmp_path, [FULL, POOR])
    assert watched["reason"] is None
    assert watched["devices"][0] == {
        "index": 0,
        "name": "Card A",
        "driver": "580.65.06",
        "total": 1000,
        "used": 300,
        "used_peak": 700,
        "own": 200,
        "own_peak": 600,
        "utilisation": 50.0,
        "temperature": 71,
        "throttles": ["power cap", "hardware thermal slowdown"],
        "joules": 42.5,
    }
    assert (during, after) == (2, 1)
    assert opened == 0


def test_what_the_driver_does_not_tell_is_none(tmp_path):
    """In a container the driver counts process numbers of another name space; an old or virtual GPU knows less."""
    second = run(WATCH, tmp_path, [FULL, POOR])[0]["devices"][1]
    assert (second["name"], second["total"], second["used"]) == ("Card B", 2000, 10)
    for name in ("own", "own_peak", "utilisation", "temperature", "joules"):
        assert second[name] is None, name
    assert second["throttles"] == []


NO_GPU = """
import dataclasses, json, threading
from gpux.bench.accelerators import Watch
watch = Watch.begin()
watch.sample()
print(json.dumps([dataclasses.asdict(watch.end()), threading.active_count()]))
"""


@pytest.mark.parametrize(("gpus", "reason"), [("no driver", "Driver Not Loaded"), ([], "shows no GPU")])
def test_without_a_gpu_there_is_a_reason_and_no_thread(tmp_path, gpus, reason):
    watched, threads = run(NO_GPU, tmp_path, gpus)
    assert watched["devices"] == []
    assert reason in watched["reason"]
    assert threads == 1


def test_without_the_library_the_reason_says_what_to_type(tmp_path):
    (tmp_path / "pynvml.py").write_text("raise ImportError('blocked')\n")
    watched, _ = run(NO_GPU, tmp_path)
    assert watched["devices"] == []
    assert "pip install 'gpux[nvml]'" in watched["reason"]


METER = """
import dataclasses, json, pynvml, sys
from pathlib import Path
from gpux.bench.energy import Meter
found = Meter.begin(root=Path(sys.path[0] or ".") / "nowhere").end()
print(json.dumps([dataclasses.asdict(found), pynvml.opened]))
"""


def test_the_boards_energy_is_in_the_meter_and_a_board_that_counts_none_is_named(tmp_path):
    # The first reading only finds out whether there is a counter.
    figures = {**FULL, "millijoules": [4_000_000, 5_000_000, 5_042_500]}
    energy, opened = run(METER, tmp_path, [figures, POOR])
    assert energy["domains"] == {"gpu-0": 42.5}
    assert energy["joules"] == 42.5
    assert "GPU 1 counts no energy" in energy["reason"]
    assert "RAPL" in energy["reason"]
    assert opened == 0


def test_the_real_library_on_this_machine():
    library = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    count, told = 0, "NVML shows no GPU"
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        told = f"NVML does not open: {error}"
    else:
        count = library.nvmlDeviceGetCount()
        library.nvmlShutdown()
    watched = Watch.begin().end()
    assert len(watched.devices) == count
    assert watched.reason == (None if count else told)
    assert all(device.total is None or device.total > 0 for device in watched.devices)


def test_the_bits_are_those_of_the_real_library():
    library = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    real = {
        "power cap": library.nvmlClocksEventReasonSwPowerCap,
        "hardware slowdown": library.nvmlClocksThrottleReasonHwSlowdown,
        "sync boost": library.nvmlClocksEventReasonSyncBoost,
        "software thermal slowdown": library.nvmlClocksEventReasonSwThermalSlowdown,
        "hardware thermal slowdown": library.nvmlClocksThrottleReasonHwThermalSlowdown,
        "power brake": library.nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
    }
    assert {name: bit for bit, name in accelerators.THROTTLES.items()} == real
    assert library.NVML_TEMPERATURE_GPU == 0


def test_every_function_that_is_asked_for_is_the_real_librarys():
    """The double and the room name the same functions as nvidia-ml-py."""
    library = pytest.importorskip("pynvml", reason="nvidia-ml-py is not installed")
    text = DOUBLE + Path(accelerators.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r"\bnvml(?:Init|Shutdown|System\w+|Device\w+)", text))
    missing = {name for name in named if not hasattr(library, name)}
    assert len(named) > 10
    assert not missing


def test_the_record_goes_through_json():
    record = Accelerator(0, "A", "1", 9, 8, 8, None, None, 12.5, 60, ("power cap",), None)
    assert records.decode(Accelerator, json.loads(json.dumps(dataclasses.asdict(record)))) == record
