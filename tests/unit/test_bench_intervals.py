"""The intervals agree with scipy's bootstrap and with theory, repeat, widen for bursts, and say nothing of too few values."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.signal import lfilter

from gpux.bench import intervals, resampling

VALUES = np.random.default_rng(3).lognormal(0, 0.3, 201)


@pytest.mark.parametrize("n", [200, 201])
def test_the_median_agrees_with_a_bootstrap_that_resamples_the_values(n):
    theirs = scipy_stats.bootstrap(
        (VALUES[:n],), np.median, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert intervals.median(VALUES[:n]) == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_the_mean_agrees_with_students_interval_where_the_values_are_normal():
    values = np.random.default_rng(4).normal(10, 1, 400)
    low, high = scipy_stats.t(399, values.mean(), values.std(ddof=1) / math.sqrt(400)).interval(0.95)
    assert intervals.mean(values) == pytest.approx((low, high), abs=0.01)


def test_the_mean_of_blocks_agrees_with_students_interval():
    values = np.random.default_rng(5).gamma(2, 1, 100_003)
    low, high = scipy_stats.t(1e5, values.mean(), values.std(ddof=1) / math.sqrt(values.size)).interval(0.95)
    found = intervals.mean(values)
    assert sum(found) / 2 == pytest.approx(values.mean(), abs=0.001)
    assert found[1] - found[0] == pytest.approx(high - low, rel=0.15)


@pytest.mark.parametrize("interval", [intervals.median, intervals.mean])
def test_an_interval_repeats_holds_its_figure_and_grows_with_confidence(interval):
    figure = np.median(VALUES) if interval is intervals.median else VALUES.mean()
    narrow, wide = interval(VALUES), interval(VALUES, confidence=0.99)
    assert interval(VALUES.tolist()) == narrow
    assert wide[0] < narrow[0] < figure < narrow[1] < wide[1]


@pytest.mark.parametrize("interval", [intervals.median, intervals.mean])
def test_equal_values_have_an_interval_of_no_width(interval):
    assert interval([0.25] * 50) == pytest.approx((0.25, 0.25))
    assert interval([0.25] * 2000) == pytest.approx((0.25, 0.25))


def test_the_means_interval_agrees_with_a_bca_interval_of_skewed_values():
    values = np.random.default_rng(11).gamma(1, 1, 300)
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="BCa", rng=1
    ).confidence_interval
    assert intervals.mean(values) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_one_wild_run_widens_the_mean_no_further_than_it_can_reach():
    values = np.random.default_rng(12).lognormal(0, 0.02, 200)
    values[100] = 10
    low, high = intervals.mean(values)
    # The mean of 200 runs of which none to seven are like it: that more are has a chance of 1 in 100,000.
    assert 0.99 <= low <= 1.01
    assert 1.05 < high < 1 + 7 * 9 / 200


@pytest.mark.parametrize("freedom", [5, 9, 30, 400])
@pytest.mark.parametrize("part", [0.975, 0.995])
def test_students_quantiles_are_those_of_the_table(freedom, part):
    assert resampling.student(part, freedom) == pytest.approx(scipy_stats.t(freedom).ppf(part), rel=0.01)


def test_too_few_values_have_no_interval():
    # The range of n values covers the median with 1 - 2^(1 - n): 96.9 % for 6, 99.2 % for 8.
    assert (intervals.fewest(0.95), intervals.fewest(0.99)) == (6, 8)
    values = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
    for interval in (intervals.median, intervals.mean):
        assert interval(values[:5]) is None
        assert interval([]) is None
        assert interval(values) is not None
        assert interval(values, confidence=0.99) is None
    assert intervals.median(values) == (1.0, 1.5)


def test_throughput_is_the_mean_turned_round():
    low, high = intervals.mean(VALUES)
    assert intervals.throughput(8, VALUES) == pytest.approx((8 / high, 8 / low))
    assert intervals.throughput(8, VALUES[:3]) is None
    assert intervals.throughput(8, [0.0] * 20) is None


def test_the_rate_counts_everything_since_the_beginning():
    assert intervals.rate([2.0, 1.0, 4.0], 6) == 4.5
    assert intervals.rate([], 6) is None
    assert intervals.rate([0.0], 6) is None


def test_completions_in_lockstep_are_no_noise():
    ends = np.repeat(np.arange(1, 101), 8).astype(float)
    low, high = intervals.completions(ends[::-1], 2)
    assert intervals.rate(ends, 2) == 16
    assert low <= 16 <= high
    assert high - low < 0.2
    gaps = np.diff(ends, prepend=0)
    naive = intervals.mean(gaps)
    assert 2 / naive[0] - 2 / naive[1] > 5 * (high - low)
    assert intervals.completions(ends[:15], 2) is None


@pytest.mark.parametrize("correlation", [0.3, 0.5, 0.8])
def test_the_effective_number_of_an_autoregression_is_the_one_of_theory(correlation):
    random = np.random.default_rng(6)
    found = [
        intervals.effective(lfilter([1], [1, -correlation], random.normal(size=1200))[200:])
        for _ in range(50)
    ]
    assert np.median(found) == pytest.approx(1000 * (1 - correlation) / (1 + correlation), rel=0.15)


def test_independent_values_keep_their_number_and_strange_series_stay_in_bounds():
    random = np.random.default_rng(7)
    kept = [intervals.effective(random.gamma(2, 1, 200)) == 200 for _ in range(300)]
    assert sum(kept) >= 0.94 * 300
    assert intervals.effective([1.0] * 50) == 50
    assert intervals.effective([]) == 0
    assert intervals.effective([1.0, 2.0]) == 2
    assert intervals.effective(np.tile([1.0, 2.0], 100)) == 200
    assert 4 <= intervals.effective(np.linspace(1, 2, 500)) <= 10


def test_a_slow_wave_too_weak_for_its_neighbours_to_show_counts():
    random = np.random.default_rng(8)
    wave = np.repeat(random.normal(0, 0.45, 20), 100)
    found = intervals.effective(wave + random.normal(size=2000))
    assert found < 600


def test_a_ratio_says_what_its_interval_says():
    random = np.random.default_rng(9)
    one = random.lognormal(0, 0.05, 300)
    for statistic in ("median", "mean"):
        slower = intervals.ratio(one, 1.2 * one, statistic=statistic)
        assert slower.value == pytest.approx(1.2)
        assert 1 < slower.low < 1.2 < slower.high
        assert (slower.verdict, slower.confidence) == ("slower", 0.99)
        faster = intervals.ratio(1.2 * one, one, statistic=statistic)
        assert faster.verdict == "faster"
        assert faster.high < 1
        same = intervals.ratio(one, one, statistic=statistic)
        assert same.low <= 1 <= same.high
        assert (same.value, same.verdict) == (1.0, "same")
        assert intervals.ratio(one, 1.2 * one, statistic=statistic) == slower


def test_a_ratio_of_medians_agrees_with_a_bootstrap_that_resamples_the_values():
    random = np.random.default_rng(10)
    one, other = random.lognormal(0, 0.2, 150), random.lognormal(0.1, 0.2, 120)
    theirs = scipy_stats.bootstrap(
        (other, one),
        lambda a, b, axis: np.median(a, axis=axis) / np.median(b, axis=axis),
        n_resamples=20_000, method="percentile", confidence_level=0.99, rng=1,
    ).confidence_interval  # fmt: skip
    found = intervals.ratio(one, other)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_a_ratio_of_too_few_or_of_nothing_claims_nothing():
    few = intervals.ratio([1.0] * 7, [3.0] * 50)
    assert (few.value, few.low, few.high, few.verdict) == (3.0, None, None, "same")
    assert intervals.ratio([], [1.0]) is None
    assert intervals.ratio([0.0] * 20, [1.0] * 20) is None
