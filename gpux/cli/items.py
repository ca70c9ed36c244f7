"""One input with the name that messages call it by, and how a task reads what was typed; knows no task and opens no file but to look."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import gpux
from gpux.errors import GpuxError, InvalidInput

Parse = Callable[[str], Any]

_ADDRESS = re.compile(r"(https?|data):", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{64,}={0,2}")


@dataclass(frozen=True, slots=True)
class Item:
    """An input.

    Attributes:
        name: What messages call it: a path, ``line 17 of mails.txt``, ``input 3``.
        value: What the task is given, or the ``GpuxError`` that stood in the way of reading it.
    """

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Takes:
    """What a task takes.

    Attributes:
        parse: The item that a line of text means.
        files: Endings of files that are items; none where a text is one.
        task: The task's name.
        noun: What its items are, in the plural.
        model: What stands behind ``gpux run``, for hints.
        together: Makes items of what was typed, each with whether it is a file, where texts are about the files beside them.
    """

    parse: Parse
    files: tuple[str, ...] = ()
    task: str = "this task"
    noun: str = "texts"
    model: str = "MODEL"
    together: Callable[[list[tuple[str, bool]]], list[Any]] | None = None

    @classmethod
    def of(cls, model: gpux.Model) -> Takes:
        """What the task of a loaded model takes."""
        pipeline = model.pipeline
        texts = not pipeline.files and pipeline.head.takes == ("text",)
        noun = "texts" if texts else pipeline.noun
        together = getattr(pipeline, "gather", None)
        endings, reference = tuple(pipeline.files), model.artifact.reference
        return cls(pipeline.parse, endings, model.task, noun, reference, together)

    @property
    def example(self) -> str:
        """A command that would have been right."""
        if not self.files:
            return f'gpux run {self.model} "your text"'
        return f"gpux run {self.model} {self.noun.removesuffix('s')}{self.files[0]}"

    def typed(self, inputs: tuple[str, ...]) -> list[Item]:
        """The items of the arguments of one command line."""
        if self.together is None:
            return [item for n, text in enumerate(inputs, 1) for item in self.line(text, f"input {n}")]
        given: list[tuple[str, bool]] = []
        for n, text in enumerate(inputs, 1):
            found = [Item(text, text)] if self._says(text) else list(self.line(text, f"input {n}"))
            for item in found:
                if not isinstance(item.value, str):
                    return [item] if len(inputs) == 1 or isinstance(item.value, GpuxError) else found
                given.append((item.value, not self._says(text)))
        values = self.together(given)
        return [Item(f"input {n}", value) for n, value in enumerate(values, 1)]

    def _says(self, text: str) -> bool:
        """Whether an argument is a text, rather than a file or something that is spelt like one."""
        if _ADDRESS.match(text) or _BASE64.fullmatch(text) or text.lstrip()[:1] in {"{", "["}:
            return False
        spelt = text.lower().endswith(self.files) or re.search(r"[/\\]\S+$", text)
        return files(text, self.files) is None and not spelt

    def line(self, text: str, name: str, *, objects: bool = False) -> Iterator[Item]:
        """The item of a line, or the files that it means; with ``objects``, every object of JSON is an item, not its text."""
        try:
            value = self.parse(text)
        except GpuxError as error:
            value = error
        if objects and isinstance(value, str) and text.lstrip().startswith("{"):
            value = _mapping(text) or value
        if not self.files or not isinstance(value, str):
            yield Item(name, value)
            return
        yield from self.paths(text, name)

    def paths(self, text: str, name: str) -> Iterator[Item]:
        """The files of a path, a folder or a pattern, sorted; a web address or an encoded file as it stands."""
        if _ADDRESS.match(text) or _BASE64.fullmatch(text):
            yield Item(text if text.startswith("http") else name, text)
            return
        found = files(text, self.files)
        if found:
            yield from (Item(path, path) for path in found)
            return
        shown = text if len(text) <= 80 else f"{text[:79]}…"
        if found is not None:
            hint = f"{self.task} takes files that end in {' '.join(self.files)}"
            yield Item(text, InvalidInput(f"`{shown}` holds no {self.noun}", hint=hint, path=text))
        elif text.lower().endswith(self.files) or re.search(r"[/\\]\S+$", text):
            hint = f"check the path; {self.task} takes {self.noun}"
            yield Item(text, InvalidInput(f"there is no file `{shown}`", hint=hint, path=text))
        else:
            said = f"`{shown}` is no file: {self.task} takes {self.noun}"
            yield Item(name, InvalidInput(said, hint=self.example))


def files(text: str, endings: tuple[str, ...] = ()) -> list[str] | None:
    """The files that a path, a folder (its own files) or a pattern (``**`` for any depth) means, sorted.

    Args:
        text: The path as it was typed.
        endings: Of the files that a folder or pattern is searched for; any where there are none.

    Returns:
        ``None`` where the text is no path of anything and no pattern.
    """
    try:
        path = Path(text)
        if path.is_dir():
            return sorted(str(each) for each in path.iterdir() if _wanted(each, endings))
        if path.exists():
            return [text]
        if not re.search(r"[*?\[]", text):
            return None
        every = glob(text, recursive=True)  # noqa: PTH207 - a pattern may be absolute, which pathlib's may not
        found = sorted(each for each in every if _wanted(Path(each), endings))
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return None
    return found if found or re.search(r"\*|[/\\]", text) else None  # "what is this?" is no pattern


def _wanted(path: Path, endings: tuple[str, ...]) -> bool:
    if path.name.startswith("."):
        return False
    return path.name.lower().endswith(endings or "") and path.is_file()


def _mapping(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
