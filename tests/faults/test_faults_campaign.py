"""Campaigns that go wrong: configurations that fail, die, starve, crawl or are interrupted give rows that say so."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import faulty_provider
import pytest
import small

import gpux
from gpux.bench.settings import settle
from gpux.campaign import conductor

TEXTS = ["w2 w3 w4", "w5 w6", "w7 w8 w9 w10", "w11", "w12 w13", "w14 w15 w16", "w17", "w18 w19"]


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The faulty provider is installed; what it does is set through the environment."""
    site = faulty_provider.install(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(site))
    return monkeypatch


def sweep(stored, *axes, **asked):
    return gpux.sweep(stored, axes, TEXTS, **{"runs": 20, "warmup": 1, "provider": "faulty", **asked})


def test_configurations_take_turns_on_the_same_inputs(stored, faulty):
    saved = []
    suite = sweep(stored, "batch=1,4", "provider=faulty,null", provider=None, save=saved.append)
    assert [row.label for row in suite.rows] == [
        "faulty · batch 1", "faulty · batch 4", "null · batch 1", "null · batch 4",
    ]  # fmt: skip
    assert suite.axes == {"provider": ("faulty", "null"), "batch": ("1", "4")}
    assert suite.interleaved
    assert not suite.interrupted
    for row in suite.rows:
        assert row.reason is None
        assert len(row.report.samples.steady) == 20
        assert row.report.samples.steady.round == tuple(i // 5 for i in range(20))
        assert row.report.settings.rounds == 4
        assert row.report.settings.isolation == "process"
        assert row.report.memory.before < row.report.memory.loaded <= row.report.memory.peak
        assert row.report.identity.workload.origin == "given"
    assert {row.report.identity.workload.sha256 for row in suite.rows} == {
        suite.rows[0].report.identity.workload.sha256
    }
    assert suite.rows[0].agreement is None
    assert suite.rows[1].agreement == pytest.approx(1)
    assert suite.rows[2].agreement == 0.0  # zeros agree with nothing
    ranking = gpux.rank(suite)
    assert not any(standing.best for standing in ranking.standings if standing.label.startswith("null"))
    assert {standing.quality for standing in ranking.standings[2:]} == {"disagrees"}
    assert any("gives other answers" in sentence for sentence in ranking.sentences)
    assert saved[-1] == suite
    assert [sum(row.report is not None for row in told.rows) for told in saved] == [1, 2, 3, 4]


def test_one_configuration_has_one_round_and_no_axes(stored, faulty):
    suite = sweep(stored)
    (row,) = suite.rows
    assert (row.label, row.axes, suite.axes) == ("", {}, {})
    assert row.report.settings.rounds == 1
    assert set(row.report.samples.steady.round) == {0}


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("fail", "faulty failed on purpose"),
        ("killed", "killed, most likely for want of memory"),
        ("starve", "ran out of memory"),
        ("exit", "ended with code 3"),
    ],
)
def test_one_point_that_fails_leaves_the_others(stored, faulty, what, said):
    faulty.setenv("FAULTY", what)
    faulty.setenv("FAULTY_ROWS", "8")
    suite = sweep(stored, "batch=1,8,4")
    good, bad, other = suite.rows
    assert len(good.report.samples.steady) == len(other.report.samples.steady) == 20
    assert bad.report is None
    assert said in bad.reason.message
    assert bad.reason.hint
    assert gpux.Suite.from_json(suite.to_json()) == suite


def test_a_run_that_fails_in_the_middle_is_counted_and_its_row_goes_on(stored, faulty):
    faulty.setenv("FAULTY", "fail-once")
    faulty.setenv("FAULTY_AFTER", "9")
    (row,) = sweep(stored).rows
    assert row.reason is None
    assert len(row.report.samples.steady) == 19
    assert row.report.summaries.failed == 1
    assert row.report.samples.failures[0].message == "faulty failed once"


def test_a_process_that_dies_in_the_middle_says_so(stored, faulty):
    faulty.setenv("FAULTY", "killed")
    faulty.setenv("FAULTY_AFTER", "12")
    good, bad = sweep(stored, "provider=null,faulty", provider=None).rows
    assert good.report is not None
    assert bad.report is None
    assert "killed" in bad.reason.message


def test_a_provider_that_is_not_there_and_a_graph_that_it_refuses(stored, faulty):
    faulty.setenv("FAULTY", "open")
    unknown, refused, good = sweep(stored, "provider=nul,faulty,null", provider=None).rows
    assert unknown.reason.error == "UnknownProvider"
    assert "null" in unknown.reason.hint
    assert "refused the graph" in refused.reason.message
    assert good.report is not None


