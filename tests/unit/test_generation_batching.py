"""Conversations that share a table: each gets what it would get alone, and what several wait for is one run."""

import threading

import numpy as np
import pytest
from decoder_graphs import VOCABULARY, decoder

from gpux.binding import Bindable
from gpux.discovery import discover
from gpux.errors import RunFailed
from gpux.generation.batching import Table
from gpux.generation.causal import CausalDecoder
from gpux.provider import Options

LIMIT = 300
PATIENT = 30.0
"""Longer than any test: every step waits for all who are awake, so that runs can be counted."""


class Counting:
    """A graph whose runs are counted, and that can be told to fail."""

    def __init__(self, inner):
        self.inner, self.inputs, self.outputs = inner, inner.inputs, inner.outputs
        self.runs, self.broken = [], False

    def bind(self, *given, **named):
        return Watched(self, self.inner.bind(*given, **named))


class Watched:
    def __init__(self, graph, bound):
        self.graph, self.bound = graph, bound

    def run(self, feeds, outputs):
        self.graph.runs.append(feeds["input_ids"].shape)
        if self.graph.broken:
            raise RunFailed("no memory", hint="close other programs")
        return self.bound.run(feeds, outputs)

    def fork(self, rows):
        return Watched(self.graph, self.bound.fork(rows))

    def join(self, other):
        self.bound.join(other.bound)

    def __getattr__(self, name):
        return getattr(self.bound, name)


class Plain:
    """An open graph without its provider's own binding."""

    def __init__(self, opened):
        self.inputs, self.outputs, self.run, self.close = (
            opened.inputs, opened.outputs, opened.run, opened.close,
        )  # fmt: skip


@pytest.fixture(scope="module", params=["cpu", "arrays", "openvino", "growing", "growing-openvino"])
def graph(request, tmp_path_factory):
    way = request.param
    path = decoder(tmp_path_factory.mktemp("graph") / "model.onnx", growing=way.startswith("growing"))
    provider = "openvino" if "openvino" in way else "cpu"
    opened = discover()[provider].open(path, Options(threads=1))
    yield Bindable(Plain(opened) if way == "arrays" else opened)
    opened.close()


@pytest.fixture
def counted(graph):
    return Counting(graph)


def table(graph, **settings):
    return Table(lambda: CausalDecoder(graph, limit=LIMIT), **{"patience": PATIENT, **settings})


def greedy(seat, prompts, steps, *, together=None):
    """Tokens of greedy answers, and the scores that they were chosen by."""
    scores = [seat.prefill(prompts)]
    if together:
        together.wait()
    tokens = [scores[0].argmax(-1)]
    for _ in range(steps):
        scores.append(seat.step(tokens[-1]))
        tokens.append(scores[-1].argmax(-1))
    return np.stack(tokens), np.stack(scores)


def prompts(*lengths):
    chance = np.random.default_rng(sum(lengths))
    return [[int(token) for token in chance.integers(0, VOCABULARY, length)] for length in lengths]


def alone(graph, rows, steps):
    own = CausalDecoder(graph, limit=LIMIT)
    found = greedy(own, rows, steps)
    own.close()
    return found


