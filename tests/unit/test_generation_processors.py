"""What settings do to scores, against transformers' own processors in transformers' own order; penalties of OpenAI by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from tiny_decoder import VOCABULARY, gpt2

from gpux.errors import InvalidInput
from gpux.generation.history import History, Tally
from gpux.generation.processors import processors
from gpux.generation.settings import GenerationSettings
from gpux.generation.truncating import truncated

CASES = {
    "repetition": {"repetition_penalty": 1.7},
    "repetition below 1": {"repetition_penalty": 0.6},
    "no single twice": {"no_repeat_ngram_size": 1},
    "no pair twice": {"no_repeat_ngram_size": 2},
    "no run of four twice": {"no_repeat_ngram_size": 4},
    "bad words": {"bad_words_ids": ((3,), (5, 6), (4, 4, 7), (1,))},
    "not too short": {"min_new_tokens": 6, "eos_token_ids": (1, 9)},
    "forced end": {"forced_eos_token_id": 8, "max_new_tokens": 9},
    "suppressed": {"suppress_tokens": (3, 4, 96)},
    "suppressed at first": {"begin_suppress_tokens": (3, 4, 1)},
    "biased": {"logit_bias": {4: 3.5, 90: -2.0, 7: -100.0}},
    "all": {
        "repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "bad_words_ids": ((3,), (5, 6)), "min_new_tokens": 4,
        "suppress_tokens": (11, 12), "begin_suppress_tokens": (13,), "logit_bias": {14: 2.0}, "forced_eos_token_id": 1,
        "max_new_tokens": 8, "eos_token_ids": (1, 2),
    },
}  # fmt: skip
DRAWS = {
    "temperature": {"temperature": 0.7, "top_k": 0},
    "hot": {"temperature": 3.0, "top_k": 0},
    "top_k": {"top_k": 5},
    "top_k of all": {"top_k": 200},
    "top_p": {"top_p": 0.8, "top_k": 0},
    "top_p of one": {"top_p": 0.01, "top_k": 0},
    "min_p": {"min_p": 0.2, "top_k": 0},
    "typical_p": {"typical_p": 0.6, "top_k": 0},
    "all": {"temperature": 1.6, "top_k": 40, "top_p": 0.9, "min_p": 0.02, "typical_p": 0.95},
}


def theirs(options, *, prompt, sample=False, beams=1):
    """The processors that transformers makes of the same settings."""
    from transformers import GenerationConfig

    names = {"eos_token_ids": "eos_token_id", "logit_bias": "sequence_bias"}
    plain = {
        names.get(name, name): [list(word) for word in value] if name == "bad_words_ids" else value
        for name, value in options.items()
    }
    if "sequence_bias" in plain:
        plain["sequence_bias"] = [[[token], bias] for token, bias in plain["sequence_bias"].items()]
    for name in ("eos_token_id", "suppress_tokens", "begin_suppress_tokens"):
        if name in plain:
            plain[name] = list(plain[name])
    model = gpt2()
    config = GenerationConfig(
        do_sample=sample, num_beams=beams, **{"eos_token_id": 1, "pad_token_id": 2, **plain}
    )
    if config.max_new_tokens:
        config.max_length = prompt + config.max_new_tokens
    model._prepare_special_tokens(config, kwargs_has_attention_mask=True, device="cpu")
    return model._get_logits_processor(generation_config=config, input_ids_seq_length=prompt)


def scores_of(random, *, forbidden=0):
    scores = (random.standard_normal(VOCABULARY) * 4).astype(np.float32)
    scores[random.permutation(VOCABULARY)[:forbidden]] = -np.inf
    return scores


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("prompt", [1, 2, 7])
def test_scores_are_those_of_transformers(name, prompt):
    import torch

    options = CASES[name]
    settings = GenerationSettings().with_given({"eos_token_ids": (1,), **options})
    reference = theirs(options, prompt=prompt)
    assert len(reference), "transformers has nothing to compare with"
    changed = 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        tokens = random.integers(3, 4 + seed % 5, size=prompt + seed % 9)
        scores = scores_of(random)
        want = reference(torch.tensor(tokens)[None], torch.tensor(scores)[None])[0].numpy()
        history = History.of(tokens[:prompt], vocabulary=VOCABULARY)
        for token in tokens[prompt:].tolist():
            history.add(token)
        got = scores.copy()
        for process in processors(settings, prompt=prompt, vocabulary=VOCABULARY):
            process(got, history)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
        changed += not np.array_equal(want, scores)
    assert changed, "these settings change nothing"


def test_a_forced_first_token_and_what_is_suppressed_behind_it():
    import torch

    options = {"forced_bos_token_id": 5, "begin_suppress_tokens": (6, 7)}
    settings = GenerationSettings().with_given(options)
    reference = theirs(options, prompt=1)
    for tokens in ([0], [0, 5], [0, 5, 6]):
        scores = scores_of(np.random.default_rng(len(tokens)))
        want = reference(torch.tensor([tokens]), torch.tensor(scores)[None])[0].numpy()
        history = History.of(tokens[:1], vocabulary=VOCABULARY)
        for token in tokens[1:]:
            history.add(token)
        got = scores.copy()
        for process in processors(settings, prompt=1, vocabulary=VOCABULARY):
            process(got, history)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("forbidden", [0, 60])
def test_what_is_left_to_draw_from_is_what_transformers_leaves(name, beams, forbidden):
    import torch

    settings = GenerationSettings(do_sample=True).with_given(DRAWS[name])
    reference = theirs({"eos_token_ids": (1, 9), **DRAWS[name]}, prompt=1, sample=True, beams=beams)
    for seed in range(25):
        scores = scores_of(np.random.default_rng(seed), forbidden=forbidden)
        want = reference(torch.tensor([[0]]), torch.tensor(scores)[None])[0].numpy()
        ids, found = truncated(scores, settings, keep=1 if beams == 1 else 3)
        got = np.full(VOCABULARY, -np.inf, dtype=np.float32)
        got[slice(None) if ids is None else ids] = found
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("options", [
    {"top_k": 50}, {"top_k": 3000}, {"top_p": 0.3, "top_k": 0}, {"top_p": 0.95, "top_k": 0}, {"top_p": 0.9, "top_k": 0, "temperature": 0.1},
    {"min_p": 0.05, "top_k": 0}, {"typical_p": 0.5, "top_k": 0},
], ids=str)  # fmt: skip
def test_a_large_vocabulary_that_is_not_sorted_whole_leaves_the_same(options):
    import torch

    random = np.random.default_rng(7)
    scores = (random.standard_normal(40_003) * 2.5).astype(np.float32)
    settings = GenerationSettings(do_sample=True).with_given(options)
    want = theirs(options, prompt=1, sample=True)(torch.tensor([[0]]), torch.tensor(scores)[None])[0].numpy()
    ids, found = truncated(scores, settings)
    kept = set(ids.tolist())
    expected = set(np.flatnonzero(want > -np.inf).tolist())
    # transformers cumulates 40,003 float32 numbers, which is exact to some tokens of tiny weight only.
    assert len(kept ^ expected) <= 0.001 * len(expected), (len(kept), len(expected))
    both = np.isin(ids, list(expected))
    np.testing.assert_allclose(found[both], want[ids[both]], rtol=1e-6)


def test_frequency_and_presence_count_the_answer_alone():
    settings = GenerationSettings().with_given({"frequency_penalty": 0.5, "presence_penalty": -0.25})
    history = History.of([3, 3, 4], vocabulary=VOCABULARY)
    (process,) = processors(settings, prompt=3, vocabulary=VOCABULARY)
    scores = np.zeros(VOCABULARY, dtype=np.float32)
    process(scores, history)
    assert not scores.any()
    for token in (5, 6, 5):
        history.add(token)
    process(scores, history)
    expected = np.zeros(VOCABULARY, dtype=np.float32)
    expected[5], expected[6] = -(2 * 0.5 - 0.25), -(0.5 - 0.25)
    np.testing.assert_allclose(scores, expected, atol=1e-7)


def test_the_prompt_may_hold_tokens_that_have_no_score():
    settings = GenerationSettings().with_given({"repetition_penalty": 2.0, "no_repeat_ngram_size": 2})
    history = History.of([200, 4, 300, 4], vocabulary=VOCABULARY)
    scores = np.ones(VOCABULARY, dtype=np.float32)
    for process in processors(settings, prompt=4, vocabulary=VOCABULARY):
        process(scores, history)
    assert np.flatnonzero(scores != 1).tolist() == [4]


@pytest.mark.parametrize(
    "options", [{"logit_bias": {97: 1.0}}, {"bad_words_ids": ((5, 400),)}, {"forced_bos_token_id": 97}]
)
def test_a_token_that_the_model_does_not_have_is_named(options):
    with pytest.raises(
        InvalidInput,
        match=f"`{next(iter(options))}` names token (97|400), and the model's tokens are 0 to 96",
    ):
        processors(GenerationSettings().with_given(options), prompt=1, vocabulary=VOCABULARY)


@hypothesis(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), max_size=90), st.integers(0, 90))
def test_a_tally_counts(tokens, prompt):
    history = History.of(tokens[:prompt], vocabulary=10)
    _ = history.seen, history.answered
    forks = []
    for token in tokens[prompt:]:
        forks.append((history.fork(), history.tokens.tolist()))
        history.add(token)
    for fork, before in forks[::10]:
        assert fork.tokens.tolist() == before
    for tally, counted in ((history.seen, tokens), (history.answered, tokens[prompt:])):
        assert dict(zip(tally.ids.tolist(), tally.counts.tolist(), strict=True)) == {
            token: counted.count(token) for token in set(counted) if token < 10
        }
    assert isinstance(history.seen.fork(), Tally)
