"""The tokens that a task must know by their part (mask, class, padding), as the model's files name them."""

from __future__ import annotations

from collections.abc import Sequence

from gpux.artifact import Artifact
from gpux.fields import Fields
from gpux.text.tokens import Tokenizer

MASK = ("mask_token", ("[MASK]", "<mask>"))
UNKNOWN = ("unk_token", ("[UNK]", "<unk>"))
PADDING = ("pad_token", ("[PAD]", "<pad>"))


def find(artifact: Artifact, tokenizer: Tokenizer, part: str, usual: Sequence[str]) -> tuple[str, int] | None:
    """A token and its id, ``None`` where the model has none.

    Args:
        artifact: The model.
        tokenizer: Its tokenizer.
        part: What ``tokenizer_config.json`` or ``special_tokens_map.json`` calls it.
        usual: What it is where no file says, as in checkpoints from before 2021: the defaults of transformers' classes.

    Raises:
        UnsupportedModel: A file names something that is no text.
    """
    named = _named(Fields(artifact, "tokenizer_config.json"), part) or _named(
        Fields(artifact, "special_tokens_map.json"), part
    )
    for token in [named] if named else usual:
        index = tokenizer.backend.token_to_id(token)
        if index is not None:
            return token, index
    return None


def of_classes(artifact: Artifact, tokenizer: Tokenizer) -> int | None:
    """The id of the token that stands for the whole text."""
    # `<s>` is that in RoBERTa's family, which has a mask, and the mere beginning of a text in Llama's.
    begins = ("<s>",) if tokenizer.backend.token_to_id("<mask>") is not None else ()
    found = find(artifact, tokenizer, "cls_token", ("[CLS]", *begins))
    return found[1] if found else None


def _named(settings: Fields, part: str) -> str | None:
    nested = isinstance(settings.data.get(part), dict)
    return settings.table(part).text("content") if nested else settings.text(part)
