"""Memory: real processes that take 200 MB and let go of it, real artifacts' manifests, and a machine without psutil."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_subject import Sleeper

from gpux.artifact import File
from gpux.bench import memory, records
from gpux.bench.memory import Curve, Memory, Peak, Trace

SIZE = 200 << 20
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="this system has no /proc")
TOLD = pytest.mark.skipif(
    memory.resident() is None, reason="this system tells no memory of a process without psutil"
)


def run(code, *arguments, **environment):
    # A process begins with its parent's highest memory for its own (getrusage(2)), and pytest's may be anything.
    small = ["/bin/sh", "-c", '"$@"; exit $?', "sh"] if os.name == "posix" else []
    done = subprocess.run(
        [*small, sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TAKE = """
import json, sys, time
from pathlib import Path
from gpux.bench.memory import Peak, Trace, resident

def take(megabytes, seconds=0.0):
    block = bytearray(megabytes << 20)
    block[::4096] = bytes([1]) * len(block[::4096])
    time.sleep(seconds)

"""


@TOLD
def test_what_was_taken_and_let_go_is_in_the_peak_and_no_longer_resident():
    code = (
        TAKE
        + """
before = resident()
peak = Peak.begin()
take(200)
found = peak.end()
print(json.dumps([before, found.bytes, found.how, resident()]))
"""
    )
    before, peak, how, after = run(code)
    assert peak - before == pytest.approx(SIZE, rel=0.1)
    assert after - before < SIZE / 10
    assert "high-water mark" in how


@LINUX
def test_a_higher_peak_before_the_span_is_not_in_it():
    code = (
        TAKE
        + """
take(400)
before = resident()
peak = Peak.begin()
take(200)
print(json.dumps([before, peak.end().bytes]))
"""
    )
    before, peak = run(code)
    assert peak - before == pytest.approx(SIZE, rel=0.1)


@LINUX
def test_spans_inside_each_other_each_see_their_own_peak():
    code = (
        TAKE
        + """
before = resident()
outer = Peak.begin()
take(200)
inner = Peak.begin()
take(50)
print(json.dumps([before, inner.end().bytes, outer.end().bytes]))
"""
    )
    before, inner, outer = run(code)
    assert inner - before == pytest.approx(50 << 20, rel=0.1)
    assert outer - before == pytest.approx(SIZE, rel=0.1)


REFUSED = (
    TAKE
    + """
root = Path(sys.argv[1])
take(int(sys.argv[2]))
before = resident()
peak = Peak.begin(process=root)
take(200, 0.2)
found = peak.end()
print(json.dumps([before, found.bytes, found.how]))
"""
)


@LINUX
@pytest.mark.parametrize(
    ("earlier", "how"), [(400, "sampled every 10 ms"), (1, "high-water mark of the process, which rose")]
)
def test_where_the_mark_cannot_be_set_back_it_is_sampled_or_seen_to_rise(tmp_path, earlier, how):
    """A directory that refuses to be written to, as the kernel's file does in some containers."""
    (tmp_path / "clear_refs").mkdir()
    before, peak, told = run(REFUSED, tmp_path, earlier)
    assert peak - before == pytest.approx(SIZE, rel=0.1)
    assert how in told


@LINUX
def test_a_mark_that_was_not_set_back_though_nothing_was_refused_is_noticed(tmp_path):
    (tmp_path / "clear_refs").write_text("")
    (tmp_path / "status").write_text("Name:\tx\nVmHWM:\t  900000 kB\nVmRSS:\t  20000 kB\n")
    before, peak, told = run(REFUSED, tmp_path, 1)
    assert (tmp_path / "clear_refs").read_text() == "5"
    assert peak - before == pytest.approx(SIZE, rel=0.1)
    assert "sampled" in told


@TOLD
def test_resident_memory_agrees_with_psutil():
    psutil = pytest.importorskip("psutil", reason="psutil is not installed")
    assert memory.resident() == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)


@LINUX
def test_linux_needs_no_psutil(tmp_path):
    (tmp_path / "psutil.py").write_text("raise ImportError('blocked')\n")
    code = TAKE + "peak = Peak.begin()\ntake(200)\nprint(json.dumps([resident(), peak.end().bytes]))"
    resident, peak = run(code, PYTHONPATH=str(tmp_path))
    assert peak - resident == pytest.approx(SIZE, rel=0.1)


