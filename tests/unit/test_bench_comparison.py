"""Comparing reports: true differences are found, equal ones are not, other work is refused, and what differs is named."""

import numpy as np
import pytest
from bench_reports import GPU, VERSIONS, report, times

from gpux.bench.comparison import compare, fraction, per_item, slower_than
from gpux.errors import InvalidInput, InvalidSetting, UsageError


def versus(*reports, **options):
    names = [f"{letter}.json" for letter in "abcdef"[: len(reports)]]
    return compare(reports, names=names, **options).rows


def test_a_true_slowdown_is_called_one_and_its_inverse_a_gain():
    quick, slow = report(times(0.010, seed=1)), report(times(0.0125, seed=2))
    (worse,), (better,) = versus(quick, slow), versus(slow, quick)
    assert worse.ratio.verdict == "slower"
    assert worse.ratio.value == pytest.approx(
        np.median(slow.samples.steady.seconds) / np.median(quick.samples.steady.seconds)
    )
    assert worse.ratio.low < 1.25 < worse.ratio.high
    assert worse.sentence.startswith("1.2")
    assert "× slower (1.2" in worse.sentence
    assert "× faster (1.2" in better.sentence
    assert worse.differences == ()
    assert worse.name == "b.json"


def test_the_truth_about_equal_runs_is_no_measurable_difference():
    wrong = sum(
        versus(report(times(seed=2 * n)), report(times(seed=2 * n + 1)))[0].ratio.verdict != "same"
        for n in range(100)
    )
    assert wrong <= 5  # 1 % is asked for; 6 of 100 would happen once in 2,000
    assert versus(report(times(seed=1)), report(times(seed=2)))[0].sentence.startswith(
        "no measurable difference (0.9"
    )


def test_a_small_but_certain_difference_shows_digits_enough():
    (row,) = versus(report(times(cv=0.001, n=2000, seed=1)), report(times(0.01004, cv=0.001, n=2000, seed=2)))
    assert row.sentence == "1.004 × slower (1.004 to 1.004)"


def test_both_values_stand_there_with_their_95_percent_intervals():
    a, b = report(times(0.08, seed=1), batch=8, items=8), report(times(seed=2), items=8)
    found = compare([a, b], names=["a", "b"])
    assert found.baseline == found.rows[0].baseline
    assert found.baseline.value == pytest.approx(np.median(a.samples.steady.seconds) / 8)
    low, high = a.summaries.intervals["median"]
    assert (found.baseline.low, found.baseline.high) == (low / 8, high / 8)
    assert found.rows[0].other.value == b.summaries.steady.median
    assert found.noun == "texts"


def test_batches_compare_per_item_and_say_so():
    (row,) = versus(report(times(seed=1), items=8), report(times(0.04, seed=2), batch=8, items=8))
    assert row.ratio.value == pytest.approx(0.5, rel=0.03)
    assert "batch 1 → 8" in row.differences


def test_clients_that_wait_at_once_count_as_what_each_adds():
    (row,) = versus(report(times(seed=1)), report(times(0.02, seed=2), concurrency=4))
    assert row.ratio.value == pytest.approx(0.5, rel=0.03)
    assert "concurrency 1 → 4" in row.differences


def test_latency_of_queries_that_arrive_is_not_divided_by_the_workers():
    one, two = (report(times(seed=n), rate=20.0, concurrency=n) for n in (1, 2))
    assert per_item(two).value == two.summaries.steady.median
    assert versus(one, two)[0].ratio.verdict == "same"


def test_the_mean_may_be_compared_instead():
    spiky = [*times(n=190, seed=1), *times(0.1, n=10, seed=2)]
    (median,) = versus(report(times(seed=3)), report(spiky))
    (mean,) = versus(report(times(seed=3)), report(spiky), statistic="mean")
    assert median.ratio.value < 1.05
    assert mean.ratio.value == pytest.approx(np.mean(spiky) / np.mean(times(seed=3)))
    with pytest.raises(InvalidSetting, match="mode"):
        versus(report(), report(), statistic="mode")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"task": "fill-mask"}, "task feature-extraction → fill-mask"),
        ({"sha256": "6" * 64}, "inputs 555555555555 → 666666666666"),
        ({"sequence": 128}, "sequence as they are → 128"),
        ({"level": "graph"}, "level task → graph"),
        ({"rate": 20.0}, "arrival when the last one is answered → 20 per second"),
        ({"parameters": {"top_k": 2}}, 'parameters {} → {"top_k": 2}'),
        ({"sha256": None}, "inputs"),
    ],
)
def test_other_work_is_refused_and_with_anyway_it_is_said(change, named):
    base, other = report(times(seed=1)), report(times(seed=2), **change)
    with pytest.raises(InvalidInput) as caught:
        versus(base, other)
    assert named in caught.value.message
    assert "`b.json`" in caught.value.message
    assert "--anyway" in caught.value.hint
    (row,) = versus(base, other, anyway=True)
    assert any(label.startswith(named) for label in row.differences)
    assert row.ratio is not None


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"machine": {"processor": "Other"}}, "machine Example Processor 3000, 8 of 8 cores, 16 GiB → Other, 8 of 8 cores, 16 GiB"),
        ({"machine": {"cores_allowed": 2}}, "machine Example Processor 3000, 8 of 8 cores, 16 GiB → Example Processor 3000, 2 of 8 cores, 16 GiB"),
        ({"machine": {"release": "6.13.0"}}, "system Linux 6.12.0 x86_64 → Linux 6.13.0 x86_64"),
        ({"reference": "org/other"}, "model org/tiny → org/other"),
        ({"resolved": "1" * 40}, "revision 000000000000 → 111111111111"),
        ({"digest": "e" * 64}, "artifact dddddddddddd → eeeeeeeeeeee"),
        ({"variant": "int8"}, "variant fp32 → int8"),
        ({"provider": "toy"}, "provider cpu → toy"),
        ({"mode": "torch"}, "mode onnx → torch"),
        ({"precision": "fp16"}, "precision fp32 → fp16"),
        ({"quality": "lossy"}, "quality exact → lossy"),
        ({"share": 0.9999}, "placement 100 % → 99.9 %"),
        ({"threads": 4}, "threads 8 → 4"),
        ({"concurrency": 2}, "concurrency 1 → 2"),
        ({"versions": {"gpux": "0.3.0"}}, "gpux 0.2.0 → 0.3.0"),
        ({"versions": {"onnxruntime": "1.32.0"}}, "onnxruntime 1.31.1 → 1.32.0"),
        ({"versions": {"onnxruntime": None}}, "onnxruntime 1.31.1 → none"),
        ({"versions": {"python": "3.14.0"}}, "python 3.13.1 → 3.14.0"),
        ({"devices": (GPU,)}, "driver none → 570.1"),
    ],
)  # fmt: skip
def test_what_differs_besides_is_named_with_both_values(change, label):
    (row,) = versus(report(times(seed=1)), report(times(seed=2), **change))
    assert label in row.differences
    assert row.ratio is not None


