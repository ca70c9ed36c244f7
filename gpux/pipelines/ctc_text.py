"""Tokens that a speech model gives frame by frame → text, characters and words with their frames; knows no sound.

Source: Graves et al., Connectionist Temporal Classification, 2006; the tokens and spaces as in
https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/wav2vec2/tokenization_wav2vec2.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from gpux.artifact import Artifact
from gpux.errors import UnsupportedModel
from gpux.fields import Fields

_CLASSES = (None, "Wav2Vec2CTCTokenizer", "Wav2Vec2Tokenizer")
# What transformers takes the space out of, in this order, where a tokenizer asks for it.
_TIGHT = (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're")


@dataclass(frozen=True, slots=True)
class Span:
    """A character or a word, with the frames from ``start`` up to ``stop``."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens of a model, and how they become text.

    Attributes:
        tokens: Token by id.
        blank: The token that stands for nothing.
        unknown: What stands for an id without a token.
        delimiter: The token between words.
        space: What it becomes.
        lower: Whether the text becomes lower case.
        tight: Whether spaces before punctuation go.
    """

    tokens: Mapping[int, str]
    blank: str | None
    unknown: str
    delimiter: str | None
    space: str
    lower: bool
    tight: bool

    def characters(self, ids: Sequence[int]) -> list[Span]:
        """The characters of one recording: runs of the same token, blanks left out."""
        spans, start = [], 0
        for token, run in groupby(self.tokens.get(index, self.unknown) for index in ids):
            stop = start + sum(1 for _ in run)
            if token != self.blank:
                spans.append(Span(self.space if token == self.delimiter else token, start, stop))
            start = stop
        return spans

    def words(self, characters: Iterable[Span]) -> list[Span]:
        """The words that those characters make."""
        found = []
        for between, run in groupby(characters, key=lambda one: one.text == self.space):
            if not between:
                word = list(run)
                found.append(Span("".join(one.text for one in word), word[0].start, word[-1].stop))
        return found

    def text(self, characters: Iterable[Span]) -> str:
        """The text that those characters make."""
        text = "".join(one.text for one in characters).strip()
        text = text.lower() if self.lower else text
        for spaced in _TIGHT if self.tight else ():
            text = text.replace(spaced, spaced.strip())
        return text


def read(artifact: Artifact) -> Vocabulary:
    """The vocabulary of ``vocab.json``, with the settings of ``tokenizer_config.json``.

    Raises:
        UnsupportedModel: There is none, or its tokenizer makes text in another way.
        CorruptArtifact: A file is no JSON.
    """
    settings = Fields(artifact, "tokenizer_config.json")
    kind = settings.text("tokenizer_class")
    table = Fields(artifact, "vocab.json")
    language = settings.text("target_lang")
    if kind not in _CLASSES or not table.data:
        what = f"the tokenizer `{kind}`" if table.data else "no `vocab.json`"
        raise UnsupportedModel(
            f"`{artifact.reference}` has {what}, and GPUX makes text of what Wav2Vec2CTCTokenizer writes",
            hint="the graph itself still runs: model.session.run({...})",
            reference=artifact.reference,
        )
    tokens = _added(artifact, settings)
    ids = table.table(language) if language else table
    tokens.update({ids.whole(token) or 0: token for token in ids.data})
    special = Fields(artifact, "special_tokens_map.json")
    tight, lower = settings.flag("clean_up_tokenization_spaces"), settings.flag("do_lower_case")
    return Vocabulary(
        tokens=tokens,
        blank=_special("pad_token", "<pad>", settings, special),
        unknown=_special("unk_token", "<unk>", settings, special) or "",
        delimiter=_special("word_delimiter_token", "|", settings, special),
        space=settings.text("replace_word_delimiter_char") or " ",
        lower=bool(lower),
        tight=bool(tight),
    )


def _added(artifact: Artifact, settings: Fields) -> dict[int, str]:
    listed = Fields(artifact, "added_tokens.json")
    tokens = {listed.whole(token) or 0: token for token in listed.data}
    added = settings.table("added_tokens_decoder")
    for index in added.data:
        content = added.table(index).text("content")
        if not index.isdecimal() or content is None:
            raise added.refused(index, "the number of a token and its content")
        tokens[int(index)] = content
    return tokens


def _special(key: str, default: str, *files: Fields) -> str | None:
    """A special token of the first file that says something of it; files write it as a text or as ``{"content": …}``."""
    for fields in files:
        if isinstance(fields.data.get(key), dict):
            return fields.table(key).text("content")
        if key in fields:
            return fields.text(key)
    return default
