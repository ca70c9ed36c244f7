"""The machine's conditions: real counters of this machine, trees of files as kernels lay them out, and what is said of them."""

import dataclasses
import json
import os
import subprocess
import sys
import time

import pytest

from gpux.bench import conditions, records
from gpux.bench.conditions import Conditions, Watching

HZ = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="this system has no /proc")


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n", encoding="utf-8")


def stat(**seconds):
    """The first lines of /proc/stat after so many seconds of each kind."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
    ticks = " ".join(str(round(seconds.get(name, 0) * HZ)) for name in names)
    return f"cpu  {ticks}\ncpu0 {ticks}\nintr 1"


LOAD = {"proc/loadavg": "0.10 0.20 0.30 1/99 1234"}


def watched(root, before, after):
    write(root, LOAD | {"proc/stat": stat()} | before)
    watching = Watching.begin(root=root)
    write(root, after)
    return watching.end()


def names(found):
    return [name for name, _, _ in conditions.verdicts(found)]


QUIET = Conditions(
    seconds=10.0,
    cores=8,
    load=0.3,
    own=0.4,
    others=0.01,
    iowait=0.0,
    steal=0.0,
    frequency_begin=3000.0,
    frequency_end=2950.0,
    frequency_limit=3600.0,
    throttles=0,
    switches=12,
    quota_periods=0,
    quota_seconds=0.0,
    governor="performance (acpi-cpufreq)",
    power="mains",
    unknown={},
)


def test_shares_are_of_the_whole_machines_time(tmp_path):
    before = stat(user=100, nice=5, system=50, idle=1000, iowait=10, irq=1, softirq=2, steal=4, guest=3)
    after = stat(user=125, nice=6, system=55, idle=1050, iowait=15, irq=2, softirq=5, steal=14, guest=9)
    found = watched(tmp_path, {"proc/stat": before}, {"proc/stat": after})
    # 25 + 1 + 5 + 1 + 3 busy, 50 idle, 5 waiting, 10 stolen: 100 seconds in all, guests not counted twice.
    assert found.others == pytest.approx(0.35, abs=0.002)
    assert found.own == pytest.approx(0.0, abs=0.002)
    assert (found.iowait, found.steal) == (pytest.approx(0.05), pytest.approx(0.10))
    assert (found.cores, found.load) == (os.cpu_count(), 0.1)
    assert names(found) == ["busy", "steal"]


def test_a_span_shorter_than_the_clocks_ticks_has_no_shares(tmp_path):
    found = watched(tmp_path, {"proc/stat": stat(user=1, idle=1)}, {"proc/stat": stat(user=1.05, idle=1.05)})
    assert (found.own, found.others, found.iowait, found.steal) == (None,) * 4
    assert "processor seconds" in found.unknown["others"]


def test_counters_that_go_backwards_make_no_negative_share(tmp_path):
    found = watched(
        tmp_path,
        {"proc/stat": stat(user=10, idle=10, iowait=9)},
        {"proc/stat": stat(user=10, idle=15, iowait=8)},
    )
    assert (found.others, found.iowait) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("where", "group", "old", "new", "expected"),
    [
        (
            "sys/fs/cgroup/pod/box/cpu.stat",
            "0::/pod/box",
            "usage_usec 9\nnr_periods 50\nnr_throttled 3\nthrottled_usec 1000000",
            "usage_usec 99\nnr_periods 80\nnr_throttled 10\nthrottled_usec 1750000",
            (7, 0.75),
        ),
        (
            "sys/fs/cgroup/cpu,cpuacct/cpu.stat",
            "4:memory:/x\n2:cpu,cpuacct:/not/here\n0::/",
            "nr_periods 5\nnr_throttled 1\nthrottled_time 500000000",
            "nr_periods 9\nnr_throttled 3\nthrottled_time 2000000000",
            (2, 1.5),
        ),
        # The quota stands on the pod, whose own group has none.
        (
            "sys/fs/cgroup/pod/cpu.stat",
            "0::/pod/box",
            "nr_throttled 0\nthrottled_usec 0",
            "nr_throttled 4\nthrottled_usec 20000",
            (4, 0.02),
        ),
    ],
    ids=["v2", "v1", "above"],
)
def test_a_containers_quota_is_told(tmp_path, where, group, old, new, expected):
    found = watched(tmp_path, {"proc/self/cgroup": group, where: old}, {where: new})
    assert (found.quota_periods, found.quota_seconds) == (expected[0], pytest.approx(expected[1]))
    assert "quota" in names(found)


def test_heat_is_counted_once_however_many_cores_tell_of_it(tmp_path):
    folder = "sys/devices/system/cpu/cpu{}/thermal_throttle/{}_throttle_count"
    before = {folder.format(core, kind): 40 for core in range(4) for kind in ("core", "package")}
    after = {folder.format(core, "package"): 43 for core in range(4)}
    assert watched(tmp_path, before, {}).throttles == 0
    found = watched(tmp_path, before, after)
    assert found.throttles == 3
    assert names(found) == ["throttled"]


def test_frequencies_and_the_governor_are_those_of_the_fastest_core(tmp_path):
    folder = "sys/devices/system/cpu/cpufreq/policy{}/{}"
    files = {}
    for core, now in enumerate((800000, 3400000)):
        files[folder.format(core, "scaling_cur_freq")] = now
        files[folder.format(core, "cpuinfo_max_freq")] = 4200000
        files[folder.format(core, "scaling_governor")] = "powersave"
        files[folder.format(core, "scaling_driver")] = "acpi-cpufreq"
    found = watched(tmp_path, files, {folder.format(1, "scaling_cur_freq"): 2000000})
    assert (found.frequency_begin, found.frequency_end, found.frequency_limit) == (3400.0, 2000.0, 4200.0)
    assert found.governor == "powersave (acpi-cpufreq)"
    assert names(found) == ["frequency", "governor"]


def test_without_a_governor_the_frequency_is_that_of_cpuinfo(tmp_path):
    write(
        tmp_path,
        {"proc/stat": stat(), "proc/cpuinfo": "processor : 0\ncpu MHz\t\t: 2596.122\ncpu MHz : 2100.5"},
    )
    found = Watching.begin(root=tmp_path).end()
    assert (found.frequency_begin, found.frequency_limit, found.governor) == (2596.122, None, None)
    assert {"frequency_limit", "governor"} <= set(found.unknown)


@pytest.mark.parametrize(
    ("files", "power"),
    [
        ({"AC/type": "Mains", "AC/online": 1, "BAT0/type": "Battery", "BAT0/status": "Charging"}, "mains"),
        (
            {"AC/type": "Mains", "AC/online": 0, "BAT0/type": "Battery", "BAT0/status": "Discharging"},
            "battery",
        ),
        ({"BAT0/type": "Battery", "BAT0/status": "Discharging"}, "battery"),
        ({"mouse/type": "Battery", "mouse/scope": "Device", "mouse/status": "Discharging"}, None),
        ({}, None),
    ],
)
def test_power(tmp_path, files, power):
    write(
        tmp_path, {"proc/stat": stat(), **{f"sys/class/power_supply/{name}": v for name, v in files.items()}}
    )
    found = Watching.begin(root=tmp_path).end()
    assert found.power == power
    assert ("battery" in names(found)) is (power == "battery")


def test_a_quiet_machine_gives_no_cause():
    assert conditions.verdicts(QUIET) == ()


@pytest.mark.parametrize(
    ("change", "name", "part"),
    [
        ({"load": 5.2, "others": None}, "load", "5.2 on 8 cores"),
        ({"load": 5.2, "others": 0.08}, "load", "5.2 on 8 cores"),
        ({"others": 0.23}, "busy", "23%"),
        ({"steal": 0.05}, "steal", "5%"),
        ({"quota_periods": 12, "quota_seconds": 0.84}, "quota", "12 periods (0.84 seconds"),
        ({"throttles": 3}, "throttled", "3 times"),
        ({"frequency_end": 2000.0}, "frequency", "3000 to 2000 MHz"),
        ({"power": "battery"}, "battery", "battery"),
        ({"governor": "powersave (acpi-cpufreq)"}, "governor", "powersave"),
    ],
)
def test_each_cause_is_named_with_its_figure_and_an_action(change, name, part):
    ((found, message, hint),) = conditions.verdicts(dataclasses.replace(QUIET, **change))
    assert found == name
    assert part in message
    assert hint
    assert not message.endswith(".")


@pytest.mark.parametrize(
    "change",
    [
        {"load": 7.9},  # our own earlier work: others took next to nothing meanwhile
        {"governor": "powersave (intel_pstate)"},
        {"governor": "powersave (amd-pstate-epp)"},
        {"frequency_end": 2600.0},
        {"others": 0.1, "steal": 0.02},
        dict.fromkeys(("load", "others", "steal", "quota_periods", "throttles", "governor", "power")),
    ],
)
def test_what_is_no_cause(change):
    assert conditions.verdicts(dataclasses.replace(QUIET, **change)) == ()


def test_the_record_goes_through_json():
    found = Watching.begin().end()
    for record in (QUIET, found):
        assert records.decode(Conditions, json.loads(json.dumps(dataclasses.asdict(record)))) == record


BURN = "import time\nend = time.monotonic() + 20\nprint(flush=True)\nwhile time.monotonic() < end: pass"


def while_burning(*codes):
    """The conditions of a second in which other processes run this code and this one sleeps."""
    burners = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for code in codes
    ]
    try:
        for burner in burners:
            burner.stdout.readline()
        watching = Watching.begin()
        time.sleep(1.0)
        return watching.end()
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
            burner.stdout.close()


@LINUX
def test_another_programs_work_is_seen_as_anothers():
    # Other tests may run beside this one, so that only the lower bounds are certain.
    found = while_burning(*[BURN] * (os.cpu_count() or 1))
    assert found.others + (found.steal or 0.0) > 0.7
    assert found.own < 0.1
    assert "busy" in names(found) or found.steal > 0.5


@LINUX
def test_our_own_work_is_seen_as_ours():
    watching, spent = Watching.begin(), time.process_time()
    while time.process_time() < spent + 0.5:
        pass
    spent = time.process_time() - spent
    found = watching.end()
    # The kernel's clock ticks are lost in part while the host takes the cores away.
    assert found.own == pytest.approx(spent / (found.seconds * found.cores), rel=0.3)
    assert found.own + found.others + found.iowait + found.steal <= 1.2


@LINUX
def test_this_machine_tells_its_load_its_cores_and_its_switches():
    found = Watching.begin().end()
    assert found.load == pytest.approx(os.getloadavg()[0], abs=0.5)
    assert found.switches >= 0
    assert found.seconds < 5
    told = {field.name for field in dataclasses.fields(found) if getattr(found, field.name) is None}
    assert set(found.unknown) == told
    assert all(found.unknown.values())


ASK = """
import dataclasses, json, sys
from pathlib import Path
from gpux.bench.conditions import Watching
print(json.dumps(dataclasses.asdict(Watching.begin(root=Path(sys.argv[1])).end())))
"""


def ask(root, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASK, str(root)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_where_nothing_tells_there_are_reasons_and_no_figures(tmp_path):
    """As on a system without /proc and without psutil."""
    write(tmp_path, {"path/psutil.py": "raise ImportError('blocked')"})
    found = ask(tmp_path / "empty", PYTHONPATH=str(tmp_path / "path"))
    for name in ("own", "others", "frequency_begin", "throttles", "quota_periods", "governor", "power"):
        assert found[name] is None
        assert found["unknown"][name]
    assert "psutil" in found["unknown"]["others"]


def test_where_only_psutil_tells_it_is_asked(tmp_path):
    """As on a system without /proc: psutil's own figures of this machine; the span is too short for shares."""
    pytest.importorskip("psutil", reason="psutil is not installed")
    assert "processor seconds" in ask(tmp_path / "empty")["unknown"]["others"]
