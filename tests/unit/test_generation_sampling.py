"""Tokens that are chosen: the likeliest, draws in the right proportions, seeds, log probabilities, and scores that are no numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from scipy import special, stats
from test_generation_processors import theirs
from tiny_decoder import VOCABULARY

from gpux.errors import InvalidInput, RunFailed
from gpux.generation.sampling import Chooser, generators
from gpux.generation.settings import GenerationSettings
from gpux.generation.truncating import draw, largest

LOGITS = (np.random.default_rng(11).standard_normal(VOCABULARY) * 1.5).astype(np.float32)


def chooser(prompt=(5, 6), *, vocabulary=VOCABULARY, row=0, **given_):
    settings = GenerationSettings().with_given(given_)
    return Chooser(settings, prompt, vocabulary=vocabulary, generator=generators(settings.seed, row + 1)[row])


def improbable(counts, probabilities):
    """The p-value of the chi-square test, outcomes expected fewer than five times put together."""
    expected = probabilities * counts.sum()
    rare = expected < 5
    observed = np.append(counts[~rare], counts[rare].sum())
    wanted = np.append(expected[~rare], expected[rare].sum())
    if wanted[-1] == 0:
        assert observed[-1] == 0, "drawn what cannot be drawn"
        observed, wanted = observed[:-1], wanted[:-1]
    return stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue


@pytest.mark.parametrize("options", [
    {"top_k": 0}, {"top_k": 0, "temperature": 0.5}, {"top_k": 12}, {"top_k": 0, "top_p": 0.7}, {"top_k": 0, "min_p": 0.1},
    {"top_k": 0, "typical_p": 0.5}, {"top_k": 30, "top_p": 0.9, "temperature": 1.5},
], ids=str)  # fmt: skip
def test_draws_come_as_often_as_transformers_distribution_says(options):
    import torch

    reference = theirs(options, prompt=1, sample=True)
    scores = (
        reference(torch.tensor([[0]]), torch.tensor(LOGITS)[None])
        if len(reference)
        else torch.tensor(LOGITS)[None]
    )
    probabilities = torch.softmax(scores[0].double(), dim=-1).numpy()
    chosen = chooser(do_sample=True, seed=1, **options)
    counts = np.bincount([chosen.choose(LOGITS).token for _ in range(6000)], minlength=VOCABULARY)
    # The seed is fixed: this either holds or does not. A right sampler has one seed in ten thousand below it.
    assert improbable(counts, probabilities) > 1e-4


def test_the_test_of_proportions_can_fail():
    probabilities = special.softmax(LOGITS.astype(np.float64))
    chosen = chooser(do_sample=True, seed=1, temperature=1.1, top_k=0)
    counts = np.bincount([chosen.choose(LOGITS).token for _ in range(6000)], minlength=VOCABULARY)
    assert improbable(counts, probabilities) < 1e-4


def test_a_large_vocabulary_is_drawn_from_as_a_small_one():
    scores = (np.random.default_rng(2).standard_normal(20_011) * 1.5).astype(np.float32)
    probabilities = special.softmax(scores.astype(np.float64))
    ends = probabilities.cumsum()
    uniforms = np.random.default_rng(3).random(500)
    places = np.array([draw(scores, uniform) for uniform in uniforms])
    # Where exact arithmetic would land, and at most a rounding of the cumulated sum beside it.
    assert np.all(ends[places] >= uniforms - 1e-5)
    assert np.all(ends[places] - probabilities[places] <= uniforms + 1e-5)
    assert draw(scores, 0.0) < 5
    assert draw(scores, 1 - 2**-53) >= 20_000


@pytest.mark.parametrize("size", [40, 20_011])
@pytest.mark.parametrize("uniform", [0.0, 0.3, 1 - 2**-53])
def test_what_cannot_come_is_never_drawn(size, uniform):
    scores = np.full(size, -np.inf, dtype=np.float32)
    scores[size // 2] = scores[size // 2 + 3] = 1.0
    assert draw(scores, uniform) in {size // 2, size // 2 + 3}


def test_a_seed_gives_the_same_answer_and_rows_their_own():
    def answer(seed, row=0):
        chosen = chooser(do_sample=True, top_k=0, seed=seed, row=row)
        return [chosen.choose(LOGITS).token for _ in range(30)]

    assert answer(4) == answer(4)
    assert answer(4) != answer(5)
    assert answer(4, row=1) == answer(4, row=1) != answer(4)
    assert generators(4, 1)[0].random() == generators(4, 9)[0].random(), "a row depends on how many there are"
    assert generators(None, 1)[0].random() != generators(None, 1)[0].random()


def test_draws_of_a_seed_are_the_same_in_every_release():
    first = [float(source.random()) for source in generators(0, 2)]
    # PCG64 over SeedSequence(0, spawn_key=(row,)), whose streams NumPy promises not to change (NEP 19).
    assert first == [
        np.random.Generator(np.random.PCG64(np.random.SeedSequence(0, spawn_key=(row,)))).random()
        for row in (0, 1)
    ]


def test_greedy_takes_the_likeliest_and_leaves_the_scores_alone():
    logits = LOGITS.copy()
    logits.flags.writeable = False
    plain, penal = chooser(), chooser(repetition_penalty=1e6)
    assert plain.choose(logits).token == plain.choose(logits).token == int(LOGITS.argmax())
    order = [penal.choose(logits).token for _ in range(4)]
    assert len(set(order)) == 4
    assert order == largest(LOGITS, 4).tolist()


def test_temperature_0_is_greedy():
    assert chooser(temperature=0).choose(LOGITS).token == int(LOGITS.argmax())
    for temperature in (0.0, 1e-45, 1e-8):  # 0 as a model's own files may say
        settings = GenerationSettings(do_sample=True, temperature=temperature)
        assert Chooser(settings, [1], vocabulary=VOCABULARY).choose(LOGITS).token == int(LOGITS.argmax())
    assert chooser(temperature=2e-6, seed=0).choose(LOGITS).token == int(LOGITS.argmax())


@pytest.mark.parametrize("bias", [1e300, float("inf"), 1e30])
@pytest.mark.parametrize("options", [{}, {"do_sample": True}], ids=str)
def test_a_bias_beyond_all_numbers_makes_a_token_come(bias, options):
    assert chooser(logit_bias={40: bias}, **options).choose(LOGITS).token == 40
    assert chooser(logit_bias={int(LOGITS.argmax()): -bias}, **options).choose(LOGITS).token != int(
        LOGITS.argmax()
    )


@pytest.mark.parametrize(
    "options", [{}, {"do_sample": True, "seed": 3}, {"repetition_penalty": 1.5}], ids=str
)
def test_log_probabilities_are_the_models_own(options):
    found = special.log_softmax(LOGITS.astype(np.float64))
    choice = chooser(logprobs=4, **options).choose(LOGITS)
    assert choice.logprob == pytest.approx(found[choice.token], abs=1e-5)
    best = np.argsort(-LOGITS)[:4]
    assert [token for token, _ in choice.alternatives] == best.tolist()
    assert [value for _, value in choice.alternatives] == pytest.approx(found[best], abs=1e-5)
    alone = chooser(logprobs=0, **options).choose(LOGITS)
    assert alone.alternatives == ()
    assert alone.logprob == pytest.approx(choice.logprob)
    assert chooser(**options).choose(LOGITS).logprob is None


@pytest.mark.parametrize("options", [
    {}, {"do_sample": True}, {"do_sample": True, "top_k": 0, "top_p": 0.5}, {"repetition_penalty": 1.5}, {"logprobs": 2},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("wrong", [np.nan, np.inf, "all"])
def test_scores_that_are_no_numbers_are_the_models_fault(options, wrong):
    logits = LOGITS.copy()
    if wrong == "all":
        logits[:] = -np.inf
    else:
        logits[40] = wrong
    with pytest.raises(RunFailed, match="scores of the next token are no numbers") as caught:
        chooser(**options).choose(logits)
    assert "`fp32`" in caught.value.hint


@pytest.mark.parametrize("sample", [False, True])
def test_settings_that_forbid_every_token_say_so(sample):
    with pytest.raises(InvalidInput, match="forbid every token"):
        chooser(suppress_tokens=tuple(range(VOCABULARY)), do_sample=sample).choose(LOGITS)


@pytest.mark.parametrize("wrong", [
    {"temperature": -1}, {"temperature": float("nan")}, {"top_p": 1.5}, {"top_p": 0}, {"top_k": -1}, {"min_p": 2}, {"typical_p": 0},
    {"repetition_penalty": 0}, {"frequency_penalty": 3}, {"seed": -1}, {"logprobs": -1}, {"num_beams": 0}, {"stop": ""},
], ids=str)  # fmt: skip
def test_wrong_values_are_refused_by_name(wrong):
    with pytest.raises(InvalidInput, match=f"`{next(iter(wrong))}` is"):
        chooser(**wrong)


@hypothesis(max_examples=150, deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=300), st.integers(1, 40), st.integers(1, 40))
def test_the_largest_are_those_of_a_whole_sort(values, times, count):
    array = np.tile(np.array(values, dtype=np.float32), times)
    expected = np.argsort(-array, kind="stable")[:count]
    assert largest(array, count).tolist() == expected.tolist()
    assert sorted(largest(array, count, ordered=False).tolist()) == sorted(expected.tolist())


def test_the_largest_of_a_row_with_forbidden_ones():
    array = np.full(5000, -np.inf, dtype=np.float32)
    array[[17, 4999, 3]] = [1, 3, 2]
    assert largest(array, 3).tolist() == [4999, 3, 17]
    assert set(largest(array, 5).tolist()) > {4999, 3, 17}
