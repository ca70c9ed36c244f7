"""Rows that are a set are put into the reference's order; nothing that differs is hidden by it."""

from __future__ import annotations

import numpy as np
import pytest

from gpux.export import proof
from gpux.export.matching import matched

NAMES = ("logits", "boxes")


@pytest.fixture
def reference():
    random = np.random.default_rng(3)
    return {"logits": random.normal(size=(2, 30, 9)), "boxes": random.uniform(size=(2, 30, 4))}


def shuffled(run, seed=5):
    order = np.random.default_rng(seed).permutation(30)
    return {name: array[:, order] for name, array in run.items()}


def test_a_permutation_is_undone_and_outputs_of_one_row_stay_together(reference):
    (found,) = matched([reference], [shuffled(reference)], NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(found[name], reference[name])


def test_a_wrong_row_stays_wrong(reference):
    broken = shuffled(reference)
    broken["boxes"] = broken["boxes"].copy()
    broken["boxes"][1, 7] += 1
    (found,) = matched([reference], [broken], NAMES)
    assert np.abs(found["boxes"] - reference["boxes"]).max() == pytest.approx(1)
    figures = [proof.compare(n, [{}], [reference], [found], classes=False) for n in NAMES]
    assert proof.classify(figures) == "lossy"


def test_a_row_given_twice_is_no_set(reference):
    doubled = {name: array.copy() for name, array in reference.items()}
    for array in doubled.values():
        array[0, 3] = array[0, 4]
    (found,) = matched([reference], [doubled], NAMES)
    assert np.abs(found["logits"] - reference["logits"]).max() > 0.1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_left_for_the_proof_to_refuse(reference, value):
    odd = {name: array.copy() for name, array in reference.items()}
    odd["logits"][0, 2] = value
    (found,) = matched([reference], [odd], NAMES)
    assert not np.isfinite(found["logits"]).all()


def test_other_shapes_and_absent_outputs_are_left_alone(reference):
    short = {"logits": reference["logits"][:, :5]}
    (found,) = matched([reference], [short], NAMES)
    assert found["logits"] is short["logits"]
