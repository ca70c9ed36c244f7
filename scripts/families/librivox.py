"""Five sentences of a LibriVox recording of “Sense and Sensibility”, and what is said in them: Debian's pocketsphinx-testdata."""

from __future__ import annotations

import re
from collections.abc import Sequence

from families import packages

_ROOM = "usr/share/pocketsphinx/test/data/librivox"


def sentences() -> dict[str, str]:
    """Path of each recording → what is said in it."""
    folder = packages.unpacked(packages.LIBRIVOX) / _ROOM
    said = {}
    for line in (folder / "transcription").read_text(encoding="utf-8").splitlines():
        text, name = re.fullmatch(r"<s> (.*) </s> \((.*)\)", line).groups()  # type: ignore[union-attr]
        said[str(folder / f"{name}.wav")] = text
    return said


def wrong(said: str, heard: str) -> tuple[int, int]:
    """Words to be changed, put in and left out, and the number of words that were said."""
    wanted, found = words(said), words(heard)
    row = list(range(len(found) + 1))
    for place, word in enumerate(wanted, 1):
        before, row = row, [place]
        for other, one in enumerate(found, 1):
            row.append(min(before[other] + 1, row[-1] + 1, before[other - 1] + (word != one)))
    return row[-1], len(wanted)


def rate(said: Sequence[str], heard: Sequence[str]) -> float:
    """The word error rate."""
    counted = [wrong(*pair) for pair in zip(said, heard, strict=True)]
    return sum(count for count, _ in counted) / sum(length for _, length in counted)


def words(text: str) -> list[str]:
    """Lower case, without marks, and spelled as the transcripts are."""
    return re.sub(r"[^a-z' ]", " ", text.lower().replace("mr.", "mister")).split()
