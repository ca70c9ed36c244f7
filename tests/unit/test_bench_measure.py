"""Measuring in this process: phases apart, queries in turn, failures counted, nothing lost on Ctrl-C, the collector as it was."""

import gc
import hashlib
import json
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
from bench_subject import Sleeper, Words

from gpux.artifact import Component
from gpux.bench import benchmark, measure, summary, warnings, workload
from gpux.bench.loops import AT_ONCE
from gpux.bench.render import render
from gpux.bench.report import Report
from gpux.bench.samples import Samples, Series
from gpux.bench.settings import settle
from gpux.bench.trial import Trial
from gpux.errors import InvalidInput, InvalidSetting, RunFailed
from gpux.tensors import TensorSpec


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


def test_every_run_has_its_start_its_wall_time_its_query_and_its_stages():
    report = benchmark(Sleeper(0.002), ["a text", "another"], runs=4, warmup=1)
    phases = [report.samples.first, report.samples.warmup, report.samples.steady]
    starts = [start for phase in phases for start in phase.start]
    ends = [start + took for phase in phases for start, took in zip(phase.start, phase.seconds, strict=True)]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    steady = report.samples.steady
    assert steady.stages == {"preprocess": (0.0,) * 4, "infer": (0.002,) * 4, "postprocess": (0.0,) * 4}
    assert steady.query == (0, 1, 0, 1)
    assert steady.round == (0,) * 4
    assert sum(report.summaries.shares.values()) == pytest.approx(1)


def test_runs_take_the_inputs_in_turn_one_at_a_time():
    model = Sleeper(0.0)
    benchmark(model, ["a", "b", "c"], runs=5, warmup=0)
    assert [inputs for inputs, _ in model.calls] == ["a", "a", "b", "c", "a", "b"]


def test_a_batch_is_filled_up_from_the_first_input_on_and_throughput_counts_items():
    model = Sleeper(0.005)
    report = benchmark(model, ["a", "b", "c"], batch_size=2, runs=3, warmup=0)
    assert [inputs for inputs, _ in model.calls[1:]] == [["a", "b"], ["c", "a"], ["a", "b"]]
    assert report.settings.scenario == "multi-stream"
    assert report.summaries.throughput == pytest.approx(3 * 2 / sum(report.samples.steady.seconds))


def test_offline_asks_for_everything_at_once():
    model = Sleeper(0.0)
    report = benchmark(model, ["a", "b", "c"], scenario="offline", runs=2, warmup=0)
    assert [inputs for inputs, _ in model.calls] == [["a", "b", "c"]] * 3
    assert (report.settings.batch, report.identity.workload.batch) == (3, 3)


def test_without_inputs_the_tasks_own_samples_are_measured_and_described():
    model = Sleeper(0.0)
    report = benchmark(model, runs=2, warmup=0)
    workload = report.identity.workload
    assert [inputs for inputs, _ in model.calls] == ["a sample", "a sample", "another good sample"]
    assert (workload.items, workload.characters, workload.noun) == (2, 27, "texts")
    assert workload.origin == "the task's own samples"
    assert workload.work == {"tokens": (2.0, 3.0)}
    assert report.summaries.rates["tokens"] == pytest.approx(5 / sum(report.samples.steady.seconds))


def test_a_sequence_length_makes_inputs_of_that_length():
    report = benchmark(Sleeper(0.0), sequence_length=17, runs=2, warmup=0)
    assert report.identity.workload.work == {"tokens": (17.0,)}
    assert "17 tokens" in report.identity.workload.origin


def test_at_the_graphs_level_only_the_graph_runs_on_tensors_made_beforehand():
    model = Sleeper(0.0)
    report = benchmark(model, ["a", "b"], level="graph", runs=2, warmup=0)
    assert model.calls == []
    assert model.session.fed == [{"ids": 1}] * 3
    assert report.samples.steady.stages == {}
    assert report.settings.level == "graph"


def test_an_iterator_is_measured_again_and_again():
    model = Sleeper(0.0)
    benchmark(model, iter(["one", "two"]), runs=3, warmup=1)
    assert [inputs for inputs, _ in model.calls] == ["one", "one", "one", "two", "one"]


def test_parameters_reach_every_run_and_the_report():
    model = Sleeper(0.0)
    report = benchmark(model, "x", runs=1, warmup=1, parameters={"top_k": 3})
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


def test_a_duration_ends_the_steady_runs_and_at_least_one_is_made():
    report = benchmark(Sleeper(0.01), "x", duration=0.1, warmup=0)
    assert 2 <= len(report.samples.steady) <= 11
    assert report.settings.runs is None
    assert len(benchmark(Sleeper(0.01), "x", duration=1e-6, warmup=0).samples.steady) == 1
    assert len(benchmark(Sleeper(0.0), "x", duration=60, runs=3, warmup=0).samples.steady) == 3