def test_versions_come_from_both_sides():
    changed = dict.fromkeys(VERSIONS, "9")
    (row,) = versus(report(), report(versions={**changed, "openvino": "2026.1"}))
    assert {label.split()[0] for label in row.differences} == {*VERSIONS, "openvino"}


def test_a_model_that_runs_on_other_inputs_of_no_digest_cannot_be_told():
    (row,) = versus(report(sha256=None), report(sha256=None))
    assert "inputs without a digest: whether they are the same cannot be told" in row.differences


def test_too_few_runs_tell_nothing():
    (row,) = versus(report(times(n=3)), report(times(0.03, n=3)))
    assert row.ratio.low is None
    assert row.sentence.startswith("too few runs to tell (3.0")
    assert not slower_than(row, 0.0)


def test_a_report_without_steady_runs_is_refused_and_with_anyway_has_no_ratio():
    for pair in ((report(), report([])), (report([]), report())):
        with pytest.raises(InvalidInput, match="no steady run"):
            versus(*pair)
        (row,) = versus(*pair, anyway=True)
        assert row.ratio is None
        assert row.sentence == "no figures to compare"
        assert any("no steady run" in label for label in row.differences)
        assert not slower_than(row, 0.05)


def test_interrupted_and_failing_reports_are_labelled_on_either_side():
    (row,) = versus(report(failures=1), report(times(n=50), interrupted=True, failures=2))
    assert {
        "1 run of `a.json` failed",
        "2 runs of `b.json` failed",
        "`b.json` was interrupted after 50 steady runs",
    } <= set(row.differences)


def test_a_run_that_never_came_to_all_queries_is_labelled():
    (row,) = versus(report(items=50), report(times(n=20), items=50))
    assert "queries answered 50 of 50 → 20 of 50" in row.differences


def test_each_is_compared_with_the_first():
    rows = versus(report(times(seed=1)), report(times(0.02, seed=2)), report(times(0.005, seed=3)))
    assert [row.ratio.verdict for row in rows] == ["slower", "faster"]
    assert [row.name for row in rows] == ["b.json", "c.json"]


def test_one_report_alone_is_no_comparison():
    with pytest.raises(UsageError):
        versus(report())


@pytest.mark.parametrize(
    ("slowdown", "limit", "fails"),
    [(1.2, 0.05, True), (1.2, 0.25, False), (1.0, 0.0, False), (0.8, 0.05, False)],
)
def test_slower_than_needs_the_whole_interval(slowdown, limit, fails):
    (row,) = versus(report(times(seed=1)), report(times(0.01 * slowdown, seed=2)))
    assert slower_than(row, limit) is fails


def test_a_slowdown_beyond_the_limit_by_the_figure_alone_does_not_fail():
    (row,) = versus(report(times(cv=0.3, n=30, seed=1)), report(times(0.0108, cv=0.3, n=30, seed=2)))
    assert row.ratio.value > 1.05
    assert not slower_than(row, 0.05)


@pytest.mark.parametrize(
    ("text", "value"),
    [("5%", 0.05), ("0.05", 0.05), (" 2.5 % ", 0.025), ("0%", 0.0), ("150%", 1.5), (".5", 0.5), ("0", 0.0)],
)
def test_a_fraction_is_read(text, value):
    assert fraction(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "text",
    ["", "5", "1", "-5%", "five", "5%%", "%", "nan", "inf", "1e3", "0,05", "1_0%", "5 %x", "9" * 400 + "%"],
)
def test_what_is_no_fraction_is_refused_with_an_example(text):
    with pytest.raises(InvalidSetting) as caught:
        fraction(text)
    assert "5%" in caught.value.hint
