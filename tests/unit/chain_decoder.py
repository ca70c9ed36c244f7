"""A decoder without a graph: each token's scores follow from the tokens before it, and it notes what it was asked."""

import numpy as np

VOCABULARY = 40


def scores(tokens, *, seed=0, vocabulary=VOCABULARY):
    """float32 [vocabulary], a function of the last three tokens alone."""
    return np.random.default_rng([seed, *tokens[-3:]]).normal(size=vocabulary).astype(np.float32)


class ChainDecoder:
    """One that remembers its rows, and counts its runs.

    Args:
        seed: Another one is another model.
        wrong: Among so many tokens one is chosen otherwise; all as the seed says when 0.
        fails: At which run it raises ``error``.
    """

    limit = 300

    def __init__(self, *, seed=0, wrong=0, part=0, vocabulary=VOCABULARY, fails=None, error=None):
        self.rows, self.calls, self.part, self.closed = [], [], part, 0
        self.seed, self.wrong, self.vocabulary = seed, wrong, vocabulary
        self.fails, self.error = fails, error

    @property
    def lengths(self):
        return [len(row) for row in self.rows]

    @lengths.setter
    def lengths(self, lengths):
        assert lengths == []
        self.rows = []

    def prefill(self, rows):
        self._note("prefill", max(map(len, rows)))
        self.rows = [list(row) for row in rows]
        return np.stack([self._scores(row) for row in self.rows])

    def step(self, tokens):
        self._note("step", len(tokens))
        for row, token in zip(self.rows, tokens.tolist(), strict=True):
            row.append(token)
        return np.stack([self._scores(row) for row in self.rows])

    def extend(self, tokens, *, every=True):
        self._note("extend", len(tokens))
        (row,) = self.rows
        found = []
        for token in tokens:
            row.append(token)
            found.append(self._scores(row))
        return np.stack(found if every else found[-1:])

    def rewind(self, length):
        self.rows[0] = self.rows[0][:length]

    def pick(self, rows):
        self.rows = [list(self.rows[row]) for row in rows]

    def close(self):
        self.closed += 1
        self.rows = []

    def _note(self, *call):
        self.calls.append(call)
        if len(self.calls) == self.fails:
            raise self.error

    def _scores(self, row):
        found = scores(row, seed=self.seed, vocabulary=self.vocabulary)
        if self.wrong and len(row) % self.wrong == 0:
            found = np.roll(found, 1)
        return found
