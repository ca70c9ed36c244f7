"""The proof's arithmetic against formulas written down independently, row by row and in exact fractions where ties matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gpux.artifact import Certificate, OutputParity
from gpux.errors import ProofFailed
from gpux.export import probes, proof
from gpux.export.inputs import Inputs, Tokens, describe

NUMBERS = st.floats(-100, 100, allow_nan=False, width=32).map(lambda x: 0.0 if abs(x) < 1e-3 else x)


def matrices():
    shapes = st.tuples(st.integers(1, 6), st.integers(2, 5))
    return shapes.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.float32, shape, elements=NUMBERS)] * 2))


def compare(want, got, *, feeds=None, classes=False):
    return proof.compare("y", [feeds or {}], [{"y": want}], [{"y": got}], classes=classes)


def parity(cosine=1.0, *, explained=1.0, top1=None, rel=1.0):
    return OutputParity("y", 0.1, rel, cosine, explained, top1)


def certificate(*outputs):
    return Certificate(proof.classify(outputs), "pytorch fp32", "cpu", "x 1", ("1×5",), outputs)


@settings(max_examples=200, deadline=None)
@given(matrices())
def test_cosine_and_differences(pair):
    want, got = pair
    found = compare(want, got)
    cosines, differences = [], []
    for a, b in zip(want.tolist(), got.tolist(), strict=True):
        differences += [abs(x - y) for x, y in zip(a, b, strict=True)]
        norms = math.hypot(*a) * math.hypot(*b)
        dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
        cosines.append(dot / norms if norms else float(not any(a) and not any(b)))
    assert found.min_cosine == pytest.approx(min(cosines), abs=1e-9)
    assert found.max_abs == pytest.approx(max(differences))
    largest = max(abs(x) for row in want.tolist() for x in row) or 1.0
    assert found.max_rel == pytest.approx(max(differences) / largest)
    assert found.top1 is None


@settings(max_examples=200, deadline=None)
@given(matrices())
def test_explained_variance(pair):
    want, got = pair
    columns = want.T.tolist()
    spread = math.fsum((x - math.fsum(c) / len(c)) ** 2 for c in columns for x in c)
    missed = math.fsum((x - y) ** 2 for x, y in zip(want.ravel().tolist(), got.ravel().tolist(), strict=True))
    found = compare(want, got).explained
    if spread > 1e-9:
        assert found == pytest.approx(1 - missed / spread, rel=1e-6, abs=1e-9)
    elif len(want) == 1:
        assert found == float(missed == 0)


@settings(max_examples=200, deadline=None)
@given(matrices())
def test_top1_leaves_ties_out(pair):
    want, got = pair
    agreed = []
    for a, b in zip(want.tolist(), got.tolist(), strict=True):
        *_, second, first = sorted(a)
        if first - second > 1e-3 * max(map(abs, a)):
            agreed.append(a.index(first) == b.index(max(b)))
    expected = sum(agreed) / len(agreed) if agreed else 1.0
    assert compare(want, got, classes=True).top1 == pytest.approx(expected)


def test_a_tie_in_the_reference_is_nobodys_fault():
    want = np.array([[1.0, 1.0, 0.0], [2.0, 0.0, 0.0]], np.float32)
    got = np.array([[0.9, 1.1, 0.0], [2.0, 0.0, 0.0]], np.float32)
    assert compare(want, got, classes=True).top1 == 1.0
    assert compare(want, 1 - got, classes=True).top1 == 0.0


@given(hnp.arrays(np.float32, (7, 1), elements=NUMBERS))
def test_one_score_per_row_is_compared_as_a_column(column):
    want = column + np.float32(200)
    assert compare(want, want).min_cosine == pytest.approx(1)
    assert compare(want, -want).min_cosine == pytest.approx(-1)
    assert compare(want, want, classes=True).top1 is None


def test_a_number_per_token_is_compared_over_batches_of_every_length():
    masks = [np.ones((1, 3)), np.array([[1, 1, 1, 1], [1, 1, 0, 0]])]
    feeds = [{"attention_mask": mask.astype(np.int64)} for mask in masks]
    want = [{"y": np.arange(mask.size, dtype=np.float32).reshape(mask.shape) + 1} for mask in masks]
    got = [{"y": array["y"].copy()} for array in want]
    got[1]["y"][1, 2:] = 99  # padding
    assert proof.compare("y", feeds, want, got, classes=False).max_abs == 0
    got[1]["y"][1, 1] += 2
    found = proof.compare("y", feeds, want, got, classes=False)
    column = [1, 2, 3, 1, 2, 3, 4, 5, 6]
    moved = [*column[:-1], 8]
    dot = sum(x * y for x, y in zip(column, moved, strict=True))
    assert found.max_abs == 2
    assert found.min_cosine == pytest.approx(dot / math.hypot(*column) / math.hypot(*moved))


def test_padding_is_nobodys_business():
    mask = np.array([[1, 1, 1], [1, 0, 0]])
    want = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    got = want.copy()
    got[1, 1:] = np.nan
    assert compare(want, got, feeds={"attention_mask": mask}).min_cosine == pytest.approx(1)
    got[1, 0] *= -1
    assert compare(want, got, feeds={"attention_mask": mask}).min_cosine == pytest.approx(-1)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["graph", "reference", "both"])
def test_numbers_that_are_none_prove_nothing(odd, where):
    sound = np.ones((2, 3), np.float32)
    broken = sound.copy()
    broken[1, 2] = odd
    want, got = (broken if where != "graph" else sound), (broken if where != "reference" else sound)
    with pytest.raises(ProofFailed, match=r"`y` is not finite on a probe of \[2, 3\]") as caught:
        compare(want, got)
    assert ("in the reference" in caught.value.message) == (where != "graph")


def test_another_shape_and_a_missing_output():
    want = np.ones((2, 3), np.float32)
    with pytest.raises(ProofFailed, match=r"has shape \[3, 2\], the reference \[2, 3\]"):
        compare(want, want.T)
    with pytest.raises(ProofFailed, match="has no output `y`"):
        proof.compare("y", [{}], [{"y": want}], [{"z": want}], classes=False)


@pytest.mark.parametrize(
    ("cosine", "top1", "quality"),
    [
        (0.99999, None, "exact"),
        (np.nextafter(0.99999, 0), None, "near"),
        (0.9995, None, "near"),
        (np.nextafter(0.9995, 0), None, "lossy"),
        (1.0, 1.0, "exact"),
        (1.0, 0.99, "lossy"),
        (0.9996, 1.0, "near"),
        (-1.0, None, "lossy"),
    ],
)
def test_classes_at_their_thresholds(cosine, top1, quality):
    assert proof.classify([parity(cosine, top1=top1)]) == quality
    assert proof.classify([parity(), parity(cosine, top1=top1)]) == quality


def test_full_precision_must_be_near_and_quantised_must_be_the_same_model():
    for outputs, full, quantised in (
        ([parity(0.9995)], True, True),
        ([parity(0.9)], False, True),
        ([parity(1.0, top1=0.5)], False, True),
        ([parity(0.9, explained=0.5)], False, True),
        ([parity(0.99, explained=0.49)], False, False),
        ([parity(0.99, explained=-3, rel=0.05)], False, True),
        ([parity(), parity(0.2, explained=-1)], False, False),
    ):
        made = certificate(*outputs)
        for is_full, fits in ((True, full), (False, quantised)):
            if fits:
                assert proof.accept(made, variant="v", full_precision=is_full) is made
            else:
                with pytest.raises(
                    ProofFailed, match=r"output `y` reaches cosine -?\d\.\d{6} against pytorch fp32"
                ):
                    proof.accept(made, variant="v", full_precision=is_full)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(
    st.sampled_from(["pad_token_id", "vocab_size", "max_position_embeddings", "type_vocab_size", "model_type"]),
    st.one_of(st.none(), st.booleans(), st.integers(-3, 70000), st.floats(), st.text(max_size=5), st.lists(st.integers(), max_size=2)),
))  # fmt: skip
def test_probes_can_be_made_from_any_config(config):
    names = ("input_ids", "attention_mask", "token_type_ids")
    described = describe(("text",), config, {}, dict.fromkeys(names, ()))
    made = probes.make(described)
    longest = described.tokens.maximum
    assert len(made) == len({(batch, min(length, longest)) for batch, length in probes.SHAPES})
    for feeds in made:
        assert {array.dtype for array in feeds.values()} == {np.dtype(np.int64)}
        assert len({array.shape for array in feeds.values()}) == 1
        assert feeds["attention_mask"].sum(1).min() >= 1


def test_probes_survive_their_file(tmp_path):
    made = probes.make(
        Inputs(("input_ids", "attention_mask"), tokens=Tokens(vocabulary=30, pad=0, maximum=20, types=1))
    )
    probes.save(tmp_path / "probes.npz", made)
    for want, got in zip(made, probes.read(tmp_path / "probes.npz"), strict=True):
        assert {name: array.tolist() for name, array in want.items()} == {
            name: array.tolist() for name, array in got.items()
        }
