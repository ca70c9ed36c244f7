"""What the benchmark knows of a loaded model: records to read and one call to time; no class of the rooms above."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gpux.artifact import Artifact


class Placed(Protocol):
    """Where a graph really runs; :class:`gpux.provider.Placement` is one."""

    @property
    def provider(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def nodes(self) -> Mapping[str, int]: ...
    @property
    def share(self) -> float: ...


class Planned(Protocol):
    """What was chosen; :class:`gpux.planning.Plan` is one."""

    @property
    def variant(self) -> str: ...
    @property
    def threads(self) -> int: ...


class Task(Protocol):
    """What the benchmark asks of a task; :class:`gpux.tasks.pipeline.Pipeline` is one."""

    def is_item(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one item rather than a list of them."""
        ...

    def samples(self) -> list[Any]:
        """Realistic items."""
        ...


class Subject(Protocol):
    """A loaded model; :class:`gpux.model.Model` is one."""

    @property
    def artifact(self) -> Artifact: ...
    @property
    def plan(self) -> Planned: ...
    @property
    def placement(self) -> Placed: ...
    @property
    def pipeline(self) -> Task: ...
    @property
    def task(self) -> str: ...
    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds that loading took, by part."""
        ...

    def timed(self, inputs: Any, **parameters: Any) -> tuple[Any, dict[str, float]]:
        """The answer, and the seconds of each stage."""
        ...
