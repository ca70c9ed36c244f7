"""Standard input, line by line, as it comes: what is there is answered before the rest has come. Knows no task."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from gpux.cli.items import Item, Takes
from gpux.cli.reading import decoded
from gpux.errors import InvalidInput

SETTLING = 0.05
"""Seconds without another byte after which whoever writes is taken to wait for the answers so far."""

_CHUNK, _CHUNKS = 1 << 16, 16  # what is read ahead at most: 1 MiB


class Lines:
    """Items from the lines of standard input, in blocks that end where the input pauses.

    One JSON document is its items; a line that is an object of JSON is one item; every other line is what the task makes of it.
    """

    def __init__(self, takes: Takes) -> None:
        self._takes = takes
        self._chunks: queue.Queue[bytes] = queue.Queue(_CHUNKS)
        self._parts: list[bytes] = []
        self._lines: deque[bytes] = deque()
        self._number = 0
        self._ended = False

    def blocks(self) -> Iterator[Iterator[Item]]:
        """One iterator after the other, each of which waits for its first line and ends at a pause."""
        if sys.stdin is None or sys.stdin.closed:
            return
        threading.Thread(target=self._read, args=(sys.stdin.fileno(),), daemon=True).start()
        document = self._document()
        if document is not None:
            yield iter([Item(f"input {n} of standard input", value) for n, value in enumerate(document, 1)])
            return
        while not self._ended or self._lines:
            yield self._block()

    def _block(self) -> Iterator[Item]:
        waits = True
        while (line := self._line(wait=waits)) is not None:
            waits = False
            yield from self._items(line)

    def _items(self, line: bytes) -> Iterator[Item]:
        self._number += 1
        name = f"line {self._number} of standard input"
        text = decoded(line, name, self._takes)
        if isinstance(text, InvalidInput):
            yield Item(name, text)
        elif text.strip():
            yield from self._takes.line(text, name, objects=True)

    def _read(self, descriptor: int) -> None:
        # Read past Python's buffer, whose lock a thread that waits for ever would hold when the process ends.
        while True:
            try:
                chunk = os.read(descriptor, _CHUNK)
            except OSError:
                chunk = b""
            self._chunks.put(chunk)
            if not chunk:
                return

    def _line(self, *, wait: bool) -> bytes | None:
        """The next line without its end; ``None`` at the end, or where none is there and none is waited for."""
        while not self._lines and not self._ended:
            try:
                # Windows lets nobody interrupt a longer wait.
                chunk = self._chunks.get(timeout=0.5 if wait else SETTLING)
            except queue.Empty:
                if wait:
                    continue
                return None
            self._take(chunk)
        return self._lines.popleft().removesuffix(b"\r") if self._lines else None

    def _take(self, chunk: bytes) -> None:
        if not chunk:
            self._ended = True
            if last := b"".join(self._parts):
                self._lines.append(last)
            return
        first, *rest = chunk.split(b"\n")
        self._parts.append(first)
        if rest:
            self._lines.append(b"".join(self._parts))
            self._lines.extend(rest[:-1])
            self._parts = [rest[-1]]

    def _document(self) -> list[Any] | None:
        """The items where the whole input is one JSON document; else ``None``, with every line still to come."""
        seen: list[bytes] = []
        found, tried = None, 0
        while (line := self._line(wait=True)) is not None:
            seen.append(line)
            blank = not line.strip()
            if blank and not tried:
                seen.clear()
                self._number += 1
                continue
            if found is not None and not blank:
                found = None  # a document, and something behind it
                break
            if (
                found is None and len(seen) >= 2 * tried
            ):  # as often as the document doubles, not at every line
                tried = len(seen)
                found, more = _parsed(seen)
                if not more or (isinstance(found, dict) and len(seen) == 1):  # one object a line, most likely
                    break
        else:
            found = found if found is not None else _parsed(seen)[0]
            if found is not None:
                return found if isinstance(found, list) else [found]
        self._lines.extendleft(reversed(seen))
        return None


def _parsed(lines: list[bytes]) -> tuple[Any, bool]:
    """The value of these lines, and whether more lines could make or leave it one JSON document."""
    try:
        text = b"\n".join(lines).decode("utf-8-sig")
    except UnicodeDecodeError:
        return None, False
    if not text.lstrip().startswith(("[", "{")):
        return None, False
    try:
        return json.loads(text), True
    except json.JSONDecodeError as error:
        return None, not text[error.pos :].strip()
    except (ValueError, RecursionError):
        return None, False
