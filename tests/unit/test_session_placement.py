"""Sessions: what partial placement means, which inputs are refused by name, and what a closed one says."""

from __future__ import annotations

import numpy as np
import pytest
from stored_models import put

from gpux.errors import CorruptArtifact, InvalidInput, PlacementRefused, ProviderUnavailable, RunFailed
from gpux.planning import Plan
from gpux.provider import Placement, Probe, Provider, Runtime, State
from gpux.registry.store import Store
from gpux.session import open_session
from gpux.tensors import TensorSpec


class Half:
    """A provider that takes a share of every graph, and doubles its input."""

    name, runtime, extra, rank = "half", Runtime("half", "HalfProvider"), "half", 1
    inputs = (TensorSpec("x", "float32", ("rows", 4)), TensorSpec("n", "int64", ("rows",)))
    outputs = (TensorSpec("y", "float32", ("rows", 4)),)

    def __init__(self, share):
        self.share, self.closed, self.options = share, 0, None

    def probe(self):
        return Probe(self.name, State.WORKS)

    def open(self, graph, options, /):
        assert graph.read_bytes() == b"graph"
        self.options = options
        return self

    def run(self, feeds, outputs=None):
        return {"y": feeds["x"] * 2}

    def placement(self):
        nodes = {"HalfProvider": round(10 * self.share), "CPUExecutionProvider": round(10 * (1 - self.share))}
        left = () if self.share == 1 else ("Erf", "Gelu")
        return Placement("half", "a device", "fp32", nodes, self.share, left)

    def close(self):
        self.closed += 1


@pytest.fixture
def artifact(tmp_path):
    return put(Store(tmp_path), "org/model")


def opened(artifact, share=1.0, *, strict=False):
    provider = Half(share)
    assert isinstance(provider, Provider)
    plan = Plan("half", "fp32", 3, strict, "named")
    return provider, open_session(artifact, plan, {"half": provider})


def feeds(**changed):
    return {"x": np.ones((2, 4), np.float32), "n": np.ones(2, np.int64), **changed}


def test_a_session_runs_and_says_where(artifact):
    provider, session = opened(artifact)
    assert (provider.options.threads, provider.options.precision) == (3, "fp32")
    assert str(session.placement) == "half (a device, fp32, 100% of 10 nodes)"
    assert session.run(feeds())["y"].tolist() == [[2.0] * 4] * 2


@pytest.mark.parametrize("strict", [False, True])
def test_a_provider_that_takes_nothing_is_an_error(artifact, strict):
    with pytest.raises(ProviderUnavailable, match="`half` took none of the graph's 10 nodes") as caught:
        opened(artifact, 0.0, strict=strict)
    assert caught.value.hint == "it left behind Erf, Gelu; try --provider auto"


def test_a_part_is_told_and_with_strict_refused(artifact):
    _, session = opened(artifact, 0.7)
    assert session.placement.share == 0.7
    assert session.placement.left_behind == ("Erf", "Gelu")
    with pytest.raises(
        PlacementRefused, match="took 70% of the graph, and --strict asks for all of it"
    ) as caught:
        opened(artifact, 0.7, strict=True)
    assert "Erf, Gelu" in caught.value.hint
    assert caught.value.share == 0.7
    assert opened(artifact, 1.0, strict=True)[1].placement.share == 1


def test_a_refused_session_is_closed(artifact):
    provider = Half(0.0)
    with pytest.raises(ProviderUnavailable):
        open_session(artifact, Plan("half", "fp32", 1, False, ""), {"half": provider})
    assert provider.closed == 1


def test_a_closed_session(artifact):
    provider, session = opened(artifact)
    with session:
        pass
    session.close()
    assert provider.closed == 1
    with pytest.raises(RunFailed, match="the session is closed") as caught:
        session.run(feeds())
    assert caught.value.hint == "load the model again"


@pytest.mark.parametrize(
    ("changed", "says", "which"),
    [
        ({"x": np.ones((2, 4))}, "input `x` is float64, not float32", "x"),
        ({"x": np.ones(4, np.float32)}, "input `x` has 1 dimensions, not 2", "x"),
        ({"n": np.ones((2, 1), np.int64)}, "input `n` has 2 dimensions, not 1", "n"),
        ({"n": [1, 2]}, "input `n` is list, not an array of int64", "n"),
        ({"n": None}, "input `n` is NoneType, not an array of int64", "n"),
        ({"z": np.ones(1)}, "the graph has no input `z`", "z"),
    ],
)
def test_wrong_inputs_are_named(artifact, changed, says, which):
    _, session = opened(artifact)
    with pytest.raises(InvalidInput) as caught:
        session.run(feeds(**changed))
    assert caught.value.message == says
    assert caught.value.input == which
    assert caught.value.hint == "it takes x: float32[rows, 4], n: int64[rows]"


def test_a_missing_input_is_named(artifact):
    _, session = opened(artifact)
    with pytest.raises(InvalidInput, match="input `n` is missing"):
        session.run({"x": np.ones((2, 4), np.float32)})
    with pytest.raises(InvalidInput, match="input `x` is missing"):
        session.run({})


def test_inputs_that_are_no_mapping(artifact):
    _, session = opened(artifact)
    with pytest.raises(InvalidInput, match="the inputs are ndarray, not a mapping of arrays") as caught:
        session.run(np.ones((2, 4), np.float32))
    assert caught.value.hint == "it takes x: float32[rows, 4], n: int64[rows]"


def test_an_altered_graph_is_never_opened(artifact):
    artifact.path("fp32/model.onnx").write_bytes(b"grapH")
    with pytest.raises(CorruptArtifact, match=r"`fp32/model\.onnx`"):
        opened(artifact)
