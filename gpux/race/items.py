"""What every run of a race answers: the user's items or the task's own, as many as the goal and the batch want."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpux import discovery
from gpux.errors import InvalidInput
from gpux.planning import Plan
from gpux.session import open_session

if TYPE_CHECKING:
    from gpux.artifact import Artifact
    from gpux.pipelines.pipeline import Pipeline
    from gpux.race.goals import Goal

BATCHES_A_RUN = 2
"""Batches of a run where many items are answered: with one alone, sorting by length would have nothing to do."""


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a race.

    Attributes:
        given: What is answered.
        noun: What they are, in the plural.
        usual: The task's own batch size.
        parameters: The task's own parameters, the same for every run.
    """

    given: tuple[Any, ...]
    noun: str
    usual: int
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def of_a_run(self, goal: Goal, batch: int | None) -> list[Any]:
        """What one run answers: everything in turn, or two batches at once of the same mixture whatever their size."""
        if not goal.many:
            return list(self.given)
        count, size = len(self.given), BATCHES_A_RUN * (batch or self.usual)
        if size >= count:
            # Whole repetitions only: part of one would make the work of an item depend on the size of the batch.
            return list(self.given) * max(1, round(size / count))
        return [self.given[place * count // size] for place in range(size)]


def gather(
    artifact: Artifact, pipeline: type[Pipeline], inputs: Any, goal: Goal, *, typed: bool = False
) -> Items:
    """Items made or checked by the task itself, over a graph that computes nothing.

    Raises:
        InvalidInput: There are none, the task cannot take them, or JSON cannot hold them.
    """
    nothing = Plan(
        "null", artifact.manifest.variants[0].name, 1, strict=False, reason="to read the task's files"
    )
    with open_session(artifact, nothing, discovery.discover()) as session:
        task = pipeline(artifact, session)
        if inputs is None:
            samples = list(task.samples())
            given = samples if goal.many else [_middle(task, samples)]
        else:
            given = [inputs] if task.is_item(inputs) else list(inputs)
        if typed:
            given = [task.parse(one) if isinstance(one, str) else one for one in given]
        if not given:
            raise InvalidInput("an empty list leaves nothing to measure", hint="give at least one input")
        task.work(given)  # raises what the task cannot take, before anything is opened
        return Items(tuple(_plain(given)), task.noun, task.batch, dict(task.raced))


def _plain(given: list[Any]) -> list[Any]:
    try:
        found: list[Any] = json.loads(json.dumps(given))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"these inputs cannot be handed to another process: {error}",
            hint="give texts, numbers, lists and mappings",
        ) from error
    return found


def _middle(task: Pipeline, samples: Sequence[Any]) -> Any:
    """The sample of middling work: times of long and short ones in turn would spread, and hide small differences."""
    return sorted(samples, key=lambda one: sum(task.work([one]).values()))[len(samples) // 2]
