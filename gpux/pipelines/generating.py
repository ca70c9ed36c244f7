"""What tasks that write have in common: settings, prompts to tokens, conversations, whole answers and answers in pieces."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.generation import opening
from gpux.generation.beams import Beam, search
from gpux.generation.constraint import Constraint, Constraints
from gpux.generation.conversations import Conversation, Conversations
from gpux.generation.decoder import Decoder
from gpux.generation.loop import LENGTH, STOP, Answering, Generated, Piece
from gpux.generation.settings import NAMES, GenerationSettings
from gpux.generation.stopping import Stopper
from gpux.pipelines.drafting import Drafts
from gpux.pipelines.pipeline import Clock, Pipeline
from gpux.session import Session
from gpux.text import limits
from gpux.text.detokenizer import Detokenizer
from gpux.text.tokens import Tokenizer

_ENDLESS = 1 << 17
"""Tokens that a model may come to which says nothing of its own limit."""


class GeneratingPipeline(Pipeline):
    """A task whose answers are written token by token.

    A subclass says what an item is, and what its prompt's tokens are.

    Attributes:
        settings: How the model's own files say that it writes.
        conversations: What it has read, of those that nobody is writing to.

    Raises:
        UnsupportedModel: The graph does not write, or a setting is of the wrong type.
    """

    emits: ClassVar[bool] = True
    parameters: ClassVar[tuple[str, ...]] = NAMES
    batch: ClassVar[int] = 8
    window: ClassVar[int] = 64
    brief: ClassVar[Mapping[str, Any]] = {"max_new_tokens": 2}
    raced: ClassVar[Mapping[str, Any]] = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False}

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._tokenizer = Tokenizer(artifact, max_length=None)
        self.settings = GenerationSettings.read(artifact, {})
        self.conversations = Conversations(opening.sharing(self._open))
        self.conversations.start()
        self._constraints: Constraints | None = None
        self._drafts = Drafts(self)

    @property
    def chats(self) -> bool:
        """Whether a conversation can be given."""
        return False

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the tokenizers library, which must not be changed."""
        return self._tokenizer.backend

    @cached_property
    def context(self) -> int:
        """Tokens that prompt and answer can come to together."""
        return limits.positions(self.artifact) or _ENDLESS

    @abstractmethod
    def prompt(self, item: Any, /, *, position: int, **_: Any) -> list[int]:
        """The tokens of an item.

        Raises:
            InvalidInput: It is none; ``position`` says which.
        """

    def write(
        self,
        items: Sequence[Any],
        clock: Clock | None = None,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        **parameters: Any,
    ) -> list[list[Generated]]:
        """Whole answers: ``num_return_sequences`` for each item, several items in one batch.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
            RunFailed: The runtime failed.
        """
        settings, others = self._settings(parameters)
        prompts = self._prompts(items, settings, others)
        if clock:
            clock.lap("preprocess")
        found: list[list[Generated]] = []
        size = self.session.plan.batch or self.batch
        for start in range(0, len(prompts), size):
            part = prompts[start : start + size]
            own = settings
            if start and settings.seed is not None:
                own = replace(settings, seed=settings.seed + start)  # or every batch would draw alike
            write = self._search if settings.num_beams > 1 else self._together
            found += write(part, own, cancelled)
        if clock:
            clock.lap("infer")
        return found

    def emit(
        self, item: Any, *, cancelled: Callable[[], bool] = lambda: False, **parameters: Any
    ) -> Generator[Piece, None, Generated | list[Generated]]:
        """One answer in pieces, one for each token; what the iterator returns in the end is the whole.

        Answers to a list of items are written together, in turns; a piece says whose it is. Whoever stops to listen ends it
        within one step.

        Raises:
            InvalidInput: The item or a parameter cannot be taken.
            RunFailed: The runtime failed; what came before it stands.
        """
        settings, others = self._settings(parameters)
        if settings.num_beams > 1 or settings.num_return_sequences > 1:
            raise InvalidInput(
                "several answers cannot be told piece by piece",
                hint="leave out num_beams and num_return_sequences, or take whole answers",
            )
        alone = self.is_item(item)
        prompts = self._prompts([item] if alone else list(item), settings, others)
        with self.conversations.take(prompts) as conversation, self._drafts.take(settings, prompts) as drafts:
            answering = self._answering(conversation, prompts, settings, _asked(conversation, cancelled))
            answering.guessers += drafts
            try:
                yield from answering
            finally:
                _remember(conversation, answering)
        return answering.answers()[0] if alone else answering.answers()

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Make sure that every parameter is one of :attr:`parameters`, and has a value that it can have.

        Raises:
            InvalidInput: One is not, or has not.
        """
        super().check(parameters)
        self.settings.with_given({name: value for name, value in parameters.items() if name in NAMES})

    def forget(self) -> None:
        """Read every prompt from its beginning again, whatever was read before."""
        self.conversations.forget()
        self._drafts.forget()

    def close(self) -> None:
        """Let go of what conversations have read, and of models that guess; what is being written ends with an error."""
        self.conversations.close()
        self._drafts.close()

    def _open(self) -> Decoder:
        return opening.decoder(self.session.parts, limit=self.context, settings=self.settings)

    def _settings(self, parameters: Mapping[str, Any]) -> tuple[GenerationSettings, dict[str, Any]]:
        own = {name: value for name, value in parameters.items() if name in NAMES}
        others = {name: value for name, value in parameters.items() if name not in NAMES}
        return self.settings.with_given(own), others

    def _prompts(
        self, items: Sequence[Any], settings: GenerationSettings, others: Mapping[str, Any]
    ) -> list[list[int]]:
        prompts = [self.prompt(item, position=place, **others) for place, item in enumerate(items)]
        return [self._fitted(prompt, place, settings) for place, prompt in enumerate(prompts)]

    def _fitted(self, prompt: list[int], position: int, settings: GenerationSettings) -> list[int]:
        if not prompt:
            if settings.bos_token_id is None:
                raise InvalidInput(
                    "the prompt is empty, and the model has no token to begin with",
                    hint="give at least one word",
                    position=position,
                )
            return [settings.bos_token_id]
        room = self.context - min(settings.max_new_tokens or 1, max(self.context // 2, 1))
        if len(prompt) < self.context and (len(prompt) <= room or not settings.truncate):
            return prompt
        if settings.truncate:
            return prompt[-room:]
        raise InvalidInput(
            f"the prompt has {len(prompt)} tokens, and the model takes {self.context} with its answer",
            hint="shorten it, or give truncate=True (--truncate) to drop its beginning",
            position=position,
        )

    def _together(
        self, prompts: list[list[int]], settings: GenerationSettings, cancelled: Callable[[], bool]
    ) -> list[list[Generated]]:
        count = settings.num_return_sequences
        rows = [prompt for prompt in prompts for _ in range(count)]
        with self.conversations.take(rows) as conversation, self._drafts.take(settings, rows) as drafts:
            answering = self._answering(conversation, rows, settings, _asked(conversation, cancelled))
            answering.guessers += drafts
            try:
                for _ in answering:
                    pass
            finally:
                _remember(conversation, answering)
        answers = answering.answers()
        return [answers[start : start + count] for start in range(0, len(answers), count)]

    def _answering(
        self,
        conversation: Conversation,
        rows: list[list[int]],
        settings: GenerationSettings,
        cancelled: Callable[[], bool],
    ) -> Answering:
        return Answering(
            conversation.decoder,
            rows,
            settings,
            self._tokenizer.backend,
            constraint=lambda vocabulary: self._constraint(settings, vocabulary),
            cancelled=cancelled,
        )

    def _constraint(self, settings: GenerationSettings, vocabulary: int) -> Constraint | None:
        if self._constraints is None:
            self._constraints = Constraints(
                self._tokenizer.backend, vocabulary=vocabulary, eos_token_ids=settings.eos_token_ids
            )
        return self._constraints.open(settings)

    def _search(
        self, prompts: list[list[int]], settings: GenerationSettings, cancelled: Callable[[], bool]
    ) -> list[list[Generated]]:
        with self.conversations.take(prompts, reuse=False) as conversation:
            found = self._found(conversation, prompts, settings, _asked(conversation, cancelled))
        return [
            [self._told(beam, prompt, settings, after=prompt) for beam in beams]
            for prompt, beams in zip(prompts, found, strict=True)
        ]

    def _found(
        self,
        conversation: Conversation,
        starts: Sequence[Sequence[int]],
        settings: GenerationSettings,
        cancelled: Callable[[], bool],
    ) -> list[list[Beam]]:
        """The best answers that begin with these tokens; a constraint and stop texts hold for each beam."""
        decode, stops = self._tokenizer.backend.decode, settings.stop
        return search(
            conversation.decoder,
            starts,
            settings,
            constraint=lambda vocabulary: self._constraint(settings, vocabulary),
            ends=(lambda tokens: any(stop in decode(tokens) for stop in stops)) if stops else None,
            cancelled=cancelled,
        )

    def _told(
        self,
        beam: Beam,
        prompt: Sequence[int],
        settings: GenerationSettings,
        *,
        after: Sequence[int] = (),
    ) -> Generated:
        detokenizer = Detokenizer(self._tokenizer.backend, after=after)
        stopper = Stopper(settings.stop)
        text = "".join(map(detokenizer.push, beam.tokens)) + detokenizer.flush()
        shown, stopped = stopper.push(text)
        reason = STOP if beam.ended or stopped else LENGTH
        return Generated(shown + stopper.flush(), beam.tokens, reason, len(prompt))


def _asked(conversation: Conversation, cancelled: Callable[[], bool]) -> Callable[[], bool]:
    """Whether the caller has left; where the model was closed, an error."""

    def asked() -> bool:
        conversation.check()
        return cancelled()

    return asked


def _remember(conversation: Conversation, answering: Answering) -> None:
    """What the decoder has read: of one row its prompt, and its answer but for the token that nobody read any more."""
    if len(answering.rows) == 1 and len(conversation.decoder.lengths) == 1:
        row = answering.rows[0]
        conversation.tokens = (row.prompt + row.tokens)[: conversation.decoder.lengths[0]]
