"""Energy: RAPL trees as the kernel lays them out, counters that wrap, files for root only, and this machine as it is."""

import dataclasses
import json
import os
import sys
import tempfile
from pathlib import Path

import pytest

from gpux.bench import energy, records
from gpux.bench.energy import Energy, Meter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no file name of Windows takes RAPL's colons")

RANGE = 262143328850
"""What a real package says."""


def zone(root, directory, name, microjoules, limit=RANGE):
    folder = root / "sys/class/powercap" / directory
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{limit}\n")
    return folder / "energy_uj"


def test_packages_and_memory_are_added_and_nothing_twice(tmp_path):
    """Cores and uncore lie in their package, psys holds everything, and mmio shows a package once more."""
    (tmp_path / "sys/class/powercap/intel-rapl").mkdir(parents=True)
    files = {
        name: zone(tmp_path, name, label, 1_000_000)
        for name, label in {
            "intel-rapl:0": "package-0",
            "intel-rapl:0:0": "core",
            "intel-rapl:0:1": "uncore",
            "intel-rapl:0:2": "dram",
            "intel-rapl:1": "package-1",
            "intel-rapl:1:0": "dram",
            "intel-rapl:2": "psys",
            "intel-rapl-mmio:0": "package-0",
        }.items()
    }
    meter = Meter.begin(root=tmp_path)
    for file, joules in zip(files.values(), (30, 20, 5, 4, 50, 6, 999, 777), strict=True):
        file.write_text(f"{(1 + joules) * 1_000_000}\n")
    found = meter.end()
    assert found.domains == {
        "package-0": 30.0,
        "package-0/dram": 4.0,
        "package-1": 50.0,
        "package-1/dram": 6.0,
    }
    assert found.joules == 90.0
    assert found.reason is None
    assert found.watts == pytest.approx(90 / found.seconds)


def test_a_counter_that_wraps_goes_on(tmp_path):
    file = zone(tmp_path, "intel-rapl:0", "package-0", RANGE - 2_000_000)
    meter = Meter.begin(root=tmp_path)
    for microjoules in (1_000_000, RANGE - 1_000_000, 500_000):
        file.write_text(str(microjoules))
        meter.tick()
    # To the end of the range and 1 J on, almost once round, to the end again and half a joule on.
    expected = 2_000_000 + 1_000_000 + (RANGE - 2_000_000) + 1_000_000 + 500_000
    assert meter.end().joules == pytest.approx(expected / 1e6, abs=1e-6)


def test_the_meter_reads_by_itself(tmp_path):
    file = zone(tmp_path, "intel-rapl:0", "package-0", 90_000_000, limit=100_000_000)
    meter = Meter.begin(root=tmp_path)
    assert meter._ticking.interval == energy.INTERVAL
    assert energy.INTERVAL * 500 < 65_000  # joules between two readings at 500 W, in the smallest range known
    file.write_text("5000000")
    assert meter.end().joules == 15.0


def test_without_counters_there_is_a_reason_and_no_figure(tmp_path):
    found = Meter.begin(root=tmp_path).end()
    assert (found.joules, found.domains, found.watts) == (None, {}, None)
    assert (found.per_inference(100), found.per_joule(100)) == (None, None)
    assert "no RAPL counter" in found.reason


def test_counters_for_root_only_name_the_file_and_what_to_type():
    """Run as somebody who is not root, since root reads everything."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        root.chmod(0o755)
        file = zone(root, "intel-rapl:0", "package-0", 5)
        file.chmod(0o200 if os.geteuid() else 0o600)
        was = os.geteuid()
        if was == 0:
            os.seteuid(65534)
        try:
            found = Meter.begin(root=root).end()
        finally:
            os.seteuid(was)
    assert found.joules is None
    assert f"`{file}` is for root only" in found.reason
    assert f"sudo chmod a+r {root / 'sys/class/powercap'}/*/energy_uj" in found.reason


def test_one_counter_that_cannot_be_read_leaves_the_others_and_is_named(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", "nonsense")
    file = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    meter = Meter.begin(root=tmp_path)
    file.write_text("3000000")
    found = meter.end()
    assert found.domains == {"package-1": 3.0}
    assert "intel-rapl:0" in found.reason


def test_a_counter_that_goes_away_is_left_out_and_named(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    gone = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    meter = Meter.begin(root=tmp_path)
    gone.unlink()
    found = meter.end()
    assert set(found.domains) == {"package-0"}
    assert str(gone) in found.reason


def test_joules_per_inference_and_inferences_per_joule():
    found = Energy(joules=50.0, seconds=10.0, domains={"package-0": 50.0}, reason=None)
    assert (found.per_inference(200), found.per_joule(200), found.watts) == (0.25, 4.0, 5.0)
    assert found.per_inference(0) is None
    assert dataclasses.replace(found, joules=0.0).per_joule(200) is None


def test_this_machine_has_joules_or_a_reason_and_the_record_goes_through_json():
    found = Meter.begin().end()
    assert (found.joules is None) is (found.domains == {})
    assert found.joules is not None or found.reason
    assert records.decode(Energy, json.loads(json.dumps(dataclasses.asdict(found)))) == found
