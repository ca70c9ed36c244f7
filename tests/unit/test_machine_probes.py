"""Trials of providers in processes of their own: a crash, a hang or a lie costs one answer, and what was found is remembered."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time

import plug_in
import pytest

from gpux.discovery import discover
from gpux.errors import InvalidSetting
from gpux.machine import probes
from gpux.machine.key import key
from gpux.provider import Probe, Runtime, State


@pytest.fixture
def plug(empty_store, tmp_path, monkeypatch):
    """The plug-in on the path, in an empty store; called with what it is to do."""
    site = plug_in.install(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("GPUX_PROBE_TIMEOUT", "5")

    def tell(**what):
        monkeypatch.setenv("PLUG", json.dumps(what))

    tell()
    return tell


def ask(*names, fresh=False):
    return {one.provider: one for one in probes.probe(discover(), names or ("plug", "cpu"), fresh=fresh)}


def cache(home):
    return next((home / "machine").glob("*.json"))


@pytest.mark.parametrize(
    ("way", "says"),
    [
        ("segfault", "trying it broke its process: it crashed with SIGSEGV"),
        ("killed", "trying it broke its process: it crashed with SIGSEGV"),
        ("exit", "trying it broke its process: it ended with code 7 and no answer"),
        ("raise", "its probe raised ZeroDivisionError: divided on purpose"),
        ("refuse", "its probe raised ProviderUnavailable: the device fell off the bus"),
        ("nan", "its probe holds what no probe may"),
        ("numbers", "its probe holds what no probe may|its process"),
        ("text", "its probe holds what no probe may|its process"),
        ("object", "its process|its probe"),
        ("listed", "the driver is too old"),
    ],
)
def test_one_that_breaks_costs_its_own_answer(plug, way, says):
    plug(probe=way)
    found = ask()
    assert found["cpu"].state is State.WORKS
    state = State.LISTED if way == "listed" else State.INSTALLED
    assert found["plug"].state is state
    assert re.search(says, found["plug"].reason), found["plug"].reason
    assert found["plug"].hint


def test_one_that_hangs_is_given_up_in_time_and_says_how_to_wait_longer(plug):
    plug(probe="sleep")
    started = time.monotonic()
    found = ask()
    assert time.monotonic() - started < 15
    assert found["cpu"].state is State.WORKS
    assert found["plug"].reason == "it did not finish trying itself in 5 seconds"
    assert found["plug"].hint.startswith("GPUX_PROBE_TIMEOUT=20 gpux providers --fresh")


def test_one_that_works_for_ever_is_given_up_too(plug, monkeypatch):
    monkeypatch.setenv("GPUX_PROBE_TIMEOUT", "1")
    plug(probe="spin")
    assert ask("plug")["plug"].reason == "it did not finish trying itself in 1 seconds"


def test_the_patience_is_a_setting(plug, monkeypatch):
    monkeypatch.setenv("GPUX_PROBE_TIMEOUT", "soon")
    with pytest.raises(InvalidSetting, match="GPUX_PROBE_TIMEOUT"):
        ask("plug")


@pytest.mark.parametrize("way", ["print", "surrogate", "other"])
def test_one_that_is_odd_but_works(plug, empty_store, way):
    plug(probe=way)
    found = ask()
    assert found["plug"].state is State.WORKS
    assert found["cpu"].devices[0].name == "cpu", "nobody answers for another"
    assert ask() == found
    assert set(json.loads(cache(empty_store).read_text())) == {"cpu", "plug"}


def test_remembered_answers_take_no_process_no_runtime_and_no_write(plug, empty_store):
    first = ask()
    path = cache(empty_store)
    before = path.stat().st_mtime_ns
    code = """
import subprocess, sys
class Refuse(subprocess.Popen):
    def __init__(self, *given, **named): raise SystemExit("a process was started")
