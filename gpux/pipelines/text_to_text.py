"""What the tasks share that read a text whole and write another: what is read, what answers begin with, the model's own settings.

Source of names and shapes: https://github.com/huggingface/transformers/blob/v4.57.1/src/transformers/pipelines/text2text_generation.py
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.generation.conversations import Conversation
from gpux.generation.encoder_decoder import EncoderDecoder, text_feeds
from gpux.generation.loop import Answering, Generated, Piece
from gpux.generation.settings import NAMES, GenerationSettings
from gpux.head import Head
from gpux.pipelines.generating import GeneratingPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.session import Session
from gpux.text import text_samples, texts

SUFFIXES = ("ForConditionalGeneration", "MTModel")
_DEFAULT_LENGTH = 256
"""Tokens of an answer where neither the model nor the caller says, as in the transformers pipelines."""

_LENGTHS = {"max_length": "max_new_tokens", "min_length": "min_new_tokens"}


def head() -> Head:
    """The head of every task over such models."""
    return Head(
        auto="AutoModelForSeq2SeqLM",
        suffixes=SUFFIXES,
        outputs=("logits",),
        scores=("prefill", "decode"),
        generates=True,
    )


class TextToTextPipeline(GeneratingPipeline):
    """Texts, rewritten.

    Attributes:
        answered: What an answer is called (``summary_text``).

    Raises:
        UnsupportedModel: The graphs do not write, or a setting is of the wrong type.
        CorruptArtifact: A file of the model cannot be read.
    """

    noun: ClassVar[str] = "texts"
    answered: ClassVar[str]
    parameters: ClassVar[tuple[str, ...]] = (*NAMES, *_LENGTHS, "prefix")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._config = Fields(artifact, "config.json")
        said = Fields(artifact, "generation_config.json")
        own = _lengths((said if said.data else self._config).data)
        kept = {name: value for name, value in own.items() if not getattr(self.settings, name)}
        self.settings = self.settings.with_given(kept)

    def is_item(self, inputs: Any) -> bool:
        """A text is one item; a list of them is not."""
        return texts.is_item(inputs)

    def parse(self, text: str) -> Any:
        """The line itself."""
        return text

    def _source(self, item: Any, *, position: int, prefix: str | None = None, **_: Any) -> list[int]:
        """The tokens of what is read, special ones included."""
        before = self._prefix() if prefix is None else texts.checked(prefix, position=position)
        return list(self._tokenizer([before + texts.checked(item, position=position)])[0].ids)

    def prompt(self, item: Any, /, *, position: int, **parameters: Any) -> list[int]:
        """The tokens of a text with what stands before it; what the vocabulary lacks is unknown."""
        return [
            token if token < self._vocabulary else self._unknown
            for token in self._source(item, position=position, **parameters)
        ]

    def _own_name(self, **_: Any) -> str:
        """What the model's ``task_specific_params`` call the task."""
        return ""

    def _prefix(self, **parameters: Any) -> str:
        own = self._config.table("task_specific_params").table(self._own_name(**parameters))
        return own.text("prefix") or self._config.text("prefix") or ""

    def _answers(
        self, items: Sequence[Any], clock: Clock, parameters: Mapping[str, Any]
    ) -> list[list[dict[str, str]]]:
        """Per item its answers."""
        written = self.write(items, clock, **parameters)
        answers = [[{self.answered: one.text} for one in each] for each in written]
        clock.lap("postprocess")
        return answers

    def answer(self, items: Sequence[Any], clock: Clock, /, **parameters: Any) -> list[Any]:
        """Per item one answer, or several where ``num_return_sequences`` asks for them."""
        answers = self._answers(items, clock, parameters)
        several = (parameters.get("num_return_sequences") or self.settings.num_return_sequences) > 1
        return answers if several else [each[0] for each in answers]

    def answer_alone(self, item: Any, clock: Clock, /, **parameters: Any) -> Any:
        """A list of answers, as the transformers pipeline gives for one text."""
        return self._answers([item], clock, parameters)[0]

    def emit(
        self, item: Any, *, cancelled: Callable[[], bool] = lambda: False, **parameters: Any
    ) -> Generator[Piece, None, Generated | list[Generated]]:
        """Answers in pieces; one piece for each where beams are searched, as many models' own settings say."""
        settings, _ = self._settings(parameters)
        if settings.num_beams == 1 or settings.num_return_sequences > 1:
            return (yield from super().emit(item, cancelled=cancelled, **parameters))
        alone = self.is_item(item)
        found = [
            each[0] for each in self.write([item] if alone else list(item), cancelled=cancelled, **parameters)
        ]
        for row, whole in enumerate(found):
            if whole.tokens:
                yield Piece(whole.text, tokens=whole.tokens, row=row)
        return found[0] if alone else found

    def _settings(self, parameters: Mapping[str, Any]) -> tuple[GenerationSettings, dict[str, Any]]:
        given = {name: value for name, value in parameters.items() if name not in _LENGTHS}
        given = {**_lengths(parameters), **given}
        specific = self._config.table("task_specific_params").table(self._own_name(**parameters)).data
        own = {name: value for name, value in specific.items() if name in NAMES}
        merged = {**_lengths(specific), **own, **given}
        settings, others = super()._settings(merged)
        if settings.max_new_tokens is None:
            settings = replace(settings, max_new_tokens=_DEFAULT_LENGTH)
        return settings, others

    def _fitted(self, prompt: list[int], position: int, settings: GenerationSettings) -> list[int]:
        if not prompt:
            raise InvalidInput(
                "an empty text cannot be read", hint="give at least one word", position=position
            )
        if len(prompt) <= self.context:
            return prompt
        if settings.truncate:
            return [*prompt[: self.context - 1], prompt[-1]]  # what ends a text ends it still
        raise InvalidInput(
            f"the text has {len(prompt)} tokens, and the model reads {self.context}",
            hint="shorten it, or give truncate=True (--truncate) to drop its end",
            position=position,
        )

    def _start(self, settings: GenerationSettings) -> list[int]:
        start = settings.decoder_start_token_id
        start = settings.bos_token_id if start is None else start
        if start is None:
            raise InvalidInput(
                "nothing says what an answer begins with", hint="give decoder_start_token_id=<token>"
            )
        return [start]

    def _begin(
        self, conversation: Conversation, rows: Sequence[Sequence[int]], settings: GenerationSettings
    ) -> list[list[int]]:
        """Read the texts; what their answers begin with."""
        decoder = conversation.decoder
        assert isinstance(decoder, EncoderDecoder)  # noqa: S101 - made by `_open` of graphs that are checked there
        decoder.begin(text_feeds(rows))
        return [self._start(settings)] * len(rows)

    def _answering(
        self,
        conversation: Conversation,
        rows: list[list[int]],
        settings: GenerationSettings,
        cancelled: Callable[[], bool],
    ) -> Answering:
        starts = self._begin(conversation, rows, settings)
        return super()._answering(conversation, starts, settings, cancelled)

    def _search(
        self, prompts: list[list[int]], settings: GenerationSettings, cancelled: Callable[[], bool]
    ) -> list[list[Generated]]:
        with self.conversations.take(prompts, reuse=False) as conversation:
            starts = self._begin(conversation, prompts, settings)
            found = self._found(conversation, starts, settings, cancelled)
        return [
            [self._told(beam, prompt, settings) for beam in beams]
            for prompt, beams in zip(prompts, found, strict=True)
        ]

    @cached_property
    def _vocabulary(self) -> int:
        return self._config.whole("vocab_size") or 1 << 31

    @cached_property
    def _unknown(self) -> int:
        named = self._tokenizer.token("unk_token")
        found = self._tokenizer.backend.token_to_id("<unk>") if named is None else named
        return 0 if found is None else int(found)

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """The answers as they are."""
        several = [each if isinstance(each, list) else [each] for each in answers]
        return Table(("text",), tuple((one[self.answered],) for each in several for one in each))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Eight texts of 1 to 30 words, or cut to a length in tokens."""
        del parameters
        if length is None:
            return list(texts.SAMPLES)
        return list(text_samples.of_length(self._tokenizer, texts.SAMPLES, length, prefix=self._prefix()))

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """``tokens``: what the model reads, special tokens counted, without padding."""
        self.check(parameters)
        _, others = self._settings(parameters)
        read = [self.prompt(item, position=place, **others) for place, item in enumerate(items)]
        return {"tokens": float(sum(map(len, read)))}


def _lengths(said: Mapping[str, Any]) -> dict[str, int]:
    """``max_length`` and ``min_length`` count the token that an answer begins with."""
    found = {}
    for name, meant in _LENGTHS.items():
        value = said.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InvalidInput(f"`{name}` is {value!r}", hint="give a whole number", parameter=name)
        found[meant] = max(value - 1, 1 if name == "max_length" else 0)
    return found
