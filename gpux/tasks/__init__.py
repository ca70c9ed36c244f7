"""Every task, one file each: the file's name is the task's, with underscores. Nothing is imported before it is asked for."""

from __future__ import annotations

import difflib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gpux.errors import UnknownTask

if TYPE_CHECKING:
    from gpux.pipelines.pipeline import Pipeline


def names() -> tuple[str, ...]:
    """The tasks that this version answers."""
    files = Path(__file__).parent.glob("*.py")
    return tuple(sorted(path.stem.replace("_", "-") for path in files if path.stem != "__init__"))


def find(task: str) -> type[Pipeline]:
    """The pipeline class of a task.

    Raises:
        UnknownTask: There is none of that name; the hint names the closest.
    """
    if task not in names():
        close = difflib.get_close_matches(task, names(), n=1)
        raise UnknownTask(
            f"GPUX has no task `{task}`",
            hint=f"did you mean `{close[0]}`" if close else f"tasks are {', '.join(names())}",
            task=task,
        )
    pipeline: type[Pipeline] = import_module(f"gpux.tasks.{task.replace('-', '_')}").TaskPipeline
    return pipeline
