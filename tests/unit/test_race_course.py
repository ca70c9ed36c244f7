"""The rules of a race, on simulated machines: who wins how often, who leaves when, and what the time goes to."""

from __future__ import annotations

import random

import pytest
from race_course import QUIET, Ground, Machine, Noise, named, race, run

from gpux.errors import InvalidSetting, NoCandidate, RunFailed, WorkerFailed
from gpux.planning import Candidate
from gpux.race.course import FEW, LONG, OPENING
from gpux.race.standing import standing


def drawn(seed):
    """Two to six candidates of which most are within 12 % of the best, in any order: label → seconds."""
    draw = random.Random(seed)
    best = 10 ** draw.uniform(-2.3, -0.7)
    factors = [1.0] + [
        draw.uniform(1.0, 1.12) if draw.random() < 0.6 else draw.uniform(1.2, 8)
        for _ in range(draw.randint(1, 5))
    ]
    paces = [(f"p{n} fp32 1 thread", best * factor) for n, factor in enumerate(factors)]
    draw.shuffle(paces)
    return dict(paces)


def ground(paces, **others):
    return Ground(named(*(label.split()[0] for label in paces)), **others)


@pytest.mark.parametrize(
    ("noise", "budget", "races"),
    [(Noise(), 60.0, 100), (Noise(), 20.0, 50), (Noise(turn=0.06, spoilt=0.15), 60.0, 50)],
    ids=["a loaded machine", "a third of the time", "a worse machine"],
)
def test_the_winner_is_within_5_percent_of_the_best_in_95_of_100_races(noise, budget, races):
    losses, certain = [], []
    for seed in range(races):
        paces = drawn(seed)
        _, record = race(ground(paces), paces, Machine(seed, noise), budget=budget)
        losses.append(paces[record.winner] / min(paces.values()))
        certain.append(record.certain)
    good = [loss <= 1.05 for loss in losses]
    assert sum(good) >= 0.95 * races, sorted(losses)[-15:]
    sure = [loss for loss, one in zip(losses, certain, strict=True) if one]
    assert len(sure) > races / 10  # or the next line says nothing
    assert sum(loss <= 1.05 for loss in sure) >= 0.97 * len(sure)


def test_on_a_quiet_machine_the_best_wins_always_and_early():
    for seed in range(30):
        paces = drawn(seed)
        course, record = race(ground(paces), paces, Machine(seed, QUIET))
        assert paces[record.winner] <= 1.005 * min(paces.values())
        assert max(one.rounds for one in record.entries) <= 5, paces
        assert course.runners


def test_of_equals_the_simplest_wins_and_the_record_says_so():
    simplest = 0
    for seed in range(25):
        candidates = [
            Candidate("a", "fp32", 1, {"x": "1"}),
            Candidate("b", "fp32", 1),
            Candidate("a", "fp32", 1),
        ]
        field = Ground(candidates)
        _, record = race(field, lambda _: 0.01, Machine(seed))
        simplest += record.winner == "a fp32 1 thread"
        equal = [one for one in record.entries if "no measurable difference" in one.reason]
        if len(equal) == 2 and record.winner == "a fp32 1 thread":
            assert ", as the simplest of " in record.reason or record.entries[0].figure <= equal[0].figure
    assert simplest >= 20


def test_an_equal_that_wins_is_called_the_simplest():
    field = Ground([Candidate("a", "fp32", 1, {"x": "1"}), Candidate("a", "fp32", 1)])
    _, record = race(field, {"a fp32 x=1 1 thread": 0.01, "a fp32 1 thread": 0.01004}, Machine(1))
    assert record.winner == "a fp32 1 thread"
    assert ", as the simplest of 2 that could not be told apart, on 20" in record.reason
    assert record.entries[1].versus.verdict == "same"
    assert "ms per sentence: no measurable difference (" in record.entries[1].reason


