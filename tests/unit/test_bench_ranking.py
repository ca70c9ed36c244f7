"""Ranking a suite: the best is marked, equals are told from slower ones, proofs stand beside, and the best batch is named."""

import numpy as np
import pytest
from bench_reports import OUT_OF_MEMORY, report, suite, sweep, times

from gpux.bench import comparison
from gpux.bench.ranking import rank
from gpux.bench.suite import Reason


def ranked(*rows):
    return rank(suite(rows))


def standing(ranking, label):
    return next(found for found in ranking.standings if found.label == label)


def test_the_fastest_is_marked_and_the_others_are_relative_to_it():
    found = ranked(
        ({"variant": "fp32"}, report(times(0.021, seed=1))),
        (
            {"variant": "fp16"},
            report(times(0.010, seed=2), variant="fp16", quality="near", min_cosine=0.9999),
        ),
        ({"variant": "int8"}, report(times(0.010, seed=3), variant="int8", quality="near", top1=0.99)),
    )
    best = [row.label for row in found.standings if row.best]
    assert best == [found.fastest]
    assert found.fastest in {"fp16", "int8"}
    assert {row.label for row in found.standings if row.as_fast} == {"fp16", "int8"}
    slow = standing(found, "fp32")
    assert slow.relative.verdict == "slower"
    assert slow.relative.low < 2.1 < slow.relative.high
    assert standing(found, found.fastest).relative is None
    assert found.fastest_proven is None
    assert standing(found, "int8").top1 == 0.99
    assert [row.label for row in found.standings] == ["fp32", "fp16", "int8"]


def test_the_figures_of_a_row_are_its_reports():
    made = report(
        times(seed=1), batch=4, items=8, joules=40.0, peak=7, share=0.9, precision="fp16", failures=3
    )
    (row,) = ranked(({"batch": 4}, made)).standings
    seconds = np.array(made.samples.steady.seconds)
    assert row.run.value == pytest.approx(np.median(seconds))
    assert row.item.value == pytest.approx(np.median(seconds) / 4)
    assert row.throughput.value == pytest.approx(4 / seconds.mean())
    assert row.throughput.low < row.throughput.value < row.throughput.high
    assert row.energy == pytest.approx(40.0 / 800)
    assert (row.memory, row.share, row.precision, row.failures) == (7, 0.9, "fp16", 3)
    assert row.best
    assert row.as_fast


def test_a_row_without_figures_says_why_and_is_never_the_best():
    found = ranked(({"batch": 1}, report()), ({"batch": 64}, OUT_OF_MEMORY))
    row = standing(found, "batch 64")
    assert row.reason == OUT_OF_MEMORY
    assert (row.run, row.relative, row.best, row.as_fast, row.quality) == (None, None, False, False, None)
    assert found.best_batch == ()


def test_a_suite_without_any_figure_has_no_fastest():
    for found in (ranked(), ranked(({"batch": 1}, OUT_OF_MEMORY), ({"batch": 2}, report([])))):
        assert (found.fastest, found.fastest_proven, found.quickest) == (None, None, None)
        assert found.sentences == ()


def test_a_lossy_winner_stands_beside_the_fastest_proven_one():
    rows = [
        ({"variant": "fp32"}, report(times(0.02, seed=1))),
        ({"variant": "fp16"}, report(times(0.015, seed=2), quality="near", variant="fp16")),
        (
            {"variant": "int8"},
            report(times(0.01, seed=3), quality="lossy", variant="int8", min_cosine=0.98765),
        ),
    ]
    found = ranked(*rows)
    assert (found.fastest, found.fastest_proven) == ("int8", "fp16")
    (said,) = [text for text in found.sentences if "lossy" in text]
    assert "0.9877" in said
    assert "`fp16`" in said
    alone = ranked(rows[2])
    assert alone.fastest_proven is None
    assert "no row has a better proof" in alone.sentences[0]


def test_a_row_whose_runs_failed_is_best_only_where_no_other_is():
    broken = report(times(0.001, seed=1), failures=1)
    found = ranked(({"threads": 1}, broken), ({"threads": 2}, report(times(seed=2), threads=2)))
    assert found.fastest == "threads 2"
    assert standing(found, "threads 1").relative.verdict == "faster"
    assert ranked(({"threads": 1}, broken)).fastest == "threads 1"


def test_a_row_that_stopped_is_not_the_best_either():
    whole = suite([({"threads": 1}, report(times(seed=1))), ({"threads": 2}, report(times(0.001, seed=2)))])
    from dataclasses import replace

    stopped = replace(whole.rows[1], reason=Reason("RunFailed", "it died"))
    assert rank(replace(whole, rows=(whole.rows[0], stopped))).fastest == "threads 1"


def per_batch(gains, **more):
    """Rows whose seconds per item are 10 ms / gain, by batch."""
    return [
        ({**more, "batch": batch}, report(times(0.01 * batch / gain, seed=batch), batch=batch, items=32))
        for batch, gain in gains.items()
    ]


def test_the_smallest_batch_that_none_beats_is_named():
    found = ranked(*per_batch({1: 1, 8: 1.5, 16: 1.9, 32: 1.9}))
    (best,) = found.best_batch
    assert (best.axes, best.batch, best.smallest) == ({}, 16, 1)
    assert best.gain.low < 1.9 < best.gain.high
    assert best.sentence.startswith("batch 16 answers the most texts per second (1.")
    assert "× batch 1)" in best.sentence
    assert best.sentence in found.sentences
    assert found.quickest == "batch 1"


