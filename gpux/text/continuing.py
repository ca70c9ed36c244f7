"""Texts that go on where earlier ones stood: what both begin with is not tokenized again; the tokens are exactly those of the whole.

A tokenizer looks for its special tokens first, and at what stands between them one by one: a text can be cut before such a token.
"""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

KEPT = 4
"""Beginnings that are remembered."""


class Continuing:
    """Tokenizes texts that hold their special tokens written out. For several threads.

    Args:
        backend: The tokenizer of the tokenizers library.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._numbers = _cuts(backend)
        self._pattern = re.compile("|".join(map(re.escape, self._numbers)) or "(?!)")
        self._known: dict[str, list[int]] = {}
        self._lock = Lock()

    def __call__(self, text: str) -> list[int]:
        """Its tokens, none added."""
        with self._lock:
            beginning = max(filter(text.startswith, self._known), key=len, default="")
            known = self._known.get(beginning, [])
        rest = text[len(beginning) :]
        if beginning and not self._pattern.match(rest):
            known, rest = [], text
        found = known + list(self._backend.encode(rest, add_special_tokens=False).ids)
        self._remember(text, found)
        return found

    def _remember(self, text: str, tokens: list[int]) -> None:
        """The text up to its last special token."""
        place = max(map(text.rfind, self._numbers), default=-1)
        if place <= 0:
            return
        name = self._pattern.match(text, place)
        number = self._numbers[name[0]] if name else -1
        end = len(tokens) - 1 - tokens[::-1].index(number) if number in tokens else 0
        if end:
            with self._lock:
                self._known.pop(text[:place], None)
                self._known[text[:place]] = tokens[:end]
                while len(self._known) > KEPT:
                    del self._known[next(iter(self._known))]


def _cuts(backend: Backend) -> dict[str, int]:
    """The tokens before which any text can be cut, and their numbers.

    They are found as they are written, take no space from before them, and no other one can begin earlier and reach into them.
    """
    added = backend.get_added_tokens_decoder()
    inside = {character for token in added.values() for character in token.content[1:]}
    return {
        token.content: number
        for number, token in added.items()
        if token.special
        and not (token.normalized or token.lstrip or token.rstrip or token.single_word)
        and token.content[:1] not in {"", *inside}
        and not any(
            other.content != token.content and other.content.startswith(token.content)
            for other in added.values()
        )
    }
