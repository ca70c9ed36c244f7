"""``gpux run --benchmark`` and ``gpux bench``: every option, every form, comparing, gating, looking back, and bad input."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import NAME, environment, run

import gpux
from gpux.bench.report import Report
from gpux.bench.samples import Failure
from gpux.bench.suite import Reason, Suite

QUICK = ("--runs", "4", "--warmup", "1", "--no-history")


@pytest.fixture(scope="module")
def saved(gpux_command, tmp_path_factory):
    """Files of one benchmark and of one sweep on the null provider."""
    folder = tmp_path_factory.mktemp("bench")
    null = ("--provider", "null", "--no-history", "--warmup", "2")
    one = gpux_command("bench", "run", NAME, "a", *null, "--runs", "60", "--output", folder / "one.json")
    many = gpux_command(
        "bench", "run", NAME, *null, "--runs", "30", "--sweep", "batch=1,4", "--output", folder / "many.json"
    )
    assert (one.code, many.code) == (0, 0), one.err + many.err
    return folder


FORMS = {
    "table": lambda text: "percentiles" in text and "throughput" in text and "proof" in text,
    "summary": lambda text: "readiness" in text.lower() and "memory" in text.lower(),
    "json": lambda text: Report.from_json(text).settings.runs == 4,
    "csv": lambda text: len(list(csv.DictReader(io.StringIO(text)))) == 1,
    "md": lambda text: "| median |" in text,
    "html": lambda text: text.startswith("<!doctype html>") and "</html>" in text,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_benchmark_in_every_form(gpux_command, tmp_path, form):
    path = tmp_path / "bench.json"
    done = gpux_command("run", NAME, "a", "b", "--benchmark", *QUICK, "--format", form, "--output", path)
    assert done.code == 0, done.err
    assert FORMS[form](done.out), done.out[:500]
    found = gpux.read_report(path)
    assert len(found.samples.steady) == found.settings.runs == 4
    assert (found.identity.workload.items, found.identity.workload.batch) == (2, 1)
    assert found.settings.isolation == "process"
    assert not found.interrupted
    assert str(path) in done.err


@pytest.mark.parametrize("ending", ["json", "csv", "md", "html", "txt"])
def test_a_result_file_is_shown_and_written_in_every_other_form(gpux_command, saved, tmp_path, ending):
    for name in ("one.json", "many.json"):
        done = gpux_command("bench", "show", saved / name, "--output", tmp_path / f"out.{ending}")
        assert done.code == 0, done.err
        assert "throughput" in done.out or "sentences/s" in done.out
        assert (tmp_path / f"out.{ending}").stat().st_size > 500
    if ending == "json":
        assert gpux.read_report(tmp_path / "out.json") == gpux.read_report(saved / "many.json")


def test_a_benchmark_needs_no_inputs_and_prints_its_record_with_json(gpux_command):
    done = gpux_command("run", NAME, "--benchmark", "--runs", "2", "--warmup", "0", "--json", "--no-history")
    assert (done.code, done.err) == (0, "")
    assert Report.from_json(done.out).identity.workload.items == 8


@pytest.mark.parametrize(
    ("options", "scenario", "batch"),
    [
        (["--batch-size", "3"], "multi-stream", 3),
        (["--scenario", "offline"], "offline", 8),
        (["--concurrency", "2"], "closed-loop", 1),
        (["--rate", "200", "--seed", "3"], "server", 1),
        (["--duration", "200ms"], "single-stream", 1),
        (["--warmup", "auto", "--runs", "5"], "single-stream", 1),
        (["--sequence-length", "32", "--graph-only"], "single-stream", 1),
        (["--isolate", "off", "--cost-per-hour", "0.5"], "single-stream", 1),
    ],
)
def test_every_way_to_measure(gpux_command, options, scenario, batch):
    words = [
        "bench",
        "run",
        NAME,
        "--provider",
        "null",
        "--runs",
        "6",
        "--warmup",
        "1",
        "--no-history",
        "--json",
    ]
    done = gpux_command(*words, *options)
    assert done.code == 0, done.err
    found = Report.from_json(done.out)
    assert (found.settings.scenario, found.settings.batch) == (scenario, batch)
    assert len(found.samples.steady) >= 1
    if "--sequence-length" in options:
        assert set(found.identity.workload.work["tokens"]) == {32.0}
        assert found.settings.level == "graph"
    if "--cost-per-hour" in options:
        assert found.summaries.cost_per_million > 0
        assert found.settings.isolation == "off"


def test_a_dataset_is_asked_line_by_line(gpux_command, tmp_path):
    (tmp_path / "set.jsonl").write_text("\n".join(json.dumps(f"text {n}") for n in range(5)))
    words = [
        "bench",
        "run",
        NAME,
        "--input",
        f"@{tmp_path / 'set.jsonl'}",
        "--provider",
        "null",
        "--runs",
        "7",
    ]
    done = gpux_command(*words, "--warmup", "0", "--json", "--no-history")
    found = Report.from_json(done.out)
    assert found.samples.steady.query == (0, 1, 2, 3, 4, 0, 1)
    assert found.identity.workload.origin == "given"


def test_a_sweep_and_a_comparison_in_one_table(gpux_command, tmp_path):
    words = ["bench", "run", NAME, "a", *QUICK, "--compare", "provider=cpu,null", "--sweep", "batch=1,2"]
    done = gpux_command(*words, "--output", tmp_path / "suite.json", "--assess")
    assert done.code == 0, done.err
    assert "cpu · batch 2" in done.out
    assert "readiness of null · batch 1" in done.out
    assert "relative" in done.out
    suite = gpux.read_report(tmp_path / "suite.json")
    assert isinstance(suite, Suite)
    assert [row.label for row in suite.rows] == [
        "cpu · batch 1", "cpu · batch 2", "null · batch 1", "null · batch 2",
    ]  # fmt: skip


def test_a_configuration_that_cannot_run_is_a_row_and_exit_code_1(gpux_command):
    words = ["bench", "run", NAME, "a", *QUICK, "--compare", "provider=null,nonsense"]
    done = gpux_command(*words, "--json")
    assert done.code == 1
    good, bad = Suite.from_json(done.out).rows
    assert good.report is not None
    assert bad.reason.error == "UnknownProvider"
    table = gpux_command(*words)
    assert table.code == 1
    assert "nonsense" in table.out


def test_one_configuration_that_cannot_run_is_its_own_error(gpux_command):
    sentence, hint = gpux_command("bench", "run", NAME, "a", "--provider", "nul").refused(2)
    assert "`nul`" in sentence
    assert "null" in hint


BAD = {
    "no runs": (["--runs", "0"], "`runs` is `0`"),
    "negative runs": (["--runs", "-5"], "`runs` is `-5`"),
    "no time": (["--duration", "0"], "`duration` is `0.0`"),
    "no duration": (["--duration", "soon"], "`soon` is no duration"),
    "negative warm-up": (["--warmup", "-1"], "`warmup` is `-1`"),
    "no warm-up": (["--warmup", "hot"], "`warmup` is `hot`"),
    "no batch": (["--batch-size", "0"], "`batch-size` is `0`"),
    "no clients": (["--concurrency", "0"], "`concurrency` is `0`"),
    "no rate": (["--rate", "0"], "`rate` is `0.0`"),
    "endless rate": (["--rate", "inf"], "`rate` is `inf`"),
    "no such scenario": (["--scenario", "sever"], "`scenario` is `sever`"),
    "a server without a rate": (["--scenario", "server"], "needs --rate"),
    "inputs of a length and given": (["--sequence-length", "9"], "inputs were given"),
    "no such axis": (["--sweep", "bach=1"], "no axis `bach`"),
    "no such mode": (["--compare", "mode=jax"], "no mode `jax`"),
    "no value": (["--sweep", "batch"], "varies nothing"),
    "no such isolation": (["--isolate", "maybe"], "`isolate` is `maybe`"),
    "no such form": (["--format", "pdf"], "`pdf`"),
    "no such file": (["--thresholds", "none.yml"], "none.yml"),
    "a foreign parameter": (["-p", "nonsense=1"], "no parameter `nonsense`"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_measured_is_refused(gpux_command, case):
    words, said = BAD[case]
    sentence, hint = gpux_command("bench", "run", NAME, "a", "--no-history", *words).refused(2)
    assert said in sentence
    assert hint


def test_a_length_beyond_the_models_own_is_refused(gpux_command):
    sentence, hint = gpux_command("bench", "run", NAME, "--sequence-length", "9999").refused(2)
    assert "9999" in sentence
    assert "256" in hint


def altered(path, to, change):
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    to.write_text(json.dumps(raw), encoding="utf-8")
    return to


def test_bad_result_files_are_refused_and_the_field_named(gpux_command, saved, tmp_path):
    def change(raw, path, value):
        *way, last = path
        for name in way:
            raw = raw[name]
        raw[last] = value

    files = {
        "nowhere.json": None,
        "foreign.json": lambda raw: raw.clear(),
        "newer.json": lambda raw: raw.update(schema=99),
        "nan.json": lambda raw: change(raw, ("samples", "steady", "seconds", 0), float("nan")),
        "cut.json": lambda raw: change(raw, ("samples", "steady", "start"), [1.0]),
    }
    said = {
        "nowhere": "cannot be read",
        "foreign": "kind",
        "newer": "schema 99",
        "nan": "NaN",
        "cut": "differ",
    }
    for name, edit in files.items():
        path = tmp_path / name if edit is None else altered(saved / "one.json", tmp_path / name, edit)
        for words in (["bench", "show", path], ["bench", "compare", saved / "one.json", path]):
            sentence, hint = gpux_command(*words).refused(2)
            assert name in sentence
            assert said[name.partition(".")[0]] in sentence
            assert hint
    (tmp_path / "half.json").write_bytes((saved / "one.json").read_bytes()[:1000])
    assert "half.json" in gpux_command("bench", "show", tmp_path / "half.json").refused(2)[0]


def slower(path, to, factor):
    """The same result, had every run taken so much longer."""
    report = gpux.read_report(path)
    steady = report.samples.steady
    seconds = tuple(value * factor for value in steady.seconds)
    from gpux.bench.summary import summarise

    samples = dataclasses.replace(
        report.samples, steady=dataclasses.replace(steady, seconds=seconds, stages={})
    )
    found = summarise(samples, workload=report.identity.workload, settings=report.settings)
    dataclasses.replace(report, samples=samples, summaries=found).save(to)
    return to


def test_a_comparison_says_how_much_and_how_sure_and_gates(gpux_command, saved, tmp_path):
    base = saved / "one.json"
    worse = slower(base, tmp_path / "worse.json", 2.0)
    done = gpux_command("bench", "compare", base, worse, base)
    assert done.code == 0, done.err
    assert "2.00 × slower" in done.out
    assert "no measurable difference" in done.out
    assert gpux_command("bench", "compare", base, worse, "--fail-if-slower", "5%").code == 1
    assert gpux_command("bench", "compare", base, base, "--fail-if-slower", "5%").code == 0
    assert gpux_command("bench", "compare", worse, base, "--fail-if-slower", "0%").code == 0
    record = gpux_command("bench", "compare", base, worse, "--json").record
    assert record["rows"][0]["ratio"]["value"] == pytest.approx(2)
    for form in ("csv", "md"):
        assert "worse.json" in gpux_command("bench", "compare", base, worse, "--format", form).out
    assert gpux_command("bench", "compare", base, worse, "--output", tmp_path / "c.html").code == 0
    assert "<html" in (tmp_path / "c.html").read_text(encoding="utf-8")


def test_suites_are_compared_label_by_label(gpux_command, saved):
    done = gpux_command("bench", "compare", saved / "many.json", saved / "many.json")
    assert done.code == 0, done.err
    assert done.out.count("no measurable difference") == 2
    words = ["bench", "compare", saved / "many.json", saved / "many.json"]
    assert len(gpux_command(*words, "--json").record) == 2
    assert len(list(csv.DictReader(io.StringIO(gpux_command(*words, "--format", "csv").out)))) == 4
    assert "hold 2 configurations" in gpux_command(*words, "--format", "html").refused(2)[0]


def test_a_gate_does_not_pass_what_has_no_figures_or_failed(gpux_command, saved, tmp_path):
    suite = gpux.read_report(saved / "many.json")
    broken = dataclasses.replace(suite.rows[1], report=None, reason=Reason("WorkerFailed", "it died"))
    dataclasses.replace(suite, rows=(suite.rows[0], broken)).save(tmp_path / "broken.json")
    words = ["bench", "compare", saved / "many.json", tmp_path / "broken.json"]
    done = gpux_command(*words, "--fail-if-slower", "50%")
    assert done.code == 1
    assert "no figures of batch 4" in done.err
    assert gpux_command(*words).code == 0
    report = gpux.read_report(saved / "one.json")
    failure = Failure("steady", 1.0, 0.1, 0, "RunFailed", "it failed")
    samples = dataclasses.replace(report.samples, failures=(failure,) * 9)
    dataclasses.replace(report, samples=samples).save(tmp_path / "failed.json")
    done = gpux_command(
        "bench", "compare", saved / "one.json", tmp_path / "failed.json", "--fail-if-slower", "50%"
    )
    assert done.code == 1
    assert "9 runs failed" in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("axes", [[], ["--sweep", "batch=1,2"]], ids=["one", "sweep"])
def test_figures_are_printed_even_where_the_file_cannot_be_written(gpux_command, tmp_path, axes):
    (tmp_path / "full.json").symlink_to("/dev/full")
    words = ["bench", "run", NAME, "a", "--provider", "null", "--runs", "5", "--warmup", "0", "--no-history"]
    done = gpux_command(*words, *axes, "--output", tmp_path / "full.json")
    assert done.code == 1
    assert "sentences/s" in done.out
    assert "cannot be written" in done.err


def test_other_work_is_refused_or_labelled(gpux_command, saved, tmp_path):
    other = tmp_path / "other.json"
    words = ["bench", "run", NAME, "another text", "--provider", "null", "--runs", "20", "--no-history"]
    assert gpux_command(*words, "--output", other).code == 0
    sentence, hint = gpux_command("bench", "compare", saved / "one.json", other).refused(2)
    assert "inputs" in sentence
    assert "--anyway" in hint
    assert gpux_command("bench", "compare", saved / "one.json", other, "--anyway").code == 0
    sentence, hint = gpux_command("bench", "compare", saved / "one.json", saved / "many.json").refused(2)
    assert "several" in sentence


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare"], "two results"),
        (["compare", "one.json"], "two results"),
        (["compare", "{one}", "{one}", "--fail-if-slower", "much"], "much"),
        (["compare", "{one}", "{one}", "--statistic", "mode"], "mode"),
        (["compare", "{one}", "{one}", "--output", "x.pdf"], "x.pdf"),
        (["show", "{one}", "--format", "pdf"], "pdf"),
        (["history", "never-measured"], "never-measured"),
    ],
)
def test_wrong_use_of_the_others_is_told(gpux_command, saved, words, said):
    words = [word.replace("{one}", str(saved / "one.json")) for word in words]
    sentence, hint = gpux_command("bench", *words).refused(2 if words[0] != "history" else 1)
    assert said in sentence
    assert hint


def test_results_are_remembered_and_can_be_looked_back_at(own_store, tmp_path):
    words = ["bench", "run", NAME, "a", "--provider", "null", "--runs", "30", "--warmup", "0", "--quiet"]
    for _ in range(2):
        assert run(*words, env=own_store).code == 0
    assert run(*words, "--no-history", env=own_store).code == 0
    done = run("bench", "history", NAME, env=own_store)
    assert done.code == 0, done.err
    assert "null" in done.out
    record = run("bench", "history", NAME, "--json", env=own_store).record
    assert [len(course["entries"]) for course in record["courses"]] == [2]


def test_a_history_that_cannot_be_written_never_fails_a_benchmark(own_store, tmp_path):
    (tmp_path / "own" / "history.db").write_bytes(b"no database at all" * 100)
    words = ["bench", "run", NAME, "a", "--provider", "null", "--runs", "5", "--warmup", "0"]
    done = run(*words, env=own_store)
    assert done.code == 0, done.err
    assert "not remembered" in done.err
    assert "history.db" in run("bench", "history", NAME, env=own_store).refused(1)[0]


def test_thresholds_decide_the_readiness(gpux_command, tmp_path):
    words = ["bench", "run", NAME, "a", "--provider", "null", "--runs", "30", "--warmup", "2", "--no-history"]
    done = gpux_command(*words, "--assess")
    assert done.code == 0, done.err
    assert "good" in done.out
    strict = tmp_path / "strict.yml"
    strict.write_text("throughput: {good: 1000000000, acceptable: 900000000}\n")
    assert "poor" in gpux_command(*words, "--thresholds", strict).out
    strict.write_text("throughput: {good: 5, acceptable: 9}\nlatencyy: 3\n")
    sentence, hint = gpux_command(*words, "--thresholds", strict).refused(2)
    assert "strict.yml" in sentence
    assert hint


def test_standard_output_that_knows_only_ascii_gets_ascii(gpux_command):
    words = ["bench", "run", NAME, "a", "--provider", "null", "--runs", "30", "--warmup", "0", "--no-history"]
    done = gpux_command(*words, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.code == 0, done.err
    assert done.out.isascii()
    assert "\\u25" not in done.out


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_keeps_the_runs_that_were_finished(minilm, tmp_path):
    path = tmp_path / "bench.json"
    words = ["run", NAME, "a", "--benchmark", "--runs", "1000000", "--warmup", "0", "--output", str(path)]
    with subprocess.Popen(
        [sys.executable, "-m", "gpux", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    ) as process:
        assert "measure: opening" in process.stderr.readline()
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "median" in out
    found = gpux.read_report(path)
    assert found.interrupted
    assert 0 < len(found.samples.steady) < 1000000