def test_a_variant_that_cannot_be_had_gives_a_row_and_alone_an_error(stored, faulty):
    missing, good = gpux.sweep(
        stored.reference, ["variant=int8,fp32"], TEXTS, runs=3, warmup=0, provider="null"
    ).rows
    assert missing.reason.error == "UnknownVariant"
    assert good.report is not None
    with pytest.raises(gpux.errors.UnknownVariant):
        gpux.sweep(stored.reference, ["variant=int8"], TEXTS, runs=3, warmup=0, provider="null")


def test_without_room_for_two_they_are_measured_one_after_the_other(stored, faulty):
    faulty.setenv("FAULTY", "starve")
    faulty.setenv("FAULTY_ROWS", "4")
    suite = sweep(stored, "batch=1,4")
    assert not suite.interleaved  # the second was tried again alone, and starved there as well
    assert suite.rows[1].reason.error == "WorkerFailed"


def test_isolation_off_measures_in_this_process(stored):
    suite = gpux.sweep(stored, ["batch=1,2"], TEXTS, runs=10, warmup=0, provider="null", isolation="off")
    assert [row.report.settings.isolation for row in suite.rows] == ["off", "off"]
    assert all(row.report.samples.steady.round == (0,) * 5 + (1,) * 5 for row in suite.rows)
    (torch, onnx) = gpux.sweep(
        stored, ["mode=torch,onnx"], TEXTS, runs=2, warmup=0, provider="null", isolation="off"
    ).rows
    assert "exporter's environment" in torch.reason.message
    assert onnx.report is not None


def test_a_model_without_a_checkpoint_has_no_torch_row(stored, faulty):
    torch, onnx = sweep(stored, "mode=torch,onnx").rows
    assert torch.label == "torch"
    assert "no checkpoint" in torch.reason.message
    assert onnx.report is not None


@pytest.mark.parametrize(
    ("axes", "asked", "said"),
    [
        (["bach=1,2"], {}, "no axis `bach`"),
        (["batch"], {}, "varies nothing"),
        (["batch=0"], {}, "cannot be `0`"),
        (["batch=1,,2"], {}, "cannot be ``"),
        (["batch=99999999999"], {}, "cannot be"),
        (["mode=jax"], {}, "no mode `jax`"),
        (["batch=" + ",".join(map(str, range(1, 300)))], {}, "299 configurations"),
        ([], {"isolation": "thread"}, "`isolate` is `thread`"),
        ([], {"runs": 0}, "`runs` is `0`"),
        (["concurrency=2,4"], {"scenario": "single-stream"}, ""),
    ],
)
def test_wrong_axes_and_settings_are_refused_before_anything_starts(stored, axes, asked, said):
    if not said:
        assert len(gpux.sweep(stored, axes, TEXTS, runs=2, warmup=0, provider="null", **asked).rows) == 2
        return
    with pytest.raises(gpux.errors.InvalidSetting) as caught:
        gpux.sweep(stored, axes, TEXTS, **asked)
    assert said in caught.value.message
    assert caught.value.hint


def test_inputs_that_json_cannot_hold_are_refused(stored):
    with pytest.raises(gpux.errors.InvalidInput) as caught:
        gpux.sweep(stored, [], [object()])
    assert caught.value.hint


def test_a_model_that_fails_after_its_figures_are_in_keeps_them(stored, faulty):
    faulty.setenv("FAULTY", "fail")
    faulty.setenv("FAULTY_AFTER", "22")  # the first run, one of warm-up, and twenty steady ones
    (row,) = sweep(stored).rows
    assert row.reason is None
    assert len(row.report.samples.steady) == 20
    faulty.setenv(
        "FAULTY_AFTER", str(1 + 1 + 20 + 3 * 2)
    )  # with two runs at the beginning of every later round
    first, _ = sweep(stored, "provider=faulty,null", provider=None).rows
    assert first.reason is None
    assert len(first.report.samples.steady) == 20


def test_a_process_that_dies_late_leaves_what_it_told_before(stored, faulty):
    faulty.setenv("FAULTY", "killed")
    faulty.setenv("FAULTY_SECONDS", "0.1")
    faulty.setenv("FAULTY_AFTER", "115")
    (row,) = sweep(stored, runs=200, warmup=0).rows
    assert "killed" in row.reason.message
    assert 80 < len(row.report.samples.steady) < 115


