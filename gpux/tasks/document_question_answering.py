"""``document-question-answering``: answers that stand on a page whose words and their places are given (LayoutLM).

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/document_question_answering.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.head import LAYOUT, TEXT, Head
from gpux.pipelines import layers
from gpux.pipelines.pipeline import Clock, Pipeline, Table
from gpux.session import Session
from gpux.text import batching, document_words, limits, texts, tokens
from gpux.text.document_words import SIDE, Document, Piece
from gpux.text.tokens import Tokenizer

_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "bbox")
_OUTPUTS = ("start_logits", "end_logits")
_LONGEST = 512  # tokens of a model that does not say
_NOWHERE = np.float32(-10000.0)  # the logit of a token that no answer starts or ends at
_NO_ANSWER_YET = 1_000_000.0

_PAGE = (
    ("Invoice", [60, 40, 200, 70]), ("number", [210, 40, 330, 70]), ("us-001", [340, 40, 450, 70]), ("Invoice", [60, 90, 200, 120]),
    ("date", [210, 90, 280, 120]), ("11/02/2019", [340, 90, 520, 120]), ("Front", [60, 300, 140, 330]), ("and", [150, 300, 200, 330]),
    ("rear", [210, 300, 270, 330]), ("brake", [280, 300, 360, 330]), ("cables", [370, 300, 460, 330]), ("$100.00", [800, 300, 920, 330]),
    ("New", [60, 350, 120, 380]), ("set", [130, 350, 180, 380]), ("of", [190, 350, 220, 380]), ("pedal", [230, 350, 310, 380]),
    ("arms", [320, 350, 390, 380]), ("$30.00", [800, 350, 900, 380]), ("Total", [640, 500, 720, 530]), ("$154.06", [800, 500, 920, 530]),
)  # fmt: skip
_QUESTIONS = (
    "What is the invoice number?",
    "When was it written?",
    "What do the brake cables cost?",
    "How much is to be paid in total?",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parameters of a call, checked.

    Attributes:
        top_k: Most answers of a question.
        longest_answer: Most tokens of one.
        or_none: Whether "there is none" is an answer.
        longest: Tokens of a piece of a page.
        stride: Tokens that two pieces share; as the pipeline has it when ``None``.
    """

    top_k: int
    longest_answer: int
    or_none: bool
    longest: int
    stride: int | None


