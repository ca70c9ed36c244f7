"""Measuring: phases apart, nothing lost on Ctrl-C, the collector as it was, bad settings refused."""

import gc
import hashlib

import numpy as np
import pytest
from bench_subject import Sleeper
from hypothesis import given
from hypothesis import strategies as st

from gpux.bench import benchmark, identity
from gpux.errors import InvalidInput, InvalidSetting, RunFailed


def test_first_warmup_and_steady_runs_are_kept_apart():
    report = benchmark(Sleeper(0.03, 0.02, 0.02, 0.004), "a text", runs=5, warmup=2)
    samples = report.samples
    assert (len(samples.first), len(samples.warmup), len(samples.steady)) == (1, 2, 5)
    assert samples.first.seconds[0] >= 0.03
    assert min(samples.warmup.seconds) >= 0.02
    assert 0.004 <= min(samples.steady.seconds) <= report.summaries.steady.median < 0.02
    assert samples.load == {"plan": 0.01, "open": 0.25}
    assert report.summaries.load == pytest.approx(0.26)
    assert not report.interrupted


def test_every_run_has_its_start_its_wall_time_and_its_stages():
    report = benchmark(Sleeper(0.002), "a text", runs=4, warmup=1)
    phases = [report.samples.first, report.samples.warmup, report.samples.steady]
    starts = [start for phase in phases for start in phase.start]
    ends = [start + took for phase in phases for start, took in zip(phase.start, phase.seconds, strict=True)]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    assert report.samples.steady.stages == {
        "preprocess": (0.0,) * 4,
        "infer": (0.002,) * 4,
        "postprocess": (0.0,) * 4,
    }
    assert sum(report.summaries.shares.values()) == pytest.approx(1)


def test_throughput_counts_items_not_runs():
    report = benchmark(Sleeper(0.005), ["one", "two", "three", "four"], runs=4, warmup=0)
    assert report.summaries.throughput == pytest.approx(4 * 4 / sum(report.samples.steady.seconds))


def test_without_inputs_the_tasks_own_samples_are_measured():
    model = Sleeper(0.0)
    report = benchmark(model, runs=2, warmup=0)
    assert {tuple(inputs) for inputs, _ in model.calls} == {("a sample", "another sample")}
    assert (report.identity.inputs.count, report.identity.inputs.characters) == (2, 22)


def test_an_iterator_is_measured_again_and_again():
    model = Sleeper(0.0)
    benchmark(model, iter(["one", "two"]), runs=3, warmup=1)
    assert [inputs for inputs, _ in model.calls] == [["one", "two"]] * 5


def test_parameters_reach_every_run_and_the_report():
    model = Sleeper(0.0)
    report = benchmark(model, "x", runs=1, warmup=1, top_k=3)
    assert [parameters for _, parameters in model.calls] == [{"top_k": 3}] * 3
    assert report.settings.parameters == {"top_k": 3}


@pytest.mark.parametrize(
    ("seconds", "steady", "figures"),
    [((0.0, 0.0, 0.0, 0.0, None), 3, True), ((None, 0.0), 0, False), ((0.0, None), 0, False)],
)
def test_ctrl_c_keeps_what_was_measured(seconds, steady, figures):
    report = benchmark(Sleeper(*seconds), "a text", runs=50, warmup=0)
    assert report.interrupted
    assert len(report.samples.steady) == steady
    assert (report.summaries.steady is not None) is figures
    assert report.cautions[0].name == "interrupted"
    assert f"{steady} of 50" in report.cautions[0].message


def test_progress_is_told_between_runs():
    told = []
    benchmark(Sleeper(0.0), "x", runs=2, warmup=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


class Watching(Sleeper):
    def timed(self, inputs, **parameters):
        self.calls.append(gc.isenabled())
        return super().timed(inputs, **parameters)


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_is_off_inside_a_run_and_as_it_was_afterwards(before):
    model, was = Watching(0.0), gc.isenabled()
    try:
        (gc.enable if before else gc.disable)()
        benchmark(
            model, "x", runs=2, warmup=0, progress=lambda *_: model.calls.append(("between", gc.isenabled()))
        )
        assert gc.isenabled() is before
    finally:
        (gc.enable if was else gc.disable)()
    assert [call for call in model.calls if isinstance(call, bool)] == [False] * 3
    assert {call for call in model.calls if isinstance(call, tuple) and call[0] == "between"} == {
        ("between", before)
    }


class Failing(Sleeper):
    def timed(self, inputs, **parameters):
        raise RunFailed("the runtime gave up")


def test_a_failing_run_is_the_models_own_error_and_leaves_the_collector_on():
    with pytest.raises(RunFailed, match="gave up"):
        benchmark(Failing(0.0), "x")
    assert gc.isenabled()


@pytest.mark.parametrize(
    "bad", [{"runs": 0}, {"runs": -3}, {"warmup": -1}, {"runs": 2.5}, {"runs": True}, {"runs": "9"}]
)
def test_settings_out_of_range_are_refused_with_a_hint(bad):
    with pytest.raises(InvalidSetting) as caught:
        benchmark(Sleeper(0.0), "x", **bad)
    assert next(iter(bad)) in caught.value.message
    assert caught.value.hint


def test_nothing_to_measure_is_refused():
    with pytest.raises(InvalidInput, match="empty"):
        benchmark(Sleeper(0.0), [])


def test_the_identity_says_what_ran():
    who = benchmark(Sleeper(0.0), "a text", runs=1, warmup=0).identity
    assert (who.reference, who.digest, who.variant, who.quality) == ("org/tiny", "d" * 64, "fp32", "exact")
    assert (who.provider, who.precision, who.threads, who.share) == ("cpu", "fp32", 2, 1.0)
    assert {"gpux", "python", "numpy"} <= set(who.versions)
    assert who.versions["numpy"] == np.__version__
    assert who.started.endswith("+00:00")
    assert who.inputs.sha256 == hashlib.sha256(b'["a text"]').hexdigest()


@given(st.lists(st.text(), min_size=1), st.lists(st.text(), min_size=1))
def test_inputs_have_the_same_digest_only_when_they_are_the_same(one, other):
    assert (identity.describe(one).sha256 == identity.describe(other).sha256) is (one == other)


def test_arrays_are_told_apart_by_bytes_shape_and_type_and_have_no_characters():
    zeros = [
        np.zeros((2, 3), np.float32),
        np.zeros((3, 2), np.float32),
        np.zeros((2, 3), np.int32),
        b"\0" * 24,
    ]
    found = [identity.describe([item]) for item in zeros]
    assert len({description.sha256 for description in found}) == 4
    assert {description.characters for description in found} == {None}
    assert identity.describe([zeros[0].copy()]) == found[0]
    assert identity.describe([object()]).sha256 is None


def test_pairs_and_dictionaries_count_their_characters():
    assert identity.describe([("ab", "cde"), {"text": "f", "text_pair": "gh"}]).characters == 8
