"""Tokens, masks, answers and labels of the caller's own equal those of the transformers pipelines, for tokenizers of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import models
import pytest
from references import corpus, question_answering

import gpux
from gpux.errors import InvalidInput, InvalidSetting

TOLERANCE = 1e-4
TEXTS = [*corpus.texts()[:44], *(f"{text} " * 60 for text in ("Paris is what", "naïve😀café", "x"))]
MASKS = {"masks_words": "[MASK]", "masks_bytes": "<mask>"}
LABELS = ["travel", "the weather", "cooking, slowly", "x"]
# Exported by the tests; the others come with a graph.
EXPORTED = ("answers_words", "masks_words")
NAMES = (
    "tokens_words", "tokens_bytes", "answers_words", "answers_bytes", "masks_words", "masks_bytes", "entails_last", "entails_first",
)  # fmt: skip

TOKENS = {
    "tokens": (TEXTS, {}),
    "everything": (TEXTS, {"ignore_labels": []}),
    "simple": (TEXTS, {"aggregation_strategy": "simple"}),
    "first": (TEXTS, {"aggregation_strategy": "first", "ignore_labels": ["O", "LABEL_0", "PER"]}),
    "average": (TEXTS, {"aggregation_strategy": "average", "ignore_labels": []}),
    "max": (TEXTS, {"aggregation_strategy": "MAX"}),
    "in pieces": (TEXTS[-6:], {"aggregation_strategy": "simple", "stride": 7, "ignore_labels": []}),
    "words in pieces": (TEXTS[-6:], {"aggregation_strategy": "first", "stride": 0}),
    "alone": ("Paris said it", {}),
}
ENTAILS = {
    "one is true": (TEXTS[10:30], {"candidate_labels": LABELS}),
    "each by itself": (TEXTS[20:30], {"candidate_labels": LABELS, "multi_label": True}),
    "one label": (TEXTS[20:30], {"candidate_labels": ["x"]}),
    "with commas": (
        TEXTS[-3:],
        {"candidate_labels": "travel, weather ,,x", "hypothesis_template": "{} it is"},
    ),
    "alone": ("Paris said it", {"candidate_labels": LABELS}),
}


def masked(mask):
    texts = [
        f"{text[:9]} {mask}{text[9:12]}" for text in TEXTS if "[PAD]" not in text and "<pad>" not in text
    ]
    return {
        "one mask": (texts, {}),
        "two masks": ([f"{mask} is the {mask} , it's", f"a {mask}"], {"top_k": 2}),
        "targets": (texts[:8], {"targets": ["the", "paris", "zebra", "the"], "top_k": 9}),
        "one target": (texts[:2], {"targets": "when"}),
        "alone": (f"what is {mask} ?", {"top_k": 3}),
    }


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    directory = tmp_path_factory.getbasetemp() / "tiny-text-models"
    models.run("tiny_text_models.py", directory)
    return directory


@pytest.fixture(scope="module")
def expected(tiny, tmp_path_factory):
    """Model → call → what the pipeline answers."""
    wanted = {
        "tokens_words": ("token-classification", TOKENS),
        "tokens_bytes": ("token-classification", TOKENS),
        "masks_words": ("fill-mask", masked("[MASK]")),
        "masks_bytes": ("fill-mask", masked("<mask>")),
        "entails_last": ("zero-shot-classification", ENTAILS),
        "entails_first": ("zero-shot-classification", ENTAILS),
    }
    jobs = [
        {
            "task": task,
            "model": str(tiny / name),
            "calls": [{"inputs": items, "parameters": asked} for items, asked in calls.values()],
        }
        for name, (task, calls) in wanted.items()
    ]
    answers = models.pipeline_answers(jobs, tmp_path_factory.mktemp("text"))
    found = {
        name: dict(zip(calls, given, strict=True))
        for (name, (_, calls)), given in zip(wanted.items(), answers, strict=True)
    }
    return found | json.loads(question_answering.STORED.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def opened(tiny, store):
    """Opens each model once, when it is asked for."""
    ready: dict[str, gpux.Model] = {}

    def model(name):
        if name not in ready:
            folder = tiny / (name if name in EXPORTED else f"{name}_ready")
            task = "zero-shot-classification" if name.startswith("entails") else None
            ready[name] = gpux.load(gpux.pull(str(folder), task=task), provider="cpu")
        return ready[name]

    yield model
    for one in ready.values():
        one.close()


def same(found, wanted):
    """Equal shapes, keys and texts, scores within the tolerance."""
    if isinstance(wanted, list):
        assert type(found) is list
        assert len(found) == len(wanted)
        for mine, theirs in zip(found, wanted, strict=True):
            same(mine, theirs)
    elif isinstance(wanted, dict):
        assert sorted(found) == sorted(wanted)
        for key, value in wanted.items():
            same(found[key], value)
    else:
        assert type(found) is type(wanted)
        assert found == (pytest.approx(wanted, abs=TOLERANCE) if isinstance(wanted, float) else wanted)


@pytest.mark.parametrize("call", TOKENS)
@pytest.mark.parametrize("name", ["tokens_words", "tokens_bytes"])
def test_tokens_and_entities(opened, expected, name, call):
    items, asked = TOKENS[call]
    same(opened(name)(items, **asked), expected[name][call])


def test_the_texts_hold_entities_of_several_tokens(expected):
    """Otherwise equal entities would prove nothing."""
    for name in ("tokens_words", "tokens_bytes"):
        groups = [group for answer in expected[name]["simple"] for group in answer]
        assert len({group["entity_group"] for group in groups}) > 2
        whole = [group for answer in expected[name]["in pieces"] for group in answer]
        assert max(group["end"] for group in whole) > 200  # behind what a cut text would show


@pytest.mark.parametrize("call", question_answering.CALLS)
@pytest.mark.parametrize("name", question_answering.MODELS)
def test_answers_to_questions(opened, expected, name, call):
    items, asked = question_answering.CALLS[call]
    same(opened(name)(items, **asked), expected[name][call])


@pytest.mark.parametrize("call", masked(""))
@pytest.mark.parametrize("name", MASKS)
def test_words_for_masks(opened, expected, name, call):
    items, asked = masked(MASKS[name])[call]
    same(opened(name)(items, **asked), expected[name][call])


@pytest.mark.parametrize("call", ENTAILS)
@pytest.mark.parametrize("name", ["entails_last", "entails_first"])
def test_labels_of_the_callers_own(opened, expected, name, call):
    items, asked = ENTAILS[call]
    same(opened(name)(items, **asked), expected[name][call])


def test_labels_may_stand_with_their_text(opened, expected):
    items = [{"sequence": text, "candidate_labels": LABELS} for text in TEXTS[10:30]]
    same(opened("entails_last")(items), expected["entails_last"]["one is true"])
    mixed = opened("entails_last")([items[0], TEXTS[11]], candidate_labels=["x"])
    assert [len(answer["labels"]) for answer in mixed] == [4, 1]


@pytest.mark.parametrize("name", NAMES)
def test_every_task_has_samples_work_and_feeds(opened, name):
    model = opened(name)
    items = model.pipeline.samples()
    answers = model(items)
    assert len(items) == len(answers) > 0
    assert model([]) == []
    assert list(model.stream(items, window=2)) == answers
    table = model.pipeline.table(items, answers)
    assert len(table.rows) >= len(items)
    assert all(len(row) == len(table.columns) for row in table.rows)
    masks = [feed["attention_mask"] for feed in model.pipeline.feeds(items)]
    assert sum(int(mask.sum()) for mask in masks) == model.pipeline.work(items)["tokens"] > 0
    assert all(model.session.run(feeds) for feeds in model.pipeline.feeds(items))
    assert model.pipeline.describe()["max_length"] == 64


@pytest.mark.parametrize("name", ["tokens_words", "masks_words", "answers_words"])
def test_samples_of_a_length(opened, name):
    pipeline = opened(name).pipeline
    items = pipeline.samples(48)
    assert pipeline.work(items)["tokens"] == 48 * len(items) > 0
    for length in (1, 65, True, "x"):
        with pytest.raises(InvalidSetting) as caught:
            pipeline.samples(length)
        assert caught.value.hint


def test_an_item_of_several_pairs_has_no_length(opened):
    with pytest.raises(InvalidSetting, match="no inputs of a length"):
        opened("entails_last").pipeline.samples(48)


LONG = "word " * 100
PAIR = {"question": "what", "context": LONG}


@pytest.mark.parametrize(
    ("name", "inputs", "asked", "message"),
    [
        ("tokens_words", [1], {}, "input 0 is int"),
        ("tokens_words", ["a", {"text": "a"}], {}, "input 1 is dict"),
        ("tokens_words", "half \udc00", {}, "surrogate"),
        ("tokens_words", "a", {"aggregation_strategy": "simpel"}, "`aggregation_strategy` is 'simpel'"),
        ("tokens_words", "a", {"aggregation_strategy": 3}, "`aggregation_strategy` is 3"),
        ("tokens_words", "a", {"stride": 4}, "`stride` reads a text in pieces"),
        ("tokens_words", "a", {"stride": 62, "aggregation_strategy": "max"}, "a piece has 62 tokens"),
        ("tokens_words", "a", {"stride": -1, "aggregation_strategy": "max"}, "`stride` is -1"),
        ("tokens_words", "a", {"ignore_labels": 7}, "`ignore_labels` is 7"),
        ("tokens_words", "a", {"grouped_entities": True}, "no parameter `grouped_entities`"),
        ("tokens_words", ["a", LONG], {"truncation": False}, "text 1 has more than the 64 tokens"),
        ("tokens_words", "a", {"truncation": "yes"}, "`truncation` is 'yes'"),
        ("answers_bytes", "what?", {}, "input 0 is str, not a question"),
        ("answers_bytes", [None], {}, "input 0 is None"),
        ("answers_bytes", {"question": "what"}, {}, "no `context`"),
        ("answers_bytes", {"question": "", "context": "a"}, {}, "`question` of input 0 is empty"),
        ("answers_bytes", {"question": "a", "context": ["a"]}, {}, "input 0 is list"),
        ("answers_bytes", {"question": "a", "context": "a", "id": 1}, {}, "unknown key `id`"),
        ("answers_bytes", PAIR, {"top_k": 0}, "`top_k` is 0"),
        ("answers_bytes", PAIR, {"max_answer_len": 1.5}, "`max_answer_len` is 1.5"),
        ("answers_bytes", PAIR, {"max_seq_len": 65}, "the model takes 64"),
        ("answers_bytes", PAIR, {"doc_stride": 60}, "`doc_stride` is 60"),
        ("answers_bytes", PAIR, {"align_to_words": 1}, "`align_to_words` is 1"),
        ("answers_bytes", {"question": LONG, "context": LONG}, {}, "which leaves none of 64"),
        ("masks_bytes", "no mask", {}, "text 0 has no `<mask>`"),
        ("masks_bytes", ["<mask>", "[MASK]"], {}, "text 1 has no `<mask>`"),
        ("masks_bytes", LONG + "<mask>", {}, "more than the 64 tokens"),
        ("masks_bytes", LONG + "<mask>", {"truncation": True}, "in the 64 tokens that it was cut to"),
        ("masks_bytes", "<mask>", {"targets": []}, "`targets` holds no word"),
        ("masks_bytes", "<mask>", {"targets": 5}, "`targets` is 5"),
        ("masks_bytes", "<mask>", {"top_k": "five"}, "`top_k` is 'five'"),
        ("entails_first", "a", {}, "input 0 has no labels"),
        ("entails_first", "", {"candidate_labels": "a"}, "input 0 is empty"),
        ("entails_first", "a", {"candidate_labels": " , "}, "`candidate_labels` is empty"),
        ("entails_first", "a", {"candidate_labels": [1]}, "`candidate_labels` is .1."),
        ("entails_first", "a", {"candidate_labels": "a", "hypothesis_template": "it is"}, "no place for a label"),
        ("entails_first", "a", {"candidate_labels": "a", "hypothesis_template": "{:>99}"}, "no place"),
        ("entails_first", "a", {"candidate_labels": "a", "hypothesis_template": "{0.real}"}, "no place"),
        ("entails_first", "a", {"candidate_labels": [LONG]}, "leaves none of the 64 tokens"),
        ("entails_first", "a", {"candidate_labels": "a", "multi_label": "no"}, "`multi_label` is 'no'"),
        ("entails_first", {"sequence": "a", "labels": []}, {}, "unknown key `labels`"),
    ],
)  # fmt: skip
def test_what_a_task_cannot_take_is_an_error_with_a_hint(opened, name, inputs, asked, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        opened(name)(inputs, **asked)
    assert caught.value.hint


def test_a_near_name_is_hinted_at(opened):
    with pytest.raises(InvalidInput) as caught:
        opened("tokens_words")("a", aggregation_strategy="simpel")
    assert caught.value.hint == "did you mean `simple`"


def test_a_question_that_leaves_no_room_can_be_cut(opened):
    model = opened("answers_bytes")
    assert model({"question": LONG, "context": LONG}, max_question_len=5)["answer"]
    # Longer than half of a piece, where the pipeline's own default fails.
    assert model({"question": "word " * 9, "context": LONG})["answer"]


def test_lines_of_the_command_line(opened):
    parse = opened("answers_bytes").pipeline.parse
    both = {"question": "who?", "context": "Ada did"}
    assert parse(json.dumps(both)) == parse("who?\tAda did") == both
    for line in ("who?", "{broken", "[1]", "\tx"):
        with pytest.raises(InvalidInput) as caught:
            parse(line)
        assert '{"question": "…", "context": "…"}' in caught.value.hint
    parse = opened("entails_first").pipeline.parse
    assert parse('{"sequence": "a", "candidate_labels": ["b"]}') == {
        "sequence": "a",
        "candidate_labels": ["b"],
    }
    assert parse("{a") == "{a"
    assert opened("tokens_words").pipeline.parse("a b") == "a b"
    assert opened("masks_words").pipeline.parse("a [MASK]") == "a [MASK]"
