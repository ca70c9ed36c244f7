"""Work ahead of whoever takes it: in order, bounded, and over when it is over."""

from __future__ import annotations

import threading
import time
from itertools import count

import pytest

from gpux.errors import InvalidInput
from gpux.pipelines.ahead import ahead


def threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("gpux-ahead")]


def test_results_come_in_order_however_long_each_takes():
    def slow_first(number):
        time.sleep(0.03 if number % 4 == 0 else 0)
        return number * number

    assert list(ahead(slow_first, range(23), threads=3, depth=5)) == [n * n for n in range(23)]
    assert not threads()


def test_no_more_is_taken_than_may_wait():
    taken = []

    def items():
        for number in count():
            taken.append(number)
            yield number

    results = ahead(lambda number: number, items(), threads=2, depth=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + 4
    results.close()
    assert not threads()


def test_several_run_at_once():
    meeting = threading.Barrier(3, timeout=10)
    assert sorted(ahead(lambda _: meeting.wait(), range(3), threads=3, depth=3)) == [0, 1, 2]


def test_an_error_comes_in_its_place_and_stops_the_rest():
    begun = []

    def work(number):
        begun.append(number)
        if number == 3:
            raise InvalidInput("input 3 is no picture", hint="look at it", position=3)
        return number

    found = []
    results = ahead(work, count(), threads=2, depth=4)
    with pytest.raises(InvalidInput, match="input 3") as caught:
        found.extend(results)
    assert found == [0, 1, 2]
    assert caught.value.position == 3
    assert max(begun) <= 3 + 4
    assert not threads()


def test_an_error_of_the_items_themselves_ends_it_too():
    def items():
        yield 1
        raise InvalidInput("no more", hint="none")

    with pytest.raises(InvalidInput, match="no more"):
        list(ahead(lambda number: number, items(), threads=2, depth=4))
    assert not threads()


def test_nothing_gives_nothing():
    assert list(ahead(str, [], threads=2, depth=4)) == []
