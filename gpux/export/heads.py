"""Which task a checkpoint answers and which head that needs, from what its files declare; never from its name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from gpux.errors import UnsupportedModel
from gpux.export.modalities import TIMM, given, model_type
from gpux.head import IMAGE, TEXT, Head

_NOTHING: Mapping[str, Any] = {}

# Tasks whose heads GPUX does not run yet, by the ending of the class: named in the error instead of guessed.
_OTHERS = {
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "ForMultipleChoice": "multiple-choice",
}


# Of tasks that fit alike, whose models write one text for another, by the ending of the class.
_REWRITING = {
    "MTModel": "translation",
    "M2M100ForConditionalGeneration": "translation",
    "ForConditionalGeneration": "text2text-generation",
}


def architecture(config: Mapping[str, Any]) -> str | None:
    """The first class that the checkpoint was saved from, or ``None``."""
    if model_type(config) == TIMM:
        return "TimmWrapperForImageClassification" if config.get("num_classes") else "TimmWrapperModel"
    names = config.get("architectures")
    return str(names[0]) if isinstance(names, list) and names else None


def choose_task(
    heads: Mapping[str, Head],
    config: Mapping[str, Any],
    *,
    processor: Mapping[str, Any] = _NOTHING,
    pipeline_tag: str | None,
    embeds: bool,
    requested: str | None,
    name: str,
    kind: str | None = None,
) -> str:
    """The task that a checkpoint answers.

    Args:
        heads: Every task of this version with its head.
        config: The model's ``config.json``.
        processor: Its processor's settings, as :func:`gpux.export.inputs.read_processor` gives them.
        pipeline_tag: What the source says.
        embeds: Whether the model has sentence-transformers modules.
        requested: What the user asked for; must fit the checkpoint.
        name: The model, for messages.
        kind: The kind of sentence-transformers model that it is, where that decides: :func:`gpux.export.kinds.kind_of`.

    Raises:
        UnsupportedModel: The checkpoint has no head that this version runs, or not the one asked for.
    """
    saved = architecture(config)
    takes = given(config, processor)
    fitting = [task for task, head in heads.items() if fits(head, saved, takes, kind)]
    if requested:
        if requested not in fitting:
            raise _untrained(name, requested, saved, takes, fitting)
        return requested
    said = _meant(heads, kind, fitting, saved, name) or (pipeline_tag if pipeline_tag in fitting else None)
    if said:
        return said
    if embeds and "sentence-similarity" in fitting:
        return "sentence-similarity"
    if trained := [task for task in fitting if saved and _trained(heads, task, saved)]:
        if rewriting := _rewriting(config, saved or "", trained):
            return rewriting
        # Speech and text models share endings: a configuration that says nothing of sound is a text model's. A model of texts
        # and pictures embeds and scores: what scores says more of what it is for.
        return min(trained, key=lambda task: (heads[task].takes != (TEXT,), not heads[task].scores))
    raise _unknown(heads, name, saved, takes=takes, fitting=fitting, pipeline_tag=pipeline_tag)


def _unknown(
    heads: Mapping[str, Head],
    name: str,
    saved: str | None,
    *,
    takes: Collection[str],
    fitting: list[str],
    pipeline_tag: str | None,
) -> UnsupportedModel:
    """The error for a checkpoint that answers no task of this version."""
    if saved and saved.endswith("ForConditionalGeneration") and {TEXT, IMAGE} <= set(takes):
        known = [each for head in heads.values() if head.generates for each in head.classes]
        return UnsupportedModel(
            f"`{name}` is a {saved}, which reads pictures and writes texts in a way that GPUX does not run yet",
            hint=f"the classes that run are {', '.join(known)}",
            architecture=saved,
        )
    raise _unanswered(heads, saved, fitting, pipeline_tag, name)


def _unanswered(
    heads: Mapping[str, Head], saved: str | None, fitting: list[str], pipeline_tag: str | None, name: str
) -> UnsupportedModel:
    other = next((task for suffix, task in _OTHERS.items() if saved and saved.endswith(suffix)), pipeline_tag)
    if other and other not in heads:
        return UnsupportedModel(
            f"`{name}` answers {other}, which this version does not run",
            hint=f"--task {' or --task '.join(fitting)} uses it without its head"
            if fitting
            else "see docs/models.md for the tasks that run",
            task=other,
            architecture=saved,
        )
    return UnsupportedModel(
        f"nothing in `{name}` says which task it answers"
        + ("" if saved else ": its config.json names no architecture"),
        hint=f"say it with --task {'|'.join(heads)}",
        architecture=saved,
    )


def _rewriting(config: Mapping[str, Any], saved: str, trained: Collection[str]) -> str | None:
    """The task of a model that writes one text for another: the only one that it has settings for, else its class's."""
    own = config.get("task_specific_params")
    named = {str(name).partition("_")[0] for name in own} if isinstance(own, dict) else set()
    if len(said := named & {"summarization", "translation"} & set(trained)) == 1:
        return said.pop()
    return next((t for end, t in _REWRITING.items() if saved.endswith(end) and t in trained), None)


def _meant(
    heads: Mapping[str, Head], kind: str | None, fitting: list[str], saved: str | None, name: str
) -> str | None:
    """The task that a kind of model is made for, which stands before what its source says."""
    meant = next((task for task, head in heads.items() if kind in head.kinds), None)
    if meant is None or meant in fitting:
        return meant
    raise UnsupportedModel(
        f"`{name}` is a {kind} saved from {saved}, which GPUX does not run as {meant}",
        hint=f"--task {' or --task '.join(fitting)} uses it without its head"
        if fitting
        else "see docs/models.md for the tasks that run",
        task=meant,
        architecture=saved,
    )


def _untrained(
    name: str, requested: str, saved: str | None, takes: Collection[str], fitting: list[str]
) -> UnsupportedModel:
    is_given = f", and is given {' and '.join(sorted(takes))}" if takes else ""
    return UnsupportedModel(
        f"`{name}` has no trained head for {requested}: it was saved from {saved or 'no class that it names'}{is_given}",
        hint=f"this checkpoint answers {', '.join(fitting)}"
        if fitting
        else "pull a checkpoint that was trained for the task",
        task=requested,
        architecture=saved,
    )


def fits(head: Head, saved: str | None, takes: Collection[str] = (), kind: str | None = None) -> bool:
    """Whether a class of that name carries the head's weights, and is given what the head's task gives it.

    An empty suffix stands for the bare encoder, which every class has; where such a task is some kinds' own, only they fit.
    """
    if head.generates and saved in head.classes:
        return True  # what it writes with may stand in its configuration as if it were given texts
    if takes and set(takes) != set(head.takes):
        return False
    if saved is None:
        return True
    if head.kinds and "" in head.suffixes and kind not in head.kinds:
        return False
    return saved in head.classes if head.classes else any(saved.endswith(suffix) for suffix in head.suffixes)


def _trained(heads: Mapping[str, Head], task: str, saved: str) -> bool:
    head = heads[task]
    if head.classes:
        return saved in head.classes
    # GPT2LMHeadModel ends like a bare model and is none.
    others = tuple(suffix for suffix, other in _OTHERS.items() if other not in heads)
    return saved.endswith(tuple(s for s in head.suffixes if s)) and not saved.endswith(others)
