"""``image-to-text``: what is on a picture, as captioners (BLIP) and readers of lines and pages (TrOCR, Donut) write it.

As the pipeline of transformers answered it, which version 5 took out.
Source: https://github.com/huggingface/transformers/blob/v4.57.1/src/transformers/pipelines/image_to_text.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.generation.conversations import Conversation
from gpux.generation.encoder_decoder import EncoderDecoder
from gpux.generation.loop import Answering, Generated
from gpux.generation.settings import NAMES, GenerationSettings
from gpux.generation.vision_language import typed
from gpux.head import IMAGE, Head
from gpux.images import decoding
from gpux.images.loading import ENDINGS, open_image
from gpux.images.processor import ImageProcessor
from gpux.pipelines import picture_items
from gpux.pipelines.generating import GeneratingPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.session import Session
from gpux.text import texts, tokens

_BLIP = "blip"
_DONUT = "donut-swin"
_DEFAULT_LENGTH = 256
"""Tokens of an answer where neither the model nor the caller says, as in the transformers pipeline."""


class Beginning(list[int]):
    """The tokens that an answer begins with.

    Attributes:
        pixels: float32 [1, 3, height, width]: what it is about.
    """

    pixels: np.ndarray


class TaskPipeline(GeneratingPipeline):
    """What is on pictures.

    Raises:
        UnsupportedModel: The graphs do not write, or pictures cannot be prepared.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForImageTextToText",
        suffixes=(),
        outputs=("logits",),
        scores=("prefill", "decode"),
        takes=(IMAGE,),
        classes=("BlipForConditionalGeneration", "VisionEncoderDecoderModel"),
        generates=True,
    )
    noun: ClassVar[str] = "pictures"
    files: ClassVar[tuple[str, ...]] = ENDINGS
    parameters: ClassVar[tuple[str, ...]] = (*NAMES, "text")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self.processor = ImageProcessor.read(artifact)
        ends = self._own.whole("sep_token_id" if self._captions else "eos_token_id")
        if ends is not None and (self._captions or not self.settings.eos_token_ids):
            self.settings = replace(self.settings, eos_token_ids=(ends,))

    @classmethod
    def prefetch(cls, artifact: Artifact) -> None:
        """Read the tokenizer, and import what reads pictures."""
        tokens.prefetch(artifact)
        decoding.pillow()

    @cached_property
    def context(self) -> int:
        """Tokens that an answer can come to, what it begins with among them."""
        return self._own.length("max_position_embeddings") or 512

    @cached_property
    def _config(self) -> Fields:
        return Fields(self.artifact, "config.json")

    @cached_property
    def _own(self) -> Fields:
        """The configuration of the half that writes."""
        return self._config.table("text_config" if self._captions else "decoder")

    @property
    def _captions(self) -> bool:
        return self._config.text("model_type") == _BLIP

    def is_item(self, inputs: Any) -> bool:
        """A path, bytes, a picture, an array of one, or a mapping."""
        return picture_items.is_item(inputs)

    def parse(self, text: str) -> Any:
        """A path or URL as it stands; a mapping where the line is JSON of one."""
        if text.lstrip().startswith("{"):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                return text
            return value if isinstance(value, dict) and "image" in value else text
        return text

    def prompt(self, item: Any, /, *, position: int, text: str | None = None, **_: Any) -> list[int]:
        """What the answer to a picture begins with."""
        value, said = item, text
        if isinstance(item, Mapping):
            texts.keys(item, required=("image",), optional=("text",), position=position)
            value, said = item["image"], item.get("text", text)
        begun = Beginning(self._begun(said, position))
        image = open_image(value, position=position)
        begun.pixels = self.processor.prepare(image, position=position).array[None]
        return begun

    def _begun(self, text: str | None, position: int) -> list[int]:
        said = [] if text is None else self._words(texts.checked(text, position=position))
        if self._captions:
            first = self._own.whole("bos_token_id")
            return [30_522 if first is None else first, *said]  # the default of transformers' BlipTextConfig
        if text is not None and self._config.table("encoder").text("model_type") != _DONUT:
            raise InvalidInput(
                f"input {position} has a text, and `{self.artifact.reference}` takes a picture alone",
                hint="leave the text out",
                position=position,
            )
        if said:
            return said
        start = self.settings.decoder_start_token_id
        for name in ("decoder_start_token_id", "bos_token_id"):
            start = self._config.whole(name) if start is None else start
            start = self._own.whole(name) if start is None else start
        if start is None:
            raise InvalidInput(
                "nothing says what an answer begins with", hint="give decoder_start_token_id=<token>"
            )
        return [start]

    def _words(self, text: str) -> list[int]:
        with self._tokenizer.trusted():
            return list(self._tokenizer.backend.encode(text, add_special_tokens=False).ids)

    def answer(
        self, items: Sequence[Any], clock: Clock, /, *, text: str | None = None, **parameters: Any
    ) -> list[Any]:
        """What is on each picture.

        Args:
            items: Pictures, or ``{"image": …, "text": …}``.
            clock: Where the time goes.
            text: What every answer begins with (BLIP), or the task's prompt (Donut); other models take none.
            **parameters: The fields of :class:`gpux.generation.settings.GenerationSettings`.

        Returns:
            Per picture a list of ``{"generated_text": …}``.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        if parameters.get("max_new_tokens") is None and self.settings.max_new_tokens is None:
            parameters["max_new_tokens"] = _DEFAULT_LENGTH
        written = self.write(items, clock, text=text, **parameters)
        answers = []
        for position, (item, each) in enumerate(zip(items, written, strict=True)):
            said = item.get("text", text) if isinstance(item, Mapping) else text
            answers.append([{"generated_text": self._whole(said, one, position)} for one in each])
        clock.lap("postprocess")
        return answers

    def _whole(self, text: str | None, answer: Generated, position: int) -> str:
        """An answer with what it begins with, as all of its tokens together are read."""
        if text is None or answer.finish_reason == "cancelled":
            return answer.text
        before = self._begun(text, position)
        decoded = self._tokenizer.backend.decode([*before, *answer.tokens], skip_special_tokens=True)
        return str(decoded)

    def _fitted(self, prompt: list[int], position: int, settings: GenerationSettings) -> list[int]:
        if len(prompt) < self.context:
            return prompt
        raise InvalidInput(
            f"the text of input {position} has {len(prompt)} tokens, and the model writes {self.context} with its answer",
            hint="shorten it",
            position=position,
        )

    def _begin(self, conversation: Conversation, rows: Sequence[list[int]]) -> None:
        decoder = conversation.decoder
        assert isinstance(decoder, EncoderDecoder)  # noqa: S101 - made by `_open` of graphs that are checked there
        pixels = np.concatenate([row.pixels for row in rows])  # type: ignore[attr-defined]
        decoder.begin(typed(self.session.parts["encoder"], {"pixel_values": pixels}))

    def _answering(
        self,
        conversation: Conversation,
        rows: list[list[int]],
        settings: GenerationSettings,
        cancelled: Callable[[], bool],
    ) -> Answering:
        self._begin(conversation, rows)
        return super()._answering(conversation, rows, settings, cancelled)

    def _search(
        self, prompts: list[list[int]], settings: GenerationSettings, cancelled: Callable[[], bool]
    ) -> list[list[Generated]]:
        with self.conversations.take(prompts, reuse=False) as conversation:
            self._begin(conversation, prompts)
            found = self._found(conversation, prompts, settings, cancelled)
        return [
            [self._told(beam, prompt, settings) for beam in beams]
            for prompt, beams in zip(prompts, found, strict=True)
        ]

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """The answers as they are."""
        return Table(("text",), tuple((one["generated_text"],) for each in answers for one in each))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Four generated photographs."""
        from gpux.images.photographs import photograph_url

        super().samples(length)
        del parameters
        return [photograph_url(seed) for seed in range(4)]

    def describe(self) -> Mapping[str, Any]:
        """The processor, the size of what the model sees, and how long an answer can be."""
        fixed = self.processor.fixed
        return {
            "processor": self.processor.name,
            "size": list(fixed) if fixed else None,
            "context": self.context,
        }