def at_once(*works):
    """Run each in a thread of its own; what they gave."""
    found, failed = [None] * len(works), []

    def call(place, work):
        try:
            found[place] = work()
        except Exception as error:  # noqa: BLE001 - it is told by the test
            failed.append(error)

    threads = [threading.Thread(target=call, args=one) for one in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if failed:
        raise failed[0]
    return found


def conversation(place, rows, steps, barrier):
    def talk():
        seat = place.seat()
        try:
            return greedy(seat, rows, steps, together=barrier)
        finally:
            seat.close()

    return talk


def test_answers_at_once_are_those_of_each_alone_and_cost_one_run_a_step(counted):
    asked = [(prompts(7), 12), (prompts(3), 12), (prompts(11), 6), (prompts(2, 5), 9)]
    want = [alone(counted, *one) for one in asked]
    counted.runs.clear()
    place, barrier = table(counted), threading.Barrier(len(asked))
    got = at_once(*(conversation(place, *one, barrier) for one in asked))
    for (tokens, scores), (told, said) in zip(got, want, strict=True):
        np.testing.assert_array_equal(tokens, told)
        np.testing.assert_allclose(scores, said, atol=1e-5, rtol=0)
    steps = [shape for shape in counted.runs if shape[1] == 1]
    assert len(steps) == 12
    assert [shape[0] for shape in steps] == [5] * 6 + [4] * 3 + [2] * 3


def test_who_comes_later_joins_and_who_is_done_goes_on_with_what_was_read(counted):
    place = table(counted, patience=0.0)
    first, second = place.seat(), place.seat()
    one, two = prompts(6), prompts(4)
    own = CausalDecoder(counted, limit=LIMIT)
    tokens, scores = greedy(own, one, 9)
    given = first.prefill(one)
    for _ in range(4):
        given = first.step(given.argmax(-1))
    other = second.prefill(two)
    for step in range(4, 8):
        other = second.step(other.argmax(-1))
        given = first.step(given.argmax(-1))
        np.testing.assert_allclose(given, scores[step + 1], atol=1e-5, rtol=0)
    second.rest()
    assert second.lengths == [8]
    assert first.lengths == [14]
    last = first.step(given.argmax(-1))
    np.testing.assert_allclose(last, scores[9], atol=1e-5, rtol=0)
    tokens, scores = greedy(own, two, 4)
    added = [int(token) for token in tokens[4]]
    np.testing.assert_allclose(second.extend(added)[-1:], own.step(tokens[4]), atol=1e-5, rtol=0)
    own.close()


def test_several_tokens_at_once_are_read_beside_the_table(counted):
    place = table(counted, patience=0.0)
    first, second = place.seat(), place.seat()
    (one,), two = prompts(5), prompts(3)
    first.prefill([one])
    second.prefill(two)
    second.step(np.array([1]))
    first.step(np.array([2]))
    found = first.extend([3, 4, 5])
    first.rewind(7)
    first.extend([6])
    own = CausalDecoder(counted, limit=LIMIT)
    own.prefill([[*one, 2]])
    np.testing.assert_allclose(found, own.extend([3, 4, 5]), atol=1e-5, rtol=0)
    own.prefill([[*one, 2, 3, 6]])
    want = own.step(np.array([7]))
    np.testing.assert_allclose(first.step(np.array([7])), want, atol=1e-5, rtol=0)
    own.close()


def test_nobody_waits_long_for_one_who_went_away(counted):
    place = table(counted, patience=0.05)
    first, second = place.seat(), place.seat()
    want, _ = alone(counted, prompts(4), 6)
    second.prefill(prompts(5))
    second.step(np.array([1]))
    got, _ = greedy(first, prompts(4), 6)
    np.testing.assert_array_equal(got, want)
    second.close()


def test_a_full_table_leaves_who_comes_to_itself(counted):
    place, barrier = table(counted, seats=2), threading.Barrier(3)
    asked = [(prompts(3), 5), (prompts(4), 5), (prompts(6), 5)]
    want = [alone(counted, *one)[0] for one in asked]
    got = at_once(*(conversation(place, *one, barrier) for one in asked))
    for (tokens, _), told in zip(got, want, strict=True):
        np.testing.assert_array_equal(tokens, told)


def test_a_failed_step_fails_for_all_who_wanted_it_and_new_prompts_go_on(counted):
    place, barrier = table(counted), threading.Barrier(2)
    failures = []

    def talk():
        seat = place.seat()
        seat.prefill(prompts(4))
        barrier.wait()
        counted.broken = True
        try:
            seat.step(np.array([1]))
        except RunFailed as error:
            failures.append(error)
        barrier.wait()
        counted.broken = False
        barrier.wait()
        found = greedy(seat, prompts(4), 3, together=barrier)
        seat.close()
        return found

    first, second = at_once(talk, talk)
    assert len(failures) == 2
    want, _ = alone(counted, prompts(4), 3)
    np.testing.assert_array_equal(first[0], want)
    np.testing.assert_array_equal(second[0], want)