def test_a_sweep_that_ends_before_its_best_says_so():
    (best,) = ranked(*per_batch({1: 1, 8: 1.5, 16: 3})).best_batch
    assert best.batch == 16
    assert "the largest measured" in best.sentence


def test_where_batches_bring_nothing_the_smallest_is_best():
    (best,) = ranked(*per_batch({1: 1, 8: 1, 16: 0.8})).best_batch
    assert (best.batch, best.gain) == (1, None)
    assert best.sentence == "no batch above 1 measurably answers more texts per second"


def test_each_combination_of_the_other_axes_has_its_best_batch():
    rows = [*per_batch({1: 1, 8: 2}, variant="fp32"), *per_batch({1: 4, 8: 3}, variant="int8")]
    found = {best.axes["variant"]: best for best in ranked(*rows).best_batch}
    assert {name: best.batch for name, best in found.items()} == {"fp32": 8, "int8": 1}
    assert found["fp32"].sentence.startswith("at fp32, batch 8")


def test_slow_runs_count_in_the_choice_of_a_batch():
    spiky = np.random.default_rng(4).permutation([*times(0.019, n=150, seed=1), *times(0.2, n=50, seed=2)])
    rows = [({"batch": 1}, report(times(seed=3), items=2)), ({"batch": 2}, report(spiky, batch=2, items=2))]
    found = ranked(*rows)
    assert found.best_batch[0].batch == 1
    assert standing(found, "batch 1").throughput.low > standing(found, "batch 2").throughput.high


def test_too_few_runs_name_no_batch():
    rows = [({"batch": n}, report(times(0.01, n=2), batch=n, items=8)) for n in (1, 2)]
    found = ranked(*rows)
    assert "too few runs" in found.best_batch[0].sentence
    assert [row.as_fast for row in found.standings] == [row.best for row in found.standings]


def test_how_much_faster_than_pytorch_is_one_sentence():
    rows = [
        ({"mode": "torch"}, report(times(0.021, seed=1), mode="torch", quality="reference")),
        ({"mode": "onnx"}, report(times(0.010, seed=2))),
    ]
    (said,) = ranked(*rows).sentences
    ratio = comparison.ratio(rows[1][1], rows[0][1])
    assert said == f"onnx is {ratio.value:.2f} × as fast as torch ({ratio.low:.2f} to {ratio.high:.2f})"
    assert 2.0 < ratio.low < 2.1 < ratio.high < 2.2


def test_the_source_model_itself_needs_no_better_proof():
    found = ranked(
        ({"mode": "torch"}, report(times(0.005, seed=1), mode="torch", quality="reference")),
        ({"mode": "onnx"}, report(times(0.010, seed=2))),
    )
    assert (found.fastest, found.fastest_proven) == ("torch", None)


def test_equal_values_of_an_axis_are_said_to_be_equal():
    found = ranked(
        ({"provider": "cpu"}, report(times(seed=1))),
        ({"provider": "toy"}, report(times(seed=2), provider="toy")),
    )
    (said,) = found.sentences
    assert "as fast as far as can be measured" in said


def test_values_of_an_axis_are_compared_where_the_rest_is_equal():
    rows = [
        (axes, report(times(0.01 * n, seed=n), batch=axes["batch"], items=8))
        for n, axes in enumerate(sweep(variant=["int8", "fp32"], batch=[1, 8]), 1)
    ]
    found = ranked(*rows)
    said = [text for text in found.sentences if "as fast as" in text]
    assert found.fastest == "int8 · batch 8"
    assert len(said) == 1
    assert said[0].startswith("int8 is 2.0")
    assert said[0].endswith("at batch 8")


def test_rows_with_inputs_of_other_lengths_each_have_a_best_of_their_own():
    rows = [
        (
            {"variant": variant, "sequence": length},
            report(times(0.001 * length * speed, seed=length), sequence=length, sha256=f"{length:064}"),
        )
        for variant, speed in (("fp32", 2), ("int8", 1))
        for length in (16, 128)
    ]
    found = ranked(*rows)
    assert {row.label for row in found.standings if row.best} == {"int8 · sequence 16", "int8 · sequence 128"}
    assert found.fastest is None
    slow = standing(found, "fp32 · sequence 128")
    assert slow.relative.value == pytest.approx(2.0, rel=1e-6)
    assert [text.rpartition(" at ")[2] for text in found.sentences] == ["sequence 16", "sequence 128"]


def test_clients_at_once_are_ranked_by_what_they_answer_together():
    found = ranked(
        ({"concurrency": 1}, report(times(0.010, seed=1))),
        ({"concurrency": 4}, report(times(0.020, seed=2), concurrency=4)),
    )
    assert found.fastest == "concurrency 4"
    assert found.quickest == "concurrency 1"
    # What they answer together, counted from the answers themselves.
    together = standing(found, "concurrency 4").throughput.value
    assert 1 / standing(found, "concurrency 4").item.value == pytest.approx(together, rel=0.05)


def test_a_suite_with_a_noisy_winner_calls_no_equal_slower():
    wrong = sum(
        not row.as_fast
        for n in range(20)
        for row in ranked(
            *[({"threads": t}, report(times(seed=100 * n + t), threads=t)) for t in (1, 2, 4)]
        ).standings
    )
    assert wrong <= 4  # of 40 comparisons, each with the luckiest of three