def test_a_model_that_starves_in_this_process_is_a_row_too(stored, faulty, tmp_path):
    code = (
        "import json, sys, gpux; suite = gpux.sweep(gpux.Store().get(sys.argv[1]), ['batch=1,8,2'], json.loads(sys.argv[2]),"
        "runs=5, warmup=0, provider='faulty', isolation='off'); suite.save(sys.argv[3])"
    )
    path = tmp_path / "suite.json"
    done = subprocess.run(
        [sys.executable, "-c", code, stored.reference, json.dumps(TEXTS), str(path)],
        env={**os.environ, "FAULTY": "starve", "FAULTY_ROWS": "8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    good, bad, other = gpux.read_report(path).rows
    assert good.report is not None
    assert other.report is not None
    assert "MemoryError" in bad.reason.message
    assert good.report.memory.peak is None
    assert "share" in good.report.memory.how


@pytest.mark.parametrize(
    ("asked", "pace", "expected"),
    [
        ({"runs": 100}, 0.01, 10),
        ({"runs": 20}, 0.01, 4),
        ({"runs": 3}, 0.01, 1),
        ({"runs": 100, "concurrency": 4}, 0.01, 5),
        ({"runs": 100, "concurrency": 32}, 0.01, 1),
        ({"runs": 100, "rate": 5.0}, 0.01, 1),
        ({"duration": 1.0}, 0.5, 1),
        ({"duration": 60.0}, 0.01, 10),
        ({"duration": 3.0}, 0.1, 6),
    ],
)
def test_rounds_leave_every_client_some_runs_and_a_queue_whole(asked, pace, expected):
    assert conductor.rounds(settle(**asked), pace, alone=False) == expected
    assert conductor.rounds(settle(**asked), pace, alone=True) == 1


def test_offline_stays_offline_whatever_is_varied(stored):
    suite = gpux.sweep(stored, ["threads=1,2"], TEXTS, runs=3, warmup=0, provider="null", scenario="offline")
    assert {row.report.settings.scenario for row in suite.rows} == {"offline"}
    suite = gpux.sweep(stored, ["sequence=4,8"], runs=3, warmup=0, provider="null", scenario="offline")
    assert {(row.report.settings.scenario, row.report.identity.workload.batch > 1) for row in suite.rows} == {
        ("offline", True)
    }
    with pytest.raises(gpux.errors.InvalidSetting):
        gpux.sweep(stored, ["batch=1,2"], TEXTS, provider="null", scenario="offline")


def test_clients_are_compared_by_what_is_answered_in_all(stored, faulty):
    faulty.setenv("FAULTY_SECONDS", "0.005")
    suite = sweep(stored, "concurrency=1,8", runs=160)
    one, eight = (row.report.summaries.throughput for row in suite.rows)
    ratio = gpux.compare(suite.reports, names=["one", "eight"]).rows[0].ratio
    assert ratio.value == pytest.approx(one / eight)
    assert ratio.verdict == "faster"


SCRIPT = """
import json, sys
import gpux
suite = gpux.sweep(gpux.Store().get(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3]),
                   runs=100000, warmup=0, provider="faulty", progress=lambda e: print(e.message, flush=True))
suite.save(sys.argv[4])
"""


@contextlib.contextmanager
def begun(process: subprocess.Popen[str]) -> Iterator[None]:
    """Once it is in its first round; its output is read until then, and closed at the end."""
    assert process.stdout is not None
    with process.stdout as stream:
        for line in stream:
            if "round 1" in line or "running" in line:
                break
        yield


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
@pytest.mark.parametrize("axes", [[], ["batch=1,2"]], ids=["one", "two"])
def test_ctrl_c_keeps_what_was_measured_and_leaves_no_process(stored, faulty, tmp_path, axes):
    path = tmp_path / "suite.json"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, stored.reference, json.dumps(axes), json.dumps(TEXTS), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "FAULTY_SECONDS": "0.01"},
    )
    with begun(process):
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    suite = gpux.read_report(path)
    assert suite.interrupted
    first = suite.rows[0].report
    assert first.interrupted
    assert 20 < len(first.samples.steady) < 1000
    assert first.cautions[0].name == "interrupted"
    if axes:
        assert suite.rows[1].report.summaries.steady is None
    assert small.gone(Path(os.environ["GPUX_HOME"]))


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
def test_a_killed_conductor_leaves_no_process(stored, faulty, tmp_path):
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SCRIPT,
            stored.reference,
            '["batch=1,2"]',
            json.dumps(TEXTS),
            str(tmp_path / "x"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with begun(process):
        process.kill()
        process.wait()
    assert small.gone(Path(os.environ["GPUX_HOME"]))
