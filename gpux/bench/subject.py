"""What the benchmark knows of a loaded model: records to read and calls to time; no class of the rooms above."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from gpux.artifact import Artifact, Certificate


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
    @property
    def left_behind(self) -> tuple[str, ...]: ...


class Planned(Protocol):
    """What was chosen; :class:`gpux.planning.Plan` is one."""

    @property
    def variant(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def options(self) -> Mapping[str, str]:
        """The provider's settings that differ from its defaults."""
        ...

    @property
    def batch(self) -> int | None:
        """Items that are computed together where many are answered."""
        ...

    @property
    def certificate(self) -> Certificate | None:
        """The proof of the variant on the provider that runs it; the pull's own counts where there is none."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """The software behind the provider → version."""
        ...


class Task(Protocol):
    """What the benchmark asks of a task; :class:`gpux.pipelines.pipeline.Pipeline` is one."""

    @property
    def noun(self) -> str:
        """What its items are, in the plural."""
        ...

    def is_item(self, inputs: Any) -> bool:
        """Whether ``inputs`` is one item rather than a list of them."""
        ...

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Realistic items, of exactly so many tokens each where a length is given."""
        ...

    def work(self, items: Sequence[Any], **parameters: Any) -> Mapping[str, float]:
        """What items amount to, besides their number: ``{"tokens": 143}``."""
        ...

    def feeds(self, items: Sequence[Any], **parameters: Any) -> list[dict[str, Any]]:
        """The tensors that the graph is given for items, in the batches that the task makes."""
        ...


class Runnable(Protocol):
    """An open graph; :class:`gpux.session.Session` is one."""

    def run(self, feeds: Mapping[str, Any], outputs: Sequence[str] | None = None) -> dict[str, Any]: ...


class Subject(Protocol):
    """A loaded model; :class:`gpux.model.Model` is one."""

    @property
    def artifact(self) -> Artifact: ...
    @property
    def plan(self) -> Planned: ...
    @property
    def placement(self) -> Placed: ...
    @property
    def session(self) -> Runnable: ...
    @property
    def pipeline(self) -> Task: ...
    @property
    def task(self) -> str: ...
    @property
    def preparation(self) -> Mapping[str, float]:
        """Seconds that pulling took, by step; empty where the model was stored already."""
        ...

    @property
    def timings(self) -> Mapping[str, float]:
        """Seconds that loading took, by part."""
        ...

    def timed(self, inputs: Any, **parameters: Any) -> tuple[Any, dict[str, float]]:
        """The answer, and the seconds of each stage."""
        ...


class Emission(Protocol):
    """A piece of an answer.

    One of a model that guesses ahead may also have ``proposed``, the tokens that were guessed since the piece before, and
    ``accepted``, those of them that the model itself would have chosen.
    """

    @property
    def tokens(self) -> Sequence[int]:
        """The new tokens in it, of all rows together."""
        ...


class Emitter(Protocol):
    """A model whose task answers piece by piece, as generation does: its pipeline says ``emits = True``."""

    def emit(self, inputs: Any, **parameters: Any) -> Iterator[Emission]:
        """The pieces of one answer, as they come."""
        ...