subprocess.Popen = Refuse
from gpux.discovery import discover
from gpux.machine import probes
found = probes.probe(discover(), ["cpu", "openvino"])
print(len(found), sorted({"onnxruntime", "openvino", "numpy"} & set(sys.modules)))
"""
    ask("openvino")
    before = path.stat().st_mtime_ns
    other = {**os.environ, "PYTHONPATH": ""}
    # Without the plug-in the machine has another key, for which nothing is remembered: the check itself can fail.
    done = subprocess.run(
        [sys.executable, "-c", code], env=other, capture_output=True, text=True, check=False
    )
    assert "a process was started" in done.stderr
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    # The plug-in itself imports ONNX Runtime where it is loaded.
    assert done.stdout.startswith("2 "), done.stderr
    assert "openvino" not in done.stdout
    assert path.stat().st_mtime_ns == before
    assert ask() == first


def test_built_in_providers_are_remembered_without_their_runtimes(empty_store):
    code = """
import sys
from gpux.discovery import discover
from gpux.machine import probes
print([str(one.state) for one in probes.probe(discover(), ["cpu", "openvino"])], sorted({"onnxruntime", "openvino"} & set(sys.modules)))
"""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "['works', 'works'] []\n"


def test_what_did_not_work_is_asked_again_when_it_is_old_and_what_works_is_not(plug, empty_store):
    plug(probe="listed")
    assert ask()["plug"].state is State.LISTED
    plug()
    assert ask()["plug"].state is State.LISTED, "it was asked a moment ago"
    assert ask(fresh=True)["plug"].state is State.WORKS
    plug(probe="listed")
    path = cache(empty_store)
    record = json.loads(path.read_text())
    record["plug"]["tried"] = 1.0
    path.write_text(json.dumps(record))
    assert ask()["plug"].state is State.WORKS
    record["plug"] |= {"state": "listed", "reason": "old", "tried": time.time() - probes.DOUBT - 1}
    path.write_text(json.dumps(record))
    assert ask()["plug"].reason == "the driver is too old"
    record["plug"] |= {"tried": time.time() + 1000}
    path.write_text(json.dumps(record))
    assert ask()["plug"].reason == "the driver is too old", "an answer from the future is none"
    probes.doubt("plug", discover())
    assert set(json.loads(path.read_text())) == {"cpu"}


def test_fresh_on_the_command_line(plug):
    command = [sys.executable, "-m", "gpux", "providers", "--json"]

    def state(*more):
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
        return next(one["state"] for one in json.loads(done.stdout) if one["provider"] == "plug")

    assert state() == "works"
    plug(probe="listed")
    assert state() == "works"
    assert state("--fresh") == "listed"


GOOD = {
    "provider": "plug", "state": "works", "devices": [{"name": "forged", "kind": "gpu", "memory": 5, "precisions": ["fp32"]}],
    "versions": {"plug": "1"}, "reason": None, "hint": None, "tried": 1.0,
}  # fmt: skip
ODD = (
    None,
    True,
    -1,
    1 << 70,
    10**400,
    0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    [],
    [None],
    [[]],
    {},
    {"a": None},
)


def places(record, way=()):
    if way:
        yield way
    inner = (
        record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    )
    for name, value in inner:
        yield from places(value, (*way, name))


@pytest.mark.parametrize("way", list(places(GOOD)), ids=str)
def test_any_leaf_of_the_cache_may_be_anything(plug, empty_store, way):
    """Taken as an answer that can be shown, or asked anew: the trial here says `listed`."""
    providers = discover()
    path = empty_store / "machine" / f"{key(providers)}.json"
    path.parent.mkdir(parents=True)
    plug(probe="listed")
    path.write_text(json.dumps({"plug": GOOD}))
    assert ask("plug")["plug"].devices[0].name == "forged"
    anew = None
    for odd in ODD:
        record = json.loads(json.dumps(GOOD))
        *before, last = way
        inner = record
        for name in before:
            inner = inner[name]
        inner[last] = odd
        path.write_text(json.dumps({"plug": record}))
        kept = probes._read(path)
        if not kept:
            if anew is None:
                anew = ask("plug")["plug"]
                assert anew.reason == "the driver is too old"
            continue
        one = kept["plug"]
        assert isinstance(one, Probe)
        assert all(isinstance(text, str | None) for text in (one.reason, one.hint))
        for device in one.devices:
            assert isinstance(device.name, str)
            assert device.memory is None or device.memory >= 0
            assert all(isinstance(name, str) for name in device.precisions)
        assert all(isinstance(text, str) for pair in one.versions.items() for text in pair)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"plug": 3, "cpu": []}', b'{"plug": null}', b"[" * 100_000, b"1" * 10_000],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
def test_a_damaged_cache_is_made_again(plug, empty_store, content):
    path = empty_store / "machine" / f"{key(discover())}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert ask("plug")["plug"].state is State.WORKS
    assert json.loads(path.read_text())["plug"]["state"] == "works"


def test_a_home_that_cannot_be_written_remembers_nothing_and_answers(plug, empty_store):
    empty_store.mkdir(parents=True)
    (empty_store / "machine").write_text("a file where the folder should be")
    assert ask("plug")["plug"].state is State.WORKS
    probes.doubt("plug", discover())
    assert ask("plug")["plug"].state is State.WORKS


def test_two_processes_at_once_leave_a_whole_cache(plug, empty_store):
    command = [sys.executable, "-m", "gpux", "providers", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for one in both:
        said, errors = one.communicate(timeout=60)
        assert one.returncode == 0, errors
        assert {p["provider"]: p["state"] for p in json.loads(said)}["plug"] == "works"
    record = json.loads(cache(empty_store).read_text())
    assert {"cpu", "plug", "openvino"} <= set(record)
    assert [path.name for path in (empty_store / "machine").iterdir() if path.suffix != ".json"] == []


def test_many_threads_write_one_file(tmp_path):
    from gpux.machine.files import read, write

    path = tmp_path / "one.json"
    texts = ["x" * size for size in (10, 100_000, 1_000_000)]
    threads = [
        threading.Thread(target=lambda t=t: [write(path, {"text": t}) for _ in range(20)]) for t in texts
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found = read(path)
        assert not found or found["text"] in texts
    assert [one.name for one in tmp_path.iterdir()] == ["one.json"]


@pytest.mark.parametrize(
    "record",
    [{"a": "\ud800"}, {"a": float("nan")}, {"a": object()}, {(1, 2): 3}],
    ids=["half", "nan", "object", "key"],
)
def test_what_cannot_be_written_is_not(tmp_path, record):
    from gpux.machine.files import read, write

    path = tmp_path / "one.json"
    written = write(path, record)
    assert written is path.exists()
    assert [one for one in tmp_path.iterdir() if one != path] == []
    assert isinstance(read(path), dict)


class TestKey:
    def test_it_stays_while_nothing_changes(self, plug):
        assert key(discover()) == key(discover())

    @pytest.mark.parametrize("version", ["1.1", "2.0rc1", None])
    def test_a_package_that_brings_a_provider(self, plug, tmp_path, version):
        before = key(discover())
        if version:
            plug_in.install(tmp_path / "site", version)
        else:
            info = next((tmp_path / "site").glob("*.dist-info"))
            (info / "entry_points.txt").write_text("[gpux.providers]\nplug = gpux_plug:other\n")
        assert key({**discover()}) != before

    def test_a_package_that_is_named_like_nothing(self, plug, tmp_path):
        """It is no runtime's, and still brings a provider."""
        info = tmp_path / "site" / "Odd.Name-1.0.dist-info"
        next((tmp_path / "site").glob("*.dist-info")).rename(info)
        before = key({})
        info.rename(tmp_path / "site" / "Odd.Name-1.1.dist-info")
        assert key({}) != before

    @pytest.mark.parametrize("name", ["gpux-plug", "Gpux_Plug", "gpux.plug"])
    def test_a_runtime_however_its_name_is_spelt(self, plug, tmp_path, name):
        class Other:
            runtime = Runtime(name, "x")

        info = tmp_path / "site" / "gpux_plug_runtime-1.0.dist-info"
        info.mkdir()
        before = key({"other": Other()})
        info.rename(tmp_path / "site" / "gpux_plug_runtime-1.1.dist-info")
        assert key({"other": Other()}) != before

    @pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "LD_LIBRARY_PATH"])
    def test_a_variable_that_hides_devices(self, plug, monkeypatch, name):
        monkeypatch.delenv(name, raising=False)
        before = key(discover())
        monkeypatch.setenv(name, "")
        hidden = key(discover())
        monkeypatch.setenv(name, "0")
        assert len({before, hidden, key(discover())}) == 3

    def test_other_variables_do_not_matter(self, plug, monkeypatch):
        before = key(discover())
        monkeypatch.setenv("GPUX_LOG", "error")
        monkeypatch.setenv("SOME_OTHER", "1")
        assert key(discover()) == before
