"""Tokenizers that cut texts by SentencePiece and number the pieces by a vocabulary of their own, as one ``tokenizer.json``.

Marian and M2M100 are such; transformers has no fast form of them. Pieces that only one of the two knows are kept apart: what is
only cut gets a number behind the model's vocabulary, to be taken for unknown, and what is only numbered is never cut.
Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/marian/tokenization_marian.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, processors
from transformers.convert_slow_tokenizer import SpmConverter, import_protobuf

_NEVER = "\ufdd0"  # a noncharacter, which is in no text
_NORMAL = 1
_UNIGRAM = 1


def convert(tokenizer: Any, source: Path) -> Tokenizer | None:
    """The tokenizer, ``None`` where it is not of this kind.

    Args:
        tokenizer: A tokenizer of transformers without a fast form.
        source: The model's directory, whose ``config.json`` says how large the model's vocabulary is.
    """
    files = getattr(tokenizer, "spm_files", None) or [getattr(tokenizer, "spm_file", None)]
    encoder = getattr(tokenizer, "encoder", None)
    if not isinstance(encoder, dict) or not files[0] or getattr(tokenizer, "separate_vocabs", False):
        return None
    proto = import_protobuf().ModelProto()
    proto.ParseFromString(Path(files[0]).read_bytes())
    numbers = {**encoder, **getattr(tokenizer, "lang_token_to_id", {})}
    special = [token for token in tokenizer.all_special_tokens if token in numbers]
    marks = [token for token in encoder if token.startswith(">>") and token.endswith("<<")]
    least = max(_vocabulary(source), max(numbers.values()) + 1)
    made = _cut(proto, numbers, [*special, *marks], least)
    own = made.decoder
    made.decoder = decoders.Sequence([decoders.Replace(_NEVER, ""), own])
    languages = [*getattr(tokenizer, "lang_token_to_id", {})]
    made.add_special_tokens([AddedToken(t, normalized=False) for t in (*special, *languages)])
    made.add_tokens([AddedToken(t, normalized=False) for t in marks])
    ids = tokenizer.build_inputs_with_special_tokens([])
    ends = [(token, numbers[token]) for token in map(tokenizer.convert_ids_to_tokens, ids)]
    first = len(getattr(tokenizer, "prefix_tokens", ()))
    before, behind = ([token for token, _ in part] for part in (ends[:first], ends[first:]))
    made.post_processor = processors.TemplateProcessing(
        single=[*before, "$A", *behind], pair=[*before, "$A", "$B", *behind], special_tokens=ends
    )
    return made


def _cut(proto: Any, numbers: Mapping[str, int], whole: list[str], least: int) -> Tokenizer:
    """SentencePiece's own way of cutting, with the model's numbers."""
    pieces = list(proto.pieces)
    if proto.trainer_spec.model_type == _UNIGRAM:
        made: Tokenizer = SpmConverter.build_tokenizer_from_spm_proto(
            proto, [(p.piece, p.score) for p in pieces]
        )
        made.model = _unigram(pieces, numbers, whole, least)
        return made
    made = SpmConverter.build_tokenizer_from_spm_proto(proto, {p.piece: i for i, p in enumerate(pieces)})
    own = json.loads(made.to_str())["model"]
    merges = [tuple(pair) for pair in own["merges"]]
    lacking = [p.piece for p in pieces if p.piece not in numbers]
    vocabulary = {**numbers, **{piece: least + place for place, piece in enumerate(lacking)}}
    made.model = models.BPE(vocabulary, merges, unk_token=own["unk_token"], fuse_unk=True)
    return made


def _unigram(pieces: list[Any], numbers: Mapping[str, int], whole: list[str], least: int) -> Any:
    scores = {p.piece: p.score for p in pieces if p.type == _NORMAL}
    listed = [(f"{_NEVER}{place}", 0.0) for place in range(least)]
    for token, place in numbers.items():
        cuts = token in scores or token in whole
        listed[place] = (token if cuts else _NEVER + token, scores.get(token, 0.0))
    listed += [(piece, score) for piece, score in scores.items() if piece not in numbers]
    return models.Unigram(listed, unk_id=numbers["<unk>"])


def _vocabulary(source: Path) -> int:
    try:
        said = json.loads((source / "config.json").read_bytes()).get("vocab_size")
    except (OSError, ValueError, AttributeError):
        return 0
    return said if isinstance(said, int) else 0
