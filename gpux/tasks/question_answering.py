"""``question-answering``: the words of a context that answer a question, as the transformers pipeline found them.

transformers 5.3 took the pipeline out; this follows its last one.
Source: https://github.com/huggingface/transformers/blob/v5.2.0/src/transformers/pipelines/question_answering.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.head import Head
from gpux.pipelines import arguments, spans
from gpux.pipelines.pieced_pipeline import PiecedPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.text_graph import TextGraph
from gpux.session import Session
from gpux.text import pieces, qa_samples, special_tokens, texts
from gpux.text.pieces import Piece

_KEYS = ("question", "context")
_FORM = '{"question": "…", "context": "…"}'
_LONGEST = 384  # tokens of a piece, where the model takes as many
_STRIDE = 128


class TaskPipeline(PiecedPipeline):
    """Answers that stand in a text.

    Raises:
        UnsupportedModel: The graph takes something else than text, or does not say where an answer starts and ends.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForQuestionAnswering",
        suffixes=("ForQuestionAnswering",),
        outputs=("start_logits", "end_logits"),
    )
    noun: ClassVar[str] = "questions"
    parameters: ClassVar[tuple[str, ...]] = (
        "top_k", "max_answer_len", "handle_impossible_answer", "align_to_words", "doc_stride", "max_seq_len", "max_question_len",
    )  # fmt: skip

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._outputs = [
            self._output(name, 2, "score for each token") for name in ("start_logits", "end_logits")
        ]
        self._class = special_tokens.of_classes(artifact, self._tokenizer)

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        top_k: int = 1,
        max_answer_len: int = 15,
        handle_impossible_answer: bool = False,
        align_to_words: bool = True,
        **cutting: Any,
    ) -> list[Any]:
        """The answers to each question, out of its context.

        Args:
            items: ``{"question": …, "context": …}``, as SQuAD has them.
            clock: Where the time goes.
            top_k: Most answers of a question, best first.
            max_answer_len: Most tokens of an answer.
            handle_impossible_answer: Whether "there is none" is an answer too: an empty one.
            align_to_words: Whether an answer is widened to whole words.
            **cutting: ``max_seq_len``: tokens of a piece of a context that is too long, question and special ones included
                (384, or what the model takes); ``doc_stride``: tokens that two pieces share (128, or half of a piece);
                ``max_question_len``: tokens that a question is cut to.

        Returns:
            Per item ``{"score", "start", "end", "answer"}``, places in characters of the context; a list of them where
            there are several, or none at all.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        wanted = spans.Wanted(
            top_k=arguments.whole("top_k", top_k),
            longest=arguments.whole("max_answer_len", max_answer_len),
            or_none=arguments.flag("handle_impossible_answer", handle_impossible_answer),
            whole_words=arguments.flag("align_to_words", align_to_words),
        )
        _, pairs = self._seen(items, cutting)
        keep = partial(self._found, wanted=wanted)
        answers: list[Any] = []
        read = self._ask(pairs, clock, self._outputs, keep, cutting)
        for (_, context), found in zip(pairs, read, strict=True):
            listed = spans.answers(context, found, wanted)
            answers.append(listed[0] if len(listed) == 1 else listed)
        return answers

    def parse(self, text: str) -> Any:
        """A JSON object with ``question`` and ``context``, or both with a tab between.

        Raises:
            InvalidInput: The line is neither.
        """
        question, tab, context = text.partition("\t")
        if text.lstrip().startswith("{"):
            try:
                item = json.loads(text)
            except ValueError as error:
                raise InvalidInput(f"this is no JSON: {error}", hint=f"write '{_FORM}'") from error
            if isinstance(item, dict):
                return item
        if tab and question and context:
            return {"question": question, "context": context}
        raise InvalidInput(f"`{texts.brief(text)}` has no context to answer it from", hint=f"write '{_FORM}'")

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Question, answer, score and place in the context; one row per answer."""
        rows: list[tuple[str, ...]] = []
        for item, answer in zip(items, answers, strict=True):
            shown = texts.brief(item["question"])
            for found in [answer] if isinstance(answer, dict) else answer:
                place = f"{found['start']}-{found['end']}"
                rows.append((shown, texts.brief(found["answer"]), f"{found['score']:.4f}", place))
                shown = ""
            if not answer:
                rows.append((shown, "", "", ""))
        return Table(("question", "answer", "score", "place"), tuple(rows))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Eight questions about a text of 60 to 100 words each; or its text cut to come to a length with its question."""
        self.check(parameters)
        return qa_samples.make(self._tokenizer, length, most=self._longest(parameters))

    def describe(self) -> Mapping[str, Any]:
        """The maximum length of a piece."""
        return {"max_length": self._limit, "max_seq_len": self._longest({})}

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Any]]:
        return self._graph, [_pair(item, position) for position, item in enumerate(items)]

    def _pieces(self, texts: Sequence[Any], first: int, given: Mapping[str, Any]) -> list[list[Piece]]:
        longest = self._longest(given)
        asked = given.get("max_question_len")
        most = None if asked is None else arguments.whole("max_question_len", asked)
        fixed = self._tokenizer.special(pair=True)
        questions = pieces.plain(self._tokenizer, [question for question, _ in texts])
        contexts = pieces.plain(self._tokenizer, [context for _, context in texts])
        found = []
        for position, (question, context) in enumerate(zip(questions, contexts, strict=True), first):
            if most is not None:
                question.truncate(most)
            room = longest - fixed - len(question)
            stride = _stride(given, longest, room)
            if len(context) > room:
                _check_room(room, stride, position=position, question=len(question), longest=longest)
            found.append(self._joined(question, context, room, stride))
        return found

    def _joined(self, question: Any, context: Any, room: int, stride: int) -> list[Piece]:
        if self._tokenizer.padding.left:
            return pieces.pair(self._tokenizer, context, question, room=room, stride=stride, cut_first=True)
        return pieces.pair(self._tokenizer, question, context, room=room, stride=stride, cut_first=False)

    def _longest(self, given: Mapping[str, Any]) -> int:
        """Tokens of a piece."""
        asked = given.get("max_seq_len")
        if asked is None:
            return _LONGEST if self._limit is None else min(_LONGEST, self._limit)
        arguments.whole("max_seq_len", asked)
        if self._limit is not None and asked > self._limit:
            raise InvalidInput(
                f"`max_seq_len` is {asked}, and the model takes {self._limit} tokens",
                hint=f"give at most {self._limit}; longer contexts are read in pieces",
                max_seq_len=asked,
            )
        return int(asked)

    def _found(
        self, piece: Piece, outputs: dict[str, np.ndarray], span: slice, *, wanted: spans.Wanted
    ) -> spans.Found:
        start, end = (outputs[name][span].astype(np.float32) for name in self._outputs)
        return spans.find(start, end, self._allowed(piece), wanted)

    def _allowed(self, piece: Piece) -> np.ndarray:
        """The tokens of the context; and that of the class, which models say "no answer" with."""
        if self._tokenizer.padding.left:  # the pipeline lets an answer stand anywhere then
            return np.ones(len(piece.encoding), bool)
        allowed = np.array([of == piece.sequence for of in piece.encoding.sequence_ids], bool)
        if self._class is not None:
            allowed |= np.array(piece.encoding.ids) == self._class
        return allowed


def _pair(item: Any, position: int) -> tuple[str, str]:
    if not isinstance(item, Mapping):
        kind = "None" if item is None else type(item).__name__
        raise InvalidInput(
            f"input {position} is {kind}, not a question with its context",
            hint=f"give {_FORM}",
            position=position,
        )
    texts.keys(item, required=_KEYS, position=position)
    question, context = (texts.checked(item[key], position=position) for key in _KEYS)
    for key, text in zip(_KEYS, (question, context), strict=True):
        if not text:
            raise InvalidInput(
                f"`{key}` of input {position} is empty", hint=f"give {_FORM}", position=position
            )
    return question, context


def _stride(given: Mapping[str, Any], longest: int, room: int) -> int:
    """Tokens that two pieces of a context share."""
    asked = given.get("doc_stride")
    if asked is not None:
        return arguments.whole("doc_stride", asked, least=0)
    usual = min(longest // 2, _STRIDE)
    return usual if usual < room else room // 2  # where the question is so long, the pipeline fails


def _check_room(room: int, stride: int, *, position: int, question: int, longest: int) -> None:
    if room < 1:
        raise InvalidInput(
            f"the question of input {position} has {question} tokens, which leaves none of {longest} to its context",
            hint=f"max_question_len={max(longest // 4, 1)} cuts it",
            position=position,
        )
    if stride >= room:
        raise InvalidInput(
            f"`doc_stride` is {stride}, and beside the question of input {position} a piece has {room} tokens of the context",
            hint=f"give a doc_stride below {room}",
            position=position,
            doc_stride=stride,
        )
