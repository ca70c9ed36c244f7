"""Beam search, token for token and score for score that of transformers over the same tiny GPT-2."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from tiny_decoder import VOCABULARY, TorchDecoder, gpt2

from gpux.errors import InvalidInput, RunFailed
from gpux.generation.beams import search
from gpux.generation.settings import GenerationSettings

PROMPTS = ([5, 6, 7], [11, 3], [40, 41, 42, 43, 44, 45])
CASES = {
    "two": {"num_beams": 2, "max_new_tokens": 6},
    "five": {"num_beams": 5, "max_new_tokens": 12},
    "all returned": {"num_beams": 4, "max_new_tokens": 8, "num_return_sequences": 4},
    "long is better": {"num_beams": 3, "max_new_tokens": 9, "length_penalty": 2.0},
    "short is better": {"num_beams": 3, "max_new_tokens": 9, "length_penalty": -1.0},
    "length does not count": {"num_beams": 3, "max_new_tokens": 10, "length_penalty": 0.0},
    "early": {"num_beams": 4, "max_new_tokens": 9, "early_stopping": True, "num_return_sequences": 3},
    "never": {"num_beams": 3, "max_new_tokens": 9, "early_stopping": "never"},
    "never, short": {"num_beams": 3, "max_new_tokens": 9, "early_stopping": "never", "length_penalty": -0.5},
    "penalties": {"num_beams": 3, "max_new_tokens": 10, "repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "min_new_tokens": 4},
    "forced end": {"num_beams": 3, "max_new_tokens": 6, "forced_eos_token_id": 1, "suppress_tokens": (20, 21)},
    "one token": {"num_beams": 3, "max_new_tokens": 1, "num_return_sequences": 2},
}  # fmt: skip
ENDS = {"one end": (1,), "many ends": tuple(range(30, 60))}


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other cost more than this model."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def theirs(prompt, options, ends):
    import torch

    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}
    with torch.no_grad():
        found = gpt2().generate(
            torch.tensor([prompt]), eos_token_id=list(ends), pad_token_id=2, do_sample=False,
            return_dict_in_generate=True, output_scores=True, **plain,
        )  # fmt: skip
    answers = [row[len(prompt) :].tolist() for row in found.sequences]
    return answers, found.sequences_scores.tolist()


def unpadded(tokens, ends):
    """Up to the token that ends it; transformers fills the rest of shorter answers up."""
    last = next((place for place, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return tokens[: last + 1]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ends", ENDS)
def test_answers_and_scores_are_those_of_transformers(name, ends):
    options, eos = CASES[name], ENDS[ends]
    settings = GenerationSettings().with_given({"eos_token_ids": eos, **options})
    found = search(TorchDecoder(gpt2()), PROMPTS, settings)
    for prompt, beams in zip(PROMPTS, found, strict=True):
        tokens, scores = theirs(prompt, options, eos)
        assert [list(beam.tokens) for beam in beams] == [unpadded(answer, eos) for answer in tokens]
        np.testing.assert_allclose([beam.score for beam in beams], scores, rtol=1e-4, atol=1e-5)
        assert [beam.ended for beam in beams] == [beam.tokens[-1] in eos for beam in beams]


def test_the_cases_end_at_different_lengths_and_reorder_their_beams():
    settings = GenerationSettings().with_given({"eos_token_ids": ENDS["many ends"], **CASES["five"]})
    decoder = TorchDecoder(gpt2())
    found = search(decoder, PROMPTS, settings)
    assert len({len(beams[0].tokens) for beams in found}) > 1
    assert any(sorted(set(rows)) != rows for rows in decoder.picked)
    assert min(map(len, decoder.picked)) < 5 * len(PROMPTS), "rows of searches that are done are let go"


def test_a_beam_search_stays_within_the_context():
    settings = GenerationSettings().with_given({"num_beams": 2})
    ((beam,),) = search(TorchDecoder(gpt2()), [list(range(3, 60))], settings)
    assert len(beam.tokens) == 64 - 57


def test_what_tokens_alone_do_not_tell_ends_an_answer_too():
    free = GenerationSettings().with_given({"num_beams": 3, "max_new_tokens": 10})
    ((before,),) = search(TorchDecoder(gpt2()), [PROMPTS[0]], free)
    assert len(before.tokens) == 10

    ends = before.tokens[2:4]
    wanted = GenerationSettings(num_beams=3, max_new_tokens=10, num_return_sequences=3, early_stopping=True)
    (beams,) = search(
        TorchDecoder(gpt2()), [PROMPTS[0]], wanted, ends=lambda tokens: tuple(tokens[-2:]) == ends
    )
    assert any(beam.ended for beam in beams)
    for beam in beams:
        pairs = list(pairwise(beam.tokens))
        assert pairs.count(ends) == beam.ended == (pairs[-1] == ends)


def test_a_search_that_is_cut_short_answers_with_what_it_has():
    settings = GenerationSettings().with_given(
        {"num_beams": 3, "max_new_tokens": 10, "num_return_sequences": 2}
    )
    asked = iter([False, False, True])
    (beams,) = search(TorchDecoder(gpt2()), [PROMPTS[0]], settings, cancelled=lambda: next(asked))
    assert [len(beam.tokens) for beam in beams] == [3, 3]
    assert beams[0].score >= beams[1].score
    assert not beams[0].ended


class Even:
    """Always the same scores."""

    limit = 64
    scores = np.random.default_rng(5).standard_normal(VOCABULARY).astype(np.float32) * 2

    def prefill(self, rows):
        return np.tile(self.scores, (len(rows), 1))


def test_a_search_that_draws_is_repeatable_and_draws_as_it_should():
    import torch

    options = {"num_beams": 2, "max_new_tokens": 1, "do_sample": True, "top_k": 0, "temperature": 1.5}
    settings = [GenerationSettings().with_given({**options, "seed": seed}) for seed in range(1000)]
    first = [search(Even(), [PROMPTS[0]], each)[0][0].tokens for each in settings]
    assert first[:50] == [search(Even(), [PROMPTS[0]], each)[0][0].tokens for each in settings[:50]]
    # Four tokens are drawn without putting back, and the likeliest of them wins: simulated here by torch.multinomial.
    generator = torch.Generator().manual_seed(0)
    scores = torch.log_softmax(torch.tensor(Even.scores), -1) / 1.5
    drawn = torch.multinomial(torch.softmax(scores, -1).expand(20_000, -1), 4, generator=generator)
    wins = Counter(drawn.gather(1, scores[drawn].argmax(1, keepdim=True))[:, 0].tolist())
    assert len(wins) > 8
    for token, count in wins.most_common(8):
        # Three and a half standard deviations of a thousand draws at most.
        assert first.count((token,)) / 1000 == pytest.approx(count / 20_000, abs=0.055)


def test_scores_that_are_no_numbers_end_a_search():
    class Broken(TorchDecoder):
        def step(self, tokens):
            found = super().step(tokens)
            found[0, VOCABULARY // 2] = np.nan
            return found

    with pytest.raises(RunFailed, match="no numbers"):
        search(Broken(gpt2()), [PROMPTS[0]], GenerationSettings(num_beams=2, max_new_tokens=4))


def test_more_answers_than_beams_are_refused():
    settings = GenerationSettings(num_beams=2, num_return_sequences=3)
    with pytest.raises(InvalidInput, match="3 answers are asked for, of 2 beams") as caught:
        search(TorchDecoder(gpt2()), [PROMPTS[0]], settings)
    assert caught.value.hint == "num_beams=3"
