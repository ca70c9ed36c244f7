"""Tokens of speech → words, with the tokens that each is made of; knows no times.

The rules are those of transformers and OpenAI:
https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/whisper/tokenization_whisper.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import punctuation

from gpux.text import spoken_languages as languages

Decode = Callable[[Sequence[int]], str]

_OPENING = "\"'“¡¿([{-"
_CLOSING = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 - marks of other scripts
_BROKEN = "\ufffd"


def split(
    tokens: Sequence[int], decode: Decode, *, language: str, special: int
) -> list[tuple[str, list[int]]]:
    """The words of a text.

    Args:
        tokens: Its tokens, none of them special.
        decode: What tokens say.
        language: Its English name; some are written without spaces.
        special: The first token that is no part of a word.

    Returns:
        Words with the positions of their tokens.
    """
    parts = _characters(tokens, decode)
    if language not in languages.UNSPACED:
        parts = _joined(parts, [tokens[places[0]] >= special for _, places in parts])
    return _with_marks(parts)


def _characters(tokens: Sequence[int], decode: Decode) -> list[tuple[str, list[int]]]:
    """Parts that end where a character does."""
    whole = decode(tokens)
    parts, begun, offset = list[tuple[str, list[int]]](), list[int](), 0
    for position in range(len(tokens)):
        begun.append(position)
        said = decode([tokens[place] for place in begun])
        broken = said.find(_BROKEN)
        at = offset + broken
        # The character that stands for broken ones may itself be said.
        if broken < 0 or at >= len(whole) or whole[at] == _BROKEN:
            parts.append((said, begun))
            offset += len(said)
            begun = []
    return parts


def _joined(parts: list[tuple[str, list[int]]], alone: list[bool]) -> list[tuple[str, list[int]]]:
    words: list[tuple[str, list[int]]] = []
    for (said, places), single in zip(parts, alone, strict=True):
        if not words or single or said.startswith(" ") or said.strip() in punctuation:
            words.append((said, list(places)))
        else:
            before, earlier = words[-1]
            words[-1] = before + said, earlier + places
    return words


def _with_marks(parts: list[tuple[str, list[int]]]) -> list[tuple[str, list[int]]]:
    """Marks belong to the word before or behind them."""
    words = list(parts)
    following = len(words) - 1
    for place in range(len(words) - 2, -1, -1):
        said, places = words[place]
        if said.startswith(" ") and said.strip() in _OPENING:
            words[following] = said + words[following][0], places + words[following][1]
            words[place] = "", []
        else:
            following = place
    before = 0
    for place in range(1, len(words)):
        said, places = words[place]
        if not words[before][0].endswith(" ") and said in _CLOSING:
            words[before] = words[before][0] + said, words[before][1] + places
            words[place] = "", []
        else:
            before = place
    return [word for word in words if word[0]]
