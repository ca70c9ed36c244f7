"""The dip equals its definition and published figures; outliers, spikes, drift and modes hold on ties, ends and emptiness."""

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.optimize import linprog

from gpux.bench import shape

# Hartigan and Hartigan (1985), section 5: quality of 63 statistics faculties; the dip is 0.059.
FACULTIES = [
    30, 33, 35, 36, 37, 37, 39, 39, 39, 39, 39, 40, 40, 40, 40, 41, 42, 43, 43, 43, 44, 44, 45, 45, 46, 46, 47, 47, 48,
    48, 48, 49, 50, 50, 51, 52, 52, 53, 53, 53, 53, 53, 54, 54, 57, 57, 59, 60, 60, 60, 61, 61, 61, 61, 62, 62, 62, 62,
    63, 66, 70, 72, 72,
]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (FACULTIES, 7.5 / 126),
        ([1, 1, 2, 2], 0.25),
        ([0, 1, 3, 6], 0.125),
        ([0, 2, 3, 5, 6], 2 / 15),
        ([0, 1, 3, 4, 6], 2 / 15),
        ([1, *[2] * 9], 0.05),
    ],
)
def test_the_dip_of_published_examples(values, expected):
    # The small ones are those of the R package diptest, which its tests print.
    assert shape.dip(values) == pytest.approx(expected, abs=1e-12)


def definition(x):
    """The least d for which a distribution function within d of the empirical one is convex, then concave: by linear programs."""
    n, best = len(x), 1.0
    for mode in range(n):
        left, right = mode + 1, n - mode
        size = left + right + 1
        rows, bounds = [], []

        def require(parts, bound, rows=rows, bounds=bounds, size=size):
            row = np.zeros(size)
            for index, weight in parts.items():
                row[index] = weight
            rows.append(row)
            bounds.append(bound)

        for i in range(left):  # the left limit at the mode is held to the empirical left limit alone
            require({i: 1, size - 1: -1}, i / n)
            require({i: -1, size - 1: -1}, -(i + 1) / n if i < mode else -i / n)
        for j in range(right):
            i = mode + j
            require({left + j: -1, size - 1: -1}, -(i + 1) / n)
            require({left + j: 1, size - 1: -1}, i / n if j else (i + 1) / n)
        for i in range(size - 2):
            require({i: 1, i + 1: -1}, 0)
        for i in range(1, left - 1):
            a, b = x[i] - x[i - 1], x[i + 1] - x[i]
            require({i: a + b, i - 1: -b, i + 1: -a}, 0)
        for j in range(1, right - 1):
            a, b = x[mode + j] - x[mode + j - 1], x[mode + j + 1] - x[mode + j]
            require({left + j: -(a + b), left + j - 1: b, left + j + 1: a}, 0)
        found = linprog([0] * (size - 1) + [1], A_ub=rows, b_ub=bounds, bounds=[(0, 1)] * size)
        best = min(best, found.fun)
    return best


def test_the_dip_equals_its_definition():
    random = np.random.default_rng(1)
    for trial in range(16):
        n = int(random.integers(4, 13))
        values = random.random(n) if trial % 2 else random.normal(random.choice([0, 6], n), 1)
        assert shape.dip(np.sort(values)) == pytest.approx(definition(np.sort(values)), abs=1e-9)


def test_the_dip_of_uniform_samples_has_the_published_percentage_points():
    random = np.random.default_rng(2)
    found = np.array([shape.dip(np.sort(random.random(100))) for _ in range(3000)])
    # Hartigan and Hartigan (1985), table 1, n = 100: 90 % 0.0471.
    assert np.quantile(found, 0.9) == pytest.approx(0.0471, abs=0.001)


@pytest.mark.parametrize(("n", "trials"), [(50, 3000), (200, 2000), (1000, 1000)])
def test_the_critical_value_of_the_dip_is_passed_by_at_most_1_percent_of_uniform_samples(n, trials):
    random = np.random.default_rng(n)
    found = np.array([shape.dip(np.sort(random.random(n))) for _ in range(trials)])
    share = (found * np.sqrt(n) > shape._CRITICAL).mean()
    assert share <= 0.01 + 2 * np.sqrt(0.01 / trials)
    assert (found * np.sqrt(n) > 0.8 * shape._CRITICAL).mean() > 0.02


def test_the_dip_does_not_change_with_scale_or_mirror_and_thinning_hardly_moves_it():
    random = np.random.default_rng(3)
    values = np.sort(np.concatenate([random.normal(0, 1, 9000), random.normal(5, 1, 3000)]))
    dip = shape.dip(values)
    assert shape.dip(np.sort(-3 * values)) == pytest.approx(dip, abs=1e-12)
    assert shape.dip(shape._thin(values)) == pytest.approx(dip, abs=2 / shape.THIN)
    assert len(shape._thin(values)) == shape.THIN


