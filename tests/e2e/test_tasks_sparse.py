"""Weights of tokens equal those of sentence-transformers' SparseEncoder, for every pooling."""

from __future__ import annotations

import json

import models
import numpy as np
import pytest
from references import corpus

import gpux
from gpux.errors import InvalidInput

TOLERANCE = 1e-4
NAMES = ("largest", "bare", "summed")
TEXTS = [*corpus.EDGES[1:54], *corpus.texts()[-20:]][:40]


@pytest.fixture(scope="module")
def rankers(tmp_path_factory):
    return models.rankers(tmp_path_factory.getbasetemp() / "rankers")


@pytest.fixture(scope="module")
def expected(rankers):
    with np.load(rankers / "vectors.npz") as vectors:
        return {**json.loads((rankers / "answers.json").read_text(encoding="utf-8")), **vectors}


@pytest.fixture(scope="module")
def opened(rankers, store):
    pulled = {"largest": gpux.pull(str(rankers / "largest"))}
    graph = pulled["largest"].path("fp32/model.onnx")
    pulled["summed"] = models.pull_as_ready(rankers / "summed", graph)
    pulled["bare"] = models.pull_as_ready(rankers / "bare", graph, task="sparse-embedding")
    found = {name: gpux.load(artifact) for name, artifact in pulled.items()}
    yield found
    for model in found.values():
        model.close()


def test_the_files_say_that_a_model_is_sparse(opened):
    assert {model.task for model in opened.values()} == {"sparse-embedding"}


@pytest.mark.parametrize("name", NAMES)
def test_weights_equal_the_sparse_encoders(opened, expected, name):
    model = opened[name]
    found = model.encode(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[f"{name}/encode"], atol=TOLERANCE)
    np.testing.assert_allclose(model.encode(TEXTS[7]), expected[f"{name}/encode"][7], atol=TOLERANCE)
    queries = model.encode(TEXTS, prompt_name="query")
    np.testing.assert_allclose(queries, expected[f"{name}/query"], atol=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_answers_name_the_tokens_heaviest_first(opened, expected, name):
    for call, parameters in (("decode", {}), ("three", {"top_k": 3})):
        for mine, theirs in zip(opened[name](TEXTS, **parameters), expected[f"{name}/{call}"], strict=True):
            weights = list(mine.values())
            assert weights == sorted(weights, reverse=True)
            assert weights == pytest.approx([weight for _, weight in theirs], abs=TOLERANCE)
            if call == "decode":
                assert mine == pytest.approx(dict(theirs), abs=TOLERANCE)


def test_the_models_are_sparse_and_differ(expected):
    """Otherwise equal weights would prove nothing."""
    assert np.count_nonzero(expected["summed/encode"], axis=1).max() == 9
    assert 0 < np.count_nonzero(expected["bare/encode"]) < expected["bare/encode"].size
    assert not np.allclose(expected["largest/encode"], expected["largest/query"], atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_similarities_are_those_that_the_model_names(opened, expected, name):
    item = {"source_sentence": TEXTS[0], "sentences": TEXTS[1:]}
    found = opened[name]([item, "a text"])
    assert found[0] == pytest.approx(expected[f"{name}/similarity"][0].tolist(), rel=TOLERANCE, abs=TOLERANCE)
    assert isinstance(found[1], dict)


def test_nothing_in_gives_nothing_out(opened):
    assert opened["bare"]([]) == []
    assert opened["bare"].encode([]).shape == (0, 1000)
    assert opened["bare"]({"source_sentence": "a", "sentences": []}) == []


def test_fewer_weights_are_the_largest(opened):
    whole, few = opened["bare"].encode(TEXTS[:5]), opened["bare"].encode(TEXTS[:5], truncate_dim=4)
    for all_of_it, kept in zip(whole, few, strict=True):
        np.testing.assert_array_equal(np.sort(kept)[-4:], np.sort(all_of_it)[-4:])
        assert np.count_nonzero(kept) == 4
    assert [len(answer) for answer in opened["bare"](TEXTS[:5], max_active_dims=4)] == [4] * 5


def test_a_batch_of_logits_stays_small(opened):
    """The logits of everything at once would be a gigabyte for a real vocabulary."""
    feeds = opened["bare"].pipeline.feeds(TEXTS)
    assert len(feeds) > 1
    assert max(run["input_ids"].size for run in feeds) <= 512


@pytest.mark.parametrize(
    ("inputs", "parameters", "message"),
    [
        (None, {}, "input 0 is None"),
        (["a", 1], {}, "input 1 is int"),
        ({"source_sentence": "a"}, {}, "no `sentences`"),
        ("a", {"top_k": 0}, "`top_k` is 0"),
        ("a", {"max_active_dims": 0}, "`max_active_dims` is 0"),
        ("a", {"prompt_name": "title"}, "no prompt `title`"),
        ("a", {"normalize": True}, "no parameter `normalize`"),
    ],
)
def test_what_the_task_cannot_take_is_an_error_with_a_hint(opened, inputs, parameters, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        opened["largest"](inputs, **parameters)
    assert caught.value.hint


def test_a_person_sees_the_heaviest_tokens(opened):
    pipeline = opened["largest"].pipeline
    table = pipeline.table(["the cat"], opened["largest"](["the cat"]))
    assert table.columns == ("text", "tokens", "heaviest")
    assert table.rows[0][0] == "the cat"
    item = pipeline.parse('{"source_sentence": "a", "sentences": ["b", "c"]}')
    assert len(pipeline.table([item], opened["largest"]([item])).rows) == 2
    assert pipeline.work([item])["texts"] == 3
