"""Stop strings: found wherever the pieces are cut, never shown, and nothing held back that cannot become one."""

import pytest
import tiny_tokenizers
from hypothesis import example, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from gpux.generation.stopping import Stopper
from gpux.text.detokenizer import Detokenizer


def shown(strings, pieces):
    """What is shown of a whole answer, and whether a stop string ended it."""
    stopper, text = Stopper(strings), ""
    for piece in pieces:
        more, stopped = stopper.push(piece)
        text += more
        if stopped:
            return text, True
    return text + stopper.flush(), False


@pytest.mark.parametrize(
    ("strings", "pieces", "expected"),
    [
        (["END"], ["some E", "N", "D more"], ("some ", True)),
        (["END"], ["some E", "N", "d more"], ("some ENd more", False)),
        (["END"], ["some EN"], ("some EN", False)),
        (["\n\n"], ["a\n", "b\n", "\nc"], ("a\nb", True)),
        (["later", "b"], ["a", "b later"], ("a", True)),
        (["aab"], ["aa", "aab"], ("aa", True)),
        (["bc", "abcd"], ["x", "abcd"], ("xa", True)),
        (["abc", "c"], ["xabc"], ("x", True)),
        (["🙂"], ["a🙂b"], ("a", True)),
        ([], ["any", "thing"], ("anything", False)),
        (["x"], [], ("", False)),
        (["x"], ["", ""], ("", False)),
    ],
)
def test_what_is_shown(strings, pieces, expected):
    assert shown(strings, pieces) == expected


def test_only_what_could_become_a_stop_string_is_held_back():
    stopper = Stopper(["</s>", "User:"])
    assert stopper.push("Hello <") == ("Hello ", False)
    assert stopper.push("b> U") == ("<b> ", False)
    assert stopper.push("ser") == ("", False)
    assert stopper.push("s") == ("Users", False)
    assert stopper.flush() == ""


@pytest.mark.parametrize("make", [tiny_tokenizers.byte_level, tiny_tokenizers.byte_fallback])
@pytest.mark.parametrize(
    ("stop", "left"), [("🙂", "fox "), ("ö", "fox 🙂 w"), (" 🙂 w", "fox"), ("🙂\u200d", "fox 🙂 wörld")]
)
def test_a_stop_string_whose_characters_are_several_tokens(make, stop, left):
    backend = make()
    tokens = backend.encode("fox 🙂 wörld", add_special_tokens=False).ids
    detokenizer = Detokenizer(backend)
    pieces = [*(detokenizer.push(token) for token in tokens), detokenizer.flush()]
    text, stopped = shown([stop], pieces)
    assert text.lstrip() == left
    assert stopped == (stop != "🙂\u200d")


def reference(strings, text):
    """By the definition: the first character at which a stop string is complete, and the longest of those there."""
    for end in range(1, len(text) + 1):
        if complete := [each for each in strings if text[:end].endswith(each)]:
            return text[: end - max(map(len, complete))], True
    return text, False


@hypothesis(max_examples=400, deadline=None)
@given(
    st.lists(st.text("ab🙂", min_size=1, max_size=4), max_size=4),
    st.lists(st.text("ab🙂", max_size=5), max_size=8),
)
@example(["aab", "ab"], ["a", "ab"])
def test_how_a_text_is_cut_does_not_matter(strings, pieces):
    whole = "".join(pieces)
    assert shown(strings, pieces) == shown(strings, list(whole)) == reference(strings, whole)


@hypothesis(max_examples=200, deadline=None)
@given(
    st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.text("abc", min_size=1, max_size=5), max_size=8),
)
def test_nothing_is_held_back_for_nothing(strings, pieces):
    stopper, whole, text = Stopper(strings), "", ""
    for piece in pieces:
        whole += piece
        more, stopped = stopper.push(piece)
        text += more
        if stopped:
            return
        held = whole[len(text) :]
        assert whole.startswith(text)
        assert not held or any(each.startswith(held) for each in strings)