def test_ranks_equal_scipys():
    values = np.round(np.random.default_rng(4).random(200), 1)
    assert shape.ranks(values).tolist() == scipy_stats.rankdata(values).tolist()


def test_outliers_on_both_sides_are_named_by_their_place():
    values = np.random.default_rng(5).lognormal(0, 0.05, 300)
    values[[7, 250]] *= 2
    values[100] /= 2
    assert shape.outliers(values) == (7, 100, 250)


def test_a_clock_that_counts_in_steps_makes_no_outliers_of_its_neighbours():
    values = [1.0] * 190 + [1.1] * 5 + [0.9] * 5
    assert shape.outliers(values) == ()
    assert shape.outliers([*values, 9.0]) == (200,)
    assert shape.outliers([1.0] * 100) == ()
    assert shape.outliers([*[1.0] * 100, 1.001]) == ()
    assert shape.outliers([*[1.0] * 100, 5.0], tick=1.0) == ()
    assert shape.outliers([*[0.0] * 100, 5.0, 5.001]) == (100, 101)
    assert shape.outliers([1.0, 2.0, 900.0]) == ()


def test_spikes_say_how_many_how_high_and_what_they_cost():
    found = shape.spikes([1.0, 1.01, 0.99, 1.0] * 49 + [3.0] * 4)
    assert (found.count, found.share, found.height) == (4, 0.02, 3.0)
    assert found.excess == pytest.approx(8 / 208)
    assert shape.spikes([1.0, 1.01, 0.99, 1.0] * 250 + [3.0]) is None
    assert shape.spikes([1.0, 1.01, 0.99, 1.0] * 49 + [1.2] * 4) is None
    assert shape.spikes([]) is None
    assert shape.spikes([0.0] * 20) is None


@pytest.mark.parametrize("end", [1.2, 0.8])
def test_a_drift_says_its_size_and_its_direction(end):
    found = shape.drift(np.linspace(1, end, 200) * np.random.default_rng(6).lognormal(0, 0.02, 200))
    # The medians of the first and the last quarter lie at 1/8 and 7/8 of the way.
    expected = (1 + (end - 1) * 7 / 8) / (1 + (end - 1) / 8) - 1
    assert found.change == pytest.approx(expected, abs=0.015)
    assert found.last / found.first - 1 == pytest.approx(found.change)
    assert found.errors > 3.29


def test_no_drift_in_what_is_too_short_too_little_or_there_and_back():
    random = np.random.default_rng(7)
    assert shape.drift(np.linspace(1, 2, 19)) is None
    assert shape.drift(np.linspace(1, 1.02, 200)) is None
    assert shape.drift([1.0] * 100) is None
    assert shape.drift([0.0] * 100) is None
    wave = 1 + 0.1 * np.sin(np.linspace(0, 6 * np.pi, 300))
    assert shape.drift(wave * random.lognormal(0, 0.02, 300)) is None


def test_modes_name_both_centres_and_their_shares():
    random = np.random.default_rng(8)
    values = random.permutation(
        np.concatenate([random.lognormal(0, 0.02, 700), random.lognormal(np.log(1.3), 0.02, 300)])
    )
    found = shape.modes(values)
    assert found.centres == pytest.approx((1, 1.3), rel=0.01)
    assert found.shares == pytest.approx((0.7, 0.3), abs=0.005)
    assert sum(found.shares) == pytest.approx(1)
    assert 0.02 < found.dip <= 0.25
    assert shape.modes(values * 1e-6).centres == pytest.approx(np.array(found.centres) * 1e-6)


def test_modes_are_seen_through_a_clock_and_beside_an_outlier():
    random = np.random.default_rng(9)
    values = np.round(
        100 * np.concatenate([random.lognormal(0, 0.02, 150), random.lognormal(0.3, 0.02, 150)])
    )
    assert shape.modes(values).shares == pytest.approx((0.5, 0.5))
    assert shape.modes([*values, 9000.0]).shares == pytest.approx((0.5, 0.5), abs=0.01)


def test_no_modes_in_steps_of_the_clock_in_small_groups_or_close_ones():
    random = np.random.default_rng(10)
    assert shape.modes([1.0] * 100 + [2.0] * 100) is None  # one step of the clock apart
    assert shape.modes(np.concatenate([random.lognormal(0, 0.02, 190), [2.0] * 10])) is None
    close = random.choice([1, 1.03], 2000) * random.lognormal(0, 0.002, 2000)
    assert shape.modes(close) is None
    assert shape.modes([1.0, 5.0] * 14) is None
    assert shape.modes([0.0] * 100) is None
    assert shape.modes(random.random(5000) + 1) is None
