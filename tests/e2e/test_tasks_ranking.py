"""Rankings and scores of pairs equal those of sentence-transformers' CrossEncoder, whichever version saved the model."""

from __future__ import annotations

import json

import models
import pytest
from references import corpus

import gpux
from gpux.errors import InvalidInput, InvalidSetting, UnknownTask

TOLERANCE = 1e-4
NAMES = ("plain", "sigmoid", "identity", "old")
QUERY = "what can you do with this?"
TEXTS = [*corpus.EDGES[1:54], *corpus.texts()[-20:]]
RANKING = {"query": QUERY, "documents": TEXTS}


@pytest.fixture(scope="module")
def rankers(tmp_path_factory):
    return models.rankers(tmp_path_factory.getbasetemp() / "rankers")


@pytest.fixture(scope="module")
def expected(rankers):
    return json.loads((rankers / "answers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def opened(rankers, store):
    pulled = {"sigmoid": gpux.pull(str(rankers / "sigmoid"))}
    graph = pulled["sigmoid"].path("fp32/model.onnx")
    pulled |= {name: models.pull_as_ready(rankers / name, graph) for name in NAMES if name != "sigmoid"}
    found = {name: gpux.load(artifact, task="text-ranking") for name, artifact in pulled.items()}
    yield found
    for model in found.values():
        model.close()


def same(found, expected):
    """Equal scores of equal documents, in an order that the scores themselves give."""
    scores = [row["score"] for row in found]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx([row["score"] for row in expected], abs=TOLERANCE)
    mine, theirs = ({row["corpus_id"]: row for row in rows} for rows in (found, expected))
    assert mine.keys() == theirs.keys()
    for place, row in mine.items():
        assert list(row) == list(theirs[place])
        assert row["score"] == pytest.approx(theirs[place]["score"], abs=TOLERANCE)
        assert row.get("text") == theirs[place].get("text")


def test_the_files_say_that_a_model_ranks(opened):
    stored = {name: model.artifact.task for name, model in opened.items()}
    ranks = dict.fromkeys(NAMES, "text-ranking")
    assert stored == {**ranks, "plain": "text-classification"}


@pytest.mark.parametrize("name", NAMES)
def test_rankings_equal_the_cross_encoders(opened, expected, name):
    model = opened[name]
    same(model(RANKING), expected[f"{name}/rank"])
    same(model.rank(QUERY, TEXTS), expected[f"{name}/rank"])
    same(model.rank(QUERY, iter(TEXTS), 5, return_documents=True), expected[f"{name}/five"])


@pytest.mark.parametrize("name", NAMES)
def test_scores_of_pairs_equal_the_cross_encoders(opened, expected, name):
    scores = opened[name](corpus.pairs())
    assert scores == pytest.approx(expected[f"{name}/pairs"], abs=TOLERANCE)
    assert all(type(score) is float for score in scores)


def test_the_scores_tell_the_documents_apart(expected):
    """Otherwise equal scores would prove nothing."""
    for name in NAMES:
        scores = [row["score"] for row in expected[f"{name}/rank"]]
        assert max(scores) - min(scores) > 0.1
    assert expected["identity/rank"][0]["score"] != pytest.approx(
        expected["plain/rank"][0]["score"], abs=0.01
    )


def test_a_prompt_stands_before_the_query(opened, expected):
    same(opened["sigmoid"](RANKING, prompt_name="ask"), expected["sigmoid/prompt"])
    same(opened["sigmoid"](RANKING, prompt="can you said: "), expected["sigmoid/prompt"])
    with pytest.raises(InvalidInput, match="no prompt `tell`") as caught:
        opened["sigmoid"](RANKING, prompt_name="tell")
    assert "ask" in caught.value.hint


def test_items_of_both_kinds_are_answered_in_order(opened, expected):
    pairs = corpus.pairs()[:3]
    found = opened["sigmoid"]([pairs[0], RANKING, pairs[1], {"query": QUERY, "documents": []}, pairs[2]])
    assert found[3] == []
    same(found[1], expected["sigmoid/rank"])
    assert [found[0], found[2], found[4]] == pytest.approx(expected["sigmoid/pairs"][:3], abs=TOLERANCE)
    assert opened["sigmoid"]([]) == []
    assert opened["sigmoid"].rank(QUERY, []) == []
    assert list(opened["sigmoid"].stream(iter(pairs), window=2)) == pytest.approx(
        expected["sigmoid/pairs"][:3], abs=TOLERANCE
    )


def test_the_function_can_be_chosen(opened, expected):
    logits = opened["sigmoid"](RANKING, function_to_apply="none")
    same(logits, expected["identity/rank"])
    same(opened["identity"](RANKING, function_to_apply="sigmoid"), expected["sigmoid/rank"])


@pytest.mark.parametrize(
    ("inputs", "parameters", "message"),
    [
        ("a text", {}, "input 0 is no query with documents and no pair"),
        ([None], {}, "input 0 is no query with documents and no pair"),
        ({"query": "a"}, {}, "no `documents`"),
        ({"documents": ["a"]}, {}, "no `query`"),
        ({"query": "a", "documents": "b"}, {}, "`documents` of input 0 is no list"),
        ({"query": "a", "documents": ["b", 3]}, {}, "input 0 is int"),
        ({"query": None, "documents": ["b"]}, {}, "input 0 is None"),
        ({"query": "a", "documents": ["half \udc00"]}, {}, "half a surrogate pair"),
        ({"query": "a", "documents": ["b"], "top_k": 1}, {}, "unknown key `top_k`"),
        ({"text": "a"}, {}, "no `text_pair`"),
        (RANKING, {"top_k": 0}, "`top_k` is 0"),
        (RANKING, {"top_k": "all"}, "`top_k` is 'all'"),
        (RANKING, {"function_to_apply": "relu"}, "`function_to_apply` is 'relu'"),
        (RANKING, {"batch_size": 1}, "no parameter `batch_size`"),
    ],
)
def test_what_the_task_cannot_take_is_an_error_with_a_hint(opened, inputs, parameters, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        opened["sigmoid"](inputs, **parameters)
    assert caught.value.hint


def test_a_model_that_ranks_nothing_says_so(opened, rankers):
    with gpux.load(opened["plain"].artifact) as classifier:
        with pytest.raises(UnknownTask, match="answers text-classification, which ranks nothing"):
            classifier.rank("a", ["b"])
        assert len(classifier("a text")) == 1
    with pytest.raises(UnknownTask, match="no embeddings"):
        opened["sigmoid"].encode("a")


def test_a_line_is_a_ranking_or_a_pair(opened):
    parse = opened["sigmoid"].pipeline.parse
    assert parse('{"query": "a", "documents": ["b"]}') == {"query": "a", "documents": ["b"]}
    assert parse("one\ttwo") == {"text": "one", "text_pair": "two"}
    assert parse('{"text": "a", "text_pair": "b"}') == {"text": "a", "text_pair": "b"}
    assert parse("{broken") == "{broken"


def test_a_person_sees_the_best_first(opened):
    pipeline = opened["sigmoid"].pipeline
    items = [{"query": "a", "documents": ["b", "c d"]}, {"text": "e", "text_pair": "f"}]
    answers = opened["sigmoid"](items)
    table = pipeline.table(items, answers)
    assert table.columns == ("query", "document", "score")
    best = ["b", "c d"][answers[0][0]["corpus_id"]]
    assert table.rows[0] == ("a", best, f"{answers[0][0]['score']:.4f}")
    assert [row[0] for row in table.rows] == ["a", "", "e"]


def test_work_and_samples_count_pairs(opened):
    pipeline = opened["sigmoid"].pipeline
    assert pipeline.work([{"query": "a", "documents": ["b", "c"]}]) == {"tokens": 10, "pairs": 2}
    assert pipeline.work([{"text": "a", "text_pair": "b"}]) == {"tokens": 5}
    assert len(opened["sigmoid"](pipeline.samples())) == 8
    long = pipeline.samples(48)
    assert long
    assert pipeline.work(long) == {"tokens": 48 * len(long)}
    with pytest.raises(InvalidSetting):
        pipeline.samples(2)
    with pytest.raises(InvalidSetting):
        pipeline.samples(65)
