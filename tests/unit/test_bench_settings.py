"""The settings: scenarios follow from what is asked, contradictions and values out of range are refused with a hint."""

import math

import pytest

from gpux.bench.records import decode, encode
from gpux.bench.settings import Settings, settle
from gpux.errors import InvalidSetting


@pytest.mark.parametrize(
    ("asked", "scenario", "batch"),
    [
        ({}, "single-stream", 1),
        ({"batch_size": 1}, "single-stream", 1),
        ({"batch_size": 4}, "multi-stream", 4),
        ({"scenario": "multi-stream"}, "multi-stream", 8),
        ({"scenario": "multi-stream", "batch_size": 3}, "multi-stream", 3),
        ({"concurrency": 4}, "closed-loop", 1),
        ({"concurrency": 4, "batch_size": 2}, "closed-loop", 2),
        ({"rate": 10}, "server", 1),
        ({"rate": 10, "concurrency": 2}, "server", 1),
        ({"scenario": "server", "rate": 0.5}, "server", 1),
        ({"scenario": "offline"}, "offline", None),
    ],
)
def test_the_scenario_follows(asked, scenario, batch):
    found = settle(**asked)
    assert (found.scenario, found.batch) == (scenario, batch)


@pytest.mark.parametrize(
    "asked",
    [
        {"scenario": "server"},
        {"scenario": "offline", "batch_size": 2},
        {"scenario": "offline", "rate": 2},
        {"scenario": "single-stream", "rate": 2},
        {"scenario": "single-stream", "batch_size": 2},
        {"scenario": "single-stream", "concurrency": 2},
        {"scenario": "multi-stream", "batch_size": 1},
        {"scenario": "closed-loop"},
        {"scenario": "sever"},
    ],
)
def test_contradictions_are_refused(asked):
    with pytest.raises(InvalidSetting) as caught:
        settle(**asked)
    assert "scenario" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("runs", (0, -3, -(10**5000), 2.5, True, "9", math.nan)),
        ("warmup", (-1, 1.5, "some", True)),
        ("batch_size", (0, -1, 1.0, "2")),
        ("sequence_length", (0, -1, 1.0)),
        ("concurrency", (0, -1, 1.0)),
        ("seed", (-1, 0.5, 1 << 63)),
        ("duration", (0, -1, 0.0, math.nan, math.inf, 1e300, 10**400, "10", True)),
        ("rate", (0, -1.0, math.nan, math.inf, 10**400, -(10**400), "10", True)),
        ("cost_per_hour", (-1, math.nan, math.inf, "1", True)),
        ("level", ("tasks", "", None)),
        ("parameters", (5, {1: 2}, ["top_k"])),
    ],
)
def test_values_out_of_range_are_refused_with_a_hint(name, values):
    for value in values:
        with pytest.raises(InvalidSetting) as caught:
            settle(**{name: value})
        assert name.replace("_", "-") in caught.value.message, value
        assert caught.value.hint


def test_runs_without_an_end_of_their_own():
    assert settle().runs == 100
    assert settle(duration=3).runs is None
    assert settle(duration=3, runs=7).runs == 7
    assert settle(warmup="auto").warmup is None


def test_settings_make_the_round_trip():
    for found in (settle(), settle(duration=2, warmup="auto", rate=3, parameters={"top_k": 2}), Settings()):
        assert decode(Settings, encode(found)) == found
