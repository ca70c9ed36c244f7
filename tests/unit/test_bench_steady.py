"""The change point is Pettitt's own; the steady state begins where the level settles, and no series is too short or too flat."""

import numpy as np
import pytest

from gpux.bench import steady

RANDOM_SEED = 1


def noise(n, spread=0.05, seed=RANDOM_SEED):
    return np.random.default_rng(seed).lognormal(0, spread, n)


def pettitt(values):
    """Pettitt (1979), equation 2.1 literally: the place of the largest sum of signs of differences across it."""
    signs = np.sign(np.subtract.outer(values, values))
    sums = [abs(signs[:t, t:].sum()) for t in range(1, len(values))]
    return int(np.argmax(sums)) + 1, max(sums)


@pytest.mark.parametrize("seed", range(5))
def test_the_change_point_is_pettitts(seed):
    values = noise(60, seed=seed) * np.where(np.arange(60) < 25, 1.2, 1)
    cut, largest = pettitt(values)
    assert 2 * np.exp(-6 * largest**2 / (60**3 + 60**2)) < 0.01
    assert steady._change(values) == cut


def test_a_step_ends_the_warm_up_where_it_is():
    values = noise(100, 0.02) * np.where(np.arange(100) < 40, 1.5, 1)
    assert steady.where(values) == 40
    assert steady.steady(values)
    assert steady.steady(values[:70])
    assert not steady.steady(values[:60])


def test_several_steps_are_all_left_behind():
    level = np.repeat([3.0, 2.0, 1.5, 1.0], 30)
    assert steady.where(noise(120, 0.02) * level) == 90


def test_becoming_slower_is_not_steady_either():
    values = noise(60, 0.02) * np.where(np.arange(60) < 40, 1, 1.2)
    assert steady.where(values) == 40
    assert not steady.steady(values)


def test_a_few_slow_runs_at_the_beginning_are_cut_off():
    values = noise(60, 0.02)
    values[:3] *= 2
    assert steady.where(values) == 3
    values[30] *= 3
    assert steady.where(values) == 3


def test_a_series_without_change_is_steady_from_its_first_run():
    for values in ([0.25] * 30, (1 + 0.004 * noise(200)).tolist()):
        assert steady.where(values) == 0
        assert steady.steady(values)


def test_a_change_of_less_than_1_percent_is_none():
    assert steady.where(noise(200, 0.0005) * np.linspace(1.005, 1, 200)) == 0
    assert steady.where(noise(200, 0.0005) * np.linspace(1.05, 1, 200)) > 50


def test_the_window_is_the_least_that_must_be_seen():
    values = noise(40, 0.02)
    assert [steady.steady(values[:n]) for n in (0, 1, 29, 30)] == [False, False, False, True]
    assert steady.steady(values[:12], window=12)
    assert not steady.steady(values[:11], window=12)
    assert not steady.steady(values[:7], window=1)
    assert steady.where([]) == 0
    assert steady.where([1.0]) == 0