def test_clearly_slower_ones_leave_after_three_turns():
    rounds = []
    for seed in range(40):
        paces = {"a fp32 1 thread": 0.01, "b fp32 1 thread": 0.0102, "c fp32 1 thread": 0.02}
        machine = Machine(seed)
        _, record = race(ground(paces), paces, machine)
        slow = next(one for one in record.entries if one.label.startswith("c"))
        assert slow.left
        assert slow.reason.endswith(f"; it left after {slow.rounds} turns")
        rounds.append(slow.rounds)
    assert min(rounds) == FEW
    assert sum(count == FEW for count in rounds) >= 32


def test_whoever_is_far_slower_and_slow_costs_one_turn():
    paces = {"a fp32 1 thread": 0.5, "b fp32 1 thread": 5.0}
    machine = Machine(0, QUIET)
    _, record = race(ground(paces), paces, machine)
    entry = record.entries[1]
    assert (entry.rounds, entry.left) == (1, True)
    assert "10.0 × slower in every run; it left after 1 turn" in entry.reason
    assert record.certain


def test_an_early_leaver_is_held_against_whom_it_met_with_the_right_sign():
    # a leads while c is there; threads of a then beat a
    field = Ground([Candidate("a", "fp32", 2), Candidate("c", "fp32", 2)], cores=2)
    paces = {
        "a fp32 2 threads": 0.010,
        "c fp32 2 threads": 0.020,
        "a fp32 1 thread": 0.008,
        "c fp32 1 thread": 0.020,
    }
    _, record = race(field, paces, Machine(3, QUIET))
    assert record.winner == "a fp32 1 thread"
    gone = next(one for one in record.entries if one.label == "c fp32 2 threads")
    assert gone.against == "a fp32 2 threads"
    assert gone.versus.value == pytest.approx(2, rel=0.02)
    assert "× slower than a fp32 2 threads (" in gone.reason
    beaten = next(one for one in record.entries if one.label == "a fp32 2 threads")
    assert beaten.against == record.winner
    assert beaten.versus.value == pytest.approx(1.25, rel=0.02)
    assert "1.25 × slower (" in beaten.reason
    assert [one.label for one in record.entries][:2] == [record.winner, "a fp32 2 threads"]
    assert record.certain


@pytest.mark.parametrize("budget", [5.0, 60.0])
@pytest.mark.parametrize("goal", ["latency", "throughput"])
@pytest.mark.parametrize("pace", [1e-5, 0.004, 0.3])
def test_no_turn_begins_after_the_budget(goal, budget, pace):
    field = Ground([Candidate(name, "fp32", 2) for name in "abcdef"], cores=2)
    machine = Machine(1)
    begun = machine.clock.now
    course = run(field, lambda one: pace * (1 + ord(one.provider) / 1000), machine, goal=goal, budget=budget)
    items = 320 if goal == "throughput" else 1
    turn = max(2.0, 3 * 8 * pace * items)
    assert machine.clock.now - begun <= budget + 1.0 + turn
    assert machine.closed == {str(one.candidate) for one in course.runners}


def test_throughput_tries_batches_after_threads():
    def pace(one):
        return (
            0.001
            * {None: 1.0, 8: 1.2, 32: 0.8, 64: 0.7, 128: 0.75, 256: 0.8}[one.batch]
            * {1: 1.5, 2: 1.0}[one.threads]
        )

    won = []
    for seed in range(10):
        field = Ground([Candidate(name, "fp32", 2) for name in "abc"], cores=2)
        _, record = race(field, pace, Machine(seed), goal="throughput")
        won.append(record.candidate.batch)
        assert record.items == 2 * record.candidate.batch
        sizes = {one.candidate.batch for one in record.entries}
        assert {None, 8, 32} <= sizes
    assert sum(size in {64, 128} for size in won) >= 8, won


