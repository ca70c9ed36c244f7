"""Texts that end an answer, wherever the pieces are cut: what is shown never holds one, nor the beginning of one."""

from __future__ import annotations

from collections.abc import Sequence


class Stopper:
    """Looks for stop strings in a text that comes in pieces.

    The one that is complete first ends the answer, of several that are complete at the same character the longest, so
    that it does not matter how the text is cut.

    Args:
        strings: The stop strings, none of them empty; without any, every piece is shown as it comes.
    """

    __slots__ = ("_held", "_longest", "_strings")

    def __init__(self, strings: Sequence[str]) -> None:
        self._strings = sorted(set(strings), key=len, reverse=True)
        self._longest = max(map(len, self._strings), default=0)
        self._held = ""

    def push(self, piece: str) -> tuple[str, bool]:
        """The next piece.

        Returns:
            The text that may be shown now, and whether a stop string came; what stands from it on is lost.
        """
        if not self._strings or not piece:
            return piece, False
        text = self._held + piece
        self._held = ""
        found = [(place + len(each), place) for each in self._strings if (place := text.find(each)) >= 0]
        if found:
            return text[: min(found)[1]], True
        shown = len(text)
        for start in range(max(0, len(text) - self._longest + 1), len(text)):
            if any(each.startswith(text[start:]) for each in self._strings):
                shown = start
                break
        self._held = text[shown:]
        return text[:shown], False

    def flush(self) -> str:
        """What was held back, where the answer ended otherwise."""
        held, self._held = self._held, ""
        return held
