"""The report: exact round trip, strict reading, atomic writing."""

import dataclasses
import json
import os
import stat
import sys
import threading
from pathlib import Path

import pytest
from bench_subject import Sleeper
from hypothesis import given
from hypothesis import strategies as st

from gpux.bench import benchmark, documents, stats
from gpux.bench.report import Report
from gpux.bench.samples import Samples, Series
from gpux.bench.suite import Reason, Row, Suite, read_report
from gpux.errors import InvalidInput, StoreUnwritable


@pytest.fixture(scope="module")
def report():
    return benchmark(
        Sleeper(0.003, 0.0), ["a text", "ein Wörtchen 🐈"], runs=20, warmup=3, parameters={"top_k": 2}
    )


def test_json_gives_back_an_equal_report(report):
    assert Report.from_json(report.to_json()) == report
    assert Report.from_json(report.to_json().encode()) == report


def test_an_interrupted_report_makes_the_round_trip_too():
    cut = benchmark(Sleeper(None), "x")
    assert Report.from_json(cut.to_json()) == cut


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(
        st.tuples(
            st.floats(-1e10, 1e10),
            st.just(0.0) | st.floats(1e-12, 1e10),
            st.just(0.0) | st.floats(1e-12, 1e10),
        ),
        max_size=20,
    )
)
def test_every_finite_number_survives_to_the_last_bit(rows):
    base = benchmark(Sleeper(0.0), "x", runs=1, warmup=0)
    start, seconds, infer = ([row[column] for row in rows] for column in range(3))
    count = len(rows)
    series = Series(
        tuple(start),
        tuple(seconds),
        (0,) * count,
        (0,) * count,
        {"infer": tuple(infer)},
        ((0.5,),) * count,
        ((1,),) * count,
    )
    figures = dataclasses.replace(
        base.summaries,
        steady=stats.summarise(seconds),
        stages={},
        outliers=(),
        items=float(count),
    )
    changed = dataclasses.replace(base, samples=Samples({}, {}, series, series, series), summaries=figures)
    assert Report.from_json(changed.to_json()) == changed


def _raw(report):
    return json.loads(report.to_json())


