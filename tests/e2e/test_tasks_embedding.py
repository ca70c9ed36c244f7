"""Embeddings and token vectors equal those of sentence-transformers and transformers, on texts of every kind."""

from __future__ import annotations

import threading
from pathlib import Path

import models
import numpy as np
import pytest
from references import corpus

import gpux
from gpux.errors import InvalidInput
from gpux.reference import parse
from gpux.sources import Wants, fetch, look

TOLERANCE = 1e-4
TEXTS = corpus.texts()
PLAIN = {"plain": {}, "truncated": {"truncate_dim": 100}, "prompted": {"prompt": "query: "}}
PROMPTED = {
    "default": {},
    "query": {"prompt_name": "query"},
    "named without text": {"prompt_name": "document"},
    "own": {"prompt": "own prompt: "},
    "no prompt": {"prompt": ""},
    "normalised": {"normalize_embeddings": True},
    "truncated": {"truncate_dim": 8},
    "truncated and normalised": {"truncate_dim": 8, "normalize_embeddings": True},
}


@pytest.fixture(scope="module")
def model(minilm):
    with gpux.load(minilm) as opened:
        yield opened


@pytest.fixture(scope="module")
def source(minilm, store) -> Path:
    """MiniLM's own files, weights included, where the pull put them."""
    return fetch(look(parse(minilm.reference)), wants=Wants(weights=True)).directory


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return models.tiny_models(tmp_path_factory.getbasetemp() / "tiny-models")


@pytest.fixture(scope="module")
def sentences(tiny, store):
    """All six pooling modes joined, a prompt that does not count, a projection, unit length."""
    with gpux.load(gpux.pull(str(tiny / "sentences"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def reference(source, tiny, tmp_path_factory):
    calls = {source: PLAIN, tiny / "sentences": PROMPTED}
    return models.sentence_embeddings(TEXTS, calls, tmp_path_factory.mktemp("embeddings"))


@pytest.fixture(scope="module")
def expected(reference, source):
    return {name: reference[f"{source.name}/{name}"] for name in PLAIN}


def test_there_are_enough_texts():
    assert len(TEXTS) >= 200
    assert min(map(len, TEXTS)) == 0
    assert max(map(len, TEXTS)) == 10_000


def test_minilm_equals_sentence_transformers(model, expected):
    found = model.encode(TEXTS)
    assert found.dtype == np.float32
    assert found.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(found, expected["plain"], atol=TOLERANCE, rtol=0)
    np.testing.assert_allclose(
        model.encode(TEXTS, truncate_dim=100), expected["truncated"], atol=TOLERANCE, rtol=0
    )
    np.testing.assert_allclose(
        model.encode(TEXTS, prompt="query: "), expected["prompted"], atol=TOLERANCE, rtol=0
    )


def test_each_text_alone_gives_its_row_of_the_list(model, expected):
    for position in range(0, len(TEXTS), 7):
        alone = model.encode(TEXTS[position])
        assert alone.shape == (384,)
        np.testing.assert_allclose(alone, expected["plain"][position], atol=TOLERANCE, rtol=0)


def test_any_order_of_the_list_gives_the_same_vectors(model, expected):
    order = np.random.default_rng(3).permutation(len(TEXTS))
    found = model.encode([TEXTS[i] for i in order])
    np.testing.assert_allclose(found, expected["plain"][order], atol=TOLERANCE, rtol=0)


def test_eight_threads_share_one_model(model, expected):
    wrong = []

    def work(start: int) -> None:
        chosen = list(range(start, len(TEXTS), 8))
        found = model.encode([TEXTS[i] for i in chosen], truncate_dim=None if start % 2 else 100)
        wanted = expected["plain" if start % 2 else "truncated"][chosen]
        if not np.allclose(found, wanted, atol=TOLERANCE, rtol=0):
            wrong.append(start)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_item_gives_its_embedding_and_a_comparison_its_cosines(model, expected):
    unit = expected["plain"]
    chosen = [TEXTS.index("great product 🔥🔥🔥 10/10 💯"), 60, 70, 80]
    texts = [TEXTS[i] for i in chosen]
    np.testing.assert_allclose(model(texts[0]), unit[chosen[0]], atol=TOLERANCE, rtol=0)
    found = model([{"source_sentence": texts[0], "sentences": texts[1:]}, texts[2]])
    np.testing.assert_allclose(found[0], unit[chosen[1:]] @ unit[chosen[0]], atol=TOLERANCE, rtol=0)
    assert all(type(score) is float for score in found[0])
    np.testing.assert_allclose(found[1], unit[chosen[2]], atol=TOLERANCE, rtol=0)
    assert model({"source_sentence": texts[0], "sentences": []}) == []


def test_prompts_projection_and_truncation_equal_sentence_transformers(sentences, reference):
    for name, arguments in PROMPTED.items():
        ours = {
            ("normalize" if key == "normalize_embeddings" else key): value for key, value in arguments.items()
        }
        found = sentences.encode(TEXTS, **ours)
        np.testing.assert_allclose(
            found, reference[f"sentences/{name}"], atol=TOLERANCE, rtol=0, err_msg=name
        )


def test_normalize_false_leaves_the_models_own_scaling_out(sentences):
    raw, unit = sentences.encode(TEXTS[60:70], normalize=False), sentences.encode(TEXTS[60:70])
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1)
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), unit, atol=1e-6)


