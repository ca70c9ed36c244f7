"""A loaded model and settings → the call that the loops time, and the queries as that call takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from gpux.bench.loops import AT_ONCE, Call, Emitted, Outcome
from gpux.bench.workload import Queries

if TYPE_CHECKING:
    from gpux.bench.settings import Settings
    from gpux.bench.subject import Emitter, Subject

PROMPT, DECODE = "prompt", "decode"
"""The stages of an answer that comes in pieces: until the first, and from there to the last."""

LENGTH, TOKENS = "max_new_tokens", 128
"""The parameter that ends an answer, and what it is where nothing else does."""


def prepare(
    model: Subject, queries: Queries, settings: Settings, parameters: Mapping[str, Any]
) -> tuple[Call, Queries]:
    """The call to time, and what to pass it.

    At level ``task`` a call is what a user's own would be: text in, answer out. At level ``graph`` the tensors are made
    beforehand, by the task and in the batches that it would make, and a call runs the graph on them, as ONNX Runtime's
    ``onnxruntime_perf_test`` and OpenVINO's ``benchmark_app`` do.

    Raises:
        InvalidInput: The task cannot take an item or a parameter.
        GpuxError: The task cannot say which tensors it would make.
    """
    if settings.level == "graph":
        feeds = [
            model.pipeline.feeds(call if isinstance(call, list) else [call], **parameters)
            for call in queries.calls
        ]
        return _graph(model), replace(queries, calls=feeds)
    if emits(model):
        return _emitting(cast("Emitter", model), parameters), queries
    return _task(model.timed, parameters), queries


def emits(model: Subject) -> bool:
    """Whether the model answers in pieces."""
    return bool(getattr(model.pipeline, "emits", False))


def bounded(model: Subject, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters, with a length where neither the caller nor the model knows one: an answer may have no end."""
    settings = getattr(model.pipeline, "settings", None)
    if (
        not emits(model)
        or settings is None
        or parameters.get(LENGTH) is not None
        or getattr(settings, LENGTH, None) is not None
    ):
        return parameters
    return {**parameters, LENGTH: TOKENS}


def _task(timed: Callable[..., tuple[Any, dict[str, float]]], parameters: Mapping[str, Any]) -> Call:
    def call(query: Any) -> Outcome:
        return timed(query, **parameters)[1], AT_ONCE

    return call


def _graph(model: Subject) -> Call:
    run = model.session.run

    def call(query: list[dict[str, Any]]) -> Outcome:
        for feeds in query:
            run(feeds)
        return {}, AT_ONCE

    return call


def _emitting(model: Emitter, parameters: Mapping[str, Any]) -> Call:
    # Runs ask the same again and again: what one has read must not answer the next.
    forget = getattr(cast("Subject", model).pipeline, "forget", None)

    def call(query: Any) -> Outcome:
        if forget is not None:
            forget()
        begin = perf_counter()
        came = [(perf_counter() - begin, piece) for piece in model.emit(query, **parameters)]
        seconds, tokens = _steps(came)
        stages = {PROMPT: seconds[0], DECODE: seconds[-1] - seconds[0]} if seconds else {}
        return stages, Emitted(
            seconds,
            tokens,
            sum(getattr(piece, "proposed", 0) for _, piece in came),
            sum(getattr(piece, "accepted", 0) for _, piece in came),
        )

    return call


def _steps(came: Sequence[tuple[float, Any]]) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Moments and tokens of the pieces; those of several rows that were written together count as one piece."""
    seconds: list[float] = []
    tokens: list[int] = []
    before = 0
    for moment, piece in came:
        row = getattr(piece, "row", 0)
        if seconds and row > before:
            seconds[-1], tokens[-1] = moment, tokens[-1] + len(piece.tokens)
        else:
            seconds.append(moment)
            tokens.append(len(piece.tokens))
        before = row
    return tuple(seconds), tuple(tokens)