class WarmingUp(Sleeper):
    """Four times as slow at first, then as fast as it gets."""

    def timed(self, inputs, **parameters):
        self.seconds = [0.004 if len(self.calls) < 20 else 0.001]
        return super().timed(inputs, **parameters)


def test_an_automatic_warmup_ends_when_the_runs_are_steady():
    report = benchmark(WarmingUp(0.0), "x", warmup="auto", runs=5)
    assert report.settings.warmup is None
    assert len(report.samples.warmup) > 20
    assert max(report.samples.steady.seconds) < 0.004


class NeverSteady(Sleeper):
    """Every run takes a little longer than the one before."""

    def timed(self, inputs, **parameters):
        self.seconds = [0.0005 * (len(self.calls) + 1)]
        return super().timed(inputs, **parameters)


def test_a_warmup_that_never_becomes_steady_says_so():
    model, settings = NeverSteady(0.0), settle(warmup="auto", runs=3)
    measurement = measure.Measurement(
        lambda query: (model.timed(query)[1], AT_ONCE), workload.prepare(Words(), "x", settings, {}), settings
    )
    measurement.first()
    measurement.warm_up(most=0.8)
    measurement.steady(runs=3, seconds=None)
    assert measurement.settled is False
    samples = measurement.samples(preparation={}, load={})
    found = summary.summarise(
        samples, workload=workload.prepare(Words(), "x", settings, {}).record, settings=settings
    )
    named = {caution.name for caution in warnings.judge(samples, found, settings=settings, settled=False)}
    assert "never-steady" in named


def test_progress_is_told_by_phase_and_always_at_its_end():
    told = []
    benchmark(Sleeper(0.0), "x", runs=2, warmup=1, progress=lambda *said: told.append(said))
    ends = [("first", 1, 1), ("warmup", 1, 1), ("steady", 2, 2)]
    assert [said for said in told if said in ends] == sorted({*ends} & {*told}, key=ends.index) or {
        *ends
    } <= {*told}
    assert told[-1] == ("steady", 2, 2)


class Watching(Sleeper):
    def timed(self, inputs, **parameters):
        self.collecting.append(gc.isenabled())
        return super().timed(inputs, **parameters)


@pytest.mark.parametrize("settings", [{}, {"concurrency": 2}, {"rate": 500.0}], ids=lambda s: str(*s))
@pytest.mark.parametrize("before", [True, False])
def test_the_collector_is_off_inside_a_run_and_as_it_was_afterwards(before, settings):
    model, was = Watching(0.0), gc.isenabled()
    model.collecting = []
    try:
        (gc.enable if before else gc.disable)()
        benchmark(model, "x", runs=4, warmup=0, **settings)
        assert gc.isenabled() is before
    finally:
        (gc.enable if was else gc.disable)()
    assert model.collecting == [False] * 5


@dataclass
class Spoken:
    tokens: tuple[int, ...]
    proposed: int = 0
    accepted: int = 0


class Speaker(Sleeper):
    """Answers in pieces: of so many tokens each, or of (tokens, proposed, accepted); 20 ms to the first, then 5 ms each."""

    def __init__(self, *pieces):
        super().__init__(0.0)
        self.pieces = pieces
        self.pipeline.emits = True

    def emit(self, inputs, **parameters):
        for number, piece in enumerate(self.pieces):
            time.sleep(0.005 if number else 0.02)
            tokens, *rest = piece if isinstance(piece, tuple) else (piece,)
            yield Spoken(tuple(range(tokens)), *rest)


class Failing(Sleeper):
    """Fails in the runs of these numbers, counted from 0."""

    def __init__(self, *numbers):
        super().__init__(0.0)
        self.numbers = numbers

    def timed(self, inputs, **parameters):
        if len(self.calls) in self.numbers:
            self.calls.append("failed")
            raise RunFailed("the runtime gave up\non this one")
        return super().timed(inputs, **parameters)


def test_a_model_that_fails_at_once_raises_its_own_error_and_leaves_the_collector_on():
    with pytest.raises(RunFailed, match="gave up"):
        benchmark(Failing(0), "x")
    assert gc.isenabled()


@pytest.mark.parametrize("settings", [{}, {"concurrency": 2}, {"rate": 1000.0}], ids=lambda s: str(*s))
def test_a_run_that_fails_in_the_middle_is_counted_and_the_others_go_on(settings):
    report = benchmark(Failing(3, 5), "x", runs=8, warmup=1, **settings)
    assert len(report.samples.steady) == 6
    assert report.summaries.failed == 2
    failure = report.samples.failures[0]
    assert (failure.phase, failure.error, failure.message) == ("steady", "RunFailed", "the runtime gave up")
    caution = next(caution for caution in report.cautions if caution.name == "failures")
    assert "2 runs failed" in caution.message