def _set(raw, path, value):
    *way, last = path
    for name in way:
        raw = raw[name]
    raw[last] = value


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("identity", "threads"), "two", "identity.threads"),
        (("identity", "threads"), True, "identity.threads"),
        (("identity", "machine", "cores"), None, "identity.machine.cores"),
        (("identity", "nodes", "CPUExecutionProvider"), 1.5, "identity.nodes.CPUExecutionProvider"),
        (("samples", "steady", "seconds", 3), None, "samples.steady.seconds[3]"),
        (("samples", "steady", "seconds", 3), "1", "samples.steady.seconds[3]"),
        (("samples", "steady", "seconds", 3), True, "samples.steady.seconds[3]"),
        (("samples", "steady", "seconds", 3), 10**400, "samples.steady.seconds"),
        (("samples", "steady", "seconds", 3), 2**63, "samples.steady.seconds[3]"),
        (("samples", "steady", "query", 3), 1.5, "samples.steady.query"),
        (("identity", "threads"), 10**400, "identity.threads"),
        (("identity", "nodes", "CPUExecutionProvider"), 10**400, "identity.nodes.CPUExecutionProvider"),
        (("settings", "seed"), 2**63, "settings.seed"),
        (("settings", "parameters", "top_k"), [{"a": 10**400}], "settings.parameters.top_k[0].a"),
        (("settings", "rounds"), 10_001, "settings.rounds"),
        (("memory", "peak"), -1, "memory.peak"),
        (("memory", "peak"), 2**61, "memory.peak"),
        (("memory", "disk"), {"fp32": {"model": -5}}, "memory.disk.fp32.model"),
        (("memory", "trace"), {"seconds": [1.0, 0.5], "bytes": [1, 1]}, "memory.trace.seconds"),
        (("identity", "share"), 1.01, "identity.share"),
        (("identity", "min_cosine"), -1.1, "identity.min_cosine"),
        (("identity", "top1"), 2.0, "identity.top1"),
        (("identity", "started"), "\ud800", "identity.started"),
        (("identity", "versions"), {"\ud800": "1"}, "identity.versions"),
        (("summaries", "shares", "infer"), 1.1, "summaries.shares.infer"),
        (("summaries", "steady", "median"), 7.0, "summaries.steady.median"),
        (("summaries", "steady", "p99"), 7.0, "summaries.steady.p99"),
        (("summaries", "steady"), None, "summaries.steady"),
        (("summaries", "stages", "infer", "mean"), 7.0, "summaries.stages.infer.mean"),
        (("summaries", "intervals", "median"), [2.0, 1.0], "summaries.intervals.median"),
        (("summaries", "items"), -1.0, "summaries.items"),
        (("summaries", "throughput"), 1e16, "summaries.throughput"),
        (("summaries", "span"), 1e-16, "summaries.span"),
        (("energy", "joules"), -1.0, "energy.joules"),
        (("conditions", "load"), -2.0, "conditions.load"),
        (("samples", "steady", "start"), [], "samples.steady"),
        (("samples", "steady", "seconds", 3), float("nan"), "NaN"),
        (("samples", "steady", "seconds"), [1.0], "samples.steady"),
        (("samples", "steady"), [], "samples.steady"),
        (("summaries", "intervals", "median"), [1.0], "summaries.intervals.median"),
        (("summaries", "steady", "p99"), float("inf"), "Infinity"),
        (("identity", "workload", "batch"), 0, "identity.workload.batch"),
        (("identity", "workload", "items"), 10**9, "identity.workload.items"),
        (("identity", "workload", "work", "tokens"), [1.0], "identity.workload.work.tokens"),
        (("samples", "steady", "query", 3), 7, "samples.steady.query"),
        (("samples", "steady", "query", 3), -1, "samples.steady.query"),
        (("samples", "steady", "seconds", 3), -1.0, "samples.steady.seconds"),
        (("samples", "steady", "seconds", 3), 1e-300, "samples.steady.seconds"),
        (("samples", "steady", "stages", "infer", 3), 1e300, "samples.steady.stages.infer"),
        (("summaries", "steady", "n"), 3, "summaries.steady.n"),
        (("summaries", "outliers"), [99], "summaries.outliers"),
        (("memory", "trace", "bytes"), [], "memory.trace"),
        (("settings", "rate"), 0.0, "settings.rate"),
        (("settings", "concurrency"), 0, "settings.concurrency"),
        (("cautions",), {}, "cautions"),
        (("surprise",), 1, "surprise"),
        (("schema",), 1, "schema 1"),
        (("schema",), 2, "schema 2"),
        (("schema",), 5, "schema 5"),
        (("schema",), "1", "schema"),
        (("kind",), "something else", "kind"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_damaged_or_foreign_report_is_refused_and_the_field_named(report, path, value, named):
    raw = _raw(report)
    _set(raw, path, value)
    with pytest.raises(InvalidInput) as caught:
        Report.from_json(json.dumps(raw))
    assert named in caught.value.message
    assert caught.value.hint


def test_a_newer_schema_says_to_upgrade(report):
    with pytest.raises(InvalidInput) as caught:
        Report.from_json(json.dumps({**_raw(report), "schema": 5}))
    assert "upgrade" in caught.value.hint


@pytest.mark.parametrize(
    "section", ["identity", "settings", "samples", "summaries", "cautions", "interrupted"]
)
def test_a_missing_section_is_named(report, section):
    raw = _raw(report)
    del raw[section]
    with pytest.raises(InvalidInput, match=section):
        Report.from_json(json.dumps(raw))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", b"\xff\xfe\x00", "[" * 100_000, '{"a": 1e999}'])
def test_what_is_no_report_is_refused(text):
    with pytest.raises(InvalidInput):
        Report.from_json(text)


@given(
    st.recursive(
        st.none() | st.booleans() | FINITE | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_at_all_is_refused_in_words(value):
    with pytest.raises(InvalidInput):
        Report.from_json(json.dumps(value))


def test_save_and_read(report, tmp_path):
    path = tmp_path / "bench.json"
    report.save(path)
    assert read_report(path) == report
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]


def test_saving_replaces_an_old_file_through_a_link(report, tmp_path):
    path, link = tmp_path / "real.json", tmp_path / "link.json"
    path.write_text("old")
    link.symlink_to(path)
    report.save(link)
    assert link.is_symlink()
    assert read_report(path) == report


def test_a_pipe_takes_the_report_and_stays_a_pipe(report, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    texts = []
    reader = threading.Thread(target=lambda: texts.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    report.save(pipe)
    reader.join(10)
    assert Report.from_json(texts[0]) == report
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["missing/bench.json", "a_directory", "x" * 300, "/dev/full"])
def test_a_report_that_cannot_be_written_says_so_and_leaves_nothing(report, tmp_path, name):
    (tmp_path / "a_directory").mkdir()
    with pytest.raises(StoreUnwritable) as caught:
        report.save(tmp_path / name)
    assert caught.value.hint
    assert [file.name for file in tmp_path.iterdir()] == ["a_directory"]


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"nowhere\.json"):
        read_report(tmp_path / "nowhere.json")
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(InvalidInput, match=r"other\.json"):
        read_report(tmp_path / "other.json")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no named pipes among its files")
def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path):
        with pytest.raises(InvalidInput, match="no regular file"):
            read_report(path)
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_report("a\0name")


def test_a_file_of_more_than_a_gibibyte_is_refused(tmp_path):
    with (tmp_path / "large.json").open("wb") as stream:
        stream.truncate((1 << 30) + 1)
    with pytest.raises(InvalidInput, match="1 GiB"):
        read_report(tmp_path / "large.json")


def test_a_name_that_is_no_text_is_written_as_its_escape(report, tmp_path):
    named = dataclasses.replace(
        report, identity=dataclasses.replace(report.identity, reference="file:/m/\udcff")
    )
    named.save(tmp_path / "bench.json")
    assert read_report(tmp_path / "bench.json").identity.reference == "file:/m/\\udcff"


def test_what_is_wrong_with_a_long_name_is_said_in_few_words(report):
    raw = _raw(report)
    raw["x" * 100_000 + "\ud800"] = 1
    with pytest.raises(InvalidInput, match="is damaged") as caught:
        Report.from_json(json.dumps(raw))
    assert len(caught.value.message) < 400
    caught.value.message.encode()


def test_an_agreement_in_a_suite_is_a_cosine(report):
    suite = Suite(documents.SCHEMA, False, {}, True, (Row("a", {}, report, None, 1.5),))
    with pytest.raises(InvalidInput, match=r"rows\[0\]\.agreement"):
        Suite.from_json(suite.to_json())


def test_a_suite_makes_the_round_trip_and_is_told_from_a_report(report, tmp_path):
    rows = (
        Row("batch 1", {"batch": "1"}, report, None, None),
        Row("batch 2", {"batch": "2"}, None, Reason("RunFailed", "it failed", "try less"), None),
        Row("batch 4", {"batch": "4"}, report, None, 0.999),
    )
    suite = Suite(documents.SCHEMA, False, {"batch": ("1", "2", "4")}, True, rows)
    assert Suite.from_json(suite.to_json()) == suite
    assert suite.reports == (report, report)
    suite.save(tmp_path / "suite.json")
    assert read_report(tmp_path / "suite.json") == suite
    with pytest.raises(InvalidInput, match="kind"):
        Report.from_json(suite.to_json())


def test_a_hundred_thousand_samples_are_written_and_read_back(report):
    many = tuple(0.001 + n * 1e-9 for n in range(100_000))
    series = Series(many, many, (0,) * 100_000, (0,) * 100_000, {"infer": many, "preprocess": many})
    figures = dataclasses.replace(report.summaries, steady=stats.summarise(many), stages={}, outliers=())
    samples = dataclasses.replace(report.samples, steady=series)
    large = dataclasses.replace(report, samples=samples, summaries=figures)
    assert Report.from_json(large.to_json()) == large
