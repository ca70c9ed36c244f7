"""How many tokens a model takes, as its own files say and as transformers and sentence-transformers read them."""

from __future__ import annotations

from typing import Any

from gpux.artifact import Artifact

# Their positions start behind the padding index, so the last `pad_token_id + 1` slots of the table are no room for tokens:
# https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/roberta/modeling_roberta.py
_POSITIONS_AFTER_PADDING = {
    "camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "mpnet", "mluke", "roberta", "roberta-prelayernorm",
    "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip
_NO_LIMIT = 10**20  # transformers writes 1e30 for a tokenizer without a limit


def tokenizer_limit(artifact: Artifact) -> int | None:
    """Tokens that the transformers pipelines give the model when told to truncate; ``None`` is no limit."""
    settings = artifact.read_json("tokenizer_config.json")
    return _least(settings.get("model_max_length", settings.get("max_len")), _positions(artifact))


def sentence_limit(artifact: Artifact) -> int | None:
    """Tokens that sentence-transformers gives the model; ``None`` is no limit.

    ``sentence_bert_config.json`` decides where there is one; otherwise the tokenizer's limit, as for any transformers model.
    """
    settings = sentence_settings(artifact)
    processor = settings.get("processor_kwargs") or settings.get("tokenizer_args") or {}
    own = _positive(settings.get("max_seq_length")) or _positive(processor.get("model_max_length"))
    return tokenizer_limit(artifact) if own is None else _least(own, _positions(artifact))


def sentence_settings(artifact: Artifact) -> dict[str, Any]:
    """The settings of sentence-transformers' first module: ``max_seq_length``, ``do_lower_case`` and the like."""
    modules = artifact.read_json("modules.json").get("items", [])
    first = modules[0].get("path", "") if modules else ""
    if first and (settings := artifact.read_json(f"{first}/sentence_bert_config.json")):
        return settings
    return artifact.read_json("sentence_bert_config.json")


def _positions(artifact: Artifact) -> int | None:
    config = artifact.read_json("config.json")
    text = config.get("text_config") or config
    slots = _positive(text.get("max_position_embeddings"))
    if slots is not None and text.get("model_type") in _POSITIONS_AFTER_PADDING:
        return max(slots - int(text.get("pad_token_id") or 1) - 1, 1)
    return slots


def _least(*limits: Any) -> int | None:
    return min((known for limit in limits if (known := _positive(limit)) is not None), default=None)


def _positive(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and 0 < value < _NO_LIMIT else None
