"""``translation``: a text is written in another language.

Models say which in ways of their own: tokens for languages (mBART, NLLB, M2M100), a mark before the text (multilingual Marian),
a prefix in words (T5); one that knows a single pair says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from gpux.errors import InvalidInput
from gpux.generation.settings import GenerationSettings
from gpux.head import Head
from gpux.pipelines import text_to_text
from gpux.pipelines.pipeline import Clock
from gpux.text import special_tokens, texts
from gpux.text.languages import NAMES, Languages

_BY_WORDS = {"t5", "mt5", "umt5", "longt5", "switch_transformers"}
_PARTS = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")


class TaskPipeline(text_to_text.TextToTextPipeline):
    """Texts, translated."""

    head: ClassVar[Head] = text_to_text.head()
    answered: ClassVar[str] = "translation_text"
    parameters: ClassVar[tuple[str, ...]] = (
        *text_to_text.TextToTextPipeline.parameters,
        "src_lang",
        "tgt_lang",
    )

    def answer(self, items: Sequence[Any], clock: Clock, /, **parameters: Any) -> list[Any]:
        """A translation of each text.

        Args:
            items: Texts.
            clock: Where the time goes.
            **parameters: The fields of :class:`gpux.generation.settings.GenerationSettings`, and: ``prefix``: what is put before every
                text, the model's own when ``None``; ``max_length``: tokens of the answer at most, with the one that it begins with;
                ``min_length``: no end before so many;
                ``src_lang``: the language of the texts as the model calls it (``eng_Latn`` for NLLB, ``en_XX`` for mBART, ``en`` for
                M2M100 and T5); ``tgt_lang``: that of the answers, ``deu`` for Marian's ``>>deu<<``.

        Returns:
            Per text ``{"translation_text": …}``, a list of them with ``num_return_sequences``; for one text given by itself a list.

        Raises:
            InvalidInput: An item or a parameter that the task cannot take, such as a language that the model lacks.
        """
        return super().answer(items, clock, **parameters)

    @property
    def brief(self) -> Mapping[str, Any]:  # type: ignore[override]
        """Parameters with which answers are as short as they can be: a language where one must be asked for."""
        codes = self._languages.codes if self._is_told(self.settings) else []
        return {"max_new_tokens": 2, **({"tgt_lang": codes[0]} if codes else {})}

    @cached_property
    def _languages(self) -> Languages:
        return Languages(self._tokenizer.backend)

    @cached_property
    def _plain(self) -> frozenset[int]:
        """Special tokens that stand for no language."""
        found = (special_tokens.find(self.artifact, self._tokenizer, part, ()) for part in _PARTS)
        usual = map(self._tokenizer.backend.token_to_id, ("<s>", "</s>", "<pad>", "<unk>", "<mask>"))
        return frozenset([each[1] for each in found if each] + [each for each in usual if each is not None])

    def _own_name(self, *, src_lang: str | None = None, tgt_lang: str | None = None, **_: Any) -> str:
        return f"translation_{src_lang}_to_{tgt_lang}" if src_lang and tgt_lang else ""

    def _source(
        self,
        item: Any,
        *,
        position: int,
        prefix: str | None = None,
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        **_: Any,
    ) -> list[int]:
        text = texts.checked(item, position=position)
        before = self._words(src_lang, tgt_lang) if prefix is None else prefix
        encoding = self._tokenizer([before + text])[0]
        if src_lang is None or before or not self._template_names_language(encoding):
            return list(encoding.ids)
        return self._languages.replaced(encoding.ids, encoding.special_tokens_mask, src_lang, self._plain)

    def _words(self, src_lang: str | None, tgt_lang: str | None) -> str:
        """What stands before a text in its own words."""
        own = self._prefix(src_lang=src_lang, tgt_lang=tgt_lang)
        if own or tgt_lang is None:
            return own
        mark = self._languages.mark(tgt_lang)
        if mark:
            return f"{mark} "
        if self._config.text("model_type") not in _BY_WORDS:
            return ""
        if src_lang is None:
            raise InvalidInput(
                "the model is told both languages", hint="give src_lang too", parameter="src_lang"
            )
        source, target = (NAMES.get(code, code) for code in (src_lang, tgt_lang))
        return f"translate {source} to {target}: "

    def _template_names_language(self, encoding: Any) -> bool:
        """Whether the tokenizer puts a language's token to every text."""
        return any(
            mark and index not in self._plain
            for index, mark in zip(encoding.ids, encoding.special_tokens_mask, strict=True)
        )

    def _settings(self, parameters: Mapping[str, Any]) -> tuple[GenerationSettings, dict[str, Any]]:
        settings, others = super()._settings(parameters)
        source, target = parameters.get("src_lang"), parameters.get("tgt_lang")
        for name, code in (("src_lang", source), ("tgt_lang", target)):
            if code is not None and not isinstance(code, str):
                raise InvalidInput(f"`{name}` is {code!r}", hint="give a language's code", parameter=name)
        told = parameters.get("forced_bos_token_id") is not None
        if target is None and self._is_told(settings):
            raise InvalidInput(
                "the model writes many languages, and none was asked for",
                hint="give tgt_lang (--tgt-lang), and src_lang for the text's own",
                parameter="tgt_lang",
            )
        if target is None or told or self._words(source, target):
            return settings, others
        if not self._many and self._languages.token(target) is None:
            raise InvalidInput(
                "the model translates one pair of languages, and is not told which",
                hint="leave src_lang and tgt_lang out",
                parameter="tgt_lang",
            )
        token = self._languages.needed(target, parameter="tgt_lang")
        return settings.with_given({"forced_bos_token_id": token}), others

    @cached_property
    def _many(self) -> bool:
        """Whether the tokenizer says of every text which language it is in."""
        return self._template_names_language(self._tokenizer(["a"])[0])

    def _is_told(self, settings: GenerationSettings) -> bool:
        """Whether it must be told which language to write: it knows many, and its own settings name none."""
        start = settings.decoder_start_token_id
        begins = start is not None and start not in self._plain  # as answers of mBART's models of one pair do
        return self._many and settings.forced_bos_token_id is None and not begins
