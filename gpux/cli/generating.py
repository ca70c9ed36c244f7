"""Answers that are written piece by piece: onto standard output as they come, or whole into a sink; and the options that say how.

Knows no task: a pipeline that ``emits`` is one, and one that ``chats`` takes a conversation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import click

import gpux
from gpux.cli import answering, outputs
from gpux.cli.inputs import Inputs
from gpux.cli.items import Item
from gpux.cli.printer import Printer, plain
from gpux.cli.sinks import Sink
from gpux.errors import GpuxError, RunFailed, UsageError

OPTIONS = {
    "max_tokens": ("--max-tokens", "max_new_tokens"),
    "temperature": ("--temperature", "temperature"),
    "top_p": ("--top-p", "top_p"),
    "top_k": ("--top-k", "top_k"),
    "stop": ("--stop", "stop"),
    "json_schema": ("--json-schema", "json_schema"),
    "truncate": ("--truncate", "truncate"),
}
"""Argument → the option as it is typed, and the task's own parameter that it sets."""

_CLICK = (
    click.option("--max-tokens", type=int, metavar="N", help="Most tokens of an answer."),
    click.option("--temperature", type=float, metavar="T", help="How freely tokens are drawn; 0 for never."),
    click.option(
        "--top-p", type=float, metavar="P", help="Draw among the likeliest tokens of this probability."
    ),
    click.option(
        "--top-k", type=int, metavar="K", help="Draw among so many tokens; or tell so many classes."
    ),
    click.option("--stop", multiple=True, metavar="TEXT", help="End an answer here; may be given again."),
    click.option("--system", metavar="TEXT", help="What the model is told before the conversation."),
    click.option("--json-schema", metavar="JSON|@FILE", help="A JSON Schema that the answer follows."),
    click.option("--truncate", is_flag=True, help="Cut a prompt that is longer than the context."),
    click.option("--raw", is_flag=True, help="Give the text as it is, without the chat template."),
)


