"""``fill-mask``: the words that fit where a text has a mask, as the transformers pipeline gives them.

Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/pipelines/fill_mask.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from gpux.artifact import Artifact
from gpux.errors import InvalidInput, UnsupportedModel
from gpux.fields import Fields
from gpux.head import Head
from gpux.pipelines import arguments, class_labels
from gpux.pipelines.pieced_pipeline import PiecedPipeline
from gpux.pipelines.pipeline import Clock, Table
from gpux.pipelines.text_graph import TextGraph
from gpux.session import Session
from gpux.text import pieces, special_tokens, text_samples, texts
from gpux.text.pieces import Piece
from gpux.text.tokens import Text

_SAMPLES = (
    "How do I reset my {}?",
    "The parcel arrived two days late and the {} was open, but nothing inside was broken.",
    "Die Sitzung wurde auf {} verschoben.",
    "Researchers measured the melt of the glacier every {} for eleven summers and found that the loss of ice had doubled "
    "since the first survey.",
    "quarterly {} by region 2024",
    "Paris is the {} of France.",
    "I would not recommend this hotel: the room was loud, the {} was cold, and nobody at the desk seemed to care.",
    "{} is fine",
)


class TaskPipeline(PiecedPipeline):
    """Words for the masked places of a text.

    Raises:
        UnsupportedModel: The graph takes something else than text, gives no scores for each word, or there is no mask.
        CorruptArtifact: A file of the model cannot be read.
    """

    head: ClassVar[Head] = Head(
        auto="AutoModelForMaskedLM",
        suffixes=("ForMaskedLM", "BertForPreTraining", "AlbertForPreTraining"),
        outputs=("logits",),
        scores=("logits",),
    )
    parameters: ClassVar[tuple[str, ...]] = ("top_k", "targets", "truncation")

    def __init__(self, artifact: Artifact, session: Session) -> None:
        super().__init__(artifact, session)
        self._scores = self._output("logits", 3, "row of scores for each token")
        mask = special_tokens.find(artifact, self._tokenizer, *special_tokens.MASK)
        if mask is None:
            raise UnsupportedModel(
                f"the tokenizer of `{artifact.reference}` has no token that stands for a missing word",
                hint="name `mask_token` in its tokenizer_config.json, then pull it again with --force",
                reference=artifact.reference,
            )
        self._mask, self._mask_id = mask
        padding = special_tokens.find(artifact, self._tokenizer, *special_tokens.PADDING)
        self._padding = padding and padding[1]
        self._tidies = _tidies(artifact, self._tokenizer.backend)

    def answer(
        self,
        items: Sequence[Any],
        clock: Clock,
        /,
        *,
        top_k: int | None = None,
        targets: str | Sequence[str] | None = None,
        truncation: bool = False,
    ) -> list[Any]:
        """The likeliest words for the masks of each text.

        Args:
            items: Texts that hold the model's own mask token.
            clock: Where the time goes.
            top_k: So many words, likeliest first; five when ``None``.
            targets: Only these words; of one that the vocabulary lacks, its first token.
            truncation: Whether a text of too many tokens is cut; otherwise it is an error.

        Returns:
            Per item a list of ``{"score", "token", "token_str", "sequence"}``; a list of such lists where it has several masks.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take.
        """
        count = 5 if top_k is None else arguments.whole("top_k", top_k)
        keep = partial(self._filled, count=count, among=None if targets is None else self._targets(targets))
        asked = {"truncation": truncation}
        _, checked = self._seen(items, asked)
        answers: list[Any] = []
        for ((_, filled),) in self._ask(checked, clock, [self._scores], keep, asked):
            answers.append(filled[0] if len(filled) == 1 else filled)
        return answers

    def parse(self, text: str) -> Any:
        """A text."""
        return text

    def table(self, items: Sequence[Any], answers: Sequence[Any]) -> Table:
        """Text, mask, word and score; one row per word."""
        rows = []
        for item, answer in zip(items, answers, strict=True):
            shown = texts.brief(item)
            for number, words in enumerate([answer] if isinstance(answer[0], dict) else answer, 1):
                for word in words:
                    rows.append((shown, str(number), word["token_str"].strip(), f"{word['score']:.4f}"))
                    shown = ""
        return Table(("text", "mask", "word", "score"), tuple(rows))

    def samples(self, length: int | None = None, **parameters: Any) -> list[Any]:
        """Up to eight texts of 3 to 25 words with a mask each, those that the model takes whole; or cut to a length in tokens, with a mask before them."""
        if length is None:
            whole = [text.format(self._mask) for text in _SAMPLES]
            return [text for text in whole if self._takes(text)] or [self._mask]
        self.check(parameters)
        before = f"{self._mask} "
        found = text_samples.of_length(self._tokenizer, texts.SAMPLES, length, prefix=before)
        return [before + text for text in found]

    def describe(self) -> Mapping[str, Any]:
        """The mask and the maximum length."""
        return {"mask": self._mask, "max_length": self._limit}

    def _seen(self, items: Sequence[Any], parameters: Mapping[str, Any]) -> tuple[TextGraph, list[Text]]:
        return self._graph, [texts.checked(item, position=i) for i, item in enumerate(items)]

    def _pieces(self, texts: Sequence[Any], first: int, given: Mapping[str, Any]) -> list[list[Piece]]:
        cut = arguments.flag("truncation", given.get("truncation", False))
        found = []
        for position, text in enumerate(pieces.plain(self._tokenizer, texts), first):
            masked = self._mask_id in text.ids
            piece, *others = pieces.single(self._tokenizer, text, limit=self._limit)
            if others and not cut:
                raise InvalidInput(
                    f"text {position} has more than the {self._limit} tokens that the model takes",
                    hint="split it, or cut it with truncation=true",
                    position=position,
                )
            if self._mask_id not in piece.encoding.ids:
                where = f" in the {self._limit} tokens that it was cut to" if masked else ""
                raise InvalidInput(
                    f"text {position} has no `{self._mask}`{where}",
                    hint=f"put `{self._mask}` where a word is missing",
                    position=position,
                )
            found.append([piece])
        return found

    def _filled(
        self,
        piece: Piece,
        outputs: dict[str, np.ndarray],
        span: slice,
        *,
        count: int,
        among: np.ndarray | None,
    ) -> list[list[dict[str, Any]]]:
        ids = np.array(piece.encoding.ids)
        places = np.flatnonzero(ids == self._mask_id)
        shares = class_labels.softmax(outputs[self._scores][span][places].astype(np.float32))
        filled = []
        for place, row in zip(places.tolist(), shares, strict=True):
            words = []
            for word in _best(row, count, among):
                full = ids.copy()
                full[place] = word
                words.append(
                    {
                        "score": float(row[word]),
                        "token": word,
                        "token_str": self._text([word]),
                        # Of several masks, the others stay in sight.
                        "sequence": self._text(full[full != self._padding].tolist(), plain=len(places) == 1),
                    }
                )
            filled.append(words)
        return filled

    def _takes(self, text: str) -> bool:
        return self._limit is None or len(self._tokenizer([text])[0]) <= self._limit

    def _targets(self, targets: Any) -> np.ndarray:
        """Ids of the words to choose from."""
        found = set()
        for word in arguments.strings("targets", targets, example='["good", "bad"]'):
            index = self._tokenizer.backend.token_to_id(texts.checked(word, position=0))
            if index is None:
                index = next(iter(pieces.plain(self._tokenizer, [word])[0].ids), None)
            if index is not None:
                found.add(index)
        if not found:
            raise InvalidInput(
                f"`targets` holds no word of the vocabulary: {repr(targets)[:80]}",
                hint='give words: ["good", "bad"]',
                targets=targets,
            )
        return np.array(sorted(found))

    def _text(self, ids: Sequence[int], *, plain: bool = False) -> str:
        with self._tokenizer.trusted():
            text: str = self._tokenizer.backend.decode(ids, skip_special_tokens=plain)
        for spaced, joined in _TIDY if self._tidies else ():
            text = text.replace(spaced, joined)
        return text


def _best(scores: np.ndarray, count: int, among: np.ndarray | None) -> list[int]:
    """The tokens of the highest scores, best first, in the order of their ids where scores are equal."""
    known = np.arange(len(scores)) if among is None else among[among < len(scores)]
    values = scores[known]
    if count < len(values):
        edge = np.partition(values, -count)[-count]
        known, values = known[values >= edge], values[values >= edge]
    found: list[int] = known[np.argsort(-values, kind="stable")][:count].tolist()
    return found


# https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/tokenization_utils_base.py#L2213
_TIDY = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"),
    (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip


def _tidies(artifact: Artifact, backend: Any) -> bool:
    """Whether the model's tokenizer takes spaces before punctuation away."""
    settings = Fields(artifact, "tokenizer_config.json")
    forced = settings.flag("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output")
    pairs = type(backend.model).__name__ == "BPE"
    return bool(settings.flag("clean_up_tokenization_spaces")) and (not pairs or bool(forced))
