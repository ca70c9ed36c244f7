"""Readiness: each figure against its limits, the limits from YAML, and what is wrong in a file named with its line."""

import math

import pytest
from bench_reports import report, times

from gpux.bench.assess import Limits, Thresholds, assess, read_thresholds
from gpux.errors import InvalidInput

GIB = 1 << 30


def grades(*args, **kwargs):
    found = assess(*args, **kwargs)
    return {finding.name: finding.grade for finding in found.findings}, found.grade


def test_a_small_fast_steady_model_is_good_in_every_line():
    each, overall = grades(report())
    assert set(each.values()) == {"good"}
    assert overall == "good"


@pytest.mark.parametrize(
    ("name", "changes", "seconds", "grade"),
    [
        ("memory", {"peak": 8 * GIB}, None, "good"),
        ("memory", {"peak": 8 * GIB + 1}, None, "acceptable"),
        ("memory", {"peak": 15 * GIB}, None, "poor"),
        ("memory", {"peak": None}, None, "unknown"),
        ("memory", {"machine": {"memory": None}}, None, "unknown"),
        ("latency", {}, [0.1] * 20, "good"),
        ("latency", {}, [0.1] * 18 + [0.3] * 2, "acceptable"),
        ("latency", {}, [1.01] * 20, "poor"),
        ("latency", {}, [0.01] * 19, "unknown"),
        ("throughput", {}, [0.0199] * 20, "good"),
        ("throughput", {}, [0.021] * 20, "acceptable"),
        ("throughput", {}, [0.11] * 20, "poor"),
        ("throughput", {"batch": 8}, [0.11] * 20, "good"),
        ("throughput", {}, [], "unknown"),
        ("consistency", {}, [0.009, 0.011] * 20, "acceptable"),
        ("consistency", {}, [0.004, 0.016] * 20, "poor"),
        ("consistency", {}, [0.01], "unknown"),
        ("placement", {"share": 0.999}, None, "acceptable"),
        ("placement", {"share": 0.949}, None, "poor"),
        ("reliability", {"failures": 1}, None, "acceptable"),
        ("reliability", {"failures": 3}, None, "poor"),
        ("reliability", {}, [], "unknown"),
    ],
)
def test_each_line_has_its_limits(name, changes, seconds, grade):
    changes = {"items": 1, **changes}
    each, overall = grades(report(seconds, **changes))
    assert each[name] == grade
    order = ["good", "acceptable", "poor"]
    assert overall == max((found for found in each.values() if found in order), key=order.index)


def test_inputs_of_two_lengths_are_no_inconsistency():
    seconds = [value * (1 if n % 2 else 5) for n, value in enumerate(times(cv=0.02))]
    assert grades(report(seconds, items=2))[0]["consistency"] == "good"
    assert grades(report(seconds, items=1))[0]["consistency"] == "poor"


def test_every_line_shows_its_rule_and_an_unknown_one_its_reason():
    found = {line.name: line for line in assess(report([], peak=None, level="graph")).findings}
    assert "≤ 50%" in found["memory"].rule
    assert "does not tell the peak" in found["memory"].rule
    assert "0 steady runs are too few" in found["latency"].rule
    assert "good ≤ 100 ms, acceptable ≤ 1 s" in found["latency"].rule
    assert "at least" not in found["throughput"].rule
    assert "good ≥ 50" in found["throughput"].rule
    assert "the graph alone" in assess(report(level="graph")).findings[1].rule


def read(tmp_path, text):
    path = tmp_path / "limits.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_thresholds(path)


def test_an_empty_file_keeps_every_default(tmp_path):
    assert read(tmp_path, "") == Thresholds()
    assert read(tmp_path, "# nothing yet\n") == Thresholds()


def test_what_a_file_says_counts_and_the_rest_keeps_its_default(tmp_path):
    text = 'memory: {good: 0.3, acceptable: 40 %}\nlatency:\n  good: 20 ms\n  acceptable: 1.5s\nthroughput:\n  acceptable: "5/s"\n'
    found = read(tmp_path, text)
    assert found.memory == Limits(0.3, 0.4)
    assert found.latency == Limits(0.02, 1.5)
    assert found.throughput == Limits(50.0, 5.0)
    assert found.placement == Thresholds().placement
    assert grades(report([0.03] * 30), found)[0]["latency"] == "acceptable"


@pytest.mark.parametrize(
    ("text", "line", "said", "hint"),
    [
        ("memory:\n  good: 10%\nlatencie:\n  good: 1", 3, "`latencie` is unknown", "`latency`"),
        ("# a\n\nxyz: 1", 3, "`xyz` is unknown", "memory, latency"),
        ("latency:\n  god: 1", 2, "`latency.god` is unknown", "`good`"),
        ("latency:\n  good: 100 m", 2, "`latency.good` is `100 m`", "100 ms"),
        ("latency: {good: 5%}", 1, "`latency.good` is `5%`", "100 ms"),
        ("throughput: {good: 5 s}", 1, "`throughput.good` is `5 s`", "50"),
        ("memory: {good: 50}", 1, "`memory.good` is `50`", "80%"),
        ("memory: {good: true}", 1, "`memory.good` is `true`", "80%"),
        ("memory: {good: .nan}", 1, "`memory.good` is `.nan`", "80%"),
        ("memory: {good: .inf}", 1, "`memory.good` is `.inf`", "80%"),
        ("memory: {good: -1%}", 1, "`memory.good` is `-1%`", "80%"),
        ("memory: {good: }", 1, "`memory.good` is ``", "80%"),
        ("throughput: {good: 1" + "0" * 400 + "}", 1, "`throughput.good`", "50"),
        ("latency: {good: [1, 2]}", 1, "a sequence", "100 ms"),
        ("latency: 5", 1, "`latency` is no mapping", "good and acceptable"),
        ("\n\n- latency", 3, "the file is no mapping", "memory and latency"),
        ("memory: {good: 90%}", 1, "the first is the worse one", "lower"),
        ("\nthroughput:\n  good: 1\n  acceptable: 2", 2, "the first is the worse one", "higher"),
        ("latency: {good: 1}\nlatency: {good: 1}", 2, "twice", "one of them"),
        ("? [a]\n: 1", 1, "no text", "known are"),
        ("latency: {good: 1", 1, "no YAML", "100 ms"),
        ("latency: !!python/object:os.system {good: 1}\n  x", 2, "no YAML", "100 ms"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_a_way_out(tmp_path, text, line, said, hint):
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, text)
    assert said in caught.value.message
    assert f"limits.yaml`, line {line}" in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"memory: \x00", b"[" * 100_000, b"a: &a [*a, *a]"])
def test_what_is_no_yaml_at_all_is_refused_in_words(tmp_path, data):
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, data)
    assert "limits.yaml" in caught.value.message


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"nowhere\.yaml"):
        read_thresholds(tmp_path / "nowhere.yaml")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_thresholds(tmp_path)


def test_a_tag_of_python_runs_nothing(tmp_path):
    mark = tmp_path / "ran"
    with pytest.raises(InvalidInput):
        read(tmp_path, f'memory: {{good: !!python/object/apply:os.mkdir ["{mark.as_posix()}"]}}')
    assert not mark.exists()


def test_the_defaults_are_sensible_in_themselves():
    for limits in (
        getattr(Thresholds(), name) for name in ("memory", "latency", "consistency", "reliability")
    ):
        assert limits.good < limits.acceptable < math.inf
