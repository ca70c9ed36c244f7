"""Texts and pairs as pieces that a model can take, cut and overlapped as the tokenizers library cuts; knows no graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.text.tokens import Tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding


@dataclass(frozen=True, slots=True)
class Piece:
    """What a model sees at once of a text.

    Attributes:
        encoding: All of its tokens, special ones included.
        sequence: Which of a pair's texts was cut, 0 or 1.
    """

    encoding: Encoding
    sequence: int = 0


def plain(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Encoding]:
    """The tokens of whole texts, without special ones, by a tokenizer that leaves those out (``whole``).

    Raises:
        CorruptArtifact: ``tokenizer.json`` asks for something that its own library fails at.
    """
    with tokenizer.trusted():
        # The batch call would wake its thread pool, beside the runtime's that still spins.
        if len(texts) == 1:
            return [tokenizer.backend.encode(texts[0])]
        encodings: list[Encoding] = tokenizer.backend.encode_batch(list(texts))
    return encodings


def single(tokenizer: Tokenizer, text: Encoding, *, limit: int | None, stride: int = 0) -> list[Piece]:
    """The pieces of a text.

    Args:
        tokenizer: The model's tokenizer.
        text: The text's own tokens; changed in place where it is cut.
        limit: Tokens of a piece, special ones included; ``None`` for no limit.
        stride: Tokens that a piece repeats of the one before; smaller than what the limit leaves.
    """
    room = None if limit is None else limit - tokenizer.special()
    with tokenizer.trusted():
        return [Piece(tokenizer.finish(part)) for part in _cut(tokenizer, text, room, stride)]


def pair(
    tokenizer: Tokenizer, first: Encoding, second: Encoding, *, room: int, stride: int = 0, cut_first: bool
) -> list[Piece]:
    """The pieces of a pair, of which one text stands whole in each.

    Args:
        tokenizer: The model's tokenizer.
        first: The first text's own tokens.
        second: The second's.
        room: Tokens of the text that may be cut, in one piece.
        stride: Tokens of it that a piece repeats of the one before; smaller than ``room``.
        cut_first: Whether the first text may be cut, rather than the second.
    """
    with tokenizer.trusted():
        join = tokenizer.finish
        if cut_first:
            return [Piece(join(part, second)) for part in _cut(tokenizer, first, room, stride)]
        return [Piece(join(first, part), 1) for part in _cut(tokenizer, second, room, stride)]


def _cut(tokenizer: Tokenizer, text: Encoding, room: int | None, stride: int) -> list[Encoding]:
    if room is None or len(text) <= room:
        return [text]
    text.truncate(room, stride=stride, direction="left" if tokenizer.left else "right")
    return [text, *text.overflowing]
