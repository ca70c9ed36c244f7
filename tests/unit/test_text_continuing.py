"""Texts that go on: their tokens are those of the whole text, whatever was tokenized before."""

import pytest
import tiny_tokenizers
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from gpux.text.continuing import KEPT, Continuing

PARTS = st.sampled_from(
    ["<s>", "</s>", "<end>", " ", "  ", "\n", "fox", " it's", "é🙂", "<", "s>", "<s", "▁", "the quick"]
)
TEXTS = st.lists(PARTS, max_size=8).map("".join)


def first_only() -> Tokenizer:
    """As Llama 2 in its newer form: a space is put before a text, and before no other part."""
    backend = Tokenizer(
        models.BPE({"▁": 0, "a": 1, "▁a": 2, "<": 3, "s": 4, ">": 5, "f": 6, "o": 7, "x": 8}, [("▁", "a")])
    )
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.add_special_tokens(["<s>", "</s>", "<end>"])
    return backend


BACKENDS = {
    "byte level": tiny_tokenizers.byte_level(),
    "byte fallback": tiny_tokenizers.byte_fallback(),
    "first only": first_only(),
}


@pytest.mark.parametrize("name", BACKENDS)
@hypothesis(max_examples=60, deadline=None)
@given(turns=st.lists(st.tuples(st.integers(0, 3), TEXTS), min_size=2, max_size=8))
def test_tokens_are_those_of_the_whole(name, turns):
    backend = BACKENDS[name]
    tokenize = Continuing(backend)
    said = [""]
    for back, more in turns:
        text = said[-1 - min(back, len(said) - 1)] + more
        said.append(text)
        assert tokenize(text) == backend.encode(text, add_special_tokens=False).ids


class Noting:
    """A tokenizer that notes what it was given."""

    def __init__(self, backend):
        self.backend, self.given = backend, []

    def encode(self, text, *, add_special_tokens):
        self.given.append(text)
        return self.backend.encode(text, add_special_tokens=add_special_tokens)

    def __getattr__(self, name):
        return getattr(self.backend, name)


def test_a_turn_tokenizes_only_what_is_new():
    backend = Noting(tiny_tokenizers.byte_level())
    tokenize = Continuing(backend)
    first = "<s>the quick brown fox<end><s>assistant "
    tokenize(first)
    tokenize(f"{first}jumps<end><s>user over<end><s>assistant ")
    tokenize(f"{first}jumps<end><s>user over<end><s>assistant the dog<end><s>")
    assert backend.given == [
        first,
        "<s>assistant jumps<end><s>user over<end><s>assistant ",
        "<s>assistant the dog<end><s>",
    ]
    tokenize("<s>the quick brown fox")
    assert backend.given[-1] == "<s>the quick brown fox"


def test_few_beginnings_are_kept():
    tokenize = Continuing(tiny_tokenizers.byte_level())
    for number in range(20):
        tokenize(f"<s>{number}<end>")
    assert len(tokenize._known) == KEPT
