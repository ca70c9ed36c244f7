"""Labels and scores equal those of the transformers pipeline, in its shapes, for every kind of classifier."""

from __future__ import annotations

import threading
from pathlib import Path

import models
import pytest
from references import corpus

import gpux
from gpux.errors import InvalidInput

TOLERANCE = 1e-4
TEXTS = corpus.texts()
PAIRS = corpus.pairs()
CUT = {
    "truncation": True
}  # the pipeline's own default fails on texts of more tokens than the model has positions
CALLS = {
    "texts": (TEXTS, CUT),
    "pairs": (PAIRS, CUT),
    "all labels": (TEXTS[:40], {**CUT, "top_k": None}),
    "two labels": (TEXTS[:40], {**CUT, "top_k": 2}),
    "one label in a list": (TEXTS[:40], {**CUT, "top_k": 1}),
    "more than there are": (TEXTS[:5], {**CUT, "top_k": 99}),
    "sigmoid": (TEXTS[:40], {**CUT, "function_to_apply": "sigmoid", "top_k": None}),
    "softmax": (TEXTS[:40], {**CUT, "function_to_apply": "softmax", "top_k": None}),
    "none": (TEXTS[:40], {**CUT, "function_to_apply": "none", "top_k": None}),
    "one pair": (PAIRS[3], CUT),
    "one text, all labels": ("a text", {"top_k": None}),
    "one text, one label": ("a text", {"top_k": 1}),
    "one text": ("a text", {}),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return models.tiny_models(tmp_path_factory.getbasetemp() / "tiny-models")


@pytest.fixture(scope="module")
def expected(tiny, tmp_path_factory):
    """Model → call → what the pipeline answers."""
    calls = [{"inputs": inputs, "parameters": parameters} for inputs, parameters in CALLS.values()]
    jobs = [
        {"task": "text-classification", "model": str(tiny / name), "calls": calls}
        for name in models.CLASSIFIERS
    ]
    answers = models.pipeline_answers(jobs, tmp_path_factory.mktemp("labels"))
    return {
        name: dict(zip(CALLS, found, strict=True))
        for name, found in zip(models.CLASSIFIERS, answers, strict=True)
    }


@pytest.fixture(scope="module")
def classifiers(tiny, store):
    opened = {name: gpux.load(gpux.pull(str(tiny / name))) for name in models.CLASSIFIERS}
    yield opened
    for model in opened.values():
        model.close()


def same(found, expected):
    """Equal shapes and labels, scores within the tolerance."""
    assert type(found) is type(expected)
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for mine, theirs in zip(found, expected, strict=True):
            same(mine, theirs)
    else:
        assert list(found) == ["label", "score"]
        assert found["label"] == expected["label"]
        assert type(found["score"]) is float
        assert found["score"] == pytest.approx(expected["score"], abs=TOLERANCE)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", models.CLASSIFIERS)
def test_answers_equal_the_transformers_pipeline(classifiers, expected, name, call):
    inputs, parameters = CALLS[call]
    same(classifiers[name](inputs, **parameters), expected[name][call])


def test_the_texts_tell_the_labels_apart(expected):
    """Otherwise equal labels would prove nothing."""
    assert {answer["label"] for answer in expected["single_label"]["texts"]} == {
        "negative",
        "neutral",
        "positive",
    }
    assert len({answer["label"] for answer in expected["multi_label"]["texts"]}) > 1
    assert len(TEXTS) >= 200
    assert any(answer["score"] < 0 or answer["score"] > 1 for answer in expected["regression"]["texts"])


def test_too_long_a_text_is_cut_unless_that_is_refused(classifiers):
    model = classifiers["single_label"]
    long = "word " * 1000
    assert model([long]) == model([long], truncation=True)
    with pytest.raises(InvalidInput, match="text 1 has more than the 64 tokens"):
        model(["short", long], truncation=False)


def test_eight_threads_share_one_model(classifiers, expected):
    model = classifiers["multi_label"]
    wrong = []

    def work(start: int) -> None:
        try:
            same(model(TEXTS[start::8]), expected["multi_label"]["texts"][start::8])
        except AssertionError as error:
            wrong.append(str(error))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_stream_answers_in_order_with_parameters(classifiers, expected):
    found = list(classifiers["single_label"].stream(iter(TEXTS[:40]), top_k=2, window=7))
    same(found, expected["single_label"]["two labels"])


def test_nothing_in_gives_nothing_out(classifiers):
    assert classifiers["single_label"]([]) == []


@pytest.mark.parametrize(
    ("inputs", "parameters", "message"),
    [
        (None, {}, "input 0 is None"),
        (["right", 1], {}, "input 1 is int"),
        ([["a", "b"]], {}, "input 0 is list"),
        ([("a", "b")], {}, "input 0 is tuple"),
        ({"text_pair": "b"}, {}, "no `text`"),
        ({"text": "a", "pair": "b"}, {}, "unknown key `pair`"),
        ({"text": "a", "text_pair": 2}, {}, "input 0 is int"),
        ("half \udc00", {}, "half a surrogate pair"),
        ("a", {"top_k": 0}, "`top_k` is 0"),
        ("a", {"top_k": 1.5}, "`top_k` is 1.5"),
        ("a", {"top_k": "two"}, "`top_k` is 'two'"),
        ("a", {"function_to_apply": "relu"}, "`function_to_apply` is 'relu'"),
        ("a", {"return_all_scores": True}, "no parameter `return_all_scores`"),
    ],
)
def test_what_the_task_cannot_take_is_an_error_with_a_hint(classifiers, inputs, parameters, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        classifiers["single_label"](inputs, **parameters)
    assert caught.value.hint


def test_a_line_is_a_text_or_a_pair(classifiers):
    parse = classifiers["single_label"].pipeline.parse
    assert parse("a text") == "a text"
    assert parse("one\ttwo") == {"text": "one", "text_pair": "two"}
    assert parse('{"text": "one", "text_pair": "two"}') == {"text": "one", "text_pair": "two"}
    assert parse('{"not": "ours"}') == '{"not": "ours"}'
    assert parse("{broken") == "{broken"


def test_a_person_sees_one_row_per_label(classifiers):
    model = classifiers["single_label"]
    items = ["a text", PAIRS[3]]
    table = model.pipeline.table(items, model(items, top_k=2))
    assert table.columns == ("text", "label", "score")
    assert [bool(row[0]) for row in table.rows] == [True, False, True, False]
    assert len(model(model.pipeline.samples())) == 8
