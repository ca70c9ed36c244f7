"""Example inputs from a graph's types alone."""

from __future__ import annotations

import numpy as np
import pytest

from gpux import examples
from gpux.tensors import TensorSpec

TEXT = (
    TensorSpec("input_ids", "int64", ("batch", "sequence")),
    TensorSpec("mask", "int64", ("batch", "sequence")),
)
PAST = (
    TensorSpec("ids", "int64", ("batch", "sequence")),
    TensorSpec("past", "float32", ("batch", 2, "past", 4)),
    TensorSpec("attention_mask", "int64", ("batch", "past + sequence")),
    TensorSpec("wide", "float32", ("4*s0 + 1",)),
)


def test_symbols_are_leading_axes_first_and_each_once():
    assert examples.symbols(TEXT) == ("batch", "sequence")
    assert examples.symbols(PAST) == ("batch", "s0", "sequence", "past")
    assert examples.symbols([TensorSpec("x", "float32", (None, 3, None))]) == ("?0", "?2")
    assert examples.symbols([TensorSpec("x", "float32", (1, 3))]) == ()


def test_a_sum_or_product_of_symbols_follows_them():
    sizes = {"batch": 2, "sequence": 3, "past": 5, "s0": 6}
    assert [examples.shape(spec, sizes) for spec in PAST] == [(2, 3), (2, 2, 5, 4), (2, 8), (25,)]
    assert examples.elements(PAST, sizes) == 6 + 80 + 16 + 25


def test_a_name_that_is_no_sum_stands_for_itself():
    spec = TensorSpec("x", "float32", ("floor(n/2)", "a-b"))
    assert examples.symbols([spec]) == ("floor(n/2)", "a-b")
    assert examples.shape(spec, {"floor(n/2)": 3, "a-b": 4}) == (3, 4)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        (("n", 2), "n"),
        ((None, 2), "?0"),
        ((1, "n"), None),
        ((), None),
        (("a + 1", 2), None),
        (("4*a",), None),
        ((-1, 2), "?0"),
    ],
)
def test_the_leading_symbol(shape, wanted):
    assert examples.leading(TensorSpec("x", "float32", shape)) == wanted


@pytest.mark.parametrize("dtype", examples.NUMERIC)
def test_every_dtype_gets_values_of_its_own(dtype):
    spec = TensorSpec("x", dtype, ("n", 50))
    array = examples.make([spec], {"n": 2})["x"]
    assert (array.dtype, array.shape) == (np.dtype(dtype), (2, 50))
    if array.dtype.kind == "f":
        assert array.min() < 0 < array.max()
    else:
        assert set(array.ravel().tolist()) == {0, 1}


def test_styles_keep_their_bounds_and_calls_repeat():
    spec = [TensorSpec("x", "float64", (1000,))]
    unit, above = (examples.make(spec, {}, style=style)["x"] for style in ("unit", "above"))
    assert 0 <= unit.min() < unit.max() <= 1 <= above.min() < above.max() <= 2
    np.testing.assert_array_equal(examples.make(spec, {})["x"], examples.make(spec, {})["x"])
    assert not np.array_equal(examples.make(spec, {})["x"], examples.make(spec, {}, seed=1)["x"])


def test_a_mask_is_all_ones_and_a_scalar_has_no_axis():
    found = examples.make([TensorSpec("pixel_mask", "bool", (2, 2)), TensorSpec("scale", "float32", ())], {})
    assert found["pixel_mask"].all()
    assert found["scale"].shape == ()
