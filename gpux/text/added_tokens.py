"""Tokens that a model's other files add to its ``tokenizer.json``, given to the tokenizer as transformers does.

Source: https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/tokenization_utils_base.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gpux.artifact import Artifact
from gpux.fields import Fields

if TYPE_CHECKING:
    from tokenizers import AddedToken
    from tokenizers import Tokenizer as Backend

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_DECODER = "added_tokens_decoder"
# https://github.com/huggingface/transformers/blob/v5.23.0/src/transformers/tokenization_utils_base.py#L1140
_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def apply(artifact: Artifact, backend: Backend, settings: Fields) -> None:
    """Add the tokens that the tokenizer lacks.

    Args:
        artifact: The model.
        backend: Its tokenizer, changed in place.
        settings: Its ``tokenizer_config.json``.

    Raises:
        UnsupportedModel: A token is none, or the tokenizer cannot give it the id that the file says.
    """
    listed = _decoder(settings) if _DECODER in settings else _legacy(artifact, settings)
    known = {token.content for token in backend.get_added_tokens_decoder().values()}
    lacking = {index: token for index, token in sorted(listed.items()) if token.content not in known}
    if not lacking:
        return
    backend.add_tokens(list(lacking.values()))
    for index, token in lacking.items():
        given = backend.token_to_id(token.content)
        if given != index:
            raise settings.refused(
                _DECODER, f"the id {given} that tokenizer.json leaves for `{token.content}`"
            )


def mark(backend: Backend, texts: Sequence[str]) -> None:
    """Make single tokens of the markers that texts begin with, where the vocabulary has them and text would not come to them.

    As sentence-transformers does for the markers of ColBERT models:
    https://github.com/huggingface/sentence-transformers/blob/v6.2.0/sentence_transformers/multi_vector_encoder/model.py
    """
    from tokenizers import AddedToken

    found = []
    for text in texts:
        known = [part for part in (text, *text.split()[:1]) if part and backend.token_to_id(part) is not None]
        if known and backend.encode(known[0], add_special_tokens=False).tokens != known[:1]:
            found.append(AddedToken(known[0], normalized=False, special=True))
    if found:
        backend.add_special_tokens(found)


def _decoder(settings: Fields) -> dict[int, AddedToken]:
    from tokenizers import AddedToken

    table = settings.table(_DECODER)
    named = _named(settings)
    found = {}
    for key in table.data:
        entry = table.table(key)
        content = entry.text("content")
        if not key.isdecimal() or len(key) > 10 or not content:
            raise settings.refused(_DECODER, "a table of ids and tokens")
        flags = {name: flag for name in _FLAGS if (flag := entry.flag(name)) is not None}
        token = AddedToken(content, **flags)
        token.special = token.special or content in named
        found[int(key)] = token
    return found


def _legacy(artifact: Artifact, settings: Fields) -> dict[int, AddedToken]:
    from tokenizers import AddedToken

    table = Fields(artifact, "added_tokens.json")
    mapped = _named(Fields(artifact, "special_tokens_map.json"))
    special = _named(settings) | mapped
    # At this point transformers sees those of tokenizer_config.json that are plain texts only.
    literal = _named(settings, objects=False) | mapped
    found = {}
    for content in table.data:
        index = table.whole(content)
        if index is None or not content:
            raise table.refused(content, "a token's id")
        found[index] = AddedToken(content, normalized=content not in literal, special=content in special)
    return found


def _named(settings: Fields, *, objects: bool = True) -> set[str]:
    """The special tokens that a file names, as texts or, where those count, as objects with their ``content``."""
    values = [settings.data.get(name) for name in _NAMED]
    for name in ("extra_special_tokens", "additional_special_tokens"):
        extra = settings.data.get(name)
        values += extra if isinstance(extra, list) else []
    contents = [value.get("content") if objects and isinstance(value, dict) else value for value in values]
    return {content for content in contents if isinstance(content, str)}
