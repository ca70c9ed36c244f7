"""``text-generation``: texts that go on, and conversations that are answered, as the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/text_generation.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from gpux.errors import InvalidInput
from gpux.generation.loop import Generated
from gpux.generation.settings import NAMES
from gpux.head import Head
from gpux.pipelines.generating import GeneratingPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.text import text_samples, texts
from gpux.text.chat import ChatTemplate
from gpux.text.continuing import Continuing

_DEFAULT_LENGTH = 256
"""Tokens of an answer where neither the model nor the caller says, as in the transformers pipeline."""


class TaskPipeline(GeneratingPipeline):
    """Texts and conversations, continued.

    Raises:
        UnsupportedModel: The graph does not write, or a setting is of the wrong type.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForCausalLM",
        suffixes=("ForCausalLM", "LMHeadModel"),
        outputs=("logits",),
        scores=("prefill", "decode"),
        generates=True,
    )
    noun: ClassVar[str] = "texts"
    parameters: ClassVar[tuple[str, ...]] = (*NAMES, "return_full_text", "tools", "template")

    @cached_property
    def template(self) -> ChatTemplate | None:
        """The model's chat template, whose process starts meanwhile."""
        found = ChatTemplate.read(self.artifact)
        if found is not None:
            found.prepare()
        return found

    @cached_property
    def _continuing(self) -> Continuing:
        return Continuing(self._tokenizer.backend)

    @property
    def chats(self) -> bool:
        """Whether the model has a chat template."""
        return self.template is not None

    def close(self) -> None:
        """Let go of what conversations have read, and of the process that renders prompts."""
        super().close()
        template = self.__dict__.get("template")
        if template is not None:
            template.close()

    def is_item(self, inputs: Any) -> bool:
        """A text, or a list of messages."""
        return isinstance(inputs, str) or _is_chat(inputs)

    def parse(self, text: str) -> Any:
        """A text, or the JSON of a list of messages."""
        if text.lstrip().startswith("["):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                return text
            return value if _is_chat(value) else text
        return text

    def prompt(
        self,
        item: Any,
        /,
        *,
        position: int,
        tools: Sequence[Mapping[str, Any]] | None = None,
        template: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> list[int]:
        """The tokens of a text with the model's own special tokens, or of a conversation by its template."""
        if not _is_chat(item):
            text = texts.checked(item, position=position)
            if not isinstance(text, str):
                raise InvalidInput(
                    f"item {position} is a pair of texts", hint="give one text", position=position
                )
            return list(self._tokenizer([text])[0].ids) if text else []
        if self.template is None:
            raise InvalidInput(
                f"`{self.artifact.reference}` has no chat template",
                hint="give it a text, which it goes on with",
                position=position,
            )
        _check_texts(item, position)
        rendered = self.template.render(item, tools=tools, **_extra(template, position))
        with self._tokenizer.trusted():
            return self._continuing(rendered)

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        return_full_text: bool = True,
        **parameters: Any,
    ) -> list[Any]:
        """The answers to each item.

        Args:
            items: Texts, or lists of messages.
            clock: Where the time goes.
            return_full_text: Whether an answer begins with its prompt, or ends the conversation that was given.
            **parameters: The fields of :class:`gpux.generation.settings.GenerationSettings`, and of the chat template: ``tools``: JSON
                Schemas of functions that the model may call; ``template``: what else it is told, such as ``enable_thinking``.

        Returns:
            Per item a list of ``{"generated_text": …}``, a text or the list of messages with the answer at its end.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        if parameters.get("max_new_tokens") is None and self.settings.max_new_tokens is None:
            parameters["max_new_tokens"] = _DEFAULT_LENGTH
        written = self.write(items, clock, **parameters)
        answers = [
            [{"generated_text": _whole(item, one, full=return_full_text)} for one in each]
            for item, each in zip(items, written, strict=True)
        ]
        clock.lap("postprocess")
        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """The answers as they are."""
        rows = []
        for answer in answers:
            for one in answer:
                text = one["generated_text"]
                rows.append((text if isinstance(text, str) else str(text[-1]["content"]),))
        return Table(("text",), tuple(rows))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Texts of every kind, or of so many tokens."""
        del parameters
        if length is None:
            return list(texts.SAMPLES)
        return text_samples.of_length(self._tokenizer, texts.SAMPLES, length)

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """Tokens of the prompts."""
        self.check(parameters)
        others = {name: value for name, value in parameters.items() if name in {"tools", "template"}}
        return {
            "tokens": float(
                sum(len(self.prompt(item, position=place, **others)) for place, item in enumerate(items))
            )
        }


def _extra(template: Any, position: int) -> dict[str, Any]:
    """What the template is told besides, checked."""
    if template is None:
        return {}
    if not isinstance(template, Mapping) or {"messages", "tools"} & template.keys():
        raise InvalidInput(
            "`template` is what the chat template is told besides messages and tools",
            hint='give an object such as {"enable_thinking": false}',
            position=position,
        )
    return {str(name): value for name, value in template.items()}


def _is_chat(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(isinstance(each, Mapping) and "role" in each for each in value)
    )


def _check_texts(messages: Sequence[Mapping[str, Any]], position: int) -> None:
    """A template would write out what else a message holds, as if it had been said."""
    for message in messages:
        content = message.get("content")
        for part in content if isinstance(content, list | tuple) else ():
            kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
            if kind != "text":
                raise InvalidInput(
                    f"a message holds {kind!r}, and this model reads nothing but text",
                    hint="give it text alone, or load a model for image-text-to-text",
                    position=position,
                )


def _whole(item: Any, answer: Generated, *, full: bool) -> Any:
    if not full:
        return answer.text
    if isinstance(item, str):
        return item + answer.text
    return [*item, {"role": "assistant", "content": answer.text}]
