"""What tasks have in common that show pictures to a language model: views, features, and prompts with places for them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.fields import Fields
from gpux.generation.conversations import Conversation
from gpux.generation.decoder import Decoder
from gpux.generation.loop import Answering, Generated
from gpux.generation.settings import GenerationSettings
from gpux.generation.vision_language import (
    COMPONENTS,
    DECODER,
    EMBEDDER,
    VISION,
    Album,
    Picture,
    PictureDecoder,
    typed,
)
from gpux.images import decoding, views
from gpux.images.loading import ENDINGS, open_image
from gpux.pipelines.generating import GeneratingPipeline
from gpux.pipelines.picture_items import Asked
from gpux.session import Session
from gpux.text import placeholders, tokens
from gpux.text.chat import ChatTemplate

if TYPE_CHECKING:
    from PIL.Image import Image


class Prompt(list[int]):
    """Tokens and places of pictures, which are kept for as long as the prompt is.

    Attributes:
        pictures: In the order in which they stand.
        seconds: How long their features took.
    """

    pictures: tuple[Picture, ...] = ()
    seconds: float = 0.0


class PicturingPipeline(GeneratingPipeline):
    """A task whose prompts hold pictures.

    Raises:
        UnsupportedModel: The model's graphs are none of such a model, or its pictures cannot be prepared.
        CorruptArtifact: A file of the model cannot be read.
    """

    files: ClassVar[tuple[str, ...]] = ENDINGS

    def __init__(self, artifact: Artifact, session: Session) -> None:
        missing = [name for name in COMPONENTS if name not in session.parts]
        if missing:
            raise UnsupportedModel(
                f"`{artifact.reference}` has no graph `{missing[0]}`",
                hint=f"gpux pull {artifact.reference} --force",
                reference=artifact.reference,
            )
        self._album = Album()
        super().__init__(artifact, session)
        self.views = views.read(artifact)

    @classmethod
    def prefetch(cls, artifact: Artifact) -> None:
        """Read the tokenizer, and import what reads pictures."""
        tokens.prefetch(artifact)
        decoding.pillow()

    @cached_property
    def template(self) -> ChatTemplate | None:
        """The model's chat template."""
        return ChatTemplate.read(self.artifact)

    @property
    def chats(self) -> bool:
        """Whether the model has a chat template."""
        return self.template is not None

    @cached_property
    def token(self) -> int:
        """The token that stands for one place of a picture."""
        configuration = Fields(self.artifact, "config.json")
        token = configuration.whole("image_token_id")
        token = configuration.whole("image_token_index") if token is None else token
        if token is None or self._tokenizer.backend.id_to_token(token) is None:
            raise configuration.refused("image_token_id", "a token of its tokenizer")
        return token

    @cached_property
    def mark(self) -> str:
        """That token as it is written."""
        return str(self._tokenizer.backend.id_to_token(self.token))

    def prompted(self, asked: Asked, *, position: int, **template: Any) -> Prompt:
        """The tokens of an item, its pictures shown to the vision graph where that has not seen them before.

        Raises:
            InvalidInput: A picture cannot be read, or pictures and places for them do not match.
        """
        text, special = self._written(asked, position, template)
        images = [open_image(value, position=position) for value in asked.pictures]
        # A text that does not fit its pictures is told before anything is computed.
        placeholders.expand(text, self.mark, [1] * len(images), position=position)
        seen = [self.views.view(image, position=position) for image in images]
        text = placeholders.expand(text, self.mark, [one.places for one in seen], position=position)
        with self._tokenizer.trusted():
            ids = np.array(self._tokenizer.backend.encode(text, add_special_tokens=special).ids, np.int64)
        self._check_length(len(ids), position)
        began = perf_counter()
        pictures = [self._picture(image, view) for image, view in zip(images, seen, strict=True)]
        own = [place for picture in pictures for place in picture.ids]
        marked = ids == self.token
        if int(marked.sum()) != len(own):
            raise InvalidInput(
                f"the text of input {position} has places for pictures that its tokenizer does not see as such",
                hint=f"leave `{self.mark}` out of the text",
                position=position,
            )
        ids[marked] = own
        prompt = Prompt(ids.tolist())
        prompt.pictures, prompt.seconds = tuple(pictures), perf_counter() - began
        return prompt

    def _written(self, asked: Asked, position: int, template: Mapping[str, Any]) -> tuple[str, bool]:
        """The text of an item with a mark for each picture, and whether special tokens are added to it."""
        if asked.messages is None:
            text = asked.text or ""
            if asked.raw or self.mark in text or self.template is None:
                if not asked.raw and self.mark not in text and asked.pictures:
                    text = self.mark * len(asked.pictures) + "\n" + text
                return text, True
            parts = [{"type": "image"} for _ in asked.pictures] + [{"type": "text", "text": text}]
            told = [{"role": "user", "content": parts}]
            if asked.system is not None:
                told.insert(0, {"role": "system", "content": [{"type": "text", "text": asked.system}]})
        else:
            told = asked.messages
        if self.template is None:
            raise InvalidInput(
                f"`{self.artifact.reference}` has no chat template",
                hint=f"give a text with `{self.mark}` where a picture stands",
                position=position,
            )
        text = _rendered(self.template, told, template, position)
        # As transformers' processors: what a template writes out is not added once more.
        first = self.template.special.get("bos_token")
        return text, not (first and text.startswith(first))

    def _picture(self, image: Image, view: views.View) -> Picture:
        key = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).digest()
        vision = self.session.parts[VISION]
        return self._album.add(key, lambda: view.features(vision.run(typed(vision, view.feeds))))

    def _check_length(self, length: int, position: int) -> None:
        """Tell a prompt that is too long before its pictures are computed."""
        if length >= self.context:
            raise InvalidInput(
                f"the text and pictures of input {position} come to {length} tokens, and the model takes {self.context}",
                hint="give fewer or smaller pictures",
                position=position,
            )

    def _fitted(self, prompt: list[int], position: int, settings: GenerationSettings) -> list[int]:
        if isinstance(prompt, Prompt) and prompt.pictures:
            return prompt  # its length is checked, and nothing is cut out of pictures
        return super()._fitted(prompt, position, settings)

    def _open(self) -> Decoder:
        parts = self.session.parts
        return PictureDecoder(parts[EMBEDDER], parts[DECODER], album=self._album, limit=self.context)

    def _answering(
        self,
        conversation: Conversation,
        rows: list[list[int]],
        settings: GenerationSettings,
        cancelled: Callable[[], bool],
    ) -> Answering:
        return _Answering(
            conversation.decoder,
            rows,
            settings,
            self._tokenizer.backend,
            constraint=lambda vocabulary: self._constraint(settings, vocabulary),
            cancelled=cancelled,
        )

    def describe(self) -> Mapping[str, Any]:
        """The picture's processor, its placeholder, and what prompt and answer may come to."""
        return {"processor": self.views.name, "placeholder": self.mark, "context": self.context}