def test_settings_that_rarely_matter_are_tried_on_the_best_of_a_long_race_only():
    better = Candidate("a", "fp32", 1, {"graph": "extended"})
    paces = {"a fp32 1 thread": 0.01, "b fp32 1 thread": 0.02, str(better): 0.008}
    field = ground(["a fp32 1 thread", "b fp32 1 thread"], refinements=[better])
    _, record = race(field, paces, Machine(0, QUIET), budget=LONG)
    assert record.candidate == better
    _, record = race(field, paces, Machine(0, QUIET), budget=LONG - 1)
    assert record.winner == "a fp32 1 thread"
    _, record = race(field, paces, Machine(0, QUIET), short=True)
    assert record.winner == "a fp32 1 thread"


def test_one_that_fails_leaves_with_its_reason_and_the_others_go_on():
    errors = {
        "a fp32 1 thread": {2: WorkerFailed("the worker process failed: it crashed with SIGSEGV", hint="x")},
        "b fp32 1 thread": {0: RunFailed("there is no such kernel")},
    }
    paces = dict.fromkeys((f"{name} fp32 1 thread" for name in "abcd"), 0.01) | {"d fp32 1 thread": 0.02}
    machine = Machine(0, QUIET, errors=errors)
    _, record = race(ground(paces), paces, machine)
    told = {one.label[0]: (one.figure, one.reason) for one in record.entries}
    assert told["a"] == (None, "its process crashed with SIGSEGV")
    assert told["b"] == (None, "there is no such kernel")
    assert record.winner == "c fp32 1 thread"
    assert machine.closed == set(paces)


def test_where_all_fail_the_error_says_why():
    errors = {f"{name} fp32 1 thread": {1: RunFailed(f"{name} broke", hint=f"mend {name}")} for name in "ab"}
    paces = dict.fromkeys(errors, 0.01)
    with pytest.raises(NoCandidate) as caught:
        race(ground(paces), paces, Machine(errors=errors))
    assert caught.value.message == "no candidate could be measured; a fp32 1 thread: a broke"
    assert caught.value.hint == "mend a"
    assert caught.value.details["rejected"] == ["a fp32 1 thread: a broke", "b fp32 1 thread: b broke"]


@pytest.mark.parametrize("turn", [0, 1, 2])
@pytest.mark.parametrize("budget", [10.0, 60.0])
def test_one_that_hangs_costs_a_bounded_time_and_leaves_the_others_theirs(turn, budget):
    paces = {"a fp32 1 thread": 0.01, "b fp32 1 thread": 0.02, "c fp32 1 thread": 0.012}
    machine = Machine(0, Noise(), hangs={"a fp32 1 thread": turn})
    begun = machine.clock.now
    _, record = race(ground(paces), paces, machine, budget=budget)
    bound = max(OPENING, budget / 2) if turn == 0 else 15
    assert machine.clock.now - begun <= budget + bound + 3
    assert record.winner == "c fp32 1 thread"
    hung = next(one for one in record.entries if one.label.startswith("a"))
    assert hung.figure is None
    assert hung.reason.startswith("it hung, and was ended after ")


def test_a_budget_that_ends_before_the_first_turn_is_an_error_that_names_a_better_one():
    paces = dict.fromkeys((f"{name} fp32 1 thread" for name in "abc"), 0.01)
    with pytest.raises(InvalidSetting) as caught:
        race(ground(paces), paces, Machine(opening=5.0), budget=6.0)
    assert caught.value.message == "a budget of 6 s let 0 of 3 candidates run"
    assert caught.value.hint == "give --budget 24s or more"


def test_a_budget_shorter_than_an_opening_measures_nothing():
    paces = {"a fp32 1 thread": 0.01}
    with pytest.raises(InvalidSetting, match="let 0 of 1 candidates run"):
        race(ground(paces), paces, Machine(opening=5.0), budget=1.0)