def test_a_model_that_only_fails_is_given_up():
    report = benchmark(Failing(*range(3, 500)), "x", runs=400, warmup=1)
    assert len(report.samples.failures) == 10
    assert len(report.samples.steady) == 1


def test_an_error_that_is_not_gpuxs_own_is_counted_as_well():
    class Broken(Failing):
        def timed(self, inputs, **parameters):
            try:
                return super().timed(inputs, **parameters)
            except RunFailed:
                raise MemoryError from None

    report = benchmark(Broken(2), "x", runs=3, warmup=0)
    assert report.samples.failures[0].error == "MemoryError"


def test_a_task_that_answers_in_pieces_is_measured_piece_by_piece():
    report = benchmark(Speaker(*[1] * 5), "four words of prompt", runs=5, warmup=0)
    pieces, steady = report.summaries.pieces, report.samples.steady
    assert [len(run) for run in steady.pieces] == [5] * 5
    assert steady.tokens == ((1,) * 5,) * 5
    assert 0.02 <= pieces.first.median < 0.04
    assert 0.005 <= pieces.between.median < 0.02
    assert 50 < pieces.rate <= 200
    assert 100 < pieces.prompt <= 200  # four tokens in 20 ms and a little
    assert pieces.tokens == 25
    assert pieces.acceptance is None
    assert steady.proposed == steady.accepted == ()
    assert steady.stages["prompt"] == tuple(run[0] for run in steady.pieces)
    rates = report.summaries.rates
    assert rates.keys() == {"prompt tokens", "new tokens"}
    assert rates["new tokens"] == pytest.approx(25 / sum(steady.seconds))
    assert rates["prompt tokens"] == pytest.approx(20 / sum(steady.seconds))


def test_tokens_that_come_together_count_each_and_guesses_are_told():
    """The first piece is the prompt's; then 3 of 4 guesses, with a token of the model's own, and none of 2."""
    report = benchmark(Speaker(1, (4, 4, 3), (1, 2, 0)), "a prompt", runs=2, warmup=0)
    pieces, steady = report.summaries.pieces, report.samples.steady
    assert steady.tokens == ((1, 4, 1),) * 2
    assert (steady.proposed, steady.accepted) == ((6, 6), (3, 3))
    assert pieces.acceptance == 0.5
    assert pieces.rate == pytest.approx(10 / sum(run[-1] - run[0] for run in steady.pieces))
    assert pieces.token.median == pytest.approx(
        sum((run[-1] - run[0]) / 5 for run in steady.pieces) / 2, rel=1e-9
    )
    assert 2 * pieces.token.median < pieces.between.median
    assert Report.from_json(report.to_json()) == report
    told = json.loads(report.to_json())
    told["samples"]["steady"]["tokens"][0] = [1, 4]
    with pytest.raises(InvalidInput, match="tells of other pieces"):
        Report.from_json(json.dumps(told))
    told = json.loads(report.to_json())
    told["samples"]["steady"]["accepted"][0] = 7
    with pytest.raises(InvalidInput, match="has more tokens"):
        Report.from_json(json.dumps(told))


def test_the_cache_is_told_of_the_run_with_the_most_tokens():
    speaker = Speaker(1, 1, 1)
    past = [TensorSpec(f"past_key_values.{i}.{part}", "float16", ("batch", 3, "capacity", 8))
            for i in range(2) for part in ("key", "value")]  # fmt: skip
    other = TensorSpec("input_ids", "int64", ("batch", "sequence"))
    manifest = replace(speaker.artifact.manifest, components=(Component("model", (other, *past), ()),))
    speaker.artifact = replace(speaker.artifact, manifest=manifest)
    report = benchmark(speaker, ["one", "two words and more"], runs=2, warmup=0)
    # Two layers, keys and values, three heads of 8 numbers of two bytes; four tokens read and three written.
    assert report.memory.cache == 2 * 2 * 3 * 8 * 2 * (4 + 3)
    assert "of keys and values at most" in render(report, "table", width=120)
    assert benchmark(Sleeper(0.0), "x", runs=2, warmup=0).memory.cache is None


def test_nothing_to_measure_is_refused():
    with pytest.raises(InvalidInput, match="empty"):
        benchmark(Sleeper(0.0), [])


def test_an_unknown_setting_names_the_closest_or_the_place_of_the_tasks_own():
    with pytest.raises(InvalidSetting) as caught:
        benchmark(Sleeper(0.0), "x", batchsize=3)
    assert "batch_size" in caught.value.hint
    with pytest.raises(InvalidSetting) as caught:
        benchmark(Sleeper(0.0), "x", top_k=3)
    assert "parameters" in caught.value.hint


