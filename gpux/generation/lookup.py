"""Prompt-lookup decoding: what followed the last words before may follow them again.

Source: https://github.com/apoorvumang/prompt-lookup-decoding
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 3
"""Tokens at the end that are looked for, and fewer where so many are not found."""


def guess(tokens: Sequence[int], size: int) -> list[int]:
    """At most ``size`` tokens that stood behind the latest earlier place of the last tokens; none where they are new."""
    end = len(tokens)
    for length in range(min(LONGEST, end - 1), 0, -1):
        tail = list(tokens[end - length :])
        first = tail[0]
        for start in range(end - length - 1, -1, -1):
            if tokens[start] == first and list(tokens[start : start + length]) == tail:
                return list(tokens[start + length : start + length + size])
    return []
