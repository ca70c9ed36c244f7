"""Which kind of sentence-transformers model a source says it holds, from its own small files; knows no task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CROSS_ENCODER, SPARSE, COLBERT = "CrossEncoder", "SparseEncoder", "ColBERT"


def kind_of(
    config: Mapping[str, Any], settings: Mapping[str, Any], modules: Iterable[str] | None = None
) -> str | None:
    """``CrossEncoder``, ``SparseEncoder``, ``ColBERT``, ``MultiVectorEncoder``; ``None`` for every other model.

    A cross-encoder of several labels classifies pairs and ranks nothing, so that it is none here.

    Args:
        config: ``config.json``.
        settings: ``config_sentence_transformers.json``.
        modules: The types that ``modules.json`` lists.
    """
    named = settings.get("model_type")
    kinds = {str(name).rpartition(".")[2] for name in modules or ()}
    if named == CROSS_ENCODER or "sentence_transformers" in config or _OLD in config:
        return CROSS_ENCODER if _labels(config) == 1 and named in {CROSS_ENCODER, None} else None
    if named == SPARSE or "SpladePooling" in kinds:
        return SPARSE
    if named == "MultiVectorEncoder":
        return str(named)
    stanford = "HF_ColBERT" in _listed(config.get("architectures"))
    pylate = modules is not None and any(key in settings for key in ("query_prefix", "document_prefix"))
    return COLBERT if named == COLBERT or stanford or pylate else None


_OLD = "sbert_ce_default_activation_function"


def _labels(config: Mapping[str, Any]) -> int:
    """How many scores a classifier gives: as transformers has it, two where nothing is said."""
    labels = config.get("id2label")
    if isinstance(labels, Mapping):
        return len(labels)
    number = config.get("num_labels")
    return number if isinstance(number, int) else 2


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
