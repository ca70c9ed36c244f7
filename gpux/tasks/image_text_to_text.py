"""``image-text-to-text``: texts about pictures and conversations with pictures in them, as the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/image_text_to_text.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gpux.generation.settings import NAMES
from gpux.head import IMAGE, TEXT, Head
from gpux.pipelines import picture_items
from gpux.pipelines.picturing import PicturingPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.text import texts
from gpux.text.chat_messages import are_messages

_DEFAULT_LENGTH = 256
"""Tokens of an answer where neither the model nor the caller says, as in the transformers pipeline."""
_QUESTION = "What is in this picture?"


class TaskPipeline(PicturingPipeline):
    """Answers to texts about pictures.

    Raises:
        UnsupportedModel: The model's graphs are none of such a model, or its pictures cannot be prepared.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForImageTextToText",
        suffixes=(),
        outputs=("logits",),
        scores=("prefill", "decode"),
        takes=(TEXT, IMAGE),
        classes=(
            "LlavaForConditionalGeneration",
            "LlavaNextForConditionalGeneration",
            "Qwen2VLForConditionalGeneration",
            "Qwen2_5_VLForConditionalGeneration",
            "Qwen3VLForConditionalGeneration",
        ),
        generates=True,
    )
    noun: ClassVar[str] = "pictures"
    parameters: ClassVar[tuple[str, ...]] = (*NAMES, "text", "return_full_text", "template")

    def is_item(self, inputs: Any) -> bool:
        """A picture, pictures with a text, or a conversation."""
        return picture_items.is_item(inputs)

    def parse(self, text: str) -> Any:
        """A path or URL as it stands; pictures with a text, or a conversation, where the line is JSON of one."""
        if text.lstrip()[:1] in {"{", "["}:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                return text
            return value if isinstance(value, dict) or are_messages(value) else text
        return text

    def gather(self, arguments: Sequence[tuple[str, bool]]) -> list[Any]:
        """What the arguments of one command line mean: each text asks about the pictures before it.

        Args:
            arguments: Each with whether it is a picture.
        """
        pictures = [text for text, picture in arguments if picture]
        asked = [text for text, picture in arguments if not picture]
        if not asked:
            return list(pictures)
        return [{"images": pictures, "text": text} for text in asked]

    def prompt(
        self,
        item: Any,
        /,
        *,
        position: int,
        text: str | None = None,
        template: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> list[int]:
        """The tokens of a text with places for its pictures."""
        asked = picture_items.read(item, position=position, text=text)
        return self.prompted(asked, position=position, **dict(template or {}))

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        text: str | None = None,
        return_full_text: bool = True,
        **parameters: Any,
    ) -> list[Any]:
        """The answers to each item.

        Args:
            items: Pictures, ``{"image" or "images": …, "text": …}``, or lists of messages whose content holds pictures.
            clock: Where the time goes.
            text: What is asked of every picture without a text of its own.
            return_full_text: Whether an answer begins with its prompt, or ends the conversation that was given.
            **parameters: The fields of :class:`gpux.generation.settings.GenerationSettings`; ``template``: what else the chat
                template is told.

        Returns:
            Per item a list of ``{"input_text": …, "generated_text": …}``, texts or lists of messages.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        if parameters.get("max_new_tokens") is None and self.settings.max_new_tokens is None:
            parameters["max_new_tokens"] = _DEFAULT_LENGTH
        written = self.write(items, clock, text=text, **parameters)
        answers = []
        for position, (item, each) in enumerate(zip(items, written, strict=True)):
            said = item if are_messages(item) else picture_items.read(item, position=position, text=text).text
            answers.append(
                [
                    {"input_text": said, "generated_text": _whole(said, one.text, full=return_full_text)}
                    for one in each
                ]
            )
        clock.lap("postprocess")
        return answers

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """The answers as they are."""
        rows = []
        for answer in answers:
            for one in answer:
                said = one["generated_text"]
                rows.append((said if isinstance(said, str) else _last(said),))
        return Table(("text",), tuple(rows))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Four generated photographs with a question each."""
        from gpux.images.photographs import photograph_url

        super().samples(length)
        text = parameters.get("text") or _QUESTION
        return [{"image": photograph_url(seed), "text": text} for seed in range(4)]

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """Tokens of the prompts, places of pictures among them, and how many pictures there are."""
        self.check(parameters)
        others = {name: value for name, value in parameters.items() if name in {"text", "template"}}
        asked = [
            picture_items.read(item, position=place, text=parameters.get("text"))
            for place, item in enumerate(items)
        ]
        count = sum(len(self.prompt(item, position=place, **others)) for place, item in enumerate(items))
        return {"tokens": float(count), "pictures": float(sum(len(one.pictures) for one in asked))}


def _whole(said: Any, answer: str, *, full: bool) -> Any:
    if not full:
        return answer
    if isinstance(said, str):
        return said + answer
    if said[-1].get("role") != "assistant":
        return [*said, {"role": "assistant", "content": answer}]
    content = said[-1].get("content")
    if isinstance(content, str):
        content = content + answer
    else:
        content = [*content[:-1], {**content[-1], "text": content[-1].get("text", "") + answer}]
    return [*said[:-1], {**said[-1], "content": content}]


def _last(messages: Sequence[Mapping[str, Any]]) -> str:
    content = messages[-1]["content"]
    if isinstance(content, str):
        return content
    return texts.brief(" ".join(str(part.get("text", "")) for part in content))
