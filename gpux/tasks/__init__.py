"""Every task, one file each: the file's name is the task's, with underscores. Nothing is imported before it is asked for."""

from __future__ import annotations

import difflib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gpux.errors import UnknownTask

if TYPE_CHECKING:
    from gpux.tasks.pipeline import Pipeline

# The rooms that tasks share; every other file is a task.
_SHARED = {
    "__init__", "added_tokens", "ahead", "arguments", "audio_chunks", "audio_frames", "audio_graph", "audio_pipeline",
    "audio_samples", "batching", "boxes", "candidates", "class_labels", "comparison", "ctc_text", "document_words",
    "embedding", "entities", "failures", "image_pipeline", "interpolation", "layers", "limits", "multi_vector",
    "pair_embedding", "pair_pipeline", "pair_texts", "pieced_pipeline", "pieces", "pipeline", "pixel_graph",
    "pooling", "prompts", "qa_samples", "ranking", "safetensors", "scores", "segments", "sentence_modules", "spans",
    "special_tokens", "tensor_items", "text_graph", "text_pipeline", "text_samples", "texts", "tokens",
    "video_pipeline", "zero_shot_pictures",
}  # fmt: skip


def names() -> tuple[str, ...]:
    """The tasks that this version answers."""
    return tuple(
        sorted(p.stem.replace("_", "-") for p in Path(__file__).parent.glob("*.py") if p.stem not in _SHARED)
    )


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