class _Answering(Answering):
    """Answers that say how long each component took."""

    def __init__(self, decoder: Any, prompts: Sequence[Sequence[int]], *others: Any, **named: Any) -> None:
        super().__init__(decoder, prompts, *others, **named)
        self._prompts = list(prompts)
        self._decoder.seconds = dict.fromkeys((EMBEDDER, DECODER), 0.0)  # type: ignore[attr-defined]

    def answers(self) -> list[Generated]:
        """What was written; in ``timings`` seconds by component, those of the batch as a whole."""
        found = super().answers()
        spent = self._decoder.seconds  # type: ignore[attr-defined]
        for prompt, one in zip(self._prompts, found, strict=True):
            one.timings.update({VISION: getattr(prompt, "seconds", 0.0), **spent})
        return found


def _rendered(
    template: ChatTemplate, messages: list[dict[str, Any]], extra: Mapping[str, Any], position: int
) -> str:
    """The prompt of a conversation; one whose last message is the assistant's goes on with that."""
    if messages[-1].get("role") != "assistant":
        return template.render(messages, **extra)
    content = messages[-1].get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    last = next((str(p["text"]) for p in reversed(parts) if isinstance(p, Mapping) and "text" in p), "")
    text = template.render(messages, add_generation_prompt=False, **extra)
    place = text.rfind(last.strip())
    if not last.strip() or place < 0:
        raise InvalidInput(
            f"the last message of input {position} has no text to go on with",
            hint="end the conversation with a message of the user",
            position=position,
        )
    kept = text[: place + len(last.strip())]
    return text[: text.rfind(last) + len(last)] if text.rfind(last) >= 0 else kept
