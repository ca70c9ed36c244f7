"""A question and the words of a page → the pieces that a model reads, with a box for each token; knows no graph.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/document_question_answering.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpux.errors import InvalidInput
from gpux.text import texts
from gpux.text.tokens import Tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding

SIDE = 1000
"""What a page measures along each side, whatever its own size is."""
FORM = '{"question": "…", "words": ["Total", "$9"], "boxes": [[600, 800, 700, 830], [720, 800, 780, 830]]}'

Box = tuple[int, int, int, int]

_END: Box = (SIDE, SIDE, SIDE, SIDE)
_NOWHERE: Box = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Document:
    """A question about a page.

    Attributes:
        question: The words of the question.
        words: The words of the page.
        boxes: Left, top, right and bottom of each of them, in thousandths of the page.
    """

    question: list[str]
    words: list[str]
    boxes: list[Box]


@dataclass(frozen=True, slots=True)
class Piece:
    """What the model reads at once.

    Attributes:
        encoding: Its tokens, the question's first.
        boxes: int64 [tokens, 4].
        words: Which word of the page each token is of; -1 where of none.
    """

    encoding: Encoding
    boxes: np.ndarray
    words: np.ndarray


def read(item: Any, *, position: int) -> Document:
    """The document that an item is.

    Args:
        item: ``{"question", "words", "boxes"}``, or ``{"question", "word_boxes"}`` with pairs of a word and its box. An
            ``image`` beside them is not looked at.
        position: Where it stood in the list, for errors.

    Raises:
        InvalidInput: It is none, has no words, or a box is not within the page.
    """
    if not isinstance(item, Mapping):
        kind = "None" if item is None else type(item).__name__
        raise InvalidInput(
            f"input {position} is {kind}, not a question about a page", hint=f"give {FORM}", position=position
        )
    if not {"words", "word_boxes"} & set(item):
        raise InvalidInput(
            f"input {position} has no words, and GPUX reads none off a picture",
            hint=f"read them first (pytesseract.image_to_data), then give {FORM}",
            position=position,
        )
    if "word_boxes" in item:
        texts.keys(item, required=("question", "word_boxes"), optional=("image",), position=position)
        words, boxes = _pairs(item["word_boxes"], position)
    else:
        texts.keys(item, required=("question", "words", "boxes"), optional=("image",), position=position)
        words, boxes = _listed(item, "words", position), _listed(item, "boxes", position)
    if len(words) != len(boxes):
        raise InvalidInput(
            f"input {position} has {len(words)} words and {len(boxes)} boxes",
            hint="give a box for each word",
            position=position,
        )
    question = texts.checked(item["question"], position=position).split()
    if not question or not words:
        raise InvalidInput(
            f"input {position} has no {'words' if question else 'question'}",
            hint=f"give {FORM}",
            position=position,
        )
    return Document(
        question,
        [texts.checked(word, position=position) for word in words],
        [_box(box, position) for box in boxes],
    )


def pieces(
    tokenizer: Tokenizer, document: Document, *, longest: int, stride: int | None, position: int
) -> list[Piece]:
    """The page cut into pieces that fit, each with the whole question before it.

    Args:
        tokenizer: The model's tokenizer, which cuts nothing by itself.
        document: The question and the page.
        longest: Tokens of a piece, special ones included.
        stride: Tokens of the page that two pieces share; half of a piece and at most 256 when ``None``.
        position: Where the item stood in the list, for errors.

    Raises:
        InvalidInput: The question leaves the page no room, or less than the stride.
    """
    question, page = tokenizer.words(document.question), tokenizer.words(document.words)
    room = longest - tokenizer.special(pair=True) - len(question)
    if len(page) > room:
        if room < 1:
            raise InvalidInput(
                f"the question of input {position} has {len(question)} tokens, which leaves none of {longest} to the page",
                hint="ask it in fewer words",
                position=position,
            )
        shared = stride
        if shared is None:
            usual = min(longest // 2, 256)
            shared = usual if usual < room else room // 2  # where the question is so long, the pipeline fails
        if shared >= room:
            raise InvalidInput(
                f"`doc_stride` is {shared}, and beside the question of input {position} a piece has {room} tokens of the page",
                hint=f"give a doc_stride below {room}",
                position=position,
                doc_stride=shared,
            )
        page.truncate(room, stride=shared)
    parts = [tokenizer.finish(question, part) for part in (page, *page.overflowing)]
    return [_placed(part, document.boxes, tokenizer.token("sep_token")) for part in parts]


def _placed(encoding: Encoding, boxes: Sequence[Box], separator: int | None) -> Piece:
    """With the box of each token's word; a separator's is the corner of the page, any other's nothing."""
    words = np.array(
        [
            word if of == 1 and word is not None else -1
            for of, word in zip(encoding.sequence_ids, encoding.word_ids, strict=True)
        ]
    )
    places = [
        boxes[word] if word >= 0 else _END if token == separator else _NOWHERE
        for token, word in zip(encoding.ids, words.tolist(), strict=True)
    ]
    return Piece(encoding, np.array(places, np.int64), words)


def _pairs(value: Any, position: int) -> tuple[list[Any], list[Any]]:
    if not isinstance(value, list | tuple) or not all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in value
    ):
        raise InvalidInput(
            f"`word_boxes` of input {position} is no list of words with their boxes",
            hint='write [["Total", [600, 800, 700, 830]], …]',
            position=position,
        )
    return [word for word, _ in value], [box for _, box in value]


def _listed(item: Mapping[str, Any], key: str, position: int) -> list[Any]:
    value = item[key]
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        raise InvalidInput(f"`{key}` of input {position} is no list", hint=f"give {FORM}", position=position)
    return list(value)


def _box(value: Any, position: int) -> Box:
    if hasattr(value, "tolist"):
        value = value.tolist()
    whole = isinstance(value, list | tuple) and len(value) == 4 and all(type(edge) is int for edge in value)
    if whole and all(0 <= edge <= SIDE for edge in value) and value[0] <= value[2] and value[1] <= value[3]:
        return value[0], value[1], value[2], value[3]
    raise InvalidInput(
        f"input {position} has the box {repr(value)[:80]}",
        hint=f"give left, top, right and bottom as whole numbers from 0 to {SIDE}: {SIDE} * left // width of the page",
        position=position,
    )
