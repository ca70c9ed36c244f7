"""The source model in PyTorch under GPUX's own session and tasks: the same answers as the graph's, timed by the same stages."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import models
import numpy as np
import pytest
import torch
import transformers
from references import corpus

import gpux
from gpux import tasks
from gpux.bench.identity import identify
from gpux.bench.settings import settle
from gpux.bench.workload import prepare
from gpux.campaign.source_model import open_source
from gpux.errors import InvalidSetting, RunFailed, UnsafeWeights, UnsupportedModel
from gpux.export.torch_graph import open_torch
from gpux.pipelines.pipeline import STAGES, Clock
from gpux.planning import Plan
from gpux.reference import parse
from gpux.session import Session
from gpux.sources import Wants, fetch, look

TEXTS = corpus.texts()[:48]
PLAN = Plan("pytorch", "fp32", 2, strict=False, reason="the test's own")


@pytest.fixture(autouse=True)
def threads():
    """PyTorch's threads are the whole process's."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def opened(artifact, source, *, outputs=None, **changed):
    """The model of an artifact in PyTorch, with the arguments that a caller takes from the artifact and its task."""
    (component,) = artifact.manifest.components
    head = tasks.find(artifact.task).head
    given = [spec.name for spec in component.outputs] if outputs is None else outputs
    arguments = {
        "auto": head.auto,
        "inputs": component.inputs,
        "aliases": head.aliases,
        "threads": 2,
        **changed,
    }
    return open_torch(source, outputs=given, **arguments)


def task(artifact, graph):
    return tasks.find(artifact.task)(artifact, Session(graph, PLAN))


@pytest.fixture(scope="module")
def source(minilm, store) -> Path:
    """MiniLM's own files, weights included."""
    return fetch(look(parse(minilm.reference)), wants=Wants(weights=True)).directory


@pytest.fixture(scope="module")
def minilm_in_torch(minilm, source):
    return opened(minilm, source)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return models.tiny_models(tmp_path_factory.getbasetemp() / "tiny-models")


def test_minilm_gives_the_embeddings_of_its_graph(minilm, minilm_in_torch):
    clock = Clock()
    found = np.stack(task(minilm, minilm_in_torch).answer(TEXTS, clock))
    with gpux.load(minilm) as model:
        expected = model.encode(TEXTS)
    cosines = (found * expected).sum(-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert cosines.min() >= 1 - 1e-5
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    assert set(clock.seconds) == set(STAGES)
    assert all(seconds > 0 for seconds in clock.seconds.values())
    assert clock.seconds["infer"] > clock.seconds["preprocess"]


def test_what_it_says_of_itself(minilm, minilm_in_torch, source):
    (component,) = minilm.manifest.components
    assert minilm_in_torch.inputs == component.inputs
    assert [(s.name, s.dtype, len(s.shape), s.shape[-1]) for s in minilm_in_torch.outputs] == [
        (s.name, s.dtype, len(s.shape), s.shape[-1]) for s in component.outputs
    ]
    placement = Session(minilm_in_torch, PLAN).placement
    assert (placement.provider, placement.device, placement.precision) == ("pytorch", "cpu", "fp32")
    assert placement.share == 1
    own = transformers.AutoModel.from_pretrained(source)
    assert placement.nodes == {"PyTorch": len([m for m in own.modules() if not [*m.children()]])}


def test_it_computes_what_transformers_computes(minilm_in_torch, source):
    own = transformers.AutoModel.from_pretrained(source, dtype=torch.float32).eval()
    words = transformers.AutoTokenizer.from_pretrained(source)(
        TEXTS[:6], padding=True, truncation=True, max_length=64, return_tensors="pt"
    )
    with torch.inference_mode():
        expected = own(**words).last_hidden_state.numpy()
    feeds = {name: tensor.numpy() for name, tensor in words.items()}
    for array in feeds.values():
        array.setflags(write=False)  # shared memory of another process may not be written
    (found,) = minilm_in_torch.run(feeds).values()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6, rtol=0)
    narrow = {name: array.astype(np.int32) for name, array in feeds.items()}
    np.testing.assert_array_equal(next(iter(minilm_in_torch.run(narrow).values())), found)


