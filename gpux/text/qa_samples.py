"""Questions with contexts for a benchmark that was given none; knows no graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpux.errors import InvalidSetting
from gpux.text import pieces, text_samples
from gpux.text.tokens import Text, Tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Encoding

_CONTEXTS = (
    "The lighthouse at Cape Morrow was built in 1874 by the engineer Ada Lindqvist after three ships were lost on the reef "
    "in one winter. It stands 41 metres high and was painted white until 1931, when red bands were added so that it could "
    "be told from the tower at Selby Point. The lamp burned oil for fifty years, was lit by gas until 1952 and has been "
    "electric ever since. The last keeper, Tomas Reyes, left in 1988, and the house now holds a small museum.",
    "Researchers measured the melt of the Halden glacier every week for eleven summers. They found that the loss of ice had "
    "doubled since the first survey in 1997, mostly in the narrow tongue below the equilibrium line, where dark dust from "
    "the valley lowers the reflection of the snow. The team of the University of Bergen published its results in March and "
    "warned that the river below will carry a third less water in late summer by the middle of the century.",
)
_QUESTIONS = (
    (0, "Who built the lighthouse?"),
    (1, "How long did the researchers measure the melt?"),
    (0, "Why were red bands added to the tower in 1931?"),
    (1, "Where was most of the ice lost?"),
    (0, "When did the last keeper leave?"),
    (1, "Which university published the results?"),
    (0, "What does the house of the keeper hold now?"),
    (1, "By how much will the water of the river be less in late summer?"),
)


def make(tokenizer: Tokenizer, length: int | None, *, most: int) -> list[dict[str, Any]]:
    """Up to eight questions, each with the text that answers it, or with so much of it that both come to a length in tokens.

    Raises:
        InvalidSetting: The length is out of the model's range, or no text comes to it exactly.
    """
    made = []
    for index, question in _QUESTIONS:
        asked = tokenizer.special(pair=True) + len(pieces.plain(tokenizer, [question])[0])
        context = _CONTEXTS[index]
        if length is not None:
            _check(length, least=asked + 1, most=most)
            (context,) = text_samples.of_length(_Bare(tokenizer), [context], length - asked)
        if asked < most:
            made.append({"question": question, "context": context})
    return made


def _check(length: int, *, least: int, most: int) -> None:
    if not isinstance(length, int) or isinstance(length, bool) or not least <= length <= most:
        raise InvalidSetting(
            f"{length!r} is no number of tokens that a question comes to with its context",
            hint=f"this task takes from {least} to {most} tokens at once",
            length=length,
        )


class _Bare(Tokenizer):
    """The tokenizer without special tokens or limit: what stands beside them is counted elsewhere."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.max_length = None
        self._tokenizer = tokenizer

    def __call__(self, texts: Sequence[Text]) -> list[Encoding]:
        return pieces.plain(self._tokenizer, [str(text) for text in texts])
