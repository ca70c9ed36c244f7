"""What a benchmark asks of a task: its noun, its tokens, the graph's tensors, and texts of an exact length, for tokenizers of every kind."""

from __future__ import annotations

import hashlib
import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import corpus
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from gpux import tasks
from gpux.artifact import Artifact, File, Manifest, Source
from gpux.errors import InvalidInput, InvalidSetting
from gpux.pipelines.pipeline import Clock, Pipeline, Table
from gpux.planning import Plan
from gpux.provider import Placement
from gpux.session import Session
from gpux.tensors import TensorSpec

SENTENCES, FEATURES, CLASSES = "sentence-similarity", "feature-extraction", "text-classification"
TEXTS = [text for text in corpus.texts() if text]


def wordpiece():
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=1500, special_tokens=special))
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made


def byte_level(*, special):
    """As GPT-2's (without special tokens) and RoBERTa's."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=1200, special_tokens=names, initial_alphabet=alphabet)
    made.train_from_iterator(TEXTS, trainer)
    made.post_processor = (
        processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
        if special
        else processors.ByteLevel(trim_offsets=True)
    )
    return made


def unigram():
    """As XLM-RoBERTa's SentencePiece model."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    names = ["<s>", "<pad>", "</s>", "<unk>"]
    made.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=900, special_tokens=names, unk_token="<unk>")
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


def sentencepiece_bpe():
    """As Llama's: spaces are written into the text by the normaliser, unknown characters fall back to bytes."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    letters = [text for text in TEXTS if text.isascii()]
    made.train_from_iterator(letters, trainers.BpeTrainer(vocab_size=700, special_tokens=names))
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


def words():
    made = Tokenizer(models.WordLevel({"<u>": 0, "the": 1, "of": 2}, unk_token="<u>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made


def doubled():
    """Every word is two tokens, so that no text has an odd number of them."""
    made = Tokenizer(models.WordLevel({"<u>": 0, "the": 1}, unk_token="<u>"))
    made.normalizer = normalizers.Replace(Regex(r"\w+|[^\w\s]"), " x y ")
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return made


def whole():
    """Any text is one token."""
    return Tokenizer(models.WordLevel({"<u>": 0}, unk_token="<u>"))


KINDS = {
    "wordpiece": wordpiece,
    "byte-level without special tokens": lambda: byte_level(special=False),
    "byte-level": lambda: byte_level(special=True),
    "unigram": unigram,
    "sentencepiece bpe": sentencepiece_bpe,
    "words": words,
}


@cache
def tokenizer(make):
    return make().to_str()


class Ids:
    """A runtime whose token vectors are [id, mask] and whose scores are sums of ids; it keeps what it was given."""

    def __init__(self, task):
        self.inputs = tuple(
            TensorSpec(name, "int64", ("batch", "sequence")) for name in ("input_ids", "attention_mask")
        )
        vectors = task != CLASSES
        self.outputs = (
            TensorSpec("last_hidden_state", "float32", ("batch", "sequence", 2))
            if vectors
            else TensorSpec("logits", "float32", ("batch", 2)),
        )
        self.given = []

    def run(self, feeds, outputs=None, /):
        self.given.append({name: array.copy() for name, array in feeds.items()})
        both = np.stack([feeds["input_ids"], feeds["attention_mask"]], -1).astype("f4")
        return {self.outputs[0].name: both if len(self.outputs[0].shape) == 3 else both.sum(1)}

    def placement(self):
        return Placement("cpu", "a device", "fp32", {"Ids": 1}, 1.0)

    def close(self):
        """Nothing is open."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A task over a tokenizer, and the runtime below it."""
    made = {}

    def make(make_tokenizer, task=SENTENCES, **files):
        key = (make_tokenizer, task, json.dumps(files))
        if key not in made:
            made[key] = _open(tmp_path_factory.mktemp("model"), tokenizer(make_tokenizer), task, files)
        return made[key]

    return make


def _open(directory, content, task, files):
    listed = []
    contents = {"tokenizer.json": content, **{f"{n}.json": json.dumps(c) for n, c in files.items()}}
    for path, text in contents.items():
        data = text.encode()
        (directory / path).write_bytes(data)
        listed.append(File(path, len(data), hashlib.sha256(data).hexdigest()))
    source = Source("file:/model", "sha256:0", None, None, None)
    manifest = Manifest(1, "0", source, task, None, None, (), (), tuple(listed))
    runtime = Ids(task)
    session = Session(runtime, Plan("cpu", "fp32", 1, strict=False, reason=""))
    artifact = Artifact(directory, hashlib.sha256(str(directory).encode()).hexdigest(), manifest)
    return tasks.find(task)(artifact, session), runtime


