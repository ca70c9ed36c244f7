"""Batches keep to their budget, hold every text once, and put the longest first."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gpux.text import batching


@given(
    st.lists(st.integers(0, 600), max_size=200),
    st.integers(1, 2000),
    st.integers(1, 64),
)
def test_every_text_is_in_one_batch_within_the_budget(lengths, tokens, rows):
    batches = list(batching.cut(lengths, tokens=tokens, rows=rows))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        widest = max(lengths[i] for i in batch)
        assert len(batch) <= rows
        assert len(batch) == 1 or widest * len(batch) <= tokens
    order = [lengths[i] for batch in batches for i in batch]
    assert order == sorted(order, reverse=True)


def test_little_of_mixed_lengths_is_padding():
    source = random.Random(1)
    lengths = [max(3, int(source.lognormvariate(3, 0.7))) for _ in range(1024)]
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in batching.cut(lengths))
    assert padded < 1.1 * sum(lengths)
