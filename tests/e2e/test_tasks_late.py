"""Vectors of tokens and rankings equal those of sentence-transformers' MultiVectorEncoder, however the model was written down."""

from __future__ import annotations

import models
import numpy as np
import pytest
from references import corpus

import gpux
from gpux.errors import InvalidInput, UnsupportedModel

TOLERANCE = 1e-4
NAMES = ("stanford", "native", "pylate")
TEXTS = [*corpus.EDGES[1:54], *corpus.texts()[-20:]][:40]


@pytest.fixture(scope="module")
def rankers(tmp_path_factory):
    return models.rankers(tmp_path_factory.getbasetemp() / "rankers")


@pytest.fixture(scope="module")
def expected(rankers):
    with np.load(rankers / "vectors.npz") as vectors:
        return dict(vectors)


@pytest.fixture(scope="module")
def opened(rankers, store):
    pulled = {"stanford": gpux.pull(str(rankers / "stanford"))}
    graph = pulled["stanford"].path("fp32/model.onnx")
    pulled |= {name: models.pull_as_ready(rankers / name, graph) for name in NAMES[1:]}
    found = {name: gpux.load(artifact) for name, artifact in pulled.items()}
    yield found
    for model in found.values():
        model.close()


def test_the_files_say_that_a_model_interacts_late(opened):
    assert {model.task for model in opened.values()} == {"late-interaction"}


@pytest.mark.parametrize("side", ["query", "document"])
@pytest.mark.parametrize("name", NAMES)
def test_vectors_equal_the_multi_vector_encoders(opened, expected, name, side):
    found = opened[name].encode(TEXTS, prompt_name=side)
    assert len(found) == len(TEXTS)
    for i, vectors in enumerate(found):
        wanted = expected[f"{name}/{side}/{i}"]
        assert vectors.shape == wanted.shape, TEXTS[i]
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, wanted, atol=TOLERANCE)
    one = opened[name].encode(TEXTS[9], prompt_name=side)
    np.testing.assert_allclose(one, expected[f"{name}/{side}/9"], atol=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_rankings_equal_the_best_matches_summed(opened, expected, name):
    items = [{"query": query, "documents": TEXTS} for query in TEXTS[:4]]
    for answer, wanted in zip(opened[name](items), expected[f"{name}/scores"], strict=True):
        scores = {row["corpus_id"]: row["score"] for row in answer}
        assert list(scores.values()) == sorted(scores.values(), reverse=True)
        found = np.array([scores[i] for i in range(len(TEXTS))])
        np.testing.assert_allclose(found, wanted, atol=1e-3, rtol=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_the_formula_of_the_paper(opened, name):
    """Written out in numpy: the sum over the query's vectors of the largest dot product with one of the document's."""
    model = opened[name]
    query, document = (
        model.encode(TEXTS[i], prompt_name=side) for i, side in ((3, "query"), (38, "document"))
    )
    by_hand = sum(max(float(q @ d) for d in document) for q in query)
    by_hand /= len(query) if name == "native" else 1
    (best,) = model.rank(TEXTS[3], [TEXTS[38]])
    assert best == {"corpus_id": 0, "score": pytest.approx(by_hand, abs=1e-4)}


def test_the_files_change_what_counts(expected):
    """Otherwise equal shapes would prove nothing."""
    lengths = {
        f"{name} {side}": [len(expected[f"{name}/{side}/{i}"]) for i in range(40)]
        for name in NAMES
        for side in ("query", "document")
    }
    assert set(lengths["stanford query"]) == {20}
    assert set(lengths["pylate query"]) == {24}
    assert min(lengths["native query"]) < 12 < max(lengths["native query"]) <= 40
    assert max(lengths["native document"]) == 30
    assert (
        len(expected["pylate/document/2"]) < len(expected["pylate/document/1"]) + 1
    )  # punctuation has no vector


def test_items_of_both_kinds_are_answered_in_order(opened, expected):
    model = opened["pylate"]
    found = model([TEXTS[1], {"query": TEXTS[0], "documents": TEXTS[:2]}, TEXTS[2]], top_k=1)
    np.testing.assert_allclose(found[0], expected["pylate/document/1"], atol=TOLERANCE)
    assert len(found[1]) == 1
    np.testing.assert_allclose(found[2], expected["pylate/document/2"], atol=TOLERANCE)
    assert model([]) == []
    assert model.encode([]) == []
    assert model.rank("a", []) == []
    assert model.rank("a", ["b"], return_documents=True)[0]["text"] == "b"


def test_vectors_have_unit_length_unless_that_is_left_out(opened):
    model = opened["stanford"]
    lengths = np.linalg.norm(model.encode("what can you do"), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    assert np.linalg.norm(model.encode("what can you do", normalize=False), axis=1).max() > 1.5


@pytest.mark.parametrize(
    ("inputs", "parameters", "message"),
    [
        (None, {}, "input 0 is None"),
        ({"query": "a"}, {}, "no `documents`"),
        ({"query": "a", "documents": "b"}, {}, "`documents` of input 0 is no list"),
        ("a", {"prompt_name": "title"}, "no prompt `title`"),
        ({"query": "a", "documents": ["b"]}, {"top_k": -1}, "`top_k` is -1"),
        ("a", {"truncate_dim": 8}, "no parameter `truncate_dim`"),
    ],
)
def test_what_the_task_cannot_take_is_an_error_with_a_hint(opened, inputs, parameters, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        opened["stanford"](inputs, **parameters)
    assert caught.value.hint


def test_a_model_without_a_projection_is_refused(opened, minilm):
    with pytest.raises(UnsupportedModel, match="no settings of a late-interaction model"):
        gpux.load(minilm, task="late-interaction")
    with pytest.raises(InvalidInput, match="not truncated"):
        opened["stanford"].encode("a", truncate_dim=8)


def test_a_person_sees_how_many_vectors_there_are(opened):
    pipeline = opened["stanford"].pipeline
    table = pipeline.table(["the cat"], opened["stanford"](["the cat"]))
    assert table.columns == ("text", "vectors", "dimensions")
    assert table.rows[0][2] == "16"
    item = pipeline.parse('{"query": "a", "documents": ["b", "c"]}')
    assert len(pipeline.table([item], opened["stanford"]([item])).rows) == 2
    assert pipeline.work([item])["texts"] == 3
    assert sum(run["input_ids"].shape[0] for run in pipeline.feeds([item, "d"])) == 4
    assert len(opened["stanford"](pipeline.samples())) == 8
    assert pipeline.work(pipeline.samples(20)) == {"tokens": 20 * len(pipeline.samples(20))}