def tokens(make, text):
    """Tokens of a text as the tokenizers library counts them, nothing cut off."""
    return len(Tokenizer.from_str(tokenizer(make)).encode(text).ids)


LIMIT = {"tokenizer_config": {"model_max_length": 512}}
LEFT = {"tokenizer_config": {"model_max_length": 512, "truncation_side": "left"}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("files", [LIMIT, LEFT, {}], ids=["cut right", "cut left", "no limit"])
def test_samples_have_exactly_the_length(opened, kind, files):
    pipeline, _ = opened(KINDS[kind], **files)

    @settings(max_examples=25, deadline=None)
    @given(st.integers(3, 512))
    def check(length):
        found = pipeline.samples(length)
        assert [tokens(KINDS[kind], text) for text in found] == [length] * len(found)
        assert len(set(found)) == len(found) >= 6
        assert pipeline.work(found) == {"tokens": length * len(found)}

    check()
    for length in (3, 511, 512):
        assert {tokens(KINDS[kind], text) for text in pipeline.samples(length)} == {length}


@pytest.mark.parametrize("kind", KINDS)
def test_every_short_length_is_reached(opened, kind):
    pipeline, _ = opened(KINDS[kind], **LIMIT)
    for length in range(3, 65):
        found = pipeline.samples(length)
        assert {tokens(KINDS[kind], text) for text in found} == {length}
        assert len(found) >= 6


def test_samples_are_the_tasks_own_texts(opened):
    pipeline, _ = opened(wordpiece, **LIMIT)
    own = pipeline.samples()
    assert len(own) == 8
    long = pipeline.samples(120)
    assert all(any(text.startswith(sample[:20]) for sample in own) for text in long)


def test_a_prompt_counts(opened):
    prompts = {"config_sentence_transformers": {"prompts": {"query": "the query of this is: "}}}
    pipeline, _ = opened(wordpiece, **LIMIT, **prompts)
    prompt = "the query of this is: "
    for parameters in ({"prompt_name": "query"}, {"prompt": prompt}):
        for length in (12, 40, 512):
            found = pipeline.samples(length, **parameters)
            assert {tokens(wordpiece, prompt + text) for text in found} == {length}
            assert pipeline.work(found, **parameters) == {"tokens": length * len(found)}
    assert {tokens(wordpiece, text) for text in pipeline.samples(40)} == {40}


def test_token_vectors_have_their_own_limit_and_no_prompt(opened):
    files = {
        **LIMIT,
        "sentence_bert_config": {"max_seq_length": 20},
        "config_sentence_transformers": {"prompts": {"p": "the the "}, "default_prompt_name": "p"},
    }
    vectors, _ = opened(wordpiece, FEATURES, **files)
    assert {tokens(wordpiece, text) for text in vectors.samples(300)} == {300}
    sentences, _ = opened(wordpiece, SENTENCES, **files)
    with pytest.raises(InvalidSetting, match="300 tokens are more") as caught:
        sentences.samples(300)
    assert "20" in caught.value.hint
    assert {tokens(wordpiece, "the the " + text) for text in sentences.samples(20)} == {20}


def test_the_least_length_is_the_empty_text(opened):
    assert opened(wordpiece, **LIMIT)[0].samples(2) == [""]


@pytest.mark.parametrize(
    ("make", "length", "hint"),
    [
        (wordpiece, 1, "from 2 to 512"),
        (wordpiece, 513, "from 2 to 512"),
        (words, -1, "from 0 to 512"),
        (wordpiece, 2.5, "from 2 to 512"),
        (wordpiece, True, "from 2 to 512"),
        (doubled, 7, "a length near it"),
        (whole, 4, "a length near it"),
    ],
)
def test_a_length_that_cannot_be_reached_is_an_error(opened, make, length, hint):
    with pytest.raises(InvalidSetting) as caught:
        opened(make, **LIMIT)[0].samples(length)
    assert hint in caught.value.hint
    assert caught.value.length == length


def test_a_prompt_that_fills_the_model_leaves_no_length(opened):
    pipeline, _ = opened(words, tokenizer_config={"model_max_length": 4})
    with pytest.raises(InvalidSetting) as caught:
        pipeline.samples(3, prompt="a prompt of very many words ")
    assert "prompt alone" in caught.value.hint


def test_even_lengths_of_a_tokenizer_that_doubles(opened):
    assert {tokens(doubled, text) for text in opened(doubled, **LIMIT)[0].samples(8)} == {8}


@pytest.mark.parametrize("task", [SENTENCES, FEATURES, CLASSES])
@pytest.mark.parametrize("kind", ["wordpiece", "byte-level", "unigram"])
def test_work_counts_tokens_as_the_model_sees_them(opened, task, kind):
    pipeline, runtime = opened(KINDS[kind], task, tokenizer_config={"model_max_length": 40})
    found = pipeline.work(TEXTS)
    assert found == {"tokens": sum(min(tokens(KINDS[kind], text), 40) for text in TEXTS)}
    runtime.given.clear()
    pipeline.answer(TEXTS, Clock())
    assert found["tokens"] == sum(int(feeds["attention_mask"].sum()) for feeds in runtime.given)


@pytest.mark.parametrize("task", [SENTENCES, FEATURES, CLASSES])
@pytest.mark.parametrize("count", [1, 2, 200])
def test_feeds_are_what_the_graph_is_given(opened, task, count):
    pipeline, runtime = opened(wordpiece, task, tokenizer_config={"model_max_length": 40})
    items = TEXTS[:count]
    runtime.given.clear()
    pipeline.answer(items, Clock())
    feeds = pipeline.feeds(items)
    assert len(feeds) == len(runtime.given)
    for ours, given_ in zip(feeds, runtime.given, strict=True):
        assert ours.keys() == given_.keys()
        for name, array in given_.items():
            assert ours[name].dtype == array.dtype
            np.testing.assert_array_equal(ours[name], array)


def test_more_texts_than_a_window(opened):
    pipeline, runtime = opened(words, **LIMIT)
    items = ["the of", "of"] * 1500
    assert pipeline.work(items) == {"tokens": 4500}
    runtime.given.clear()
    pipeline.answer(items, Clock())
    assert [f["input_ids"].shape for f in pipeline.feeds(items)] == [
        f["input_ids"].shape for f in runtime.given
    ]


def test_no_items_are_no_work(opened):
    pipeline, _ = opened(wordpiece)
    assert pipeline.work([]) == {"tokens": 0}
    assert pipeline.feeds([]) == []


def test_pairs_and_comparisons_count_all_their_texts(opened):
    classes, _ = opened(words, CLASSES)
    assert classes.work([{"text": "the of", "text_pair": "the"}, "of"]) == {"tokens": 4}
    sentences, runtime = opened(words, SENTENCES)
    items = [{"source_sentence": "the of", "sentences": ["the", "of of of"]}, "of"]
    assert sentences.work(items) == {"tokens": 7, "sentences": 4}
    runtime.given.clear()
    sentences.answer(items, Clock())
    (given_,), (feeds,) = runtime.given, sentences.feeds(items)
    np.testing.assert_array_equal(feeds["input_ids"], given_["input_ids"])


def test_the_nouns():
    assert {task: tasks.find(task).noun for task in (SENTENCES, FEATURES, CLASSES)} == {
        SENTENCES: "sentences",
        FEATURES: "sentences",
        CLASSES: "texts",
    }
    assert Pipeline.noun == "inputs"


@pytest.mark.parametrize("ask", ["work", "feeds"])
def test_bad_items_and_parameters_are_refused(opened, ask):
    pipeline, _ = opened(wordpiece)
    for items, parameters in (([5], {}), (["a"], {"prompt_nome": "x"}), (["a"], {"prompt_name": "x"})):
        with pytest.raises(InvalidInput) as caught:
            getattr(pipeline, ask)(items, **parameters)
        assert caught.value.hint
    with pytest.raises(InvalidInput):
        pipeline.samples(5, prompt_nome="x")


class Letters(Pipeline):
    """A task that knows nothing of lengths, as one of another package may be."""

    def is_item(self, inputs):
        return isinstance(inputs, str)

    def answer(self, items, clock, /):
        return [len(item) for item in items]

    def parse(self, text):
        return text

    def table(self, items, answers):
        return Table(("letters",), ())

    def samples(self, length=None, **parameters):
        return [*super().samples(length), "abc"]


def test_a_task_without_lengths_or_tensors_says_so(opened):
    pipeline, _ = opened(words)
    letters = Letters(pipeline.artifact, pipeline.session)
    assert letters.samples() == ["abc"]
    assert letters.work(["abc"]) == {}
    with pytest.raises(InvalidSetting, match="length in tokens") as no_length:
        letters.samples(5)
    with pytest.raises(InvalidSetting, match="what its graph is given") as no_feeds:
        letters.feeds(["abc"])
    assert no_length.value.hint
    assert no_feeds.value.hint
