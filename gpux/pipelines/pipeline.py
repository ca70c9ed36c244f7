"""The task contract: items in, answers out, timed in three stages. Knows sessions and artifacts, no particular task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar

from gpux import integrity
from gpux.artifact import Artifact
from gpux.errors import GpuxError, InvalidInput, InvalidSetting
from gpux.head import Head
from gpux.pipelines import failures
from gpux.session import Session

if TYPE_CHECKING:
    import numpy as np

STAGES = ("preprocess", "infer", "postprocess")


class Clock:
    """Adds up the seconds that each stage took; ``lap`` books the time since the last one."""

    __slots__ = ("_last", "seconds")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._last = perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap, or since the clock was made, to a stage."""
        now = perf_counter()
        self.seconds[stage] += now - self._last
        self._last = now


@dataclass(frozen=True, slots=True)
class Table:
    """Answers for a person: cells are printed as they stand, ``notes`` below them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = field(default=())


class Pipeline(ABC):
    """One task over one open session.

    A task is one file in this package, named like the task with underscores, that defines a subclass called
    ``TaskPipeline``; see :func:`gpux.tasks.find`.

    Attributes:
        head: What the task needs of a checkpoint.
        noun: What its items are, as people count them ("120 sentences per second").
        parameters: Names of the keyword arguments that :meth:`answer` takes.
        window: Items that :meth:`stream` holds at once.
        files: Endings of the files that are items (``.jpg``); where there are some, an input of the command line is a path, and
            the task takes a path or URL as a string for an item. None where items are written out.
        batch: Items that are computed together where many are answered and no plan says otherwise.
        emits: Whether an answer comes piece by piece, by a method ``emit``.
        brief: Parameters with which answers are as short as they can be.
        raced: Parameters with which every candidate of a race has the same to do, and little.
        companion: Opens another stored model by its name, for a task that can use two; said by whoever loads the model.

    Raises:
        CorruptArtifact: A file that the task may read was altered since it was stored.
    """

    head: ClassVar[Head]
    noun: ClassVar[str] = "inputs"
    parameters: ClassVar[tuple[str, ...]] = ()
    window: ClassVar[int] = 2048
    batch: ClassVar[int] = 16
    emits: ClassVar[bool] = False
    brief: ClassVar[Mapping[str, Any]] = {}
    raced: ClassVar[Mapping[str, Any]] = {}
    files: ClassVar[tuple[str, ...]] = ()

    def __init__(self, artifact: Artifact, session: Session) -> None:
        integrity.check(artifact, _small_files(artifact))
        self.artifact = artifact
        self.session = session
        self.companion: Callable[[str], Any] | None = None

    @classmethod  # noqa: B027 - a task may have nothing to read ahead
    def prefetch(cls, artifact: Artifact) -> None:
        """Read what does not need the graph, while the graph opens in another thread."""

    @classmethod
    def dimensions(cls, artifact: Artifact) -> Mapping[str, tuple[int, int, int]]:
        """Symbolic dimension of the graph's inputs → (smallest, usual, largest) size; some runtimes compile for a range."""
        del artifact
        return {}

    @abstractmethod
    def is_item(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one item rather than a list of them."""

    @abstractmethod
    def answer(self, items: Sequence[Any], clock: Clock, /, *_: Any, **parameters: Any) -> list[Any]:
        """One answer per item, in order, shaped as the transformers pipeline of this task shapes it.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """

    def answer_alone(self, item: Any, clock: Clock, /, **parameters: Any) -> Any:
        """The answer to one item given by itself; some transformers pipelines shape it differently."""
        return self.answer([item], clock, **parameters)[0]

    @abstractmethod
    def parse(self, text: str) -> Any:
        """The item that a line of text on the command line means."""

    @abstractmethod
    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """The answers for a person."""

    @abstractmethod
    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Realistic items for a benchmark that was given none.

        Args:
            length: Tokens that each item must come to, special ones included; as long as they are when ``None``. A task
                without lengths refuses one with ``super().samples(length)``.
            **parameters: As for :meth:`answer`, where they change what the model sees.

        Raises:
            InvalidSetting: The task has no lengths, the model cannot take this one, or no text comes to it exactly.
        """
        if length is not None:
            raise InvalidSetting(
                f"the task of `{self.artifact.reference}` has no inputs of a length in tokens",
                hint="leave the length out, or give inputs of your own",
                length=length,
            )
        return []

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """How much work items are beyond their number, such as ``{"tokens": 143}``, as the model really sees them.

        Where an item holds several of what :attr:`noun` counts, their number stands under the noun.

        Args:
            items: The items.
            **parameters: As for :meth:`answer`, where they change what the model sees.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        self.check(parameters)
        return {}

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, np.ndarray]]:
        """The tensors that :meth:`answer` would give the graph for these items, run by run: to measure the graph alone.

        Args:
            items: The items.
            **parameters: As for :meth:`answer`, where they change what the model sees.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
            InvalidSetting: The task cannot say, because one run depends on the answer of another.
        """
        raise InvalidSetting(
            f"the task of `{self.artifact.reference}` does not say what its graph is given",
            hint="measure the task as a whole, or give the graph tensors: model.session.run({...})",
        )

    def stream(
        self, items: Iterable[Any], /, *, window: int | None = None, fail_fast: bool = True, **parameters: Any
    ) -> Iterator[Any]:
        """Answers for any number of items, in order, holding at most ``window`` of them.

        Args:
            items: The items, taken as they are needed. One that is a ``GpuxError`` stands for an item that could not be read.
            window: Items that are held at once; :attr:`window` when ``None``.
            fail_fast: Whether the first item that fails ends the stream with its error. Otherwise a :class:`gpux.Failed` stands in its
                place, and the rest goes on.
            **parameters: As for :meth:`answer`.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take; ``position`` counts from the stream's first item.
            RunFailed: The runtime failed, which is no fault of an item.
        """
        self.check(parameters)
        size = self.window if window is None else window
        if not isinstance(size, int) or size < 1:
            raise InvalidInput(f"`window` is {window!r}", hint="give a whole number from 1", window=window)
        if self.is_item(items):
            raise InvalidInput(
                f"a stream takes items one after the other, not one {type(items).__name__}",
                hint="put it in a list",
            )

        def answering(part: Iterator[Any]) -> Iterator[Any]:
            return self._stream(part, size, parameters)

        return (
            failures.until(items, answering) if fail_fast else failures.around(items, answering, window=size)
        )

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Make sure that every parameter is one of :attr:`parameters`.

        Raises:
            InvalidInput: One is not.
        """
        for name in parameters:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise InvalidInput(
                    f"this task takes no parameter `{name}`", hint=f"it takes {known}", parameter=name
                )

    def _stream(self, items: Iterator[Any], window: int, parameters: Mapping[str, Any]) -> Iterator[Any]:
        """Answers in order, holding at most ``window`` items; positions in errors count from the first of them all."""
        first = 0
        while batch := list(islice(items, window)):
            try:
                answers = self.answer(batch, Clock(), **parameters)
            except GpuxError as error:
                if not first:
                    raise
                raise failures.moved(error, first) from error
            first += len(batch)
            yield from answers

    def close(self) -> None:  # noqa: B027 - a task may have nothing to let go of
        """Let go of what the task keeps between calls."""

    def describe(self) -> Mapping[str, Any]:
        """What of the model's own settings the task follows (pooling, maximum length …), for ``gpux show``."""
        return {}


def _small_files(artifact: Artifact) -> list[str]:
    """Every file but the graphs and their weights, which the session looks after."""
    graphs = {path for variant in artifact.manifest.variants for path in variant.graphs.values()}
    folders = tuple(f"{folder}/" for path in graphs if (folder := path.rpartition("/")[0]))
    return [
        f.path for f in artifact.manifest.files if f.path not in graphs and not f.path.startswith(folders)
    ]
