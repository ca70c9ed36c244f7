"""The loops: clients at once, queries at random times, waiting counted from the arrival, and ends that hold."""

import random
import statistics
import threading
import time
from itertools import pairwise

import pytest
from bench_subject import Sleeper

from gpux.bench import benchmark
from gpux.bench.loops import Until


def test_clients_ask_at_once_and_throughput_is_by_the_clock():
    alone = benchmark(Sleeper(0.01), "x", runs=20, warmup=0)
    together = benchmark(Sleeper(0.01), "x", runs=40, warmup=0, concurrency=4)
    assert together.settings.scenario == "closed-loop"
    assert len(together.samples.steady) == 40
    assert together.summaries.throughput > 2.5 * alone.summaries.throughput
    low, high = together.summaries.intervals["throughput"]
    assert low <= together.summaries.throughput <= high
    steady = together.samples.steady
    ends = [start + took for start, took in zip(steady.start, steady.seconds, strict=True)]
    span = max(ends) - together.samples.began[0]
    assert together.summaries.throughput == pytest.approx(40 / span)
    assert sorted(steady.start) == list(steady.start)
    assert sorted(steady.query) == sorted(i % 1 for i in range(40))


def test_every_client_takes_the_next_query_and_none_twice():
    report = benchmark(Sleeper(0.001), list("abcdefgh"), runs=16, warmup=0, concurrency=3)
    assert sorted(report.samples.steady.query) == sorted(list(range(8)) * 2)


def test_queries_arrive_at_the_rate_whether_or_not_they_are_answered():
    report = benchmark(Sleeper(0.0), "x", runs=200, warmup=0, rate=400.0, seed=5)
    starts = report.samples.steady.start
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    expected = random.Random(5)
    drawn = [expected.expovariate(400.0) for _ in range(200)]
    assert gaps == pytest.approx(drawn[1:], abs=1e-6)
    assert statistics.fmean(gaps) == pytest.approx(1 / 400, rel=0.3)


def test_a_slow_answer_makes_those_behind_it_wait_and_the_wait_is_counted():
    model = Sleeper(0.0, 0.2, 0.0)  # the first run, the slow one, and the rest
    report = benchmark(model, "x", runs=30, warmup=0, rate=200.0, seed=1)
    steady = report.samples.steady
    waited = [w for w in steady.stages["queue"] if w > 0.02]
    assert len(waited) >= 5
    assert max(steady.seconds[1:]) > 0.1
    assert all(took >= wait for took, wait in zip(steady.seconds, steady.stages["queue"], strict=True))


def test_too_high_a_rate_is_told():
    report = benchmark(Sleeper(0.01), "x", runs=60, warmup=0, rate=1000.0)
    assert "overloaded" in {caution.name for caution in report.cautions}
    several = benchmark(Sleeper(0.02), ["a", "b"], runs=60, warmup=0, rate=100.0, batch_size=2)
    assert "overloaded" in {caution.name for caution in several.cautions}


def test_an_idle_server_is_not_called_overloaded_however_few_its_queries_are():
    for seed in range(6):
        report = benchmark(Sleeper(0.0), "x", runs=20, warmup=0, rate=400.0, seed=seed)
        assert "overloaded" not in {caution.name for caution in report.cautions}


def test_a_server_answers_no_more_than_arrives():
    report = benchmark(Sleeper(0.0), "x", runs=20, warmup=0, rate=200.0, seed=2)
    expected = random.Random(2)
    arrived = sum(expected.expovariate(200.0) for _ in range(20))
    assert report.summaries.throughput <= 20 / arrived * 1.001


def test_a_duration_ends_the_arrivals_and_what_still_waits_is_left_and_told():
    report = benchmark(Sleeper(0.0), "x", duration=0.3, warmup=0, rate=100.0)
    assert 10 <= len(report.samples.steady) <= 60
    assert report.samples.steady.start[-1] - report.samples.steady.start[0] <= 0.35
    assert report.samples.unanswered == 0
    begin = time.perf_counter()
    flooded = benchmark(Sleeper(0.01), "x", duration=0.5, warmup=0, rate=5000.0)
    assert time.perf_counter() - begin < 3
    assert flooded.samples.unanswered > 1000
    caution = next(caution for caution in flooded.cautions if caution.name == "overloaded")
    assert str(flooded.samples.unanswered) in caution.message


def test_a_rate_too_low_for_the_duration_ends_without_a_run():
    begin = time.perf_counter()
    report = benchmark(Sleeper(0.0), "x", duration=0.2, warmup=0, rate=1e-6)
    assert time.perf_counter() - begin < 2
    assert len(report.samples.steady) == 0
    assert report.summaries.steady is None


def test_clients_are_warmed_up_as_they_are_measured():
    report = benchmark(Sleeper(0.01), "x", runs=8, warmup=8, concurrency=4)
    warm = report.samples.warmup
    ends = [start + took for start, took in zip(warm.start, warm.seconds, strict=True)]
    assert max(ends) - min(warm.start) < 0.06  # eight one after another take 0.08


def test_an_end_holds_for_all_threads_together():
    until = Until(1000, None, threading.Event())
    taken, lock = [], threading.Lock()

    def take():
        while (number := until.next()) is not None:
            with lock:
                taken.append(number)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1000))


@pytest.mark.parametrize("settings", [{}, {"concurrency": 3}, {"rate": 50.0}], ids=lambda s: str(*s))
def test_a_stop_from_outside_ends_after_the_runs_under_way(settings):
    from gpux.bench.settings import settle
    from gpux.bench.trial import Trial

    stop = threading.Event()
    trial = Trial(Sleeper(0.01), "x", settle(runs=10_000, **settings), parameters={}, stop=stop)
    trial.begin()
    threading.Timer(0.2, stop.set).start()
    begin = time.perf_counter()
    trial.round(runs=10_000, seconds=None)
    assert time.perf_counter() - begin < 2
    report = trial.report(interrupted=True)
    trial.close()
    assert 1 <= len(report.samples.steady) < 1000
    assert report.interrupted


def test_rounds_are_measured_apart_and_each_later_one_settles_first():
    from gpux.bench.settings import settle
    from gpux.bench.trial import Trial

    trial = Trial(Sleeper(0.002), ["a", "b", "c"], settle(runs=6, warmup=1), parameters={})
    trial.begin()
    for _ in range(2):
        trial.round(runs=3, seconds=None)
        time.sleep(0.3)  # somebody else's turn
    report = trial.report()
    trial.close()
    steady = report.samples.steady
    assert steady.round == (0, 0, 0, 1, 1, 1)
    assert steady.query == (0, 1, 2, 0, 1, 2)
    assert len(report.samples.warmup) == 1 + 2
    assert report.conditions.seconds < 0.3  # the pause is nobody's
    assert report.energy.seconds < 0.3
