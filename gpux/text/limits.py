"""How many tokens a model takes, as its own files say and as transformers and sentence-transformers read them."""

from __future__ import annotations

from gpux.artifact import Artifact
from gpux.fields import MOST, Fields, modules

# Their positions start behind the padding index, so the last `pad_token_id + 1` slots of the table are no room for tokens:
# https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/models/roberta/modeling_roberta.py
_POSITIONS_AFTER_PADDING = {
    "camembert", "data2vec-text", "esm", "ibert", "longformer", "luke", "mpnet", "mluke", "roberta", "roberta-prelayernorm",
    "xlm-roberta", "xlm-roberta-xl", "xmod",
}  # fmt: skip

# These call it otherwise, and T5, whose positions have no end, has an `n_positions` too.
_OWN_NAME = {"codegen", "ctrl", "gpt2", "gpt_bigcode", "gptj", "imagegpt", "openai-gpt"}


def tokenizer_limit(artifact: Artifact) -> int | None:
    """Tokens that the transformers pipelines give the model when told to truncate; ``None`` is no limit.

    Raises:
        UnsupportedModel: A limit is no whole number from 1.
    """
    settings = Fields(artifact, "tokenizer_config.json")
    own = settings.length("model_max_length" if "model_max_length" in settings else "max_len")
    return _least(own, positions(artifact))


def sentence_limit(artifact: Artifact) -> int | None:
    """Tokens that sentence-transformers gives the model; ``None`` is no limit.

    ``sentence_bert_config.json`` decides where there is one; otherwise the tokenizer's limit, as for any transformers model.

    Raises:
        UnsupportedModel: A limit is no whole number from 1.
    """
    settings = sentence_settings(artifact)
    own = settings.length("max_seq_length")
    for key in ("processor_kwargs", "tokenizer_args"):
        own = settings.table(key).length("model_max_length") if own is None else own
    return tokenizer_limit(artifact) if own is None else _least(own, positions(artifact))


def sentence_settings(artifact: Artifact) -> Fields:
    """The settings of sentence-transformers' first module: ``max_seq_length``, ``do_lower_case`` and the like."""
    listed = modules(artifact)
    first = listed[0][1] if listed else ""
    settings = Fields(artifact, f"{first}/sentence_bert_config.json")
    return settings if settings.data else Fields(artifact, "sentence_bert_config.json")


def positions(artifact: Artifact) -> int | None:
    """Tokens that the model has positions for; ``None`` where it does not say."""
    config = Fields(artifact, "config.json")
    text = config.table("text_config")
    text = text if text.data else config
    named = "n_positions" if text.text("model_type") in _OWN_NAME else "max_position_embeddings"
    slots = text.data.get(named)
    if not isinstance(slots, int | float) or not 1 <= slots < MOST:  # some models write -1 for none
        return None
    if text.text("model_type") not in _POSITIONS_AFTER_PADDING:
        return int(slots)
    padding = text.whole("pad_token_id")
    return max(int(slots) - (1 if padding is None else padding) - 1, 1)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
