"""The workload: queries cut from items, digests that tell items apart, amounts per query."""

import numpy as np
import pytest
from bench_subject import Words
from hypothesis import given
from hypothesis import strategies as st

from gpux.bench import workload
from gpux.bench.settings import settle
from gpux.errors import InvalidInput, UsageError


def prepare(inputs, **asked):
    return workload.prepare(Words(), inputs, settle(**asked), {})


@given(st.integers(1, 40), st.integers(1, 60))
def test_queries_take_the_items_in_turn_and_every_item_once_before_any_twice(items, batch):
    given_ = [f"text {n}" for n in range(items)]
    found = prepare(given_, batch_size=batch)
    flat = [item for call in found.calls for item in (call if isinstance(call, list) else [call])]
    assert len(found.calls) == -(-items // batch)
    assert flat[:items] == given_
    assert flat == (given_ * (len(flat) // items + 1))[: len(flat)]
    assert len(found.record.work["tokens"]) == len(found.calls)
    assert (found.record.items, found.record.batch) == (items, batch)


def test_one_item_is_asked_alone_and_a_batch_of_one_too():
    assert prepare("a text").calls == ["a text"]
    assert prepare(["a text", "another"]).calls == ["a text", "another"]
    assert prepare(["a text"], batch_size=2).calls == [["a text", "a text"]]


def test_inputs_and_a_length_at_once_are_refused():
    with pytest.raises(UsageError) as caught:
        prepare(["a"], sequence_length=4)
    assert caught.value.hint
    with pytest.raises(InvalidInput):
        prepare([])


TEXTS = st.lists(st.text(), min_size=1)


@given(TEXTS, TEXTS)
def test_items_have_the_same_digest_only_when_they_are_the_same(one, other):
    assert (workload.digest(one) == workload.digest(other)) is (one == other)


def test_half_a_surrogate_pair_has_a_digest_too():
    assert workload.digest(["\ud800"]) != workload.digest(["\ud801"])


def test_arrays_are_told_apart_by_bytes_shape_and_type():
    zeros = [
        np.zeros((2, 3), np.float32),
        np.zeros((3, 2), np.float32),
        np.zeros((2, 3), np.int32),
        b"\0" * 24,
    ]
    assert len({workload.digest([item]) for item in zeros}) == 4
    assert workload.digest([zeros[0].copy()]) == workload.digest([zeros[0]])
    assert workload.digest([object()]) is None


def test_pairs_and_dictionaries_count_their_characters():
    found = prepare([("ab", "cde"), {"text": "f", "text_pair": "gh"}]).record
    assert found.characters == 8
    assert prepare([np.zeros(2)]).record.characters is None