def test_token_vectors_equal_the_transformers_pipeline(minilm, source, tmp_path):
    texts = [text for text in TEXTS if len(text) < 1000][::4]
    long = TEXTS[TEXTS.index("ok " * 600)]
    calls = [{"inputs": texts, "parameters": {}}, {"inputs": long, "parameters": {"truncation": True}}]
    [[expected, cut]] = models.pipeline_answers(
        [{"task": "feature-extraction", "model": str(source), "calls": calls}], tmp_path
    )
    with gpux.load(minilm, task="feature-extraction") as model:
        found = model(texts)
        assert [np.shape(answer) for answer in found] == [np.shape(answer) for answer in expected]
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=TOLERANCE, rtol=0)
        assert np.shape(cut) == (1, 512, 384)
        np.testing.assert_allclose(model(long), cut, atol=TOLERANCE, rtol=0)
        array = model(texts[30], return_tensors=True)
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, expected[30], atol=TOLERANCE, rtol=0)
        with pytest.raises(InvalidInput, match="512 tokens"):
            model(long, truncation=False)


def test_a_stream_of_ten_thousand_holds_one_window(sentences):
    taken = 0
    longest_lead = 0

    def items():
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield f"item {number} " + "word " * (number % 11)

    chosen = {}
    for number, answer in enumerate(sentences.stream(items(), window=500)):
        longest_lead = max(longest_lead, taken - number)
        if number % 997 == 0:
            chosen[number] = answer
    assert taken == number + 1 == 10_000
    assert longest_lead <= 500
    texts = [f"item {n} " + "word " * (n % 11) for n in chosen]
    np.testing.assert_allclose(list(chosen.values()), sentences.encode(texts), atol=1e-5)


def test_nothing_in_gives_nothing_out(model, sentences):
    assert model([]) == []
    assert list(model.stream([])) == []
    for empty, dimension in (
        (model.encode([]), 384),
        (sentences.encode([]), 24),
        (sentences.encode((), truncate_dim=5), 5),
    ):
        assert empty.dtype == np.float32
        assert empty.shape == (0, dimension)


@pytest.mark.parametrize(
    ("inputs", "parameters", "message"),
    [
        (7, {}, "input 0 is int"),
        (None, {}, "input 0 is None"),
        (b"bytes", {}, "input 0 is bytes"),
        (["right", None], {}, "input 1 is None"),
        (["right", ["nested"]], {}, "input 1 is list"),
        (["right", "half \ud83d"], {}, "half a surrogate pair at character 5"),
        (np.array(3.5), {}, "input 0 is ndarray"),
        ({"text": "no source"}, {}, "no `source_sentence`"),
        ({"source_sentence": "a", "sentences": "b"}, {}, "is no list"),
        ({"source_sentence": "a", "sentences": ["b"], "extra": 1}, {}, "unknown key `extra`"),
        ("text", {"prompt_name": "nonesuch"}, "no prompt `nonesuch`"),
        ("text", {"prompt": 3}, "is int"),
        ("text", {"truncate_dim": 0}, "`truncate_dim` is 0"),
        ("text", {"truncate_dim": 385}, "`truncate_dim` is 385"),
        ("text", {"truncate_dim": "8"}, "`truncate_dim` is '8'"),
        ("text", {"truncate_dim": True}, "`truncate_dim` is True"),
        ("text", {"nonesuch": 1}, "no parameter `nonesuch`"),
    ],
)
def test_what_is_no_text_is_an_error_with_a_hint(model, inputs, parameters, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        model(inputs, **parameters)
    assert caught.value.hint


def test_encode_and_stream_refuse_the_same(model):
    with pytest.raises(InvalidInput, match="input 1 is float"):
        model.encode(["right", 1.5])
    with pytest.raises(InvalidInput, match="no parameter `nonesuch`"):
        model.stream(["text"], nonesuch=1)
    with pytest.raises(InvalidInput, match="`window` is 0"):
        model.stream(["text"], window=0)
    with pytest.raises(InvalidInput, match="not one str"):
        model.stream("text")


def test_a_person_sees_dimensions_values_and_cosines(model, expected):
    items = TEXTS[60:63]
    table = model.pipeline.table(items, model(items))
    assert table.columns == ("text", "dimensions", "first values", "cosine to first")
    assert [row[1] for row in table.rows] == ["384"] * 3
    cosines = expected["plain"][60:63] @ expected["plain"][60]
    np.testing.assert_allclose([float(row[3]) for row in table.rows], cosines, atol=1e-3)
    assert model.pipeline.parse('{"source_sentence": "a", "sentences": ["b"]}') == {
        "source_sentence": "a",
        "sentences": ["b"],
    }
    assert model.pipeline.parse('{"just": "json"}') == '{"just": "json"}'
    compared = {"source_sentence": items[0], "sentences": items[1:]}
    assert len(model.pipeline.table([compared], [model(compared)]).rows) == 2
    assert len(model(model.pipeline.samples())) == 8
