"""How far answers agree: labels in any order, and nothing where lengths, zeros or numbers that are none are in the way."""

import math

import numpy as np
import pytest

from gpux.bench.agreement import cosine, numbers


def test_labels_may_be_ranked_otherwise():
    one = [{"label": "a", "score": 0.6}, {"label": "b", "score": 0.4}]
    assert numbers(one) == numbers(one[::-1]) == [0.6, 0.4]


def test_arrays_and_lists_of_the_same_numbers_agree():
    vector = np.array([1.0, -2.0, 3.0], np.float32)
    assert cosine([numbers(vector)], [numbers([1, -2, 3])]) == pytest.approx(1)
    assert cosine([numbers(vector)], [numbers(-vector)]) == pytest.approx(-1)


def test_texts_hold_no_numbers():
    assert numbers("seven") is None
    assert numbers({"label": "seven"}) is None
    assert cosine([None], [None]) is None


@pytest.mark.parametrize(
    "other", [[1.0, 2.0], [0.0, 0.0, 0.0], [math.nan, 1.0, 2.0], [math.inf, 1.0, 2.0], None]
)
def test_what_cannot_be_compared_agrees_in_nothing(other):
    assert cosine([[1.0, 2.0, 3.0]], [other]) == 0.0
    assert cosine([other], [[1.0, 2.0, 3.0]]) == 0.0


def test_the_smallest_counts_and_zeros_agree_with_zeros():
    assert cosine([[1.0], [1.0, 0.0]], [[2.0], [0.0, 1.0]]) == pytest.approx(0)
    assert cosine([[0.0, 0.0]], [[0.0, 0.0]]) == 1.0
    assert cosine([[1.0]], [[1.0], [2.0]]) == 0.0
