"""A recording of any length, written down window by window: the times that are told say where the next one begins.

One generator per recording gives windows and is sent what was written for each, so that those of several can be written at once.
Source: ``generate`` of
https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/whisper/generation_whisper.py
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from gpux.audio.spectrogram import Spectrogram
from gpux.errors import InvalidInput
from gpux.pipelines.speech_rules import ALL, Rules
from gpux.pipelines.speech_writing import Window, Written

_STEP = 2  # frames of a step of time
_PRECISION = 0.02  # seconds of it
_WARM = 0.5  # what is written at that temperature is nothing to go on from


@dataclass(slots=True)
class Told:
    """What was written of a recording.

    Attributes:
        tokens: Its tokens, those of times among them.
        times: Seconds at which each ended, where words are asked for.
        language: The token of the language that its first window began with.
    """

    tokens: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    language: int | None = None


Windows: TypeAlias = Generator[Window, Written, Told]


def windows(
    heard: Spectrogram, rules: Rules, *, frames: int, told: Callable[[Sequence[int]], None] | None = None
) -> Windows:
    """The windows of a recording, each given when what was written for the one before it was sent.

    Args:
        heard: The recording.
        rules: How it is written down.
        frames: Frames of a window.
        told: Called with the tokens of each segment as it is written.

    Returns:
        Everything that was written.

    Raises:
        InvalidInput: What stands before a window leaves no room for its text.
    """
    whole = max(frames, heard.frames)
    times = bool(rules.times) or whole > frames
    prefix = rules.prefix[times]
    found, segments = Told(), list[tuple[int, ...]]()
    if rules.prompt and rules.condition_type != ALL:
        segments.append(rules.prompt[1:])
    going_on, length, seek = rules.condition, rules.length, 0
    while seek < whole:
        before = _before(rules, segments, going_on=going_on)
        size = min(whole - seek, frames)
        most, length = _room(rules, len(before) + len(prefix), length)
        features = heard.window(seek, size)
        if size < frames:
            features = np.pad(features, ((0, 0), (0, frames - size)))
        written = yield Window(features, (*before, *prefix), most, heard.frames - seek, times)
        prefix = written.prefix[len(before) :]
        if found.language is None and (spoken := set(rules.tokens.languages.values()) & set(prefix)):
            found.language = spoken.pop()
        going_on = rules.condition and written.temperature < _WARM
        if written.skipped:
            seek += size
            continue
        parts, forward = cut(written.tokens, first=rules.tokens.first_time, size=size)
        for start, stop in parts:
            tokens = written.tokens[start:stop]
            segments.append(tokens)
            found.tokens += tokens
            found.times += [time + seek * _PRECISION / _STEP for time in written.times[start:stop]]
            if told:
                told(tokens)
        seek += forward
    return found


def cut(tokens: Sequence[int], *, first: int, size: int) -> tuple[list[tuple[int, int]], int]:
    """The segments of a window's text, and how many frames on the next window begins.

    Args:
        tokens: The text.
        first: The token of the time 0.
        size: Frames of the window that lie in the recording.

    Returns:
        From which token up to which, for each; and the frames.
    """
    timed = [token >= first for token in tokens]
    single = timed[-2:] == [False, True]
    ends = [place + 1 for place in range(len(timed) - 1) if timed[place] and timed[place + 1]]
    if not ends:
        return [(0, len(tokens))], size
    # Where a pair ends it, both belong to the last segment: so one sees later that nothing was left out.
    ends = [*ends, len(tokens)] if single else [*ends[:-1], ends[-1] + 1]
    forward = size if single else (tokens[ends[-1] - 2] - first) * _STEP
    return list(zip([0, *ends[:-1]], ends, strict=True)), forward


def _before(rules: Rules, segments: Sequence[Sequence[int]], *, going_on: bool) -> tuple[int, ...]:
    """What stands before a window's own beginning: the text that came before it, or the prompt."""
    if not (going_on and segments):
        return rules.prompt
    first = rules.tokens.first_time
    written: list[int] = []
    for tokens in segments:
        paired = len(tokens) > 2 and tokens[-2] >= first
        written += tokens[:-1] if paired else tokens
    kept = written[-(rules.limit // 2 - 1) :]
    if rules.condition_type == ALL and rules.prompt:
        return (*rules.prompt, *kept)
    return (*([] if rules.tokens.previous is None else [rules.tokens.previous]), *kept)


def _room(rules: Rules, begun: int, length: int | None) -> tuple[int, int | None]:
    """Tokens that may be written behind so many, and the length of windows from then on."""
    if (asked := rules.settings.max_new_tokens) is not None:
        most = min(asked, rules.limit - begun)
    else:
        length = min((length or rules.limit) + min(rules.limit // 2 - 1, begun), rules.limit)
        most = length - begun
    if most < 1:
        raise InvalidInput(
            f"the prompt leaves no room: a window takes {rules.limit} tokens with its text, and {begun} stand before it",
            hint="give a shorter prompt",
        )
    return most, length
