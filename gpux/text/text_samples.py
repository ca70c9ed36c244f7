"""Texts of exactly so many tokens, cut out of sample texts where the tokenizer itself ends a token; knows no graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from gpux.errors import InvalidSetting
from gpux.text.tokens import Tokenizer

_NEAR = 8  # tokens to look around a cut for one that comes out right
_FILLERS = (" a", " 1", " the", ".", "!", " x", "a", "1")


def of_length(tokenizer: Tokenizer, samples: Sequence[str], length: int, *, prefix: str = "") -> list[str]:
    """One text per sample, begun with that sample and going on with the next ones; each is tokenised again to make sure.

    Args:
        tokenizer: The model's tokenizer.
        samples: Texts to cut from.
        length: Tokens that each text must have as the model sees it, special ones and those of the prefix included.
        prefix: What the task puts before every text.

    Returns:
        Different texts; fewer than there are samples where several come to the same, as at the least length.

    Raises:
        InvalidSetting: The length is out of the model's range, or this tokenizer reaches it with none of the texts.
    """
    _check(tokenizer, length, least=_size(tokenizer, prefix))
    rotations = [" ".join([*samples[first:], *samples[:first]]) for first in range(len(samples))]
    cuts = [_Cut(tokenizer, prefix, text, length).exact() for text in rotations]
    found = list(dict.fromkeys(text for text in cuts if text is not None))
    if not found:
        raise InvalidSetting(
            f"no text comes to exactly {length} tokens with this model's tokenizer",
            hint="try a length near it, or give texts of your own",
            length=length,
        )
    return found


class _Cut:
    """One text, and the places where its tokens end."""

    def __init__(self, tokenizer: Tokenizer, prefix: str, text: str, length: int) -> None:
        self._tokenizer = tokenizer
        self._prefix = prefix
        self._length = length
        self._least = _size(tokenizer, prefix)
        self._text = self._long_enough(text)
        self._ends = self._token_ends()

    def exact(self) -> str | None:
        """The text cut to the length, or ``None`` where neither cutting nor filling up reaches it."""
        wanted = self._length - self._least
        tried = dict.fromkeys(self._begin(tokens) for tokens in _around(wanted))
        # Cut inside a word, the rest of it may come to other tokens than it had.
        for text in tried:
            if self._tokens(text) == self._length:
                return text
        for text in tried:
            for filler in _FILLERS:
                filled = self._filled(text, filler)
                if filled is not None:
                    return filled
        return None

    def _filled(self, text: str, filler: str) -> str | None:
        have = self._tokens(text)
        while have < self._length:
            text += filler
            before, have = have, self._tokens(text)
            if have <= before:
                return None
        return text if have == self._length else None

    def _begin(self, tokens: int) -> str:
        """The text's first tokens, about so many."""
        if tokens <= 0 or not self._ends:
            return ""
        return self._text[: self._ends[min(tokens, len(self._ends)) - 1]]

    def _tokens(self, text: str) -> int:
        return _size(self._tokenizer, self._prefix + text)

    def _long_enough(self, text: str) -> str:
        have = self._tokens(text)
        while have < self._length + _NEAR:
            longer = f"{text} {text}"
            before, have = have, self._tokens(longer)
            if have <= before:  # a tokenizer that takes any text for one token
                break
            text = longer
        return text

    def _token_ends(self) -> list[int]:
        """Where each token ends, in characters of the text; those of one character in several tokens are repeated."""
        skip = len(self._prefix)
        whole = self._tokenizer([self._prefix + self._text])[0]
        return sorted(
            stop - skip for part in (whole, *whole.overflowing) for _, stop in part.offsets if stop > skip
        )


def _around(tokens: int) -> Iterator[int]:
    """The number itself, then those nearest to it, the smaller first."""
    yield tokens
    for distance in count(1):
        if distance > _NEAR:
            return
        yield tokens - distance
        yield tokens + distance


def _size(tokenizer: Tokenizer, text: str) -> int:
    """Tokens of a text; where it is too long, some number above the model's maximum."""
    encoding = tokenizer([text])[0]
    return len(encoding) + sum(map(len, encoding.overflowing))


def _check(tokenizer: Tokenizer, length: int, *, least: int) -> None:
    most = tokenizer.max_length
    room = (
        f"this model takes from {least} to {most} tokens"
        if most
        else f"this model takes {least} tokens or more"
    )
    if most is not None and least > most:
        room = f"its prompt alone has more than the {most} tokens that this model takes"
    if not isinstance(length, int) or isinstance(length, bool):
        raise InvalidSetting(f"a length of {length!r} is no number of tokens", hint=room, length=length)
    if length < least:
        raise InvalidSetting(
            f"no text has {length} tokens: special ones and the prompt are {least} already",
            hint=room,
            length=length,
        )
    if most is not None and length > most:
        raise InvalidSetting(f"{length} tokens are more than the model takes", hint=room, length=length)
