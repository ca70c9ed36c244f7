"""How an answer is written: what the model's own files say, and what the caller gave, under transformers' names."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields

_SAMPLES = ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")
"""Who gives one of these wants an answer that is drawn, unless the temperature is 0."""


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """How one answer is written. Names and meanings are those of transformers' ``GenerationConfig`` where it has them.

    Attributes:
        max_new_tokens: Tokens of the answer at most; as many as fit the context when ``None``.
        min_new_tokens: No end before so many tokens.
        do_sample: Draw each token; else the likeliest is taken.
        temperature: Divides the logits before a draw.
        top_k: Draw among so many likeliest tokens; among all when 0.
        top_p: Draw among the likeliest tokens that come to this probability.
        min_p: Draw among tokens of at least this share of the likeliest one's probability.
        typical_p: Draw among the locally typical tokens that come to this probability.
        repetition_penalty: Divides the scores of tokens that prompt or answer hold (multiplies negative ones).
        frequency_penalty: Taken off a token's score for each time that the answer holds it, as OpenAI's API does.
        presence_penalty: Taken off a token's score once where the answer holds it.
        no_repeat_ngram_size: No run of so many tokens comes twice; 0 is no limit.
        num_beams: Beams of a beam search; 1 is none.
        length_penalty: Exponent of the length that a beam's score is divided by.
        early_stopping: Whether a beam search ends as soon as it has enough whole answers.
        num_return_sequences: Answers for each prompt.
        stop: Texts that end an answer, and are not part of it.
        eos_token_ids: Tokens that end an answer.
        pad_token_id: What stands where a row has no token.
        bos_token_id: What an empty prompt begins with.
        decoder_start_token_id: What the answer of an encoder-decoder begins with.
        forced_bos_token_id: The answer's first token.
        forced_eos_token_id: The answer's last token, where it reaches its greatest length.
        suppress_tokens: Tokens that never come.
        begin_suppress_tokens: Tokens that do not come first.
        bad_words_ids: Sequences of tokens that never come.
        logit_bias: Token → what is added to its score.
        seed: Makes draws repeatable; chance when ``None``.
        logprobs: How many likeliest tokens are told for each one, with its own log probability; none when ``None``.
        json_schema: A JSON Schema that the answer follows.
        regex: A regular expression that the answer follows.
        grammar: A grammar that the answer follows.
        truncate: Cut a prompt that is longer than the context at its beginning, instead of refusing it.
        prompt_lookup: Tokens that are guessed ahead from what was written before (prompt-lookup decoding); 0 is off.
        draft: The name of a smaller stored model with the same tokens, which guesses ahead; none when ``None``.
    """

    max_new_tokens: int | None = None
    min_new_tokens: int = 0
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 50
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    no_repeat_ngram_size: int = 0
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    num_return_sequences: int = 1
    stop: tuple[str, ...] = ()
    eos_token_ids: tuple[int, ...] = ()
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    decoder_start_token_id: int | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | None = None
    suppress_tokens: tuple[int, ...] = ()
    begin_suppress_tokens: tuple[int, ...] = ()
    bad_words_ids: tuple[tuple[int, ...], ...] = ()
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    logprobs: int | None = None
    json_schema: Mapping[str, Any] | str | None = None
    regex: str | None = None
    grammar: str | None = None
    truncate: bool = False
    prompt_lookup: int = 0
    draft: str | None = None

    @classmethod
    def read(cls, artifact: Artifact, given: Mapping[str, Any]) -> GenerationSettings:
        """The model's own settings (``generation_config.json``, else ``config.json``), with those that the caller gave.

        Raises:
            InvalidInput: The caller gave a name that there is not, or a value that it cannot have.
            UnsupportedModel: A setting of the model is of another type.
        """
        return _own(artifact).with_given(given)

    def with_given(self, given: Mapping[str, Any]) -> GenerationSettings:
        """These settings, with those that a caller gave; ``None`` leaves one as it is, but for the seed and the length.

        Raises:
            InvalidInput: A name that there is not, or a value that it cannot have.
        """
        checked = {name: _checked(name, value) for name, value in given.items() if value is not None}
        if checked.get("temperature") == 0:
            checked |= {"do_sample": False, "temperature": 1.0}
        elif "do_sample" not in checked and any(name in checked for name in _SAMPLES):
            checked["do_sample"] = True
        settings = replace(self, **checked)
        constraints = [
            name for name in ("json_schema", "regex", "grammar") if getattr(settings, name) is not None
        ]
        if len(constraints) > 1:
            raise InvalidInput(
                f"an answer follows one constraint, not {' and '.join(constraints)}", hint="give one of them"
            )
        return settings


NAMES = tuple(each.name for each in fields(GenerationSettings))
"""Every setting."""


def _own(artifact: Artifact) -> GenerationSettings:
    said = Fields(artifact, "generation_config.json")
    if not said.data:
        config = Fields(artifact, "config.json")
        said = config.table("text_config") if "text_config" in config else config
    found: dict[str, Any] = {}
    for name in ("max_new_tokens", "top_k", "no_repeat_ngram_size", "num_beams", "num_return_sequences"):
        found[name] = said.whole(name)
    for name in ("min_new_tokens", "pad_token_id", "bos_token_id", "decoder_start_token_id"):
        found[name] = said.whole(name) if _natural(said.data.get(name)) else None
    for name in ("temperature", "top_p", "min_p", "typical_p", "repetition_penalty", "length_penalty"):
        found[name] = said.number(name)
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        value = said.data.get(name)
        found[name] = value[0] if isinstance(value, list) and value else value
    found["do_sample"] = said.flag("do_sample")
    early = said.data.get("early_stopping")
    found["early_stopping"] = early if isinstance(early, bool) or early == "never" else None
    ends = said.data.get("eos_token_id")
    found["eos_token_ids"] = tuple(ends) if isinstance(ends, list) else (ends,) if _natural(ends) else None
    for name in ("suppress_tokens", "begin_suppress_tokens"):
        value = said.data.get(name)
        found[name] = tuple(token for token in value if _natural(token)) if isinstance(value, list) else None
    words = said.data.get("bad_words_ids")
    found["bad_words_ids"] = tuple(map(tuple, words)) if isinstance(words, list) else None
    kept = {name: value for name, value in found.items() if value is not None}
    try:
        return GenerationSettings(**{name: _checked(name, value) for name, value in kept.items()})
    except InvalidInput as error:
        raise said.refused(str(error.details.get("setting")), error.hint or "another value") from error


def _natural(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _whole(least: int) -> tuple[Callable[[Any], bool], str]:
    return (
        lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least,
        f"a whole number from {least}",
    )


def _number(test: Callable[[float], bool], said: str) -> tuple[Callable[[Any], bool], str]:
    return (
        lambda v: isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) and test(v),
        said,
    )


_TOKENS = (lambda v: isinstance(v, list | tuple) and all(_natural(t) for t in v), "a list of token numbers")
_TEXT = (lambda v: isinstance(v, str) and bool(v), "a text")
_FLAG = (lambda v: isinstance(v, bool), "true or false")
_SHARE = _number(lambda v: 0 < v <= 1, "a number above 0, at most 1")

_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_new_tokens": _whole(1),
    "min_new_tokens": _whole(0),
    "do_sample": _FLAG,
    "temperature": _number(lambda v: v >= 0, "a number from 0, where 0 always takes the likeliest token"),
    "top_k": _whole(0),
    "top_p": _SHARE,
    "min_p": _number(lambda v: 0 <= v <= 1, "a number from 0 to 1"),
    "typical_p": _SHARE,
    "repetition_penalty": _number(lambda v: v > 0, "a number above 0"),
    "frequency_penalty": _number(lambda v: -2 <= v <= 2, "a number from -2 to 2"),
    "presence_penalty": _number(lambda v: -2 <= v <= 2, "a number from -2 to 2"),
    "no_repeat_ngram_size": _whole(0),
    "num_beams": _whole(1),
    "length_penalty": _number(lambda _: True, "a number"),
    "early_stopping": (lambda v: isinstance(v, bool) or v == "never", "true, false or `never`"),
    "num_return_sequences": _whole(1),
    "stop": (
        lambda v: isinstance(v, str | list | tuple) and all(isinstance(s, str) and s for s in _listed(v)) and bool(v),
        "a text, or a list of texts",
    ),
    "eos_token_ids": _TOKENS,
    "pad_token_id": _whole(0),
    "bos_token_id": _whole(0),
    "decoder_start_token_id": _whole(0),
    "forced_bos_token_id": _whole(0),
    "forced_eos_token_id": _whole(0),
    "suppress_tokens": _TOKENS,
    "begin_suppress_tokens": _TOKENS,
    "bad_words_ids": (
        lambda v: isinstance(v, list | tuple) and all(len(w) and _TOKENS[0](w) for w in v if isinstance(w, list | tuple))
        and all(isinstance(w, list | tuple) for w in v),
        "a list of lists of token numbers",
    ),
    "logit_bias": (
        lambda v: isinstance(v, Mapping)
        and all(str(t).isdecimal() and isinstance(b, int | float) and not math.isnan(b) for t, b in v.items()),
        "an object of token number → number",
    ),
    "seed": _whole(0),
    "logprobs": (lambda v: v is True or (_natural(v) and v <= 100), "a whole number from 0 to 100"),
    "json_schema": (lambda v: isinstance(v, Mapping | str) and v != "", "a JSON Schema"),
    "regex": _TEXT,
    "grammar": _TEXT,
    "truncate": _FLAG,
    "prompt_lookup": _whole(0),
    "draft": (lambda v: isinstance(v, str) and bool(v), "the name of a stored model"),
}  # fmt: skip


def _listed(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _checked(name: str, value: Any) -> Any:
    if name not in _RULES:
        close = difflib.get_close_matches(name, _RULES, n=1)
        raise InvalidInput(
            f"generation has no setting `{name}`",
            hint=f"did you mean `{close[0]}`" if close else f"it has {', '.join(NAMES)}",
            setting=name,
        )
    test, said = _RULES[name]
    try:
        fine = test(value)
    except (TypeError, ValueError):
        fine = False
    if not fine:
        raise InvalidInput(
            f"`{name}` is {repr(value)[:80]}", hint=f"give {said}", setting=name, parameter=name
        )
    return _plain(name, value)


def _plain(name: str, value: Any) -> Any:
    if name == "stop":
        return _listed(value)
    if name == "logit_bias":
        return {int(token): float(bias) for token, bias in value.items()}
    if name == "bad_words_ids":
        return tuple(tuple(word) for word in value)
    if name == "logprobs":
        return int(value) if value is not True else 1
    if isinstance(value, list):
        return tuple(value)
    return float(value) if name in {"temperature", "top_p", "min_p", "typical_p"} else value
