"""Every provider that is installed keeps the contract of :mod:`gpux.provider`; those that work here also compute rightly."""

import threading

import numpy as np
import pytest
from graphs import B, expected, two_outputs

from gpux import selftest
from gpux.discovery import discover
from gpux.errors import GpuxError, RunFailed
from gpux.provider import Device, Options, Placement, Probe, Provider, Runtime, State, find
from gpux.tensors import TensorSpec

PROVIDERS = discover()
X = np.random.default_rng(2).normal(size=(3, 6)).astype(np.float32)
# Half precision and TF32 carry 3 digits; the rest is held to single precision.
TOLERANCE = {"fp32": 1e-5, "tf32": 2e-2, "fp16": 2e-2, "bf16": 5e-2}


@pytest.fixture(params=PROVIDERS, scope="module")
def provider(request):
    return PROVIDERS[request.param]


@pytest.fixture(scope="module")
def probe(provider):
    return provider.probe()


@pytest.fixture
def opened(provider, probe, tmp_path):
    if probe.state is not State.WORKS:
        pytest.skip(f"{provider.name} is {probe.state} on this machine: {probe.reason}")
    session = provider.open(two_outputs(tmp_path / "two.onnx"), Options(threads=2))
    yield session
    session.close()


def computes(provider):
    return provider.runtime.native != "NullProvider"


def test_it_has_the_six_members(provider):
    assert isinstance(provider, Provider)
    assert isinstance(provider.name, str)
    assert provider.name == provider.name.lower()
    assert isinstance(provider.runtime, Runtime)
    assert isinstance(provider.extra, str)
    assert isinstance(provider.rank, int)


def test_it_is_found_by_both_of_its_names(provider):
    assert find(provider.name, PROVIDERS) is provider
    assert find(provider.runtime.native, PROVIDERS) is provider


def test_its_probe_says_how_far_it_got_and_how_to_get_further(provider, probe):
    assert isinstance(probe, Probe)
    assert probe.provider == provider.name
    assert isinstance(probe.state, State)
    if probe.state is State.WORKS:
        assert probe.reason is None
        assert probe.devices
        assert all(isinstance(device, Device) for device in probe.devices)
    else:
        assert probe.reason
        assert probe.hint


def test_works_means_that_the_self_tests_numbers_are_right(provider, probe, tmp_path):
    if probe.state is not State.WORKS:
        pytest.skip(f"{provider.name} is {probe.state} on this machine: {probe.reason}")
    graph = tmp_path / "selftest.onnx"
    graph.write_bytes(selftest.graph())
    opened = provider.open(graph, Options(threads=1))
    y = opened.run(selftest.feeds())["y"]
    assert y.shape == (2, 3)
    assert selftest.matches(y) is computes(provider)
    opened.close()


def test_it_tells_the_graphs_ends(opened):
    assert opened.inputs == (TensorSpec("x", "float32", ("rows", 6)),)
    assert opened.outputs == (
        TensorSpec("y", "float32", ("rows", 5)),
        TensorSpec("total", "float32", ("rows", 5)),
    )


def test_it_computes_what_numpy_computes(provider, opened):
    found = opened.run({"x": X})
    assert list(found) == ["y", "total"]
    tolerance = TOLERANCE[opened.placement().precision]
    for name, value in expected(X).items():
        assert (found[name].shape, found[name].dtype) == (value.shape, np.float32)
        wanted = value if computes(provider) else np.zeros_like(value)
        np.testing.assert_allclose(found[name], wanted, atol=tolerance, rtol=tolerance)


def test_it_returns_only_the_outputs_that_were_asked_for(provider, opened):
    found = opened.run({"x": X}, ["total"])
    assert list(found) == ["total"]
    assert computes(provider) is bool(found["total"].any())


def test_it_takes_any_number_of_rows_in_any_order(opened):
    for rows in (1, 2, 17, 1):
        assert opened.run({"x": np.ones((rows, 6), np.float32)})["y"].shape == (rows, 5)


def test_it_takes_no_rows_or_says_why_not(opened):
    try:
        found = opened.run({"x": np.ones((0, 6), np.float32)})
    except GpuxError:
        pass  # a runtime may refuse an empty batch, in words
    else:
        assert found["y"].shape == (0, 5)


def test_its_placement_adds_up(provider, opened):
    placement = opened.placement()
    assert isinstance(placement, Placement)
    assert placement.provider == provider.name
    assert placement.device
    assert placement.precision in TOLERANCE
    total = sum(placement.nodes.values())
    assert total >= 1
    assert placement.share == pytest.approx(placement.nodes.get(provider.runtime.native, 0) / total)
    assert bool(placement.left_behind) is (placement.share < 1)


def test_eight_threads_get_their_own_answers(provider, opened):
    wrong, barrier = [], threading.Barrier(8)

    def work(seed):
        barrier.wait()
        for round_ in range(25):
            x = np.random.default_rng([seed, round_]).normal(size=(1 + seed, 6)).astype(np.float32)
            wanted = expected(x)["y"] if computes(provider) else np.zeros((1 + seed, 5))
            if not np.allclose(
                opened.run({"x": x})["y"], wanted, atol=TOLERANCE[opened.placement().precision]
            ):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_it_opens_the_same_graph_twice(provider, opened, tmp_path):
    other = provider.open(two_outputs(tmp_path / "again.onnx"), Options(threads=1))
    other.close()
    assert opened.run({"x": X})["y"].shape == (3, 5)


def test_it_closes_twice(opened):
    opened.close()
    opened.close()


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 64, b"no graph at all", None], ids=["empty", "zeros", "text", "absent"]
)
def test_what_is_no_graph_is_refused_in_words(provider, probe, tmp_path, content):
    if probe.state is not State.WORKS:
        pytest.skip(f"{provider.name} is {probe.state} on this machine: {probe.reason}")
    graph = tmp_path / "broken.onnx"
    if content is not None:
        graph.write_bytes(content)
    with pytest.raises(RunFailed) as caught:
        provider.open(graph, Options(threads=1))
    assert "broken.onnx" in caught.value.message
    assert caught.value.hint


def test_a_graph_cut_in_half_is_refused_in_words(provider, probe, tmp_path):
    if probe.state is not State.WORKS:
        pytest.skip(f"{provider.name} is {probe.state} on this machine: {probe.reason}")
    graph = two_outputs(tmp_path / "two.onnx")
    graph.write_bytes(graph.read_bytes()[:-40])
    with pytest.raises(GpuxError):
        provider.open(graph, Options(threads=1))


def test_a_feed_of_the_wrong_width_is_an_error_where_anything_is_computed(provider, opened):
    feeds = {"x": np.ones((2, 7), np.float32)}
    if computes(provider):
        with pytest.raises(RunFailed) as caught:
            opened.run(feeds)
        assert caught.value.hint
    else:
        assert opened.run(feeds)["y"].shape == (2, 5)


def test_cpu_and_null_are_among_them_and_auto_never_takes_null():
    assert {"cpu", "null"} <= set(PROVIDERS)
    assert PROVIDERS["null"].rank < 0 <= PROVIDERS["cpu"].rank
    assert B.any(), "the graph's answer to zeros must differ from the null provider's"
