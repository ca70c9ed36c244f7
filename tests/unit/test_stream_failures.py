"""A stream whose items fail here and there: every answer in order, each failure in its place, memory bounded, work linear."""

from __future__ import annotations

import gc
import itertools
import pickle
import tracemalloc
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpux
from gpux.errors import GpuxError, InvalidInput, RunFailed
from gpux.pipelines.pipeline import Pipeline, Table

BAD = "bad"
UNREAD = GpuxError("`x.jpg` cannot be read", hint="check the path")


def refuse(position):
    raise InvalidInput(f"input {position} is bad", hint="leave it out", position=position)


class Letters(Pipeline):
    """Counts letters: all items are looked at before any is counted, as the tasks over texts do."""

    window = 8

    def __init__(self):
        self.looked = self.answered = self.most = 0

    def is_item(self, inputs):
        return isinstance(inputs, str)

    def answer(self, items, clock, /, **parameters):
        self.most = max(self.most, len(items))
        self.look(items)
        self.answered += len(items)
        return [len(item) for item in items]

    def look(self, items):
        for position, item in enumerate(items):
            self.looked += 1
            if item == BAD:
                refuse(position)

    def parse(self, text):
        return text

    def table(self, items, answers):
        return Table((), ())

    def samples(self, length=None, **parameters):
        return []


class LateLetters(Letters):
    """Prepares the whole of a part before it says which item was wrong: the dearest that a task can be."""

    def look(self, items):
        self.looked += len(items)
        if BAD in items:
            refuse(items.index(BAD))


class Ahead(Letters):
    """Answers one by one and takes ahead, as the tasks over pictures do."""

    def _stream(self, items, window, parameters):
        ahead = list(itertools.islice(items, 3))
        position = 0
        while ahead:
            item = ahead.pop(0)
            ahead += itertools.islice(items, 1)
            self.looked += 1
            if item == BAD:
                refuse(position)
            self.answered += 1
            yield len(item)
            position += 1


KINDS = (Letters, LateLetters, Ahead)


def expected(items):
    return [(place, item) if item in {BAD, UNREAD} else len(item) for place, item in enumerate(items)]


def found(task, items, **settings):
    """Answers, and of failures where they are and of what."""
    return [
        (one.position, UNREAD if one.error is UNREAD else BAD) if isinstance(one, gpux.Failed) else one
        for one in task.stream(iter(items), fail_fast=False, **settings)
    ]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(["", "a", "four", BAD, UNREAD])), st.integers(1, 9), st.sampled_from(KINDS))
def test_every_item_has_its_answer_or_its_failure_in_order(items, window, kind):
    assert found(kind(), items, window=window) == expected(items)


def test_a_failure_names_the_place_in_the_whole_stream():
    items = ["a"] * 21 + [BAD] + ["b"] * 5
    [failed] = [one for one in Letters().stream(items, fail_fast=False) if isinstance(one, gpux.Failed)]
    assert failed.position == failed.error.position == 21
    assert failed.error.message == "input 21 is bad"
    assert failed.called("line 22 of mails.txt").message == "line 22 of mails.txt is bad"
    assert failed.called(r"C:\1\g<0>").message == r"C:\1\g<0> is bad"
    named = gpux.Failed(2, InvalidInput("input 2 (`a/b.jpg`) is cut short", hint="get it again", position=2))
    assert named.called("a/b.jpg").message == "`a/b.jpg` is cut short"
    assert named.called("line 3 of x.csv").message == "line 3 of x.csv (`a/b.jpg`) is cut short"
    assert pickle.loads(pickle.dumps(failed)).error.as_dict() == failed.error.as_dict()
    with pytest.raises(InvalidInput, match="input 21 is bad") as caught:
        list(Letters().stream(items))
    assert caught.value.position == 21


def test_the_first_failure_ends_a_stream_unless_told():
    taken = []
    with pytest.raises(InvalidInput, match="input 9 is bad"):
        taken.extend(Letters().stream(["a"] * 9 + [BAD]))
    assert taken == [1] * 8
    taken = []
    with pytest.raises(GpuxError, match=r"x\.jpg"):
        taken.extend(Letters().stream(["a", UNREAD, "b"]))
    assert taken == [1]
    with pytest.raises(
        InvalidInput, match="input 0 is bad"
    ):  # the first in order, not the first that was noticed
        list(Letters().stream([BAD, UNREAD]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("every", [1, 2, 7, 64, 1000])
def test_the_work_stays_linear_however_many_fail(kind, every):
    count = 20_000
    items = [BAD if place % every == 0 else "word" for place in range(count)]
    task = kind()
    assert found(task, items, window=2048) == expected(items)
    assert task.looked <= 5 * count
    assert task.answered <= 3 * count


def test_what_is_no_fault_of_an_item_ends_the_stream():
    class Falls(Letters):
        def look(self, items):
            raise error

    for error in (
        RunFailed("no memory is left", hint="close other programs", position=0),
        InvalidInput("`top_k` is 0", hint="give 1 or more"),
        InvalidInput("input 70 is bad", hint="a position that nobody took", position=70),
        InvalidInput("input True is bad", hint="no position", position=True),
    ):
        with pytest.raises(type(error), match=r"memory|top_k|70|True"):
            list(Falls().stream(["a"] * 4, fail_fast=False))


def test_a_million_items_with_one_bad_take_little_memory():
    count, bad = 1_000_000, 654_321
    task = Letters()
    items = (BAD if place == bad else f"item {place}" for place in range(count))
    gc.collect()
    tracemalloc.start()
    total, failures = 0, []
    for place, answer in enumerate(task.stream(items, window=2048, fail_fast=False)):
        if isinstance(answer, gpux.Failed):
            failures.append((place, answer.position, answer.error.message))
        else:
            total += answer
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert failures == [(bad, bad, f"input {bad} is bad")]
    digits = sum(9 * 10**power * (power + 1) for power in range(6)) + 1  # of all numbers below a million
    assert total == digits + 5 * count - len(f"item {bad}")
    assert peak < 4 << 20
    assert task.most == 2048


def test_failures_hold_on_to_no_items():
    class Heavy(str):
        pass

    alive = []

    def items():
        for place in range(64):
            item = Heavy(BAD if place % 2 else "a")
            alive.append(weakref.ref(item))
            yield item

    kept = [one for one in Letters().stream(items(), fail_fast=False) if isinstance(one, gpux.Failed)]
    gc.collect()
    assert len(kept) == 32
    assert [one() for one in alive] == [None] * 64


def test_a_library_model_streams_around_failures(minilm):
    with gpux.load(minilm, provider="null") as model:
        answers = list(model.stream(iter(["a", 7, "b"]), fail_fast=False, window=2))
        assert [type(one).__name__ for one in answers] == ["ndarray", "Failed", "ndarray"]
        assert answers[1].error.message == "input 1 is int, not a text"
        with pytest.raises(InvalidInput, match="no parameter `nonesuch`"):
            model.stream(["a"], fail_fast=False, nonesuch=1)
