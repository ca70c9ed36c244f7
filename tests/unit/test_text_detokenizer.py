"""Text that is shown while it is written: together it is what the tokenizers library decodes, and no piece ends inside a character."""

import random

import pytest
import tiny_tokenizers
from tokenizers import Tokenizer, decoders, models

from gpux.text.detokenizer import Detokenizer

TEXTS = (
    "the 日本語🙂", "it's fine, isn't it? 🙂🙂 ß€", " x  y", "€uro é.", "🙂 a  b", "a\nb\r\n\tc", "👩‍👩‍👧 family", "e\u0301 and é", "   <think>  no",
)  # fmt: skip
WRONG = "\ufffd"


def pieces(backend, tokens, **options):
    detokenizer = Detokenizer(backend, **options)
    return [*(detokenizer.push(token) for token in tokens), detokenizer.flush()]


@pytest.mark.parametrize("make", tiny_tokenizers.ALL)
@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_the_text(make, text):
    backend = make()
    tokens = backend.encode(text, add_special_tokens=False).ids
    found = pieces(backend, tokens)
    assert "".join(found) == backend.decode(tokens)
    assert not any(WRONG in piece for piece in found), found


@pytest.mark.parametrize("make", tiny_tokenizers.ALL)
def test_any_tokens_are_shown_as_they_are_decoded(make):
    backend = make()
    falls_back = make in {tiny_tokenizers.byte_fallback, tiny_tokenizers.unstripped}
    chance = random.Random(0)
    # Three more than there are: what no token stands for is nothing. Bytes above 7F alone are tested below.
    possible = [
        token
        for token in range(backend.get_vocab_size() + 3)
        if not (
            falls_back
            and (backend.id_to_token(token) or "").startswith(tuple(f"<0x{high:X}" for high in range(8, 16)))
        )
    ]
    for _ in range(300):
        tokens = chance.choices(possible, k=chance.randrange(1, 30))
        assert "".join(pieces(backend, tokens)) == backend.decode(tokens)


@pytest.mark.parametrize("make", [tiny_tokenizers.byte_level, tiny_tokenizers.byte_fallback])
def test_each_character_comes_with_its_last_byte(make):
    backend = make()
    text = "🙂ö€" * 3
    tokens = backend.encode(text, add_special_tokens=False).ids
    assert len(tokens) > len(text), "the characters are no tokens of their own"
    shown, detokenizer = "", Detokenizer(backend)
    for token in tokens:
        shown += detokenizer.push(token)
        assert text.startswith(shown.lstrip())
    assert shown.lstrip() == text, "the last character waited for the end"


@pytest.mark.parametrize("make", [tiny_tokenizers.byte_level, tiny_tokenizers.byte_fallback])
def test_an_answer_that_ends_inside_a_character_says_so_at_its_end_only(make):
    backend = make()
    tokens = backend.encode("a🙂", add_special_tokens=False).ids[:-1]
    *found, last = pieces(backend, tokens)
    assert "".join(found).strip() == "a"
    assert set(last) == {WRONG}


def test_bytes_that_are_no_character_do_not_change_what_was_shown():
    backend = tiny_tokenizers.byte_fallback()
    byte = {value: backend.token_to_id(f"<0x{value:02X}>") for value in range(256)}
    word = backend.encode("fox", add_special_tokens=False).ids
    accent, start = [byte[0xC3], byte[0xA9]], [byte[0xE2]]
    # The library decodes a run of bytes whole, so its é becomes two U+FFFD here, and its stream raises.
    assert backend.decode([*accent, *start, *word]) == WRONG * 3 + " fox"
    assert "".join(pieces(backend, [*accent, *start, *word])) == "é" + WRONG + " fox"


def test_special_tokens_are_left_out_or_shown():
    backend = tiny_tokenizers.byte_level()
    end, more = backend.token_to_id("</s>"), backend.token_to_id("<end>")
    halves = backend.encode("🙂", add_special_tokens=False).ids
    tokens = [*backend.encode("fox", add_special_tokens=False).ids, more, halves[0], end, *halves[1:]]
    assert "".join(pieces(backend, tokens)) == "fox🙂"
    shown = pieces(backend, [more, *tokens[:1], end], skip_special=False)
    assert "".join(shown) == backend.decode([more, *tokens[:1], end], skip_special_tokens=False)
    assert "<end>" in shown[0]


def test_a_decoder_that_takes_back_what_it_gave_does_not_end_the_answer():
    vocabulary = {"a": 0, "b": 1, "c": 2}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="c"))
    backend.decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "XYZ")])
    assert backend.decode([0, 1, 2]) == "XYZc"
    assert "".join(pieces(backend, [0, 1, 2])) == "abc"


def test_a_tokenizer_without_a_decoder():
    backend = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    assert "".join(pieces(backend, [0, 1])) == backend.decode([0, 1])
