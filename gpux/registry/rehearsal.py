"""Before an artifact is stored: opens its task over a graph of zeros and answers two texts, so that "runnable" means it.

The proof shows that the graph computes the model; this shows that tokenizer, pooling and configuration can be followed.
"""

from __future__ import annotations

from pathlib import Path

from gpux import discovery, tasks
from gpux.artifact import Artifact, Manifest
from gpux.errors import GpuxError, UnsupportedModel
from gpux.pipelines.pipeline import Clock
from gpux.planning import Plan
from gpux.session import open_session


def rehearse(directory: Path, manifest: Manifest) -> None:
    """Answer two of the task's own sample items with the artifact's files and the null provider.

    Raises:
        UnsupportedModel: The files contradict each other, or hold what the task cannot follow.
    """
    artifact = Artifact(directory, "rehearsal", manifest)
    plan = Plan("null", manifest.variants[0].name, 1, strict=False, reason="a rehearsal")
    try:
        with open_session(artifact, plan, discovery.discover()) as session:
            pipeline = tasks.find(manifest.task)(artifact, session)
            pipeline.answer(pipeline.samples()[:2], Clock(), **pipeline.brief)
    except GpuxError as error:
        raise UnsupportedModel(
            f"the model's files cannot be followed: {error.message}",
            hint="ask the model's authors to mend them",
            reference=manifest.source.reference,
        ) from error
    except Exception as error:
        raise UnsupportedModel(
            f"the model's files cannot be followed: {type(error).__name__}: {error}",
            hint="ask the model's authors to mend them",
            reference=manifest.source.reference,
        ) from error