def test_the_identity_says_what_ran():
    who = benchmark(Sleeper(0.0), "a text", runs=1, warmup=0).identity
    assert (who.reference, who.digest, who.variant, who.quality) == ("org/tiny", "d" * 64, "fp32", "exact")
    assert (who.provider, who.precision, who.threads, who.share) == ("cpu", "fp32", 2, 1.0)
    assert (who.mode, who.top1, who.left_behind) == ("onnx", None, ())
    assert {"gpux", "python", "numpy"} <= set(who.versions)
    assert who.versions["numpy"] == np.__version__
    assert who.started.endswith("+00:00")
    assert who.workload.sha256 == hashlib.sha256(b'["a text"]').hexdigest()


def test_memory_energy_and_conditions_are_this_process_now():
    report = benchmark(Sleeper(0.01), "a text", runs=30, warmup=0)
    assert report.memory.before is None  # nobody read it before the model was loaded
    assert 10 << 20 < report.memory.loaded <= report.memory.peak
    assert len(report.memory.trace.seconds) == len(report.memory.trace.bytes) > 3
    assert report.energy.joules is not None or report.energy.reason
    assert 0.3 <= report.conditions.seconds < 5
    assert report.memory.parameters == 12


def test_costs_follow_from_the_price_and_the_throughput():
    report = benchmark(Sleeper(0.01), "x", runs=3, warmup=0, cost_per_hour=3.6)
    assert report.summaries.cost_per_million == pytest.approx(1000 / report.summaries.throughput)
    assert benchmark(Sleeper(0.0), "x", runs=1, warmup=0).summaries.cost_per_million is None


def by_length(runs, queries, noise=0.02):
    """Runs of queries that take a millisecond, two, three … each, on a machine that is quiet."""
    random = np.random.default_rng(4)
    query = tuple(number % queries for number in range(runs))
    seconds = tuple(0.001 * (1 + q) * random.lognormal(0, noise) for q in query)
    start = tuple(np.concatenate([[0.0], np.cumsum(seconds)[:-1]]).tolist())
    return Series(start, seconds, query, (0,) * runs)


def judged(series, queries, **asked):
    found_settings = settle(runs=len(series), **asked)
    samples = Samples({}, {}, Series((), (), (), ()), Series((), (), (), ()), series)
    record = workload.prepare(Words(), [f"w{n}" for n in range(queries)], found_settings, {}).record
    found = summary.summarise(samples, workload=record, settings=found_settings)
    return found, {caution.name for caution in warnings.judge(samples, found, settings=found_settings)}


def test_inputs_of_different_lengths_are_not_taken_for_a_restless_machine():
    found, named = judged(by_length(120, 3), 3)
    assert found.steady.variation > 0.3
    assert found.spread < 0.03
    assert not {"spread", "bimodal", "spikes", "drift"} & named


def test_inputs_with_few_runs_each_tell_nothing_of_the_machine():
    lengths = by_length(100, 100)  # ever longer inputs: no drift, no outliers
    found, named = judged(lengths, 100)
    assert found.outliers == ()
    assert named == {"spread"}
    caution = next(
        c
        for c in warnings.judge(
            Samples({}, {}, Series((), (), (), ()), Series((), (), (), ()), lengths),
            found,
            settings=settle(runs=100),
        )
        if c.name == "spread"
    )
    assert "inputs" in caution.message
    assert "500" in caution.hint


def test_an_automatic_warmup_is_not_misled_by_inputs_of_different_lengths():
    class Longer(Sleeper):
        def timed(self, inputs, **parameters):
            self.seconds = [0.0005 * len(inputs.split())]
            return super().timed(inputs, **parameters)

    texts = [" ".join(["w"] * n) for n in range(1, 41)]
    report = benchmark(Longer(0.0), texts, warmup="auto", runs=5)
    assert set(report.samples.warmup.query) == {0}
    assert "never-steady" not in {caution.name for caution in report.cautions}


def test_a_failed_run_does_not_ask_its_query_again_in_the_next_round():
    trial = Trial(Failing(2), ["a", "b", "c"], settle(runs=6, warmup=0), parameters={})
    trial.begin()
    trial.round(runs=3, seconds=None)
    trial.round(runs=3, seconds=None)
    report = trial.report()
    trial.close()
    assert report.samples.steady.query == (0, 2, 0, 1, 2)
    assert report.samples.failures[0].query == 1


def test_a_provider_that_the_proof_did_not_run_on_is_named():
    model = Sleeper(0.0)
    model.placement = replace(model.placement, provider="other")
    report = benchmark(model, "x", runs=1, warmup=0)
    caution = next(caution for caution in report.cautions if caution.name == "unproven")
    assert "cpu" in caution.message
    assert "--compare provider=cpu,other" in caution.hint
