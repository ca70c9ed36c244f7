"""Which candidates run a race and in which order: records in, candidates out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from stored_models import put, variant

from gpux.errors import InvalidSetting
from gpux.planning import Candidate
from gpux.provider import Device, Probe, Runtime, Setting, State
from gpux.race import entrants, goals
from gpux.race.items import Items
from gpux.registry.store import Store
from gpux.tensors import TensorSpec


class Named:
    """A provider that is only ever listed."""

    def __init__(self, name, *settings):
        self.name, self.settings, self.rank, self.extra = name, settings, 1, name
        self.runtime = Runtime(name, name)


def probe(name, *precisions, state=State.WORKS):
    return Probe(name, state, (Device(name, "gpu", precisions=precisions),))


def shaped(artifact, *shape):
    spec = (TensorSpec("x", "float32", shape),)
    component = replace(artifact.manifest.components[0], inputs=spec)
    return replace(artifact, manifest=replace(artifact.manifest, components=(component,)))


PRECISION = Setting(
    "precision", "", default="fp32", values=("fp32", "fp16", "bf16"), race=("fp32", "fp16", "bf16")
)
GRAPH = Setting("cuda-graph", "", default="off", values=("off", "on"), race=("off", "on"))
SHAPES = Setting("shapes", "", default="dynamic", values=("dynamic", "fixed"))
LEVEL = Setting("graph", "", default="all", values=("all", "extended", "off"), refine=("all", "extended"))


@pytest.fixture
def artifact(tmp_path):
    return put(Store(tmp_path), "org/model", variant("fp32"), variant("fp16", "near"))


def first(artifact, providers, probes, variants=("fp32",)):
    found = entrants.first(artifact, {p.name: p for p in providers}, probes, variants=variants, cores=4)
    return [str(one) for one in found]


def test_every_provider_that_works_runs_every_variant_on_all_cores_simplest_first(artifact):
    fast, slow, idle = Named("fast"), Named("slow"), Named("idle")
    probes = [probe("fast"), probe("slow"), probe("idle", state=State.LISTED)]
    assert first(artifact, [fast, slow, idle], probes, ("fp32", "fp16")) == [
        "fast fp32 4 threads",
        "fast fp16 4 threads",
        "slow fp32 4 threads",
        "slow fp16 4 threads",
    ]


def test_settings_multiply_and_defaults_are_left_out(artifact):
    assert first(artifact, [Named("gpu", PRECISION, GRAPH)], [probe("gpu")]) == [
        "gpu fp32 4 threads",
        "gpu fp32 cuda-graph=on 4 threads",
        "gpu fp32 precision=fp16 4 threads",
        "gpu fp32 precision=bf16 4 threads",
        "gpu fp32 cuda-graph=on precision=fp16 4 threads",
        "gpu fp32 cuda-graph=on precision=bf16 4 threads",
    ]


def test_precisions_that_the_device_does_not_compute_in_do_not_run(artifact):
    assert first(artifact, [Named("gpu", PRECISION)], [probe("gpu", "fp32", "bf16")]) == [
        "gpu fp32 4 threads",
        "gpu fp32 precision=bf16 4 threads",
    ]


@pytest.mark.parametrize(
    ("shape", "fixed"),
    [
        (("batch", 3, 224, 224), True),
        (("batch", "sequence"), False),
        (("batch", 3, "height", "width"), False),
    ],
)
def test_fixed_shapes_run_only_where_all_but_the_batch_is_fixed(artifact, shape, fixed):
    found = first(shaped(artifact, *shape), [Named("npu", SHAPES)], [probe("npu")])
    assert found == ["npu fp32 4 threads", *(["npu fp32 shapes=fixed 4 threads"] if fixed else [])]


@pytest.mark.parametrize(("cores", "counts"), [(1, []), (2, [1]), (3, [1]), (4, [1, 2]), (16, [1, 8])])
def test_threads_are_tried_down_to_one(cores, counts):
    found = entrants.threads(Candidate("cpu", "fp32", cores, {"graph": "off"}), cores)
    assert [one.threads for one in found] == counts
    assert all(one.options == {"graph": "off"} for one in found)


@pytest.mark.parametrize(
    ("here", "tried", "next_ones"),
    [
        (None, {16}, [8, 32]),
        (32, {8, 16, 32}, [64]),
        (8, {8, 16, 32}, [4]),
        (256, {128, 256}, []),
        (None, {8, 16, 32}, []),
    ],
)
def test_batches_go_one_step_either_way_until_both_are_tried(here, tried, next_ones):
    candidate = Candidate("cpu", "fp32", 2, {}, here)
    assert [one.batch for one in entrants.batches(candidate, 16, tried)] == next_ones


def test_refinements_change_one_setting_each():
    found = entrants.refined(
        Candidate("cpu", "fp32", 2, {"precision": "bf16"}), Named("cpu", LEVEL, PRECISION)
    )
    assert found == [Candidate("cpu", "fp32", 2, {"precision": "bf16", "graph": "extended"})]
    assert entrants.refined(Candidate("cpu", "fp32", 2), Named("cpu", PRECISION)) == []


def test_simpler_has_fewer_settings_then_no_batch_then_rank_variant_and_fewer_threads():
    order = [
        Candidate("first", "fp32", 1),
        Candidate("first", "fp32", 4),
        Candidate("first", "fp16", 1),
        Candidate("second", "fp32", 1),
        Candidate("first", "fp32", 1, {}, 32),
        Candidate("first", "fp32", 1, {"a": "b"}),
        Candidate("first", "fp32", 1, {"a": "b", "c": "d"}),
    ]
    shuffled = [order[i] for i in (6, 2, 4, 0, 5, 3, 1)]
    found = sorted(shuffled, key=lambda one: entrants.simplicity(one, ["first", "second"], ["fp32", "fp16"]))
    assert found == order


LATENCY, THROUGHPUT = goals.find("latency", 1), goals.find("throughput", 1)


@pytest.mark.parametrize("batch", [None, 4, 8, 32, 64, 128, 256])
@pytest.mark.parametrize("count", [1, 3, 8, 30, 1000])
def test_a_run_of_many_holds_two_batches_of_the_same_mixture(batch, count):
    given = tuple(range(count))
    run = Items(given, "sentences", 16).of_a_run(THROUGHPUT, batch)
    size = 2 * (batch or 16)
    if count <= size:
        repeats = len(run) // count
        assert sorted(run) == sorted(list(given) * repeats)
        assert abs(len(run) - size) <= count / 2
    else:
        assert len(run) == len(set(run)) == size
        assert max(b - a for a, b in pairwise(run)) <= count / size + 1


def test_one_item_at_a_time_takes_the_items_as_they_are():
    assert Items(("a", "b"), "sentences", 16).of_a_run(LATENCY, None) == ["a", "b"]


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf"), True, "60", None, 86_401])
def test_a_budget_is_seconds(budget):
    with pytest.raises(InvalidSetting, match="a budget cannot be"):
        goals.find("latency", budget)


def test_a_goal_that_is_none_names_the_closest():
    with pytest.raises(InvalidSetting) as caught:
        goals.find("troughput", 10)
    assert (caught.value.message, caught.value.hint) == (
        "there is no goal `troughput`",
        "did you mean `throughput`",
    )
    with pytest.raises(InvalidSetting) as caught:
        goals.find("x", 10)
    assert caught.value.hint == "goals are latency, throughput, memory"


@pytest.mark.parametrize(
    ("other", "verdict"),
    [(1.0, "same"), (1.009, "same"), (0.995, "same"), (1.02, "slower"), (0.98, "faster")],
)
def test_memory_within_a_hundredth_is_the_same(other, verdict):
    ratio = goals.find("memory", 10).ratio(2e8, 2e8 * other)
    assert ratio.verdict == verdict
    assert ratio.value == pytest.approx(other)
