"""The smaller models that guess for one that writes: opened when they are first named, held to have the same tokens, and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from gpux.errors import InvalidInput
from gpux.generation.speculation import Draft

if TYPE_CHECKING:
    from gpux.generation.settings import GenerationSettings
    from gpux.pipelines.generating import GeneratingPipeline

_ALONE = {"model"}
"""The components of a model that reads nothing but tokens."""


class Drafts:
    """The models that guess for one pipeline. For several threads.

    Args:
        pipeline: The task of the model that they guess for.
    """

    def __init__(self, pipeline: GeneratingPipeline) -> None:
        self._pipeline = pipeline
        self._open: dict[str, tuple[Any, int]] = {}
        self._lock = Lock()

    @contextmanager
    def take(self, settings: GenerationSettings, prompts: Sequence[Sequence[int]]) -> Iterator[list[Draft]]:
        """The model that the settings name as a guesser, for as long as the block lasts; none for several rows at once.

        Raises:
            ArtifactNotFound: No model of that name is stored.
            InvalidInput: It writes other tokens, or nothing.
            GpuxError: It cannot be opened.
        """
        found = self._found(settings.draft) if settings.draft else None
        if found is None or len(prompts) != 1:
            yield []
            return
        (prompt,), (model, vocabulary) = prompts, found
        with model.pipeline.conversations.take(prompts) as conversation:
            lengths = conversation.decoder.lengths
            read = prompt[: lengths[0]] if len(lengths) == 1 else ()
            draft = Draft(conversation.decoder, read=read, vocabulary=vocabulary)
            try:
                yield [draft]
            finally:
                conversation.tokens = draft.read

    def forget(self) -> None:
        """Read every prompt from its beginning again."""
        with self._lock:
            for model, _ in self._open.values():
                model.pipeline.forget()

    def close(self) -> None:
        """Close them; one that is named again is opened again."""
        with self._lock:
            leaving, self._open = list(self._open.values()), {}
        for model, _ in leaving:
            model.close()

    def _found(self, name: str) -> tuple[Any, int]:
        """An open model, and how many tokens its tokenizer knows."""
        with self._lock:
            if name not in self._open:
                self._open[name] = self._opened(name)
            return self._open[name]

    def _opened(self, name: str) -> tuple[Any, int]:
        opens = self._pipeline.companion
        if set(self._pipeline.session.parts) != _ALONE or opens is None:
            raise _refused("this model takes no draft", "leave out draft", name)
        model = opens(name)
        try:
            return model, self._tokens(model.pipeline, name)
        except BaseException:
            model.close()
            raise

    def _tokens(self, draft: Any, name: str) -> int:
        same = f"name a smaller model of the same family as `{self._pipeline.artifact.reference}`"
        if not draft.emits or set(draft.session.parts) != _ALONE:
            raise _refused(f"`{name}` does not go on with a text, and cannot be a draft", same, name)
        ours, theirs = (each.tokenizer.get_vocab() for each in (self._pipeline, draft))
        if ours != theirs:
            differing = len({token for token, _ in ours.items() ^ theirs.items()})
            raise _refused(f"the tokenizer of `{name}` is another one: {differing} tokens differ", same, name)
        return max(theirs.values(), default=0) + 1


def _refused(message: str, hint: str, name: str) -> InvalidInput:
    return InvalidInput(message, hint=hint, parameter="draft", draft=name)
