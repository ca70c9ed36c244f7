"""Texts beside pictures, videos and pages: tiny models, pulled as repositories hold them, answer as transformers does."""

from __future__ import annotations

import base64
import json

import models
import numpy as np
import pytest
from references.tiny_pairs import CALLS, DOCUMENT_CALLS, LABELS, QUESTIONS, TEXTS, WORDS
from vision_tasks import open_task, picture

import gpux
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.pipelines.pipeline import Clock

PICTURES = {"a": (61, 45), "b": (40, 70), "c": (61, 45)}
FILMS = ("0", "1")
TOLERANCE = 1e-4


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Tiny models, what they are shown, and what transformers answers."""
    directory = tmp_path_factory.mktemp("pairs")
    for folder in ("pictures", "films"):
        (directory / folder).mkdir()
    for seed, (stem, size) in enumerate(PICTURES.items()):
        picture(*size, seed=seed).save(directory / "pictures" / f"{stem}.png")
    for seed, stem in enumerate(FILMS):
        np.save(directory / "films" / f"{stem}.npy", film(seed))
    models.run("tiny_pairs.py", directory)
    return directory


@pytest.fixture(scope="session")
def expected(pairs):
    return json.loads((pairs / "answers.json").read_text())


@pytest.fixture(scope="session")
def vectors(pairs):
    with np.load(pairs / "vectors.npz") as found:
        return dict(found)


@pytest.fixture(scope="session")
def pulled(pairs, store):
    """Each model is exported once, when the first test asks for it."""
    opened = {}

    def find(name, task=None):
        if name not in opened:
            opened[name] = gpux.pull(str(pairs / name))
        return gpux.load(opened[name], task=task, provider="cpu")

    return find


@pytest.fixture
def document(pairs):
    return open_task(
        pairs / "document", "document-question-answering", pairs / "document" / "graph.onnx", batch=2
    )


def film(seed):
    return np.stack([np.asarray(picture(60, 44, seed=10 * seed + frame)) for frame in range(4)])


def paths(pairs):
    return [str(pairs / "pictures" / f"{stem}.png") for stem in PICTURES]


def same(found, wanted):
    assert [one["label"] for one in found] == [one["label"] for one in wanted]
    assert [one["score"] for one in found] == pytest.approx([one["score"] for one in wanted], abs=TOLERANCE)


@pytest.mark.parametrize("call", CALLS)
def test_labels_for_pictures_equal_the_transformers_pipeline(pulled, pairs, expected, call):
    with pulled("clip") as model:
        assert model.task == "zero-shot-image-classification"
        assert model.artifact.certificate.quality == "exact"
        for stem, answer in zip(PICTURES, model(paths(pairs), **CALLS[call]), strict=True):
            same(answer, expected[f"clip/{call}/{stem}"])


def test_siglip_scores_each_label_by_itself_and_pads_texts_to_its_length(pairs, expected, vectors):
    graph = pairs / "siglip" / "graph.onnx"
    scored = open_task(pairs / "siglip", "zero-shot-image-classification", graph, batch=2)
    for call, parameters in CALLS.items():
        for stem, answer in zip(PICTURES, scored.answer(paths(pairs), Clock(), **parameters), strict=True):
            same(answer, expected[f"siglip/{call}/{stem}"])
    (long,) = scored.answer(paths(pairs)[:1], Clock(), candidate_labels=["a cat " * 60])
    assert len(long) == 1  # its pipeline cuts
    embedded = open_task(pairs / "siglip", "multimodal-embedding", graph, batch=2)
    texts, pictures = (embedded.encode(some) for some in (TEXTS, paths(pairs)))
    np.testing.assert_allclose(texts, vectors["siglip/texts"], atol=TOLERANCE)
    np.testing.assert_allclose(pictures, vectors["siglip/pictures"], atol=TOLERANCE)


@pytest.mark.parametrize("call", CALLS)
def test_labels_for_videos_equal_the_processor_and_the_model(pulled, expected, call):
    with pulled("xclip") as model:
        assert model.task == "zero-shot-video-classification"
        assert model.artifact.certificate.quality == "exact"
        for stem, answer in zip(FILMS, model([film(0), film(1)], **CALLS[call]), strict=True):
            same(answer, expected[f"xclip/{call}/{stem}"])


def test_items_with_labels_of_their_own_are_answered_in_order_from_a_generator(pulled, pairs, expected):
    asked = [LABELS, LABELS[:2], ["a dog"]]
    stems = list(PICTURES)
    taken = []

    def items():
        for number in range(200):
            taken.append(number)
            labels = asked[number % 3]
            yield {"image": paths(pairs)[number % 2], "candidate_labels": labels}

    with pulled("clip") as model:
        answers = model.stream(items())
        for number in range(30):
            labels, wanted = asked[number % 3], expected[f"clip/usual/{stems[number % 2]}"]
            answer = next(answers)
            assert {one["label"] for one in answer} == set(labels)
            share = sum(one["score"] for one in wanted if one["label"] in labels)
            for one in wanted:
                if one["label"] in labels:
                    found = next(other["score"] for other in answer if other["label"] == one["label"])
                    assert found == pytest.approx(one["score"] / share, abs=5 * TOLERANCE)
        assert len(taken) < 200
        answers.close()


def test_vectors_of_texts_and_pictures_equal_the_model_and_mix(pulled, pairs, vectors):
    texts, pictures = vectors["clip/texts"], vectors["clip/pictures"]
    files = paths(pairs)
    with pulled("clip", "multimodal-embedding") as model:
        mixed = [TEXTS[0], files[1], {"text": TEXTS[1]}, {"image": files[2]}, TEXTS[2], TEXTS[3], files[0]]
        wanted = np.stack([texts[0], pictures[1], texts[1], pictures[2], texts[2], texts[3], pictures[0]])
        np.testing.assert_allclose(model.encode(mixed), wanted, atol=TOLERANCE)
        np.testing.assert_allclose(model(mixed), wanted, atol=TOLERANCE)
        cosines = model.pipeline.similarity(files, list(TEXTS))
        np.testing.assert_allclose(cosines, pictures @ texts.T, atol=TOLERANCE)
        one = model.encode(files[0], truncate_dim=4, normalize=True)
        cut = pictures[0][:4]
        np.testing.assert_allclose(one, cut / np.linalg.norm(cut), atol=TOLERANCE)
        assert model.encode([]).shape == (0, texts.shape[1])
    with pulled("clip") as model:  # the model that classifies has the same vectors
        np.testing.assert_allclose(model.encode(TEXTS[0]), texts[0], atol=TOLERANCE)


def test_what_a_string_is(pulled, pairs, vectors, tmp_path, monkeypatch):
    data = base64.b64encode((pairs / "pictures" / "a.png").read_bytes()).decode()
    (tmp_path / "a cat").write_bytes((pairs / "pictures" / "a.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    with pulled("clip", "multimodal-embedding") as model:
        for one in (f"data:image/png;base64,{data}", {"image": data}, "a cat"):
            np.testing.assert_allclose(model.encode(one), vectors["clip/pictures"][0], atol=TOLERANCE)
        np.testing.assert_allclose(model.encode({"text": "a cat"}), vectors["clip/texts"][0], atol=TOLERANCE)
        with pytest.raises(InvalidInput, match="is no file"):
            model.encode("catt.jpg")  # a path that is wrong by a letter becomes no text
        assert model.encode("a cat, as in cat.jpg").shape == (16,)


def test_samples_need_nothing_and_feeds_are_what_the_graph_takes(pulled):
    for name, task in (("clip", None), ("clip", "multimodal-embedding"), ("xclip", None)):
        with pulled(name, task) as model:
            samples = model.pipeline.samples()
            assert json.loads(json.dumps(samples)) == samples
            answers = model(samples)
            assert len(answers) == len(samples)
            assert model.pipeline.table(samples, answers).rows
            feeds = model.pipeline.feeds(samples)
            taken = {spec.name for spec in model.session.inputs}
            assert all(set(feed) == taken for feed in feeds)
            for feed in feeds:
                model.session.run(
                    feed, model.pipeline.outputs if len(feed["pixel_values"]) else ["text_embeds"]
                )
            assert model.pipeline.work(samples)["pixels"] > 0


@pytest.mark.parametrize(
    ("items", "parameters", "reason"),
    [
        (["a.png"], {}, "no labels to choose from"),
        (["a.png"], {"candidate_labels": []}, "`candidate_labels` is \\[\\]"),
        (["a.png"], {"candidate_labels": " , "}, "`candidate_labels` is"),
        (["a.png"], {"candidate_labels": ["a", 3]}, "holds 3, which is no text"),
        (["a.png"], {"candidate_labels": ["a"], "hypothesis_template": "a photo"}, "no place for a label"),
        (["a.png"], {"candidate_labels": ["a " * 60]}, "more than the 40 tokens"),
        (["a photo of a cat"], {"candidate_labels": ["a"]}, "is no file"),
        ([{"image": "a.png", "labels": ["a"]}], {}, "unknown key `labels`"),
        ([{"text": "a cat"}], {"candidate_labels": ["a"]}, "has no `image`"),
        ([], {"candidate_labels": [None]}, "which is no text"),
    ],
)
def test_what_cannot_be_asked_is_told(pulled, pairs, monkeypatch, items, parameters, reason):
    monkeypatch.chdir(pairs / "pictures")
    with pulled("clip") as model, pytest.raises(InvalidInput, match=reason) as caught:
        model(items, **parameters)
    assert caught.value.hint


def test_bad_embedding_parameters_and_an_empty_list(pulled):
    with pulled("clip", "multimodal-embedding") as model:
        for wrong in ({"truncate_dim": 17}, {"normalize": False}, {"prompt_name": "query"}, {"prompt": 3}):
            with pytest.raises(InvalidInput):
                model.encode("a cat", **wrong)
        with pytest.raises(InvalidInput, match="not a picture"):
            model.encode([3])
        assert model([]) == []
    with pulled("clip") as model:
        assert model([], candidate_labels=["a"]) == []


def test_answers_about_pictures_of_any_size_equal_the_processor_and_the_model(pulled, pairs, expected):
    with pulled("vilt") as model:
        assert model.task == "visual-question-answering"
        assert model.artifact.certificate.quality == "exact"
        items = [{"image": path, "question": question} for path in paths(pairs) for question in QUESTIONS]
        wanted = [expected[f"vilt/{index}/{stem}"] for stem in PICTURES for index in range(2)]
        answers = model(items)
        for answer, one in zip(answers, wanted, strict=True):
            assert [found["answer"] for found in answer] == [found["answer"] for found in one]
            scores = [found["score"] for found in one]
            assert [found["score"] for found in answer] == pytest.approx(scores, abs=TOLERANCE)
        assert len({json.dumps(answer) for answer in answers}) == len(items)
        (first, second) = model(paths(pairs)[0], question=QUESTIONS[0], top_k=2)
        assert first["score"] == pytest.approx(answers[0][0]["score"], abs=TOLERANCE)
        assert second["answer"] == answers[0][1]["answer"]
        assert len(model(model.pipeline.samples())) == 4
        for item, reason in (
            ("a.png", "has no question"),
            ({"question": "What?"}, "has no `image`"),
            ({"image": paths(pairs)[0], "question": 3}, "not a text"),
        ):
            with pytest.raises(InvalidInput, match=reason):
                model([item])


def test_a_picture_model_is_no_pair(tmp_path):
    from vision_tasks import SMALL, means_graph

    files = {"config.json": {}, "preprocessor_config.json": SMALL}
    with pytest.raises(UnsupportedModel, match="takes no texts"):
        open_task(tmp_path, "multimodal-embedding", means_graph(), files)


@pytest.mark.parametrize("call", DOCUMENT_CALLS)
def test_answers_on_a_page_equal_the_transformers_pipeline(document, expected, call):
    items = [{"question": question, "word_boxes": WORDS} for question in QUESTIONS]
    words, boxes = zip(*WORDS, strict=True)
    items += [{"question": question, "words": list(words), "boxes": list(boxes)} for question in QUESTIONS]
    answers = document.answer(items, Clock(), **DOCUMENT_CALLS[call])
    for position, answer in enumerate(answers):
        wanted = expected[f"document/{call}/{position % 2}"]
        assert [(one["answer"], one["start"], one["end"]) for one in answer] == [
            (one["answer"], one["start"], one["end"]) for one in wanted
        ]
        scores = [one["score"] for one in answer]
        assert scores == pytest.approx([one["score"] for one in wanted], abs=TOLERANCE)
    assert document.table(items, answers).rows
    samples = document.samples()
    assert len(document.answer(samples, Clock())) == len(samples)


@pytest.mark.parametrize(
    ("item", "parameters", "reason"),
    [
        ({"question": "What?", "image": "invoice.png"}, {}, "reads none off a picture|no words"),
        ("What is the total?", {}, "is str, not a question about a page"),
        ({"question": "What?", "words": [], "boxes": []}, {}, "has no words"),
        ({"question": " ", "words": ["a"], "boxes": [[0, 0, 1, 1]]}, {}, "has no question"),
        ({"question": "What?", "words": ["a", "b"], "boxes": [[0, 0, 1, 1]]}, {}, "2 words and 1 boxes"),
        ({"question": "What?", "words": ["a"], "boxes": [[0, 0, 1, 1001]]}, {}, "has the box"),
        ({"question": "What?", "words": ["a"], "boxes": [[5, 0, 1, 1]]}, {}, "has the box"),
        ({"question": "What?", "words": ["a"], "boxes": [[0.5, 0, 1, 1]]}, {}, "has the box"),
        ({"question": "What?", "words": [3], "boxes": [[0, 0, 1, 1]]}, {}, "not a text"),
        ({"question": "What?", "word_boxes": [["a"]]}, {}, "no list of words"),
        ({"question": "x" * 80, "word_boxes": WORDS}, {}, "leaves none of 64 to the page"),
        ({"question": "What?", "word_boxes": WORDS}, {"max_seq_len": 24, "doc_stride": 20}, "doc_stride"),
        ({"question": "What?", "word_boxes": WORDS}, {"max_seq_len": 65}, "the model takes 64"),
        ({"question": "What?", "word_boxes": WORDS}, {"top_k": 0}, "`top_k` is 0"),
    ],
)
def test_what_is_no_question_about_a_page_is_told(document, item, parameters, reason):
    with pytest.raises(InvalidInput, match=reason) as caught:
        document.answer([item], Clock(), **parameters)
    assert caught.value.hint
