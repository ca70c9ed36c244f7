"""The languages that a tokenizer has tokens for, however its family writes them; knows no model and no task."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from gpux.errors import InvalidInput

_FORMS = ("{}", "__{}__", ">>{}<<")  # NLLB and mBART, M2M100, Marian
_MARK = ">>{}<<"

NAMES: Mapping[str, str] = {
    "ar": "Arabic", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "it": "Italian", "ja": "Japanese", "ko": "Korean",
    "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sv": "Swedish", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""Code → the name by which T5's prefixes call a language."""


class Languages:
    """Codes of languages → their tokens.

    Args:
        backend: The tokenizer of the tokenizers library.
    """

    def __init__(self, backend: Any) -> None:
        self._known = {token.content: index for index, token in backend.get_added_tokens_decoder().items()}

    @property
    def codes(self) -> list[str]:
        """Every language, as far as tokens show what they are."""
        return [code for code in map(_bare, self._known) if code]

    def token(self, code: str) -> int | None:
        """The token that stands for a language, ``None`` where there is none."""
        return next(
            (self._known[name] for form in _FORMS if (name := form.format(code)) in self._known), None
        )

    def mark(self, code: str) -> str | None:
        """What a text begins with to be translated into a language, where it is a matter of the text (``>>deu<<``)."""
        return _MARK.format(code) if _MARK.format(code) in self._known else None

    def needed(self, code: str, *, parameter: str) -> int:
        """The token of a language.

        Raises:
            InvalidInput: There is none; the hint names the closest.
        """
        found = self.token(code)
        if found is None:
            close = difflib.get_close_matches(code, self.codes, n=3, cutoff=0.3)
            raise InvalidInput(
                f"the model has no language `{code}`",
                hint=f"closest are {', '.join(close)}" if close else "it has no tokens for languages",
                parameter=parameter,
            )
        return found

    def replaced(
        self, ids: Sequence[int], special: Sequence[int], code: str, others: frozenset[int]
    ) -> list[int]:
        """A text's tokens with another source language.

        Args:
            ids: Tokens, special ones included.
            special: Per token whether the tokenizer's template put it there.
            code: The language.
            others: Tokens that begin, end and fill texts, and are none of a language.

        Raises:
            InvalidInput: The model has no such language.
        """
        wanted = self.needed(code, parameter="src_lang")
        return [
            wanted if mark and index not in others else index
            for index, mark in zip(ids, special, strict=True)
        ]


def _bare(token: str) -> str:
    """The code inside a token of one of the forms, which is never markup such as ``<s>``."""
    for form in _FORMS[1:]:
        begin, end = form.split("{}")
        if token.startswith(begin) and token.endswith(end):
            return token[len(begin) : len(token) - len(end)]
    return "" if token.startswith(("<", "[")) else token
