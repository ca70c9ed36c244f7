"""What a person has → the arrays of a graph: nothing is guessed, and every misfit names the graph's inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gpux.errors import InvalidInput
from gpux.pipelines.tensor_items import arrays
from gpux.tensors import TensorSpec

ONE = (TensorSpec("x", "float32", ("n", 2)),)
TWO = (*ONE, TensorSpec("ids", "int64", ("n",)))


def of(value, dtype, shape=("n",)):
    return arrays({"x": value}, [TensorSpec("x", dtype, shape)], position=0, allow_nan=False)["x"]


@pytest.mark.parametrize(
    ("value", "dtype", "wanted"),
    [
        ([1, 2], "float32", [1, 2]),
        ([0.1, 2], "float32", np.float32([0.1, 2])),
        ([0.1], "float16", np.float16([0.1])),
        ([65504], "float16", [65504]),
        ([1, -1], "int8", [1, -1]),
        ([255], "uint8", [255]),
        ([2**64 - 1], "uint64", np.array([2**64 - 1], np.uint64)),
        ([2**63 - 1, -(2**63)], "int64", [2**63 - 1, -(2**63)]),
        ([True, False], "bool", [True, False]),
        ([], "int64", []),
        ((1, 2), "int32", [1, 2]),
    ],
)
def test_numbers_as_json_writes_them(value, dtype, wanted):
    found = of(value, dtype)
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        ([1.0], "int64", "with fractions"),
        ([1.5], "int8", "with fractions"),
        ([128], "int8", "beyond int8"),
        ([-1], "uint16", "beyond uint16"),
        ([2**64], "uint64", "beyond uint64"),
        ([2**63], "int64", "beyond int64"),
        ([2**63, -1], "int64", "beyond int64"),
        ([1e39], "float32", "beyond float32"),
        ([65520], "float16", "beyond float16"),
        ([10**400], "float64", "beyond float64"),
        ([True], "float32", "true and false for numbers"),
        ([True], "int64", "true and false for numbers"),
        ([1, 0], "bool", "numbers for true and false"),
        (["1"], "int64", "something else than numbers"),
        ([None], "float32", "something else than numbers"),
        ([{"a": 1}], "float32", "something else than numbers"),
        ([[1], [1, 2]], "float32", "unequal lengths"),
        ("text", "float32", "as str"),
        (None, "float32", "as NoneType"),
        ([[1]], "float32", r"of shape \[1, 1\]"),
        (1, "float32", r"of shape \[\]"),
        ([float("nan")], "float32", "infinite or none"),
        ([float("-inf")], "float64", "infinite or none"),
        (np.array([1.0]), "float32", "as float64"),
        (np.array([1]), "float32", "as int64"),
        (np.array(["a"]), "float32", "as <U1"),
        (np.array([np.inf], "float16"), "float16", "infinite or none"),
    ],
)
def test_a_value_that_does_not_fit(value, dtype, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        of(value, dtype)
    assert caught.value.hint == f"the graph takes x: {dtype}[n]"


def test_a_fixed_size_must_be_kept_and_a_free_one_may_be_anything():
    assert arrays(np.zeros((5, 2), "f"), ONE, position=0, allow_nan=False)["x"].shape == (5, 2)
    assert arrays(np.zeros((0, 2), "f"), ONE, position=0, allow_nan=False)["x"].shape == (0, 2)
    with pytest.raises(InvalidInput, match=r"`x` of shape \[5, 3\]"):
        arrays(np.zeros((5, 3), "f"), ONE, position=0, allow_nan=False)


def test_infinite_numbers_may_be_let_in():
    found = arrays([[np.nan, np.inf]], ONE, position=0, allow_nan=True)["x"]
    np.testing.assert_array_equal(found, [[np.nan, np.inf]])


def test_arrays_of_another_byte_order_and_views_are_the_same_numbers():
    swapped = np.array([[1.5, 2]], ">f4")
    found = arrays(swapped, ONE, position=0, allow_nan=False)["x"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1.5, 2]])
    turned = np.arange(4, dtype=np.float32).reshape(2, 2).T
    assert arrays(turned, ONE, position=0, allow_nan=False)["x"].flags.c_contiguous


def test_everything_that_is_wrong_is_said_at_once():
    with pytest.raises(InvalidInput) as caught:
        arrays({"X": [[1, 2]], "ids": [1.5], 3: 1}, TWO, position=7, allow_nan=False)
    assert caught.value.message == (
        "input 7 has `X`, which the graph does not take, has `3`, which the graph does not take, lacks `x` and 1 more"
    )
    assert caught.value.hint == "the graph takes x: float32[n, 2], ids: int64[n]"
    assert caught.value.position == 7


@pytest.mark.parametrize(
    ("item", "said"),
    [([[1, 2]], "the graph takes 2"), (3, "the graph takes 2"), (object(), "is object"), (b"x", "is bytes")],
)
def test_an_item_that_is_no_mapping(item, said):
    with pytest.raises(InvalidInput, match=said):
        arrays(item, TWO, position=0, allow_nan=False)


@pytest.fixture
def folder(tmp_path):
    array, ids = np.float32([[1, 2], [3, 4]]), np.int64([5, 6])
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "both.npz", x=array, ids=ids)
    np.savez_compressed(tmp_path / "packed.npz", x=array, ids=ids)
    (tmp_path / "packed.npz").rename(tmp_path / "Both.NPZ")
    (tmp_path / "both.json").write_text(json.dumps({"x": array.tolist(), "ids": ids.tolist()}))
    (tmp_path / "x.json").write_text("[[1, 2], [3, 4]]")
    return tmp_path


@pytest.mark.parametrize("name", ["both.npz", "Both.NPZ", "both.json"])
def test_files_of_tensors_by_name(folder, name):
    for path in (str(folder / name), Path(folder / name)):
        found = arrays(path, TWO, position=0, allow_nan=False)
        np.testing.assert_array_equal(found["x"], [[1, 2], [3, 4]])
        np.testing.assert_array_equal(found["ids"], [5, 6])


@pytest.mark.parametrize("name", ["x.npy", "x.json"])
def test_files_of_one_tensor(folder, name):
    np.testing.assert_array_equal(
        arrays(str(folder / name), ONE, position=0, allow_nan=False)["x"], [[1, 2], [3, 4]]
    )


def _pickled(path):
    np.save(path, np.array([object()], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "write", "said"),
    [
        ("none.npz", None, "No such file"),
        ("x.txt", None, "neither tensors nor a file of them"),
        ("bad.npz", lambda p: p.write_bytes(b"PK\x03\x04 no zip"), "cannot be read"),
        ("empty.npy", lambda p: p.write_bytes(b""), "cannot be read"),
        (
            "cut.npy",
            lambda p: (np.save(p, np.zeros(100)), p.write_bytes(p.read_bytes()[:200])),
            "cannot be read",
        ),
        ("pickle.npy", _pickled, "cannot be read"),
        ("bad.json", lambda p: p.write_text("{"), "cannot be read"),
        ("deep.json", lambda p: p.write_text("[" * 100_000), "cannot be read"),
        ("folder.npz", lambda p: p.mkdir(), "Is a directory"),
    ],
)
def test_a_file_that_holds_no_tensors(tmp_path, name, write, said):
    path = tmp_path / name
    if write:
        write(path)
    with pytest.raises(InvalidInput, match=said) as caught:
        arrays(str(path), ONE, position=0, allow_nan=False)
    assert caught.value.hint.startswith("the graph takes x:")
