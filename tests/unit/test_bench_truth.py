"""Simulations with a known truth: how often the intervals, verdicts and findings of the benchmark are right.

Every series is drawn from a seed, so that a run repeats. Where a share is bounded, the number of trials puts the bound at
three standard errors or more from the share that is promised.
"""

import math
import time

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.signal import lfilter

from gpux.bench import intervals, shape, stats, steady


def lognormal(random, n, variation):
    """Median 1; the spread for a coefficient of variation."""
    return random.lognormal(0, math.sqrt(math.log1p(variation**2)), n)


def lognormal_mean(variation):
    return math.exp(math.log1p(variation**2) / 2)


def bursts(random, n, correlation=0.5, variation=0.05):
    """Lognormal, mean of the logarithm 0, a first-order autoregression after 200 values nobody sees."""
    noise = random.normal(0, math.sqrt(1 - correlation**2), n + 200)
    return np.exp(variation * lfilter([1], [1, -correlation], noise)[200:])


DRAWS = {
    "lognormal-5%": lambda random, n: lognormal(random, n, 0.05),
    "lognormal-20%": lambda random, n: lognormal(random, n, 0.2),
    "gamma": lambda random, n: 1 + random.gamma(2, 0.2, n),
}
TRUTHS = {
    "normal": (lambda random, n: random.normal(10, 1, n), 10.0, 10.0),
    "lognormal": (lambda random, n: lognormal(random, n, 0.3), 1.0, lognormal_mean(0.3)),
    "gamma": (lambda random, n: random.gamma(2, 1, n), scipy_stats.gamma(2).median(), 2.0),
}


def covered(interval, draw, truth, *, n, trials, seed, resamples):
    random, hits = np.random.default_rng(seed), 0
    for trial in range(trials):
        low, high = interval(draw(random, n), resamples=resamples, seed=trial)
        hits += low <= truth <= high
    return hits / trials


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_equal_distributions_are_called_different_in_at_most_5_percent_of_400_trials(name, statistic):
    random, wrong = np.random.default_rng(11), 0
    for trial in range(400):
        one, other = DRAWS[name](random, 200), DRAWS[name](random, 200)
        wrong += (
            intervals.ratio(one, other, statistic=statistic, resamples=1500, seed=trial).verdict != "same"
        )
    assert wrong <= 20


@pytest.mark.parametrize("n", [10, 30])
def test_few_runs_are_no_excuse_for_calling_equal_things_different(n):
    random, wrong = np.random.default_rng(12), 0
    for trial in range(400):
        one, other = lognormal(random, n, 0.1), lognormal(random, n, 0.1)
        wrong += intervals.ratio(one, other, resamples=1500, seed=trial).verdict != "same"
    assert wrong <= 20


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_a_slowdown_of_5_percent_is_found_in_at_least_95_percent_of_400_trials(statistic):
    random, found, faster = np.random.default_rng(13), 0, 0
    for trial in range(400):
        one, other = lognormal(random, 200, 0.05), 1.05 * lognormal(random, 200, 0.05)
        found += (
            intervals.ratio(one, other, statistic=statistic, resamples=1500, seed=trial).verdict == "slower"
        )
        faster += (
            intervals.ratio(other, one, statistic=statistic, resamples=1500, seed=trial).verdict == "faster"
        )
    assert found >= 380
    assert faster >= 380


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("name", ["normal", "lognormal"])
def test_the_interval_of_the_median_covers_the_truth_in_93_to_97_percent(name, n):
    draw, median, _ = TRUTHS[name]
    share = covered(intervals.median, draw, median, n=n, trials=2500, seed=n, resamples=1000)
    assert 0.93 <= share <= 0.97


@pytest.mark.parametrize("n", [6, 7, 10, 16, 21])
def test_the_interval_of_the_median_of_few_values_is_rather_too_wide(n):
    draw, median, _ = TRUTHS["lognormal"]
    assert covered(intervals.median, draw, median, n=n, trials=1000, seed=n, resamples=500) >= 0.93


@pytest.mark.parametrize(("n", "trials"), [(20, 1200), (50, 1200), (200, 1200), (2000, 600)])
@pytest.mark.parametrize("name", ["normal", "lognormal", "gamma"])
def test_the_interval_of_the_mean_covers_the_truth_in_93_to_97_percent(name, n, trials):
    draw, _, mean = TRUTHS[name]
    share = covered(intervals.mean, draw, mean, n=n, trials=trials, seed=n, resamples=300)
    assert 0.925 <= share <= 0.975 if n == 20 else 0.93 <= share <= 0.97


@pytest.mark.parametrize("n", [200, 1000])
def test_the_intervals_of_runs_that_come_in_bursts_cover_the_truth_in_at_least_90_percent(n):
    mean = math.exp(0.05**2 / 2)
    assert covered(intervals.median, bursts, 1.0, n=n, trials=800, seed=n, resamples=500) >= 0.9
    assert covered(intervals.mean, bursts, mean, n=n, trials=800, seed=n, resamples=300) >= 0.9


@pytest.mark.parametrize(("clients", "variation"), [(1, 0.05), (4, 0.05), (8, 0.3), (8, 1.0)])
def test_the_interval_of_the_rate_of_overlapping_runs_covers_the_truth(clients, variation):
    random, hits, widths, rates = np.random.default_rng(14), 0, [], []
    for trial in range(500):
        each = lognormal(random, (clients, 260), variation) / lognormal_mean(variation)
        ends = np.cumsum(each, axis=1)
        ends = ends[ends <= 100]
        low, high = intervals.completions(ends, 3, resamples=1000, seed=trial)
        hits += low <= 3 * clients <= high
        widths.append(high - low)
        rates.append(intervals.rate(ends, 3))
    assert hits / 500 >= 0.915
    assert np.median(widths) <= 3 * 3.92 * np.std(rates)


