"""How speech is written down: what the model's own files say, and what a caller gave; knows no sound and no graph.

Names and meanings are those of ``WhisperForConditionalGeneration.generate``:
https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/whisper/generation_whisper.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpux.artifact import Artifact
from gpux.errors import InvalidInput
from gpux.fields import Fields
from gpux.generation.processors import Processor
from gpux.generation.settings import NAMES, GenerationSettings
from gpux.generation.timestamps import Timestamps
from gpux.text.speech_text import WORD
from gpux.text.speech_tokens import SpeechTokens

FIRST, ALL = CONDITIONS = ("first-segment", "all-segments")
_THRESHOLDS = ("compression_ratio_threshold", "logprob_threshold", "no_speech_threshold")
_DEFAULT_LENGTH = 256
"""Tokens of a window where neither the model nor the caller says, as in the transformers pipeline."""

SETTINGS = tuple(
    name for name in NAMES if name not in {
        "stop", "json_schema", "regex", "grammar", "prompt_lookup", "truncate", "logprobs", "num_return_sequences",
        "forced_bos_token_id", "decoder_start_token_id", "temperature",
    }
)  # fmt: skip
"""What of :class:`gpux.generation.settings.GenerationSettings` can be given."""

PARAMETERS = (
    "language", "task", "prompt", "prompt_condition_type", "condition_on_prev_tokens", "temperature", *_THRESHOLDS, *SETTINGS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """How recordings are written down.

    Attributes:
        tokens: The model's tokens.
        settings: How a window's tokens are chosen.
        limit: Tokens that a window can come to, with what stands before them.
        length: Tokens of a whole window, with what stands before them, where no ``max_new_tokens`` is set; ``None`` as many
            as fit.
        times: Whether segments are told, ``word`` for words.
        prefix: What a window begins with where times are not told, and where they are.
        prompt: Tokens of the text that came before.
        temperatures: To be tried one after the other, until a window is good enough.
        compression_ratio_threshold: A window that can be compressed more than that repeats itself.
        logprob_threshold: A window whose tokens are less likely than that on average is not good enough.
        no_speech_threshold: A window that is not good enough, and silent by more than this probability, is left out.
        condition: Whether a window is given what was written before it.
        condition_type: Whether the prompt stands before the first window's text, or every one's.
        most: Steps of time at which a window's first text may begin.
        silence: The token whose probability says that nobody speaks.
    """

    tokens: SpeechTokens
    settings: GenerationSettings
    limit: int
    length: int | None
    times: bool | str
    prefix: tuple[tuple[int, ...], tuple[int, ...]]
    prompt: tuple[int, ...]
    temperatures: tuple[float, ...]
    compression_ratio_threshold: float | None
    logprob_threshold: float | None
    no_speech_threshold: float | None
    condition: bool
    condition_type: str
    most: int | None
    silence: int | None

    def processors(self, *, times: bool) -> tuple[Processor, ...]:
        """What changes scores beside the settings."""
        if not times or self.tokens.no_times is None:
            return ()
        return (Timestamps(self.tokens.no_times, self.tokens.end, self.most),)


def read(
    artifact: Artifact, tokens: SpeechTokens, given: Mapping[str, Any], *, times: bool | str, limit: int
) -> Rules:
    """The rules of a model with what a caller gave.

    Raises:
        InvalidInput: A parameter has a value that it cannot have, or the model does not know it.
        UnsupportedModel: A setting of the model is of the wrong type.
    """
    said = Fields(artifact, "generation_config.json")
    settings = GenerationSettings.read(artifact, {})
    own = {name: value for name, value in given.items() if name in SETTINGS}
    settings = replace(settings.with_given(own), num_return_sequences=1)
    if not settings.eos_token_ids:
        settings = replace(settings, eos_token_ids=(tokens.end,))
    longest = Fields(artifact, "generation_config.json").length("max_length")
    if settings.max_new_tokens is None and longest is None:
        settings = replace(settings, max_new_tokens=min(_DEFAULT_LENGTH, limit // 2))
    if times and tokens.no_times is None:
        raise InvalidInput(
            f"`{artifact.reference}` tells no times",
            hint="leave out return_timestamps",
            return_timestamps=times,
        )
    thresholds = {name: _number(name, given, said) for name in _THRESHOLDS}
    if thresholds["no_speech_threshold"] is not None and thresholds["logprob_threshold"] is None:
        raise InvalidInput(
            "`no_speech_threshold` needs `logprob_threshold`", hint="give logprob_threshold=-1.0 too"
        )
    prompt = given.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise InvalidInput(f"`prompt` is {type(prompt).__name__}", hint="give a text")
    language, task = _text("language", given), _text("task", given)
    with_times = tokens.no_times is not None
    rules = Rules(
        tokens=tokens,
        settings=settings,
        limit=limit,
        length=longest,
        times=times,
        prefix=(
            tuple(tokens.prefix(language=language, task=task, times=False)),
            tuple(tokens.prefix(language=language, task=task, times=with_times)),
        ),
        prompt=tuple(tokens.prompt(prompt)) if prompt else (),
        temperatures=_temperatures(given.get("temperature"), settings),
        condition=bool(_flag("condition_on_prev_tokens", given, said)),
        condition_type=_condition_type(given),
        most=said.whole("max_initial_timestamp_index"),
        silence=None if tokens.no_times is None else tokens.no_times - 1,
        **thresholds,
    )
    if rules.condition_type == ALL and not rules.condition:
        raise InvalidInput(
            f"`prompt_condition_type` is `{ALL}`, and windows are not given what came before them",
            hint="give condition_on_prev_tokens=True too",
        )
    return rules


def check_times(times: Any) -> bool | str:
    """The value of ``return_timestamps`` for a model that writes.

    Raises:
        InvalidInput: It is another.
    """
    if times in (None, False):
        return False
    if times is True or times == WORD:
        return bool(times) if times is True else WORD
    raise InvalidInput(
        f"`return_timestamps` is {times!r}", hint="use true for segments, or `word`", return_timestamps=times
    )


def _number(name: str, given: Mapping[str, Any], said: Fields) -> float | None:
    value = given.get(name)
    if value is None:
        return said.number(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 - NaN
        raise InvalidInput(f"`{name}` is {value!r}", hint="give a number", parameter=name)
    return float(value)


def _flag(name: str, given: Mapping[str, Any], said: Fields) -> bool | None:
    value = given.get(name)
    if value is None:
        return said.flag(name)
    if not isinstance(value, bool):
        raise InvalidInput(f"`{name}` is {value!r}", hint="give true or false", parameter=name)
    return value


def _text(name: str, given: Mapping[str, Any]) -> str | None:
    value = given.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidInput(f"`{name}` is {value!r}", hint="give a text", parameter=name)
    return value


def _condition_type(given: Mapping[str, Any]) -> str:
    value = given.get("prompt_condition_type") or FIRST
    if value not in CONDITIONS:
        raise InvalidInput(
            f"`prompt_condition_type` is {value!r}",
            hint=f"use one of {', '.join(CONDITIONS)}",
            prompt_condition_type=value,
        )
    return str(value)


def _temperatures(value: Any, settings: GenerationSettings) -> tuple[float, ...]:
    if value is None:
        return (settings.temperature if settings.do_sample else 0.0,)
    listed = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    fine = all(
        isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one < 100 for one in listed
    )
    if not listed or not fine:
        raise InvalidInput(
            f"`temperature` is {value!r}",
            hint="give a number from 0, or several to be tried one after the other: [0.0, 0.2, 0.4]",
            parameter="temperature",
        )
    return tuple(map(float, listed))