def test_those_without_their_turn_make_the_record_uncertain():
    paces = {"a fp32 1 thread": 0.01, "b fp32 1 thread": 0.02, "c fp32 1 thread": 0.001}
    _, record = race(ground(paces), paces, Machine(0, QUIET, opening=3.0), budget=10.0, short=True)
    assert record.winner == "a fp32 1 thread"
    late = next(one for one in record.entries if one.label.startswith("c"))
    assert late.reason == "the budget ended before its turn"
    assert not record.certain


def test_a_single_candidate_wins_although_nothing_else_had_time():
    field = Ground([Candidate("a", "fp32", 2)], cores=2)
    _, record = race(field, lambda _: 0.01, Machine(0, QUIET, opening=2.0), budget=3.0)
    assert record.winner == "a fp32 2 threads"


def test_what_memory_lacks_room_for_is_said():
    field = Ground(named("a", "b", "c"))
    course = run(field, lambda _: 0.01, Machine(resident=1 << 60))
    assert [one.reason for one in course.runners] == [
        None,
        *["there was no room in memory for it beside the others"] * 2,
    ]
    assert all(one.skipped for one in course.runners[1:])


def test_memory_is_weighed_one_by_one_and_threads_are_left_alone():
    peaks = {
        "a fp32 2 threads": 3e8,
        "b fp32 2 threads": 2.01e8,
        "c fp32 2 threads": 2e8,
        "d fp32 2 threads": 4e8,
    }
    field = Ground([Candidate(name, "fp32", 2) for name in "abcd"], cores=2)
    machine = Machine(0, peaks=peaks)
    _, record = race(field, lambda _: 0.01, machine, goal="memory")
    assert record.winner == "b fp32 2 threads"  # within a hundredth of c, and of better rank
    assert record.reason.startswith("won a race for memory: 192 MiB, as the simplest of 2 that")
    told = {one.label[0]: one.reason for one in record.entries}
    assert told["a"] == "286 MiB: 1.49 × as much"
    assert told["c"] == "191 MiB: no measurable difference"
    assert len(record.entries) == 4
    assert record.certain
    assert machine.turns == [(label, 0.2) for label in peaks]


def test_the_progress_is_short_and_counts_seconds():
    events = []
    options = {"precision": "bf16", "cuda-graph": "on"}
    field = Ground([Candidate(name, "fp32", 16, options) for name in ("tensorrt", "openvino")], cores=16)
    race(field, lambda _: 0.01, Machine(0), budget=12.0, progress=events.append)
    assert {one.stage for one in events} == {"race"}
    turns = [one for one in events if one.total]
    assert turns[0].message == "round 1, 2 in the race"
    assert all(0 <= one.done <= one.total == 12 and one.unit == "s" for one in turns)
    assert [one.done for one in turns] == sorted(one.done for one in turns)
    assert max(len(one.message) for one in events) < 70


def test_the_order_turns_round_by_round():
    paces = {"a fp32 1 thread": 0.01, "b fp32 1 thread": 0.01, "c fp32 1 thread": 0.01}
    machine = Machine(0)
    race(ground(paces), paces, machine)
    assert "".join(label[0] for label, _ in machine.turns[:9]) == "abccbaabc"


def test_standings_are_free_of_what_slowed_a_round_and_of_spoilt_turns():
    slow = {1: 1.0, 2: 1.0, 3: 4.0, 4: 1.0, 5: 4.0, 6: 4.0}
    turns = {
        "a": {number: 0.010 * factor for number, factor in slow.items()},
        "b": {number: 0.011 * slow[number] for number in (1, 2, 3)},
        "c": {number: 0.012 * slow[number] for number in (4, 5, 6)},
        "nobody": {},
    }
    turns["a"][2] *= 3
    found = standing(turns)
    assert found["b"] / found["a"] == pytest.approx(1.1, rel=0.005)
    assert found["c"] / found["a"] == pytest.approx(1.2, rel=0.005)
    assert set(found) == {"a", "b", "c"}
    assert standing({}) == {}