BIMODAL = {
    "halves": lambda random: lognormal(random, 200, 0.02) * random.choice([1, 1.1], 200),
    "a fifth": lambda random: lognormal(random, 200, 0.02) * random.choice([1, 1.15], 200, p=[0.8, 0.2]),
    "far": lambda random: lognormal(random, 200, 0.05) * random.choice([1, 2], 200, p=[0.7, 0.3]),
}
DRIFTING = {
    "slower": lambda random: lognormal(random, 200, 0.05) * np.linspace(1, 1.1, 200),
    "faster": lambda random: lognormal(random, 200, 0.02) * np.linspace(1.06, 1, 200),
    "step": lambda random: lognormal(random, 200, 0.03) * np.where(np.arange(200) < 120, 1, 1.1),
}
SPIKY = {
    "double": lambda random: lognormal(random, 200, 0.05) * np.where(random.permutation(200) < 4, 2, 1),
    "rare": lambda random: lognormal(random, 200, 0.05) * np.where(random.permutation(200) < 1, 6, 1),
    "often": lambda random: lognormal(random, 200, 0.1) * np.where(random.permutation(200) < 10, 2.5, 1),
}


@pytest.mark.parametrize(
    ("find", "draw"),
    [
        *((shape.modes, draw) for draw in BIMODAL.values()),
        *((shape.drift, draw) for draw in DRIFTING.values()),
        *((shape.spikes, draw) for draw in SPIKY.values()),
    ],
    ids=[*BIMODAL, *DRIFTING, *SPIKY],
)
def test_a_series_with_a_fault_raises_its_finding_in_at_least_95_percent(find, draw):
    random = np.random.default_rng(15)
    assert sum(find(draw(random)) is not None for _ in range(200)) >= 190


CLEAN = {
    **{
        f"lognormal-{variation:.0%}": lambda random, n, v=variation: lognormal(random, n, v)
        for variation in (0.02, 0.1, 0.3)
    },
    "gamma": lambda random, n: random.gamma(2, 1, n),
    "a clock of 5 steps": lambda random, n: np.round(5 * lognormal(random, n, 0.1)) / 5,
    "a clock of 30 steps": lambda random, n: np.round(30 * lognormal(random, n, 0.1)) / 30,
    "bursts": bursts,
}


@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_series_raises_a_finding_in_at_most_2_percent(name, n):
    random, counts = np.random.default_rng(16), dict.fromkeys(["modes", "drift", "spikes"], 0)
    for _ in range(250):
        values = CLEAN[name](random, n)
        for finding in counts:
            counts[finding] += getattr(shape, finding)(values) is not None
    assert max(counts.values()) <= 5, counts


def first_yes(values):
    return next(
        (n for n in range(steady.WINDOW, len(values) + 1) if steady.steady(values[:n])), len(values) + 1
    )


@pytest.mark.parametrize("variation", [0.02, 0.05, 0.3])
def test_a_steady_series_is_called_steady_within_a_few_runs_more_than_the_least(variation):
    random = np.random.default_rng(17)
    runs = [first_yes(lognormal(random, 120, variation)) for _ in range(200)]
    assert np.mean(np.array(runs) == steady.WINDOW) >= 0.85
    assert np.quantile(runs, 0.95) <= 2 * steady.WINDOW


@pytest.mark.parametrize(("height", "time_constant"), [(2, 8), (2, 3), (5, 5), (0.5, 8)])
def test_a_warm_up_is_not_called_steady_before_it_is_within_3_percent_of_its_floor(height, time_constant):
    random, early = np.random.default_rng(18), 0
    level = 1 + height * np.exp(-np.arange(200) / time_constant)
    for _ in range(200):
        runs = first_yes(level * lognormal(random, 200, 0.05))
        assert runs <= 200
        early += level[runs - 1] > 1.03
    assert early <= 10


def test_100000_values_are_judged_within_a_second():
    values = lognormal(np.random.default_rng(19), 100_000, 0.1).tolist()
    begin = time.perf_counter()
    stats.summarise(values)
    for judge in (intervals.median, intervals.mean, shape.outliers, shape.spikes, shape.drift, shape.modes):
        judge(values)
    # Measured at 0.1 s; the rest is for a machine that does other things meanwhile.
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_rounds_that_a_neighbour_slowed_are_not_called_a_difference(statistic):
    """Two equal configurations in ten turns of twenty runs; in three turns of ten something makes all runs up to twice as slow."""
    random, called = np.random.default_rng(11), 0
    for _ in range(400):
        pair = []
        for _ in range(2):
            slowed = np.where(random.random(10) < 0.3, random.uniform(1, 2, 10), 1.0)
            pair.append(slowed[:, None] * random.lognormal(0, 0.05, (10, 20)))
        found = intervals.ratio(pair[0].ravel(), pair[1].ravel(), statistic=statistic)
        called += intervals.by_turns(found, pair[0], pair[1], statistic=statistic).verdict != "same"
    assert called <= 0.05 * 400


@pytest.mark.parametrize("statistic", ["median", "mean"])
def test_a_slowdown_of_5_percent_shows_through_turns(statistic):
    random, found = np.random.default_rng(12), 0
    for _ in range(400):
        one, other = random.lognormal(0, 0.05, (10, 20)), 1.05 * random.lognormal(0, 0.05, (10, 20))
        whole = intervals.ratio(one.ravel(), other.ravel(), statistic=statistic)
        found += intervals.by_turns(whole, one, other, statistic=statistic).verdict == "slower"
    assert found >= 0.95 * 400
