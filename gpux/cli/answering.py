"""Inputs in, answers out, as many as there are: what fails is named and counted, and the rest goes on. Knows no form of output."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gpux
from gpux.cli import outputs
from gpux.cli.inputs import Inputs
from gpux.cli.items import Item
from gpux.cli.printer import Printer, ReaderGone
from gpux.cli.progress import Pace
from gpux.cli.sinks import BLOCK, Sink
from gpux.errors import GpuxError

Answers = Callable[[Iterator[Any], int | None], Iterator[Any]]
"""Items, and how many may be held at once → an answer or :class:`gpux.Failed` for each, in order."""

WINDOW = 256
"""Most items that are answered together where somebody watches: what is sorted with more of its kind is faster by little."""

SHOWN = 20
"""Failures that are told one by one; ``--verbose`` tells all."""


def answer(
    printer: Printer,
    model: gpux.Model,
    inputs: Inputs,
    *,
    place: outputs.Target | None,
    answers: Answers,
    sink: Sink | None = None,
) -> int:
    """Answer every input, and print or write the answers.

    Args:
        printer: Prints.
        model: Whose task is answered.
        inputs: The items.
        place: Where answers go; standard output when ``None``.
        answers: Answers items; where the first that fails is to end it, raises its error.
        sink: What takes the answers, where nobody needs to see how far it is; that of ``place`` when ``None``.

    Returns:
        The exit code: 0, or 1 where an input failed.

    Raises:
        GpuxError: There was nothing to answer; the only input failed, or any that was to end it; the runtime failed.
    """
    shown = sink is None
    sink = sink or outputs.sink(printer, model, place, live=inputs.live)
    with Pace(printer, model.pipeline.noun, inputs.total, shown=shown) as pace:
        run = _Run(printer, sink, pace)
        try:
            for block in inputs.blocks():
                run.block(model, block, answers)
            run.refuse_none(inputs)
        except BaseException as error:
            with contextlib.suppress(ReaderGone), pace.aside():
                kept = None if isinstance(error, ReaderGone) else sink.abandon()
                if kept:
                    printer.say(f"the answers so far are in {kept}")
            raise
        with pace.aside():
            where = sink.finish()
    if where:
        count = run.count - run.failed
        printer.say(f"{'the answer is' if count == 1 else f'{count} answers are'} in {where}")
    if run.failed:
        printer.complain(f"{run.failed} of {run.count} inputs failed")
    return 1 if run.failed else 0


class _Run:
    """The count of a run, and what it does with each answer.

    ``lone`` is the failure of the first input while no other was answered: alone, it is the error of the command.
    """

    def __init__(self, printer: Printer, sink: Sink, pace: Pace) -> None:
        self._printer, self._sink, self._pace = printer, sink, pace
        self.count = self.failed = 0
        self.lone: tuple[Item, GpuxError] | None = None

    def block(self, model: gpux.Model, items: Any, answers: Answers) -> None:
        """Answer items that follow each other."""
        waiting: deque[Item] = deque()
        answered = 0
        window = min(WINDOW, model.pipeline.window) if self._pace.wanted else None

        def values() -> Iterator[Any]:
            for item in items:
                waiting.append(item)
                yield item.value

        try:
            for found in answers(values(), window):
                item = waiting.popleft()
                answered += 1
                self._take(item, found)
                if not waiting or self.count % BLOCK == 0:
                    with self._pace.aside():
                        self._sink.pause()
        except GpuxError as error:
            raise _named(error, waiting, answered) from error

    def refuse_none(self, inputs: Inputs) -> None:
        """Make sure that somebody gave an input, and that it was not the only one that failed; an empty list is answered by one.

        Raises:
            GpuxError: Nobody did, or there was none else.
        """
        if self.lone is not None:
            raise self.lone[1]
        if not self.count and inputs.live:
            raise inputs.nothing()

    def _take(self, item: Item, found: Any) -> None:
        if self.lone is not None:
            self._fail(*self.lone)
            self.lone = None
        if not isinstance(found, gpux.Failed):
            self._sink.add(item, found)
        else:
            unread = isinstance(item.value, GpuxError)
            error = item.value if unread else found.called(item.name)
            if self.count:
                self._fail(item, error)
            else:
                self.lone = item, error
        self.count += 1
        self._pace.advance()

    def _fail(self, item: Item, error: GpuxError) -> None:
        self.failed += 1
        self._sink.fail(item, error)
        if self.failed <= SHOWN or self._printer.verbose:
            named = item.name in error.message
            with self._pace.aside():
                self._printer.complain(f"failed: {'' if named else f'{item.name}: '}{error.message}")
        elif self.failed == SHOWN + 1:
            with self._pace.aside():
                self._printer.complain("failed: more inputs, which --verbose names")


def _named(error: GpuxError, waiting: deque[Item], answered: int) -> GpuxError:
    """The error of a stream that ended, with the name of the item that it speaks of."""
    position = error.details.get("position")
    if not isinstance(position, int) or not 0 <= position - answered < len(waiting):
        return error
    return gpux.Failed(position, error).called(waiting[position - answered].name)
