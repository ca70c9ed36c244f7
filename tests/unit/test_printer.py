"""What the printer makes of texts, records and numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest

from gpux.cli.printer import age, aligned, plain, size, visible, width


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("no\u00a0break and wide\u3000space", "no\u00a0break and wide\u3000space"),
        ("👩\u200d👧 family", "👩\u200d👧 family"),
        ("\x1b[31mred\x07", "\\u001b[31mred\\u0007"),
        ("\x9b31m\x7f", "\\u009b31m\\u007f"),
        ("left \u202e thgir", "left \\u202e thgir"),
        ("\r\x08", "\\u000d\\u0008"),
        ("\U000e0041 tag", "\\udb40\\udc41 tag"),
        ("\udcff", "\\udcff"),
    ],
)
def test_control_characters_are_escaped_and_others_left(text, shown):
    assert visible(text) == shown


def test_escaped_json_is_the_same_json():
    value = {"a": "\x9b\x7f\u202e\U000e0041 ü\n"}
    text = visible(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert text.isprintable()


def test_columns_line_up_by_the_width_on_a_terminal():
    assert [width(text) for text in ("abc", "漢字", "e\u0301", "ü", "")] == [3, 4, 1, 1, 0]
    assert aligned([("漢字", "x"), ("a", "y")]) == ["漢字  x", "a     y"]
    assert aligned([("a", ""), ("bb", "")]) == ["a", "bb"]


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    path: Path
    colour: Colour


@dataclass(frozen=True, slots=True)
class Outer:
    items: tuple[Inner, ...]
    array: np.ndarray
    number: np.float32


def test_records_become_json():
    record = Outer((Inner(Path("a/b"), Colour.RED),), np.ones((1, 2), np.float32), np.float32(0.5))
    found = plain({1: record})
    assert found == {"1": {"items": [{"path": "a/b", "colour": "red"}], "array": [[1.0, 1.0]], "number": 0.5}}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (91_660_087, "87.4 MiB"),
        (3 << 30, "3.0 GiB"),
        (1 << 42, "4.0 TiB"),
    ],
)
def test_sizes(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (7300, "2 hours ago"),
        (86400, "1 day ago"),
        (259200, "3 days ago"),
    ],
)
def test_ages(seconds, text):
    assert age(1_000_000 - seconds, now=1_000_000) == text
