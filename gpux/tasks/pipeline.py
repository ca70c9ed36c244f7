"""The task contract: items in, answers out, timed in three stages. Knows sessions and artifacts, no particular task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, ClassVar

from gpux.artifact import Artifact
from gpux.session import Session

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
        parameters: Names of the keyword arguments that :meth:`answer` takes.
    """

    parameters: ClassVar[tuple[str, ...]] = ()

    def __init__(self, artifact: Artifact, session: Session) -> None:
        self.artifact = artifact
        self.session = session

    @abstractmethod
    def is_item(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one item rather than a list of them."""

    @abstractmethod
    def answer(self, items: Sequence[Any], clock: Clock, /, **parameters: Any) -> list[Any]:
        """One answer per item, in order, shaped as the transformers pipeline of this task shapes it.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """

    @abstractmethod
    def parse(self, text: str) -> Any:
        """The item that a line of text on the command line means."""

    @abstractmethod
    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """The answers for a person."""

    @abstractmethod
    def samples(self) -> list[Any]:
        """Realistic items for a benchmark that was given none."""

    def stream(self, items: Iterable[Any], /, *, window: int = 2048, **parameters: Any) -> Iterator[Any]:
        """Answers for any number of items, holding at most ``window`` of them."""
        batch: list[Any] = []
        for item in items:
            batch.append(item)
            if len(batch) == window:
                yield from self.answer(batch, Clock(), **parameters)
                batch = []
        if batch:
            yield from self.answer(batch, Clock(), **parameters)

    def describe(self) -> Mapping[str, Any]:
        """What of the model's own settings the task follows (pooling, maximum length …), for ``gpux show``."""
        return {}
