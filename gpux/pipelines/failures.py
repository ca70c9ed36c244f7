"""Answers to a stream of items some of which fail: the failure in its place, and the rest goes on. Knows no task."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from gpux.errors import GpuxError, RunFailed

Answering = Callable[[Iterator[Any]], Iterator[Any]]
"""Items → their answers, in order; positions in what it raises count from the first of these items."""

# What messages call an item, with its position behind it.
_NOUNS = "input|item|text|pair|query|document|image|picture|mask|video|recording|audio|sound|waveform|file"


@dataclass(frozen=True, slots=True)
class Failed:
    """What stands in a stream in the place of an answer, where an item failed.

    Attributes:
        position: The item's place in the stream, from 0.
        error: Why there is no answer; its message and ``position`` name the same place.
    """

    position: int
    error: GpuxError

    def called(self, name: str) -> GpuxError:
        """The error as it reads where the item has a name of its own: ``line 17 of mails.txt is …``."""
        message = _renamed(self.error.message, self.position, lambda _: name)
        message = message.replace(f"{name} (`{name}`)", f"`{name}`", 1)  # where the task named it too
        return type(self.error)(message, hint=self.error.hint, **self.error.details)


def moved(error: GpuxError, by: int) -> GpuxError:
    """A copy of the error with its position, in the message too, counted from ``by`` items further ahead.

    The copy holds on to no traceback, and so to none of the items that were answered together.
    """
    position = _position(error)
    if position is None:
        return error
    message = _renamed(error.message, position, lambda noun: f"{noun} {position + by}")
    return type(error)(message, hint=error.hint, **{**error.details, "position": position + by})


def until(items: Iterable[Any], answering: Answering) -> Iterator[Any]:
    """The answers until an item fails, or one comes that could not be read; then its error.

    Raises:
        GpuxError: The first item's that failed, in the order of the items.
    """
    unread: list[GpuxError] = []

    def read() -> Iterator[Any]:
        for item in items:
            if isinstance(item, GpuxError):
                unread.append(item)
                return
            yield item

    def answers(found: Iterator[Any]) -> Iterator[Any]:
        yield from found
        if unread:
            raise unread[0]

    return answers(answering(read()))


def around(items: Iterable[Any], answering: Answering, *, window: int) -> Iterator[Any]:
    """One answer or :class:`Failed` per item, in order.

    Where an item fails, what was taken and not answered is answered again, without it. How much is taken at once is halved at every
    failure and doubled at every success, so that the work is that of the good items a few times over at most, however many fail.

    Args:
        items: Any number of items. One that is a ``GpuxError`` stands for an item that could not be read.
        answering: Answers a part of them; it may hold a window of items.
        window: Items that are taken at once while nothing fails; where nothing failed lately there is no limit to a part.

    Raises:
        GpuxError: What is no fault of one item: a parameter, or a runtime that fails.
    """
    return _Around(iter(items), answering, window).answers()


class _Around:
    """The state between two parts of a stream.

    ``held`` has the items that were taken and not answered; ``first`` is the position of its first one.
    """

    def __init__(self, items: Iterator[Any], answering: Answering, window: int) -> None:
        self.items, self.answering = items, answering
        self.window = self.size = window
        self.held: deque[Any] = deque()
        self.first = 0
        self.culprit: Failed | None = None
        self.ended = False

    def answers(self) -> Iterator[Any]:
        while self.held or not self.ended:
            if self.culprit is not None and self.culprit.position == self.first:
                failed, self.culprit = self.culprit, None
                self.held.popleft()
                self.first += 1
                yield failed
            else:
                yield from self.part()

    def part(self) -> Iterator[Any]:
        """Answer until the limit, the end, or an item that fails; what was answered leaves ``held``."""
        start = self.first
        limited = self.culprit is not None or self.size < self.window
        stop = self.culprit.position if self.culprit is not None else start + self.size
        try:
            for answer in self.answering(self.taken(stop if limited else None)):
                self.held.popleft()
                self.first += 1
                yield answer
        except GpuxError as error:
            at = _position(error)
            place = start + (-1 if at is None else at)
            if isinstance(error, RunFailed) or not self.first <= place < self.first + len(self.held):
                raise moved(error, start) from error
            self.culprit = Failed(place, moved(error, start))
            self.size = max(1, self.size // 2)
        else:
            if self.first - start >= self.size:
                self.size = min(self.window, self.size * 2)

    def taken(self, stop: int | None) -> Iterator[Any]:
        """Items from ``first`` to ``stop``, those already held and then new ones; ends before one that could not be read."""
        place = self.first
        while stop is None or place < stop:
            if place == self.first + len(self.held):
                try:
                    self.held.append(next(self.items))
                except StopIteration:
                    self.ended = True
                    return
            item = self.held[place - self.first]
            if isinstance(item, GpuxError):
                self.culprit = Failed(place, item)
                return
            yield item
            place += 1


def _position(error: GpuxError) -> int | None:
    position = error.details.get("position")
    return position if isinstance(position, int) and not isinstance(position, bool) else None


def _renamed(message: str, position: int, name: Callable[[str], str]) -> str:
    return re.sub(rf"\b({_NOUNS}) {position}\b", lambda found: name(found[1]), message, count=1)
