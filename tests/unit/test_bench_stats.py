"""The statistics equal numpy's, scipy's and the standard library's, and the bootstrap interval covers the truth."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from gpux.bench import stats

VALUES = st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=1, max_size=60)
TIMES = st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=60)


@given(VALUES, st.floats(0, 100))
def test_percentiles_equal_numpys_default(values, percent):
    expected = np.percentile(np.array(values), percent)
    assert stats.percentile(sorted(values), percent) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(TIMES)
def test_the_summary_equals_independent_sources(values):
    found = stats.summarise(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert found.std == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-12)
    assert found.median == found.p50 == pytest.approx(statistics.median(values), rel=1e-12)
    assert (found.min, found.max) == (min(values), max(values))
    assert found.variation == pytest.approx(scipy_stats.variation(values, ddof=1), rel=1e-6, abs=1e-9)
    assert found.mad == pytest.approx(scipy_stats.median_abs_deviation(values), rel=1e-9, abs=1e-15)
    for percent in (90, 95, 99):
        assert getattr(found, f"p{percent}") == pytest.approx(np.percentile(values, percent), rel=1e-9)


@given(VALUES)
def test_figures_are_in_order_and_do_not_depend_on_the_order_of_the_runs(values):
    found = stats.summarise(values)
    ascending = [found.min, found.p50, found.p90, found.p95, found.p99, found.max]
    assert ascending == sorted(ascending)
    assert found.min <= found.mean <= found.max
    assert stats.summarise(values[::-1]) == found


@pytest.mark.parametrize("n", [stats.LONG - 1, stats.LONG, 100_000])
def test_long_lists_have_the_same_exact_figures(n):
    values = np.random.default_rng(n).lognormal(0, 1, n).tolist()
    found = stats.summarise(values)
    assert found.mean == statistics.fmean(values)
    assert found.median == statistics.median(values)
    assert found.std == pytest.approx(float(np.std(values, ddof=1)), rel=1e-12)
    assert found.mad == scipy_stats.median_abs_deviation(values)
    assert (found.min, found.max) == (min(values), max(values))
    assert all(type(getattr(found, name)) is float for name in ("mean", "std", "p99", "mad", "variation"))
    assert stats.summarise(tuple(values[::-1])) == found


def test_one_number_has_no_spread_and_none_has_no_summary():
    found = stats.summarise([0.25])
    assert (found.n, found.mean, found.median, found.p99) == (1, 0.25, 0.25, 0.25)
    assert (found.std, found.variation, found.mad) == (None, None, 0)
    assert stats.summarise([]) is None


def test_the_bootstrap_interval_covers_the_true_median_about_as_often_as_it_says():
    random = np.random.default_rng(7)
    hits = 0
    for trial in range(200):
        low, high = stats.bootstrap_interval(
            np.median, random.lognormal(0, 0.3, 80), resamples=400, seed=trial
        )
        hits += low <= 1.0 <= high
    # 95 % of 200 is 190 with a standard deviation of 3.1; the percentile bootstrap is a little off at n = 80.
    assert 178 <= hits <= 199


def test_the_bootstrap_interval_agrees_with_scipys():
    values = np.random.default_rng(3).normal(10, 1, 200)
    ours = stats.bootstrap_interval(np.mean, values, resamples=4000)
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=1
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_the_ratio_of_two_groups_has_an_interval_that_repeats():
    random = np.random.default_rng(5)
    slow, fast = random.normal(1.1, 0.01, 50), random.normal(1.0, 0.01, 50)
    interval = stats.bootstrap_interval(lambda a, b: np.median(a) / np.median(b), slow, fast, resamples=300)
    assert interval[0] <= 1.1 <= interval[1]
    assert interval[1] - interval[0] < 0.02
    assert interval == stats.bootstrap_interval(
        lambda a, b: np.median(a) / np.median(b), slow, fast, resamples=300
    )
