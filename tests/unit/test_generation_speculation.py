"""Guesses of a smaller model: the answer is the larger one's own, in fewer runs, whatever is guessed."""

from types import SimpleNamespace

import numpy as np
import pytest
from chain_decoder import VOCABULARY, ChainDecoder, scores
from decoder_graphs import VOCABULARY as SMALL
from decoder_graphs import decoder
from tiny_tokenizers import byte_level
from tokenizers import Tokenizer, models

from gpux.binding import Bindable
from gpux.discovery import discover
from gpux.errors import InvalidInput
from gpux.generation.causal import CausalDecoder
from gpux.generation.loop import Answering
from gpux.generation.settings import GenerationSettings
from gpux.generation.speculation import FIRST, MOST, Draft
from gpux.pipelines.drafting import Drafts
from gpux.provider import Options

PROMPT = [5, 9, 3]
SETTINGS = GenerationSettings(max_new_tokens=60)
DRAWN = GenerationSettings(max_new_tokens=60, do_sample=True, temperature=0.7, seed=4)


@pytest.fixture(scope="module")
def words():
    return byte_level()


def answer(decoder, words, settings=SETTINGS, guesser=None):
    answering = Answering(decoder, [PROMPT], settings, words)
    answering.guessers += [guesser] if guesser else []
    list(answering)
    (found,) = answering.answers()
    return found


@pytest.mark.parametrize("settings", [SETTINGS, DRAWN], ids=["greedy", "drawn"])
@pytest.mark.parametrize(
    "small", [{}, {"wrong": 4}, {"seed": 1}], ids=["the same", "often right", "never right"]
)
def test_the_answer_is_the_larger_models_own(words, settings, small):
    plain = answer(ChainDecoder(), words, settings)
    large = ChainDecoder()
    guessed = answer(large, words, settings, Draft(ChainDecoder(**small), vocabulary=VOCABULARY))
    assert guessed.tokens == plain.tokens
    assert guessed.text == plain.text
    assert guessed.timings["proposed"] >= guessed.timings["accepted"]
    if small == {} and settings is SETTINGS:
        assert guessed.timings["accepted"] == guessed.timings["proposed"] > 40
        assert len(large.calls) < 10
    if "seed" in small:
        assert guessed.timings["accepted"] < 0.3 * guessed.timings["proposed"]


def test_the_greedy_answer_is_what_the_scores_say(words):
    tokens = list(PROMPT)
    for _ in range(60):
        tokens.append(int(scores(tokens).argmax()))
    draft = Draft(ChainDecoder(wrong=3), vocabulary=VOCABULARY)
    assert list(answer(ChainDecoder(), words, guesser=draft).tokens) == tokens[3:]


def test_it_guesses_more_as_long_as_it_is_right_and_less_when_it_is_not():
    sizes = []
    draft = Draft(ChainDecoder(), vocabulary=VOCABULARY)
    for right in (True, True, False, False, *([True] * 9)):
        found = draft.guess(PROMPT, 100)
        sizes.append(len(found))
        draft.learn(len(found), len(found) if right else 0)
    assert sizes[:5] == [FIRST, FIRST + 2, FIRST + 4, FIRST + 3, FIRST + 2]
    assert max(sizes) == sizes[-1] == MOST


def test_it_reads_only_what_it_has_not_read():
    small = ChainDecoder()
    draft = Draft(small, vocabulary=VOCABULARY)
    first = draft.guess(PROMPT, 4)
    assert small.calls == [("prefill", 3), *[("step", 1)] * 3]
    small.calls.clear()
    other = (first[2] + 1) % VOCABULARY
    draft.guess([*PROMPT, *first[:2], other], 2)
    assert small.calls == [("extend", 1), ("step", 1)]
    small.calls.clear()
    assert draft.guess([*PROMPT, *first[:2], other], 1)
    assert small.calls == [("extend", 1)]
    assert small.rows == [draft.read]