@TOLD
def test_the_trace_shows_the_rise_and_the_fall():
    code = (
        TAKE
        + """
trace = Trace.begin(interval=0.01)
time.sleep(0.1); take(200, 0.2); time.sleep(0.1)
curve = trace.end()
print(json.dumps([curve.seconds, curve.bytes]))
"""
    )
    seconds, sizes = run(code)
    assert len(seconds) == len(sizes) > 10
    assert list(seconds) == sorted(seconds)
    assert 0.4 < seconds[-1] - seconds[0] < 10
    assert max(sizes) - sizes[0] == pytest.approx(SIZE, rel=0.1)
    assert sizes[-1] - sizes[0] < SIZE / 10
    at = seconds[sizes.index(max(sizes))]
    assert at > 0.05


@TOLD
def test_seconds_are_counted_from_the_origin():
    origin = time.perf_counter_ns() - 5_000_000_000
    curve = Trace.begin(origin=origin).end()
    assert 5 <= curve.seconds[0] <= curve.seconds[-1] < 10
    assert len(curve.bytes) == 2


def test_a_long_trace_stays_short_and_keeps_its_peaks():
    steps = itertools.count()
    trace = Trace.begin(interval=0.00005, read=lambda: 10**9 if (n := next(steps)) == 777 else n % 100)
    until = time.monotonic() + 30
    while trace._ticking.interval < 0.0002 and time.monotonic() < until:  # thinned twice
        time.sleep(0.01)
    curve = trace.end()
    assert memory.POINTS / 2 <= len(curve.seconds) <= memory.POINTS
    assert next(steps) > 1.4 * memory.POINTS
    assert max(curve.bytes) == 10**9
    assert list(curve.seconds) == sorted(curve.seconds)


def test_where_nothing_is_told_the_trace_is_empty_and_has_no_thread():
    trace = Trace.begin(read=lambda: None)
    assert trace._ticking is None
    assert trace.end() == Curve((), ())


def stored(graphs, files):
    """An artifact of one variant with these graphs and these files: path → bytes."""
    artifact = Sleeper(0.0).artifact
    variant = dataclasses.replace(artifact.manifest.variants[0], graphs=graphs)
    listed = tuple(File(path, size, "0" * 64) for path, size in files.items())
    manifest = dataclasses.replace(artifact.manifest, variants=(variant,), files=listed)
    return dataclasses.replace(artifact, manifest=manifest)


@pytest.mark.parametrize(
    ("graphs", "files", "expected"),
    [
        (
            {"model": "fp32/model.onnx"},
            {"fp32/model.onnx": 5, "fp32/model.onnx.data": 70, "fp32/more/w.bin": 8, "tokenizer.json": 900, "fp16/model.onnx": 3},
            {"model": 83},
        ),
        ({"model": "model.onnx"}, {"model.onnx": 5, "model.onnx_data": 70, "tokenizer.json": 900}, {"model": 75}),
        (
            {"encoder": "fp32/encoder/model.onnx", "decoder": "fp32/decoder/model.onnx"},
            {"fp32/encoder/model.onnx": 1, "fp32/encoder/w": 20, "fp32/decoder/model.onnx": 300, "fp32/decoder/w": 4000},
            {"encoder": 21, "decoder": 4300},
        ),
        (
            {"decoder": "q4/decoder.onnx", "past": "q4/decoder_with_past.onnx"},
            {"q4/decoder.onnx": 1, "q4/decoder.onnx.data": 20, "q4/decoder_with_past.onnx": 300,
             "q4/decoder_with_past.onnx_data": 4000, "q4/weights.bin": 50000},
            {"decoder": 21, "past": 4300, "shared": 50000},
        ),
    ],
    ids=["folder", "root", "folders", "shared folder"],
)  # fmt: skip
def test_every_file_of_a_variant_is_counted_once(graphs, files, expected):
    assert memory.on_disk(stored(graphs, files)) == {"fp32": expected}


def test_bytes_on_disk_are_those_of_a_real_artifact(minilm):
    found = memory.on_disk(minilm)
    for variant in minilm.manifest.variants:
        folder = minilm.path(variant.graphs["model"]).parent
        assert sum(found[variant.name].values()) == sum(
            p.stat().st_size for p in folder.rglob("*") if p.is_file()
        )


def test_the_record_goes_through_json():
    record = Memory({"fp32": {"model": 3}}, None, 1, None, 9, "sampled", Curve((0.0, 0.5), (1, 9)), ())
    assert records.decode(Memory, json.loads(json.dumps(dataclasses.asdict(record)))) == record


@LINUX
def test_the_peak_leaves_the_kernels_other_figures_of_this_process_alone():
    before = memory.resident()
    Peak.begin().end()
    assert memory.resident() == pytest.approx(before, rel=0.2)
    assert Path("/proc/self/status").read_text().count("VmRSS") == 1