def test_several_threads_share_it(minilm_in_torch):
    feeds = {spec.name: np.ones((1, 9), np.int64) for spec in minilm_in_torch.inputs}
    (expected,) = minilm_in_torch.run(feeds).values()
    found = []
    workers = [
        threading.Thread(target=lambda: found.extend(minilm_in_torch.run(feeds).values())) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    for each in found:
        np.testing.assert_allclose(each, expected, atol=1e-6, rtol=0)


def test_an_output_has_the_name_of_the_graph(minilm, source, minilm_in_torch):
    graph = opened(minilm, source, outputs=["token_embeddings", "sentence_embedding"])
    assert [spec.name for spec in graph.outputs] == ["token_embeddings"]
    feeds = {spec.name: np.ones((2, 9), np.int64) for spec in graph.inputs}
    found = graph.run(feeds, ["token_embeddings"])
    np.testing.assert_array_equal(found["token_embeddings"], minilm_in_torch.run(feeds)["last_hidden_state"])


@pytest.mark.parametrize("name", ["single_label", "multi_label"])
def test_classifiers_give_the_scores_of_their_graphs(tiny, store, name):
    artifact = gpux.pull(str(tiny / name))
    graph = opened(artifact, tiny / name)
    texts = ["you can have it", "what is this?", "not from when"]
    with gpux.load(artifact) as model:
        expected = model(texts, top_k=None)
    found = task(artifact, graph).answer(texts, Clock(), top_k=None)
    assert [[each["label"] for each in row] for row in found] == [
        [e["label"] for e in row] for row in expected
    ]
    np.testing.assert_allclose(
        [[each["score"] for each in row] for row in found],
        [[each["score"] for each in row] for row in expected],
        atol=1e-5,
    )


def test_inputs_that_the_model_does_not_take_are_left_out(tiny, store):
    wide = gpux.pull(str(tiny / "single_label"))  # BERT's inputs, token types among them
    graph = opened(wide, tiny / "multi_label")  # a DistilBERT, which has none
    assert [spec.name for spec in graph.inputs] == ["input_ids", "attention_mask"]


def test_threads_are_set(minilm, source):
    opened(minilm, source, threads=1)
    assert torch.get_num_threads() == 1
    with pytest.raises(InvalidSetting, match="0 threads"):
        opened(minilm, source, threads=0)


def test_what_cannot_be_run_is_an_error_with_a_hint(minilm, source, tmp_path):
    wrong = [
        ({"auto": "AutoModelForSequenceClassification"}, "lacks weights of BertForSequenceClassification"),
        ({"auto": "AutoModelForNothing"}, "cannot load it"),
        ({"outputs": ["logits"]}, "returns none of logits"),
        ({"inputs": ()}, "takes none of"),
    ]
    for changed, message in wrong:
        with pytest.raises(UnsupportedModel, match=message) as caught:
            opened(minilm, source, **changed)
        assert caught.value.hint
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    with pytest.raises(UnsupportedModel, match="cannot be loaded"):
        opened(minilm, tmp_path, allow_pickle=True)  # no weights at all


def test_pickled_weights_are_refused_and_nothing_else_is_changed(minilm, tiny, tmp_path):
    model = transformers.AutoModel.from_pretrained(tiny / "sentences")
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    load = torch.load
    with pytest.raises(UnsafeWeights):
        opened(minilm, tmp_path)
    assert torch.load is load
    assert opened(minilm, tmp_path, allow_pickle=True).outputs[0].shape == ("batch", "sequence", 32)


def test_a_run_that_fails_is_an_error_with_a_hint(minilm, source):
    graph = opened(minilm, source)
    vocabulary = json.loads((source / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    good = {spec.name: np.ones((1, 4), np.int64) for spec in graph.inputs}
    for feeds, outputs, message in (
        ({**good, "input_ids": np.full((1, 4), vocabulary)}, None, "PyTorch failed while running"),
        (good, ["logits"], "no output `logits`"),
    ):
        with pytest.raises(RunFailed, match=message) as caught:
            graph.run(feeds, outputs)
        assert caught.value.hint
    graph.close()
    with pytest.raises(RunFailed, match="closed"):
        graph.run(good)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_autocast_is_said_and_costs_what_half_precision_costs(minilm, minilm_in_torch, source, precision):
    graph = opened(minilm, source, precision=precision)
    placement = graph.placement()
    assert (placement.provider, placement.device, placement.precision) == ("pytorch", "cpu", precision)
    found, expected = (
        np.stack(task(minilm, one).answer(TEXTS[:8], Clock())) for one in (graph, minilm_in_torch)
    )
    assert found.dtype == np.float32
    cosines = (found * expected).sum(-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(expected, axis=-1)
    assert cosines.min() > 0.999
    assert not np.array_equal(found, expected), "it computed in full precision after all"


def test_a_device_that_pytorch_does_not_see_is_an_error_with_a_hint(minilm, source):
    for changed, setting in (
        ({"device": "cuda:99"}, "device"),
        ({"device": "abacus"}, "device"),
        ({"precision": "fp8"}, "precision"),
    ):
        with pytest.raises(InvalidSetting) as caught:
            opened(minilm, source, **changed)
        assert caught.value.details["setting"] == setting
        assert "cpu" in caught.value.hint or "fp16" in caught.value.hint


def test_a_benchmark_of_the_source_model_names_its_device_and_precision(minilm, source):
    with open_source(minilm, source, task=None, threads=2, precision="bf16") as model:
        found = identify(model, prepare(model.pipeline, "a cat", settle(), {}).record, mode="torch")
    assert (found.mode, found.device, found.precision) == ("torch", "cpu", "bf16")
    assert found.options == {"precision": "bf16"}
    with open_source(minilm, source, task=None, threads=2) as model:
        assert identify(model, found.workload, mode="torch").options == {}
