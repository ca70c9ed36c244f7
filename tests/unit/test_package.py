"""What a Core ML package declares and whether it fits, and an open one around a model that is a function: no Core ML is here."""

from __future__ import annotations

import platform
import re
import threading
from dataclasses import replace

import numpy as np
import pytest
from gpux_providers._mlpackage import UNITS, open_package
from gpux_providers._mlpackage_session import PackageSession, place

from gpux.errors import ProviderUnavailable, RunFailed
from gpux.package_reader import PackageSummary, misfits
from gpux.provider import Options
from gpux.tensors import TensorSpec

NAMES = ("input_ids", "attention_mask")
RANGES = ((1, 4), (1, 8))
SUMMARY = PackageSummary(
    inputs=tuple(TensorSpec(name, "int32", ("batch", "sequence")) for name in NAMES),
    outputs=(
        TensorSpec("logits", "float32", ("batch", 2)),
        TensorSpec("lengths", "float32", ("batch", "sequence")),
    ),
    ranges=dict.fromkeys(NAMES, RANGES),
    version=7,
    kind="mlProgram",
    operations=12,
)
FITS = {"inputs": NAMES, "outputs": ("logits", "lengths"), "ranges": RANGES, "version": 7}


class Model:
    """As ``CompiledMLModel``: arrays in and out by name; doubles the ids and counts who is in it at once."""

    def __init__(self):
        self.given, self.inside, self.most = {}, 0, 0
        self._count = threading.Lock()

    def predict(self, given):
        with self._count:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.given = given
        if (given["input_ids"] < 0).any():
            raise RuntimeError("Error computing NN outputs.\nmore of it")
        found = {
            "logits": np.repeat(given["input_ids"][:, :1] * 2, 2, axis=1).astype(np.float16),
            "lengths": given["attention_mask"] * 1.0,
        }
        threading.Event().wait(0.002)
        with self._count:
            self.inside -= 1
        return found


def feeds(batch=2, length=3, first=5, dtype=np.int64):
    ids = np.full((batch, length), first, dtype)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


def session(counts=None, units="all"):
    return PackageSession(Model(), SUMMARY, place(counts, SUMMARY, units))


def test_whole_numbers_go_in_as_int32_and_the_outputs_come_out_as_declared():
    opened = session()
    found = opened.run(feeds())
    assert {array.dtype for array in opened._model.given.values()} == {np.dtype(np.int32)}
    assert found["logits"].dtype == np.float32
    np.testing.assert_array_equal(found["logits"], [[10, 10], [10, 10]])
    assert list(opened.run(feeds(), ["lengths"])) == ["lengths"]
    assert str(opened.inputs[0]) == "input_ids: int32[batch, sequence]"
    opened.close()


@pytest.mark.parametrize(("batch", "length"), [(5, 3), (2, 9), (0, 3)])
def test_a_shape_out_of_its_range_is_refused_before_core_ml_sees_it(batch, length):
    opened = session()
    with pytest.raises(
        RunFailed, match=re.escape(f"has shape [{batch}, {length}], the package takes 1 to 4 × 1 to 8")
    ) as caught:
        opened.run(feeds(batch, length))
    assert caught.value.hint
    assert opened._model.given == {}


def test_what_core_ml_says_when_it_fails_is_told_in_one_line():
    with pytest.raises(RunFailed, match=r"running: Error computing NN outputs\.$"):
        session().run(feeds(first=-1))


def test_predictions_of_one_model_wait_for_each_other():
    opened = session()
    threads = [threading.Thread(target=opened.run, args=(feeds(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened._model.most == 1


PLANNED = {
    "NeuralEngine": {"linear": 6, "softmax": 2},
    "CPU": {"gather": 1, "gather_nd": 1},
}


@pytest.mark.parametrize(
    ("counts", "units", "device", "share", "left"),
    [
        (PLANNED, "ane", "NeuralEngine and CPU", 0.8, ("gather", "gather_nd")),
        (PLANNED, "all", "NeuralEngine and CPU", 1.0, ()),
        (PLANNED, "gpu", "NeuralEngine and CPU", 0.0, ("gather", "gather_nd", "linear", "softmax")),
        ({"CPU": {"gather": 3}}, "cpu", "CPU", 1.0, ()),
        (None, "ane", "not told before macOS 14.4", 1.0, ()),
    ],
)
def test_the_placement_is_what_core_ml_planned(counts, units, device, share, left):
    found = place(counts, SUMMARY, units)
    assert (found.device, found.share, found.left_behind) == (device, share, left)
    assert sum(found.nodes.values()) == (sum(sum(c.values()) for c in counts.values()) if counts else 12)
    assert found.precision == "fp16"


@pytest.mark.skipif(platform.system() == "Darwin", reason="this is macOS, where a package can be opened")
@pytest.mark.parametrize("units", UNITS)
def test_elsewhere_no_package_is_opened(tmp_path, units):
    with pytest.raises(ProviderUnavailable, match="runs on macOS alone") as caught:
        open_package(tmp_path / "model.mlpackage", Options(threads=1), units)
    assert "--variant fp32" in caught.value.hint


def test_a_package_that_fits():
    assert misfits(SUMMARY, **FITS) == []
    assert SUMMARY.macos == "13"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "neuralNetwork"}, "it is a neuralNetwork, not an ML program"),
        ({"version": 9}, "its version is 9, not 7"),
        ({"inputs": SUMMARY.inputs[:1]}, "it takes input_ids, not input_ids, attention_mask"),
        ({"outputs": SUMMARY.outputs[::-1]}, "it gives lengths, logits, not logits, lengths"),
        ({"inputs": (replace(SUMMARY.inputs[0], dtype="float32"), SUMMARY.inputs[1])}, "is no int32"),
        ({"outputs": (replace(SUMMARY.outputs[0], dtype="float16"), SUMMARY.outputs[1])}, "is no float32"),
        (
            {"outputs": (replace(SUMMARY.outputs[0], shape=(2, 2)), SUMMARY.outputs[1])},
            "no axis for the batch",
        ),
        (
            {"ranges": {"input_ids": ((1, 4), (16, 16))}},
            "has axes of 1 to 4 × 16 to 16, not of 1 to 4 × 1 to 8",
        ),
    ],
)
def test_a_package_that_does_not_fit(change, said):
    (found,) = misfits(replace(SUMMARY, **change), **FITS)
    assert said in found