def test_it_guesses_nothing_that_the_larger_model_cannot_read_and_nothing_behind_its_own_context():
    wide = ChainDecoder(vocabulary=4 * VOCABULARY)
    found = [Draft(wide, vocabulary=VOCABULARY).guess([token, token, token], 8) for token in range(20)]
    assert all(token < VOCABULARY for guess in found for token in guess)
    assert any(not guess for guess in found)
    small = ChainDecoder()
    draft = Draft(small, vocabulary=VOCABULARY)
    assert len(draft.guess([1] * (small.limit - 1), 8)) == 2
    assert max(small.lengths) <= small.limit
    assert draft.guess([1] * (small.limit + 1), 8) == []


def test_who_leaves_amid_a_guess_leaves_a_decoder_that_has_read_what_was_written(words):
    large = ChainDecoder()
    answering = Answering(large, [PROMPT], SETTINGS, words)
    answering.guessers += [Draft(ChainDecoder(wrong=3), vocabulary=VOCABULARY)]
    for taken in range(1, 30):
        pieces = iter(answering := Answering(large, [PROMPT], SETTINGS, words))
        answering.guessers += [Draft(ChainDecoder(wrong=3), vocabulary=VOCABULARY)]
        for _ in range(taken):
            next(pieces)
        pieces.close()
        (row,) = answering.rows
        read = large.rows[0]
        assert read == (row.prompt + row.tokens)[: len(read)]
        large.lengths = []


@pytest.mark.parametrize("growing", [False, True], ids=["shared", "growing"])
def test_over_a_graph_the_answer_is_the_same(words, tmp_path, growing):
    graph = decoder(tmp_path / "graph.onnx", growing=growing)
    opened = discover()["cpu"].open(graph, Options(threads=1))
    settings = GenerationSettings(max_new_tokens=300)

    def fresh():
        return CausalDecoder(Bindable(opened), limit=400)

    plain = answer(fresh(), words, settings)
    small = Disturbed(fresh())
    guessed = answer(fresh(), words, settings, Draft(small, vocabulary=SMALL))
    assert guessed.tokens == plain.tokens
    assert len(guessed.tokens) == 300
    assert 0 < guessed.timings["accepted"] < guessed.timings["proposed"]
    opened.close()


class Disturbed:
    """A decoder whose every fifth step says something else."""

    def __init__(self, inner):
        self.inner, self.steps, self.limit = inner, 0, inner.limit

    def step(self, tokens):
        self.steps += 1
        found = self.inner.step(tokens)
        return np.roll(found, 1, axis=1) if self.steps % 5 == 0 else found

    def __getattr__(self, name):
        return getattr(self.inner, name)


def pipeline(vocabulary, *, emits=True, parts=("model",), opens=None):
    return SimpleNamespace(
        emits=emits,
        companion=opens,
        tokenizer=Tokenizer(models.WordLevel(vocabulary, unk_token="a")),
        session=SimpleNamespace(parts=dict.fromkeys(parts)),
        artifact=SimpleNamespace(reference="hf:some/large"),
    )


@pytest.mark.parametrize(
    ("small", "said"),
    [
        (pipeline({"a": 0, "b": 1, "d": 2}), "2 tokens differ"),
        (pipeline({"a": 0, "b": 2, "c": 1}), "2 tokens differ"),
        (pipeline({"a": 0, "b": 1, "c": 2}, emits=False), "cannot be a draft"),
        (pipeline({"a": 0, "b": 1, "c": 2}, parts=("encoder", "decoder")), "cannot be a draft"),
    ],
)
def test_a_model_with_other_tokens_is_refused_and_let_go(small, said):
    closed = []
    model = SimpleNamespace(pipeline=small, close=lambda: closed.append(1))
    drafts = Drafts(pipeline({"a": 0, "b": 1, "c": 2}, opens=lambda _: model))
    with (
        pytest.raises(InvalidInput, match=said) as caught,
        drafts.take(GenerationSettings(draft="small"), [[1]]),
    ):
        pass
    assert "some/large" in caught.value.hint
    assert closed == [1]


def test_a_model_of_several_components_takes_no_draft():
    drafts = Drafts(pipeline({"a": 0}, parts=("encoder", "decoder"), opens=lambda _: None))
    with (
        pytest.raises(InvalidInput, match="takes no draft"),
        drafts.take(GenerationSettings(draft="small"), [[1]]),
    ):
        pass
