"""Names of a model's classes, and scores of them out of logits; shared by the tasks that classify what is no text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gpux.fields import Fields
from gpux.pipelines import arguments
from gpux.pipelines.pipeline import Table

Function = Callable[[np.ndarray], np.ndarray]


def read(config: Fields) -> dict[int, str]:
    """The labels of ``config.json`` by index; empty where it names none.

    Raises:
        UnsupportedModel: The table is none of numbers and labels.
    """
    listed = config.data.get("label_names")  # timm's own
    if "id2label" not in config and isinstance(listed, list):
        return {index: str(label) for index, label in enumerate(listed)}
    try:
        return {int(index): str(label) for index, label in config.table("id2label").data.items()}
    except ValueError as error:
        raise config.refused("id2label", "a table of numbers and labels") from error


def name(labels: Mapping[int, str], index: int) -> str:
    """The label of a class; ``LABEL_3`` where the model has no name for it."""
    return labels.get(index, f"LABEL_{index}")


def ranked(labels: Mapping[int, str], scores: np.ndarray, top_k: int) -> list[dict[str, Any]]:
    """The best labels of one row of scores as ``{"label", "score"}``, best first."""
    order = np.argsort(-scores, kind="stable")[:top_k].tolist()
    return [{"label": name(labels, index), "score": scores[index].item()} for index in order]


def table(noun: str, shown: Sequence[str], answers: Sequence[Any]) -> Table:
    """What was given, label and score; one row per label.

    Args:
        noun: What was given.
        shown: Each of them for a person.
        answers: Per item the labels that :func:`ranked` gives.
    """
    rows = []
    for first, answer in zip(shown, answers, strict=True):
        for position, scored in enumerate(answer):
            rows.append(("" if position else first, scored["label"], f"{scored['score']:.4f}"))
    return Table((noun, "label", "score"), tuple(rows))


def count(top_k: Any) -> int:
    """``top_k``, if it is a number of labels.

    Raises:
        InvalidInput: It is none.
    """
    return arguments.whole("top_k", top_k)


def function(named: Any, config: Fields, *, one_label: Function) -> Function:
    """What turns logits into scores: the function of that name, or the one for the model's kind of problem when ``None``.

    Args:
        named: ``sigmoid``, ``softmax``, ``none`` or ``None``.
        config: The model's ``config.json``.
        one_label: The function for a model of one label that says nothing of its problem.

    Raises:
        InvalidInput: There is no function of that name.
    """
    if named is not None:
        return _FUNCTIONS[arguments.among("function_to_apply", named, tuple(_FUNCTIONS))]
    problem = config.text("problem_type")
    if problem == "regression":
        return _none
    if problem == "multi_label_classification":
        return sigmoid
    return lambda logits: (one_label if logits.shape[-1] == 1 else softmax)(logits)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Shares that add up to one along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-x))`` without its overflow for large negative ``x``."""
    half: np.ndarray = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * logits))
    return half


def _none(logits: np.ndarray) -> np.ndarray:
    return logits


_FUNCTIONS: dict[str, Function] = {"sigmoid": sigmoid, "softmax": softmax, "none": _none}