@dataclass(frozen=True, slots=True)
class Wish:
    """How answers are to be written.

    Attributes:
        parameters: The task's own, ``--param`` included.
        typed: Parameter → the option that set it.
        system: What the model is told before the conversation.
        raw: Whether a text goes to the model as it is.
    """

    parameters: Mapping[str, Any]
    typed: Mapping[str, str] = field(default_factory=dict)
    system: str | None = None
    raw: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """One answer that was printed.

    Attributes:
        text: All of it, or as far as it came.
        record: What the model says of it (``tokens``, ``prompt_tokens``, ``finish_reason`` …); ``None`` where it was stopped.
        tokens: How many tokens it has; ``None`` where nobody says.
        first: Seconds to its first piece.
        seconds: Seconds to its end.
    """

    text: str
    record: Any
    tokens: int | None
    first: float
    seconds: float


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say how an answer is written."""
    for option in reversed(_CLICK):
        function = option(function)
    return function


def read(given: Mapping[str, Any], parameters: Mapping[str, Any], *, seed: int | None = None) -> Wish:
    """The wish that options and ``--param`` make together; the latter win.

    Args:
        given: The values of :func:`options`.
        parameters: Those of ``--param``.
        seed: ``--seed``, where it was given.

    Raises:
        UsageError: ``--json-schema`` is no JSON, or its file cannot be read.
    """
    found: dict[str, Any] = {} if seed is None else {"seed": seed}
    typed = {} if seed is None else {"seed": "--seed"}
    for name, (option, parameter) in OPTIONS.items():
        value = given[name]
        if value is None or value is False or value == ():
            continue
        typed[parameter] = option
        found[parameter] = (
            _schema(value) if name == "json_schema" else list(value) if name == "stop" else value
        )
    return Wish({**found, **parameters}, typed, given["system"], given["raw"])


def check(model: gpux.Model, wish: Wish) -> None:
    """Make sure that the task knows every option that was typed.

    Raises:
        UsageError: One means nothing to it.
    """
    pipeline = model.pipeline
    for parameter, option in wish.typed.items():
        if parameter not in pipeline.parameters:
            known = ", ".join(pipeline.parameters)
            hint = f"its parameters are {known}" if known else "leave the option out"
            raise UsageError(f"{model.task} knows no `{option}`", hint=hint, option=option)
    pipeline.check(wish.parameters)
    if wish.raw and not emits(model):
        raise UsageError(f"{model.task} knows no `--raw`", hint="leave the option out", option="--raw")
    if wish.system is not None and not chats(model):
        told = "has no chat template" if emits(model) else f"answers {model.task}"
        raise UsageError(
            f"`{model.artifact.reference}` {told}, so that there is nobody to tell `--system`",
            hint="write it in front of the text",
            option="--system",
        )
    if wish.system is not None and wish.raw:
        raise UsageError(
            "`--raw` leaves out the chat template, where `--system` would stand", hint="leave one out"
        )


def refuse_told(wish: Wish) -> None:
    """Refuse what a benchmark has no place for.

    Raises:
        UsageError: ``--system`` or ``--raw`` was given.
    """
    for given, option in ((wish.system is not None, "--system"), (wish.raw, "--raw")):
        if given:
            raise UsageError(f"a benchmark knows no `{option}`", hint="leave the option out")


def emits(model: gpux.Model) -> bool:
    """Whether answers are written piece by piece."""
    return bool(getattr(model.pipeline, "emits", False))


def chats(model: gpux.Model) -> bool:
    """Whether the model has a chat template."""
    return emits(model) and bool(getattr(model.pipeline, "chats", False))


def answer(
    printer: Printer,
    model: gpux.Model,
    inputs: Inputs,
    *,
    place: outputs.Target | None,
    wish: Wish,
    fail_fast: bool,
) -> int:
    """Answer every input: one after the other as the pieces come, or several together where nobody watches.

    Returns:
        The exit code, as of :func:`gpux.cli.answering.answer`; errors as there.
    """
    if place is not None and place.form == ".csv":
        return answering.answer(
            printer,
            model,
            inputs,
            place=place,
            answers=lambda values, window: _tabled(model, values, wish, window=window, fail_fast=fail_fast),
        )
    if place is not None or printer.json:
        return answering.answer(
            printer,
            model,
            inputs,
            place=place,
            answers=lambda values, window: _whole(model, values, wish, window=window, fail_fast=fail_fast),
        )
    return answering.answer(
        printer,
        model,
        inputs,
        place=None,
        answers=lambda values, _: _spoken(printer, model, values, wish, fail_fast=fail_fast),
        sink=_Printed(),
    )


def speak(
    printer: Printer,
    model: gpux.Model,
    item: Any,
    parameters: Mapping[str, Any],
    *,
    stopped: Callable[[], bool] = lambda: False,
    parts: list[str] | None = None,
) -> Spoken:
    """Print an answer as it comes, with one end of line behind it, or behind what there is of it.

    Args:
        printer: Prints.
        model: Writes.
        item: What the task is given.
        parameters: Those of the task.
        stopped: Asked after every piece whether the answer shall end here.
        parts: Takes the pieces too, for whoever needs them where the answer ends in an error.

    Raises:
        GpuxError: The model's; what was printed stays.
    """
    parts = [] if parts is None else parts
    began = time.perf_counter()
    first = 0.0
    pieces = _pieces(model, item, parameters)
    record, whole, tokens = None, False, 0
    try:
        while not stopped():
            piece = next(pieces)
            first = first or time.perf_counter() - began
            tokens += count(getattr(piece, "tokens", ())) or 0
            if piece:
                parts.append(piece)
                printer.piece(piece)
    except StopIteration as end:
        record, whole = end.value, True
    finally:
        pieces.close()
        if not parts[-1].endswith("\n") if parts else whole:
            printer.piece("\n")
    counted = count(getattr(record, "tokens", None)) or tokens or None
    return Spoken("".join(parts), record, counted, first, time.perf_counter() - began)


def _pieces(model: gpux.Model, item: Any, parameters: Mapping[str, Any]) -> Generator[str, None, Any]:
    """An answer as it comes; whole, where only the end of the work shows which one it is, and a line each of several."""
    if all((parameters.get(name) or 1) == 1 for name in ("num_beams", "num_return_sequences")):
        return (yield from model.stream(item, **parameters))
    found = model.generate(item, **parameters)
    several = found if isinstance(found, list) else [found]
    yield "\n".join(answer.text for answer in several)
    return several[0]


def wrapped(model: gpux.Model, value: Any, wish: Wish) -> Any:
    """The item that a text means: a conversation of one message where the model has a template and it is wanted."""
    if wish.raw and isinstance(value, dict):
        return {**value, "raw": True}
    if isinstance(value, GpuxError) or wish.raw or not chats(model):
        return value
    told = [] if wish.system is None else [{"role": "system", "content": wish.system}]
    if isinstance(value, str) and not model.pipeline.files:
        return [*told, {"role": "user", "content": value}]
    if isinstance(value, dict) and wish.system is not None:
        return {**value, "system": wish.system}
    if isinstance(value, list) and value and all(isinstance(one, dict) and "role" in one for one in value):
        return [*told, *value]
    return value


def told(record: Any) -> Any:
    """What JSON says of an answer: everything that the model says, its tokens counted."""
    if isinstance(record, list):
        return [told(one) for one in record]
    whole = plain(record)
    if not isinstance(whole, dict):
        return whole
    counted = {name: count(whole[name]) for name in ("tokens", "prompt_tokens") if name in whole}
    whole |= {name: number for name, number in counted.items() if number is not None}
    return {name: value for name, value in whole.items() if name != "logprobs" or value is not None}


def count(tokens: Any) -> int | None:
    """How many tokens there are, given as their number or one by one."""
    if isinstance(tokens, int):
        return tokens
    return len(tokens) if hasattr(tokens, "__len__") else None


class _Printed(Sink):
    """Answers that stand on standard output already."""

    def add(self, item: Item, answer: Any) -> None:
        """Take an answer."""

    def finish(self) -> None:
        """Put it in its place."""


def _spoken(
    printer: Printer, model: gpux.Model, values: Iterable[Any], wish: Wish, *, fail_fast: bool
) -> Iterator[Any]:
    """Print the answers one after the other; each, or its failure, once it is printed."""
    for position, value in enumerate(values):
        try:
            if isinstance(value, GpuxError):
                raise value
            yield speak(printer, model, wrapped(model, value, wish), wish.parameters)
        except GpuxError as error:
            yield _failed(position, error, fail_fast=fail_fast)


def _tabled(
    model: gpux.Model, values: Iterable[Any], wish: Wish, *, window: int | None, fail_fast: bool
) -> Iterator[Any]:
    """Answers as the task itself gives them, which is what its table is made of; without their prompts."""
    alone = {"return_full_text": False} if "return_full_text" in model.pipeline.parameters else {}
    items = (wrapped(model, value, wish) for value in values)
    return model.stream(items, window=window, fail_fast=fail_fast, **{**alone, **wish.parameters})


def _whole(
    model: gpux.Model, values: Iterable[Any], wish: Wish, *, window: int | None, fail_fast: bool
) -> Iterator[Any]:
    """Records of answers, as many together as suit the task."""
    size = min(window or model.pipeline.window, model.pipeline.batch)
    position, rest = 0, iter(values)
    while batch := list(islice(rest, size)):
        good = [wrapped(model, value, wish) for value in batch if not isinstance(value, GpuxError)]
        records = iter(_together(model, good, wish))
        for value in batch:
            found = value if isinstance(value, GpuxError) else next(records)
            yield (
                _failed(position, found, fail_fast=fail_fast) if isinstance(found, GpuxError) else told(found)
            )
            position += 1


def _together(model: gpux.Model, items: list[Any], wish: Wish) -> Iterator[Any]:
    """The record or the error of each item; one by one where one of them spoils it for all."""
    if len(items) > 1:
        try:
            yield from model.generate(items, **wish.parameters)
        except RunFailed:
            raise
        except GpuxError:
            pass
        else:
            return
    for item in items:
        try:
            yield model.generate(item, **wish.parameters)
        except RunFailed:
            raise
        except GpuxError as error:
            yield error


def _failed(position: int, error: GpuxError, *, fail_fast: bool) -> gpux.Failed:
    if isinstance(error, RunFailed):
        raise error
    if not fail_fast:
        return gpux.Failed(0, error)  # its message counts from the item itself, which was given alone
    named = gpux.Failed(0, error).called(f"input {position}")
    raise type(named)(named.message, hint=named.hint, **{**named.details, "position": position}) from error


def _schema(text: str) -> Any:
    given = text
    if text.startswith("@"):
        try:
            given = Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"`{text[1:]}` cannot be read ({error})", hint="check the path behind --json-schema @"
            ) from error
    try:
        schema = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"`--json-schema` is no JSON: {error}", hint='write --json-schema \'{"type": "object"}\''
        ) from error
    if not isinstance(schema, dict):
        raise UsageError("`--json-schema` is no object", hint='write --json-schema \'{"type": "object"}\'')
    return schema
