"""The tokens that steer a speech model: start, language, task, times, as its own files name them; knows no sound.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/whisper/generation_whisper.py
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpux.artifact import Artifact
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.fields import Fields
from gpux.text import spoken_languages as languages
from gpux.text.tokens import Tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

TASKS = ("transcribe", "translate")
HEARD = -1
"""Stands in a prefix for the token of the language that the model hears."""

_TIME = re.compile(r"<\|(\d+\.\d+)\|>")


@dataclass(frozen=True, slots=True)
class SpeechTokens:
    """What a speech model's tokens mean. Made by :func:`read`.

    Attributes:
        backend: The tokenizer of the tokenizers library.
        start: What every answer begins with.
        end: What ends it.
        no_times: What says that times are not told; ``None`` where the model has no such token.
        first_time: The token of the time 0; those behind it are steps of 20 ms.
        previous: What stands before the text that came before; ``None`` where the model knows none.
        languages: Code of a language → its token; empty where the model knows one.
        tasks: ``transcribe`` and ``translate`` → their tokens.
        multilingual: Whether it takes a language and a task.
        forced: Place → token that the model's files put there; ``None`` stands for the language that is heard.
        special: Tokens that are no text.
        own_language: The language that the model's files ask for.
        own_task: The task that they ask for.
        language: English name of the language that its tokenizer was made for.
    """

    backend: Backend
    start: int
    end: int
    no_times: int | None
    first_time: int
    previous: int | None
    languages: Mapping[str, int]
    tasks: Mapping[str, int]
    multilingual: bool
    forced: tuple[int | None, ...]
    special: frozenset[int]
    own_language: str | None
    own_task: str | None
    language: str | None

    def decode(self, tokens: Sequence[int]) -> str:
        """What tokens say, times left out."""
        return _TIME.sub("", self.backend.decode(list(tokens), skip_special_tokens=False))

    def without_prompt(self, tokens: Sequence[int]) -> Sequence[int]:
        """The tokens without the text that came before."""
        if not tokens or tokens[0] != self.previous:
            return tokens
        return tokens[list(tokens).index(self.start) :] if self.start in tokens else []

    def prompt(self, text: str) -> list[int]:
        """The tokens of a text that is to be taken as what came before.

        Raises:
            InvalidInput: It holds a special token, or the model knows no such text.
        """
        if self.previous is None:
            raise InvalidInput("this model takes no `prompt`", hint="leave it out")
        tokens: list[int] = self.backend.encode(f" {text.strip()}", add_special_tokens=False).ids
        for token in tokens:
            if token in self.special:
                said = self.backend.id_to_token(token)
                raise InvalidInput(f"the prompt holds the special token `{said}`", hint="take it out")
        return [self.previous, *tokens]

    def prefix(self, *, language: str | None, task: str | None, times: bool) -> list[int]:
        """What an answer begins with; :data:`HEARD` stands for the language that is still to be heard.

        Args:
            language: A code, an English name or a token; what the model's files say when ``None``.
            task: One of :data:`TASKS`; what the model's files say when ``None``.
            times: Whether times are told.

        Raises:
            InvalidInput: The model does not know the language or the task.
        """
        if (language is not None or task is not None) and not self.multilingual:
            raise InvalidInput(
                "this model knows one language, and takes no `language` and no `task`", hint="leave them out"
            )
        language, task = language or self.own_language, task or self.own_task
        begun: list[int | None] = [self.start]
        if language is None and task is None:
            begun += self.forced
        if language is not None:
            begun[1:2] = [self._language(language)]
        elif self.languages and (len(begun) == 1 or begun[1] is None):
            begun[1:2] = [HEARD]
        if task is not None:
            begun.append(self._task(task))
        elif language is not None and self.tasks and not any(one in begun for one in self.tasks.values()):
            begun.append(self.tasks["transcribe"])
        if not times and self.no_times is not None and begun[-1] != self.no_times:
            begun.append(self.no_times)
        elif times and self.no_times is not None and begun[-1] == self.no_times:
            begun.pop()
        return [token for token in begun if token is not None]

    def _language(self, language: str) -> int:
        code = languages.code(language)
        token = None if code is None else self.languages.get(code)
        if token is None:
            known = {languages.NAMES.get(code, code): code for code in self.languages}
            close = difflib.get_close_matches(language.lower(), [*known, *self.languages], n=1)
            raise InvalidInput(
                f"this model does not know the language `{language}`",
                hint=f"did you mean `{close[0]}`" if close else f"it knows {', '.join(list(known)[:12])} …",
                language=language,
            )
        return token

    def _task(self, task: str) -> int:
        if task not in TASKS or task not in self.tasks:
            raise InvalidInput(
                f"this model does not know the task `{task}`",
                hint=f"use one of {', '.join(self.tasks) or 'none'}",
                task=task,
            )
        return self.tasks[task]


def read(artifact: Artifact) -> SpeechTokens:
    """The tokens by ``generation_config.json``, the tokenizer and ``config.json``.

    Raises:
        UnsupportedModel: They do not say what an answer begins and ends with.
        CorruptArtifact: A file cannot be read.
    """
    said, config = Fields(artifact, "generation_config.json"), Fields(artifact, "config.json")
    settings = Fields(artifact, "tokenizer_config.json")
    backend = Tokenizer(artifact, max_length=None).backend
    start = _whole("decoder_start_token_id", said, config)
    ends = said.data.get("eos_token_id")
    end = ends[0] if isinstance(ends, list) and ends else _whole("eos_token_id", said, config)
    if start is None or not isinstance(end, int):
        raise UnsupportedModel(
            f"`{artifact.reference}` does not say what a text begins and ends with",
            hint="give it a generation_config.json with decoder_start_token_id and eos_token_id",
            reference=artifact.reference,
        )
    no_times = said.whole("no_timestamps_token_id")
    known = no_times if no_times is not None else backend.token_to_id("<|notimestamps|>")
    spoken = _table(said, "lang_to_id")
    multilingual = said.flag("is_multilingual")
    language = settings.text("language")
    return SpeechTokens(
        backend=backend,
        start=start,
        end=end,
        no_times=no_times,
        first_time=(backend.get_vocab_size() if known is None else known) + 1,
        previous=_previous(said, backend),
        languages={name.removeprefix("<|").removesuffix("|>"): token for name, token in spoken.items()},
        tasks=_table(said, "task_to_id"),
        multilingual=multilingual is not False,
        forced=_forced(said, config),
        special=frozenset(i for i, token in backend.get_added_tokens_decoder().items() if token.special),
        own_language=said.text("language"),
        own_task=said.text("task"),
        language=languages.NAMES.get(languages.code(language) or "") if language else None,
    )


def _whole(key: str, *files: Fields) -> int | None:
    return next((value for fields in files if (value := fields.whole(key)) is not None), None)


def _table(said: Fields, key: str) -> dict[str, int]:
    table = said.table(key)
    return {name: table.whole(name) or 0 for name in table.data}


def _previous(said: Fields, backend: Backend) -> int | None:
    token = said.whole("prev_sot_token_id")
    return backend.token_to_id("<|startofprev|>") if token is None else token


def _forced(*files: Fields) -> tuple[int | None, ...]:
    for fields in files:
        listed = fields.data.get("forced_decoder_ids")
        if listed is None:
            continue
        if not isinstance(listed, list) or not all(_is_forced(one) for one in listed):
            raise fields.refused("forced_decoder_ids", "a list of places and tokens")
        if [place for place, _ in listed] != list(range(1, len(listed) + 1)):
            raise fields.refused("forced_decoder_ids", "a token for each place from 1")
        return tuple(token for _, token in listed)
    return ()


def _is_forced(one: object) -> bool:
    return (
        isinstance(one, list)
        and len(one) == 2
        and isinstance(one[0], int)
        and (one[1] is None or isinstance(one[1], int))
    )