class TaskPipeline(Pipeline):
    """Answers out of the words of a page; it reads no words off pictures.

    Raises:
        UnsupportedModel: The graph takes something else, or does not say where an answer starts and ends.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForDocumentQuestionAnswering",
        suffixes=(),
        outputs=_OUTPUTS,
        takes=(TEXT, LAYOUT),
        classes=("LayoutLMForQuestionAnswering",),
    )
    noun: ClassVar[str] = "questions"
    window: ClassVar[int] = 256
    parameters: ClassVar[tuple[str, ...]] = (
        "top_k", "max_answer_len", "handle_impossible_answer", "doc_stride", "max_seq_len",
    )  # fmt: skip

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        names = {spec.name for spec in session.outputs}
        for output in _OUTPUTS:
            if output not in names:
                raise layers.unsupported(artifact, f"a graph without `{output}`")
        for spec in session.inputs:
            if spec.name not in _INPUTS:
                raise layers.unsupported(artifact, f"an input `{spec.name}`, which is not made from words")
        plane = Fields(artifact, "config.json").whole("max_2d_position_embeddings", least=1)
        if plane is not None and plane <= SIDE:
            raise layers.unsupported(artifact, f"a page of {plane} places along a side instead of {SIDE + 1}")
        self._dtypes = {spec.name: np.dtype(spec.dtype) for spec in session.inputs}
        self._limit = limits.tokenizer_limit(artifact) or _LONGEST
        self._tokenizer = Tokenizer(artifact, max_length=None)
        self._class = self._tokenizer.token("cls_token")

    @classmethod
    def prefetch(cls, artifact: Artifact) -> None:
        """Read the tokenizer."""
        tokens.prefetch(artifact)

    @classmethod
    def dimensions(cls, artifact: Artifact) -> Mapping[str, tuple[int, int, int]]:
        """A batch of pieces and their tokens, as the exporter names both."""
        longest = limits.tokenizer_limit(artifact) or _LONGEST
        return {"batch": (1, 4, batching.ROWS), "sequence": (1, min(256, longest), longest)}

    def is_item(self, inputs: Any) -> bool:
        """A mapping is one item; a list of them is not."""
        return texts.is_item(inputs)

    def answer(self, items: Sequence[Any], clock: Clock, /, **parameters: Any) -> list[Any]:
        """The answers to each question.

        Args:
            items: ``{"question": …, "words": […], "boxes": […]}`` or ``{"question": …, "word_boxes": [[word, box], …]}``;
                boxes are left, top, right and bottom in thousandths of the page.
            clock: Where the time goes.
            **parameters: ``top_k``: most answers, best first (1); ``max_answer_len``: most tokens of one (15);
                ``handle_impossible_answer``: whether "there is none" is an answer too, an empty one; ``max_seq_len``: tokens
                of a piece of a page that is too long, question and special ones included; ``doc_stride``: tokens that two
                pieces share (256, or half of a piece).

        Returns:
            Per item a list of ``{"score", "answer", "start", "end"}``, places in words of the page.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        wanted = self._wanted(**parameters)
        documents, pieces = self._read(items, wanted)
        found: list[list[dict[str, Any]]] = [[] for _ in items]
        none = [_NO_ANSWER_YET] * len(items)
        for members in self._batches(pieces):
            feeds = self._padded([pieces[i][1] for i in members])
            clock.lap("preprocess")
            outputs = self.session.run(feeds, _OUTPUTS)
            clock.lap("infer")
            for row, member in enumerate(members):
                owner, piece = pieces[member]
                start, end = (outputs[name][row, : len(piece.words)].astype(np.float32) for name in _OUTPUTS)
                nothing, spans = _spans(start, end, self._allowed(piece), wanted)
                none[owner] = min(none[owner], nothing)
                found[owner] += _answers(spans, piece, documents[owner])
            clock.lap("postprocess")
        if wanted.or_none:
            for listed, score in zip(found, none, strict=True):
                listed.append({"score": score, "answer": "", "start": 0, "end": 0})
        return [sorted(listed, key=lambda one: -float(one["score"]))[: wanted.top_k] for listed in found]

    def parse(self, text: str) -> Any:
        """A JSON object with ``question``, ``words`` and ``boxes``.

        Raises:
            InvalidInput: The line is none.
        """
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(
                f"`{texts.brief(text)}` is no question about a page", hint=f"write '{document_words.FORM}'"
            ) from error

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Question, answer, score and words; one row per answer."""
        rows: list[tuple[str, ...]] = []
        for item, answer in zip(items, answers, strict=True):
            shown = texts.brief(item["question"])
            for found in answer:
                place = f"{found['start']}-{found['end']}"
                rows.append((shown, texts.brief(found["answer"]), f"{found['score']:.4f}", place))
                shown = ""
            if not answer:
                rows.append((shown, "", "", ""))
        return Table(("question", "answer", "score", "words"), tuple(rows))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Four questions about a small invoice."""
        super().samples(length)
        self.check(parameters)
        words, boxes = [word for word, _ in _PAGE], [box for _, box in _PAGE]
        return [{"question": question, "words": words, "boxes": boxes} for question in _QUESTIONS]

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``tokens``: what the model sees of the questions and pages, piece by piece, without padding."""
        self.check(parameters)
        _, pieces = self._read(items, self._wanted(**parameters))
        return {"tokens": sum(len(piece.words) for _, piece in pieces)}

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """Token ids, masks, types and boxes of each batch, as the task makes and pads them."""
        self.check(parameters)
        _, pieces = self._read(items, self._wanted(**parameters))
        return [self._padded([pieces[i][1] for i in members]) for members in self._batches(pieces)]

    def describe(self) -> Mapping[str, Any]:
        """The maximum length of a piece."""
        return {"max_length": self._limit}

    def _wanted(
        self,
        *,
        top_k: Any = 1,
        max_answer_len: Any = 15,
        handle_impossible_answer: Any = False,
        doc_stride: Any = None,
        max_seq_len: Any = None,
    ) -> Wanted:
        if not isinstance(handle_impossible_answer, bool):
            raise InvalidInput(
                f"`handle_impossible_answer` is {handle_impossible_answer!r}",
                hint="give true or false",
                handle_impossible_answer=handle_impossible_answer,
            )
        longest = self._limit if max_seq_len is None else _whole("max_seq_len", max_seq_len)
        if longest > self._limit:
            raise InvalidInput(
                f"`max_seq_len` is {longest}, and the model takes {self._limit} tokens",
                hint=f"give at most {self._limit}; longer pages are read in pieces",
                max_seq_len=longest,
            )
        return Wanted(
            top_k=_whole("top_k", top_k),
            longest_answer=_whole("max_answer_len", max_answer_len),
            or_none=handle_impossible_answer,
            longest=longest,
            stride=None if doc_stride is None else _whole("doc_stride", doc_stride, least=0),
        )

    def _read(self, items: Sequence[Any], wanted: Wanted) -> tuple[list[Document], list[tuple[int, Piece]]]:
        """The documents, and every piece of them with the number of its own."""
        documents = [document_words.read(item, position=position) for position, item in enumerate(items)]
        pieces = [
            (position, piece)
            for position, document in enumerate(documents)
            for piece in document_words.pieces(
                self._tokenizer, document, longest=wanted.longest, stride=wanted.stride, position=position
            )
        ]
        return documents, pieces

    def _batches(self, pieces: Sequence[tuple[int, Piece]]) -> list[list[int]]:
        most, rows = batching.limits(self.session.plan.batch)
        lengths = [len(piece.words) for _, piece in pieces]
        return list(batching.cut(lengths, tokens=most, rows=rows)) if lengths else []

    def _padded(self, pieces: Sequence[Piece]) -> dict[str, np.ndarray]:
        shape = len(pieces), max(len(piece.words) for piece in pieces)
        padding = self._tokenizer.padding
        columns = {
            "input_ids": np.full(shape, padding.token, np.int64),
            "attention_mask": np.zeros(shape, np.int64),
            "token_type_ids": np.full(shape, padding.type, np.int64),
            "bbox": np.zeros((*shape, 4), np.int64),
        }
        for row, piece in enumerate(pieces):
            own = slice(0, len(piece.words))
            columns["input_ids"][row, own] = piece.encoding.ids
            columns["attention_mask"][row, own] = 1
            columns["token_type_ids"][row, own] = piece.encoding.type_ids
            columns["bbox"][row, own] = piece.boxes
        return {name: columns[name].astype(dtype, copy=False) for name, dtype in self._dtypes.items()}

    def _allowed(self, piece: Piece) -> np.ndarray:
        """The tokens of the page, and that of the class, which models say "no answer" with."""
        allowed = np.array([of == 1 for of in piece.encoding.sequence_ids])
        if self._class is not None:
            allowed |= np.array(piece.encoding.ids) == self._class
        return allowed


def _spans(
    start: np.ndarray, end: np.ndarray, allowed: np.ndarray, wanted: Wanted
) -> tuple[float, list[tuple[float, int, int]]]:
    """The score of there being no answer; and score, first and last token of the best, best first."""
    starts, ends = _shares(start, allowed), _shares(end, allowed)
    none = float(starts[0] * ends[0])
    starts[0] = ends[0] = 0.0
    scores = np.tril(np.triu(np.outer(starts, ends)), wanted.longest_answer - 1)
    flat = scores.ravel()
    if wanted.top_k == 1:
        best = np.array([flat.argmax()])
    elif len(flat) <= wanted.top_k:
        best = np.argsort(-flat)
    else:
        chosen = np.argpartition(-flat, wanted.top_k)[: wanted.top_k]
        best = chosen[np.argsort(-flat[chosen])]
    places = zip(*(axis.tolist() for axis in np.unravel_index(best, scores.shape)), strict=True)
    return none, [(float(scores[s, e]), s, e) for s, e in places]


def _shares(logits: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    masked = np.where(allowed, logits, _NOWHERE)
    powers = np.exp(masked - masked.max())
    shares: np.ndarray = powers / powers.sum()
    return shares


def _answers(
    spans: Sequence[tuple[float, int, int]], piece: Piece, document: Document
) -> list[dict[str, Any]]:
    """Those spans that are words of the page."""
    named = [(score, int(piece.words[s]), int(piece.words[e])) for score, s, e in spans]
    return [
        {"score": score, "answer": " ".join(document.words[first : last + 1]), "start": first, "end": last}
        for score, first, last in named
        if first >= 0 and last >= 0
    ]


def _whole(name: str, value: Any, *, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InvalidInput(
            f"`{name}` is {value!r}", hint=f"give a whole number from {least}", **{name: value}
        )
    return value
