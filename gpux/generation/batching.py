"""Several conversations with one graph, whose steps are one run: rows come when they have read their prompt, and go when they like.

A step reads every weight of a model once, however many rows it is for; so what several wait for is written at the cost of one,
as long as reading the weights is what takes the time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic

import numpy as np

from gpux.generation.causal import CausalDecoder

PATIENCE = 0.005
"""Seconds that a step waits for conversations that have not said yet what comes next."""

SEATS = 16
"""Rows of a table at most; whoever comes then steps alone."""


class Table:
    """What conversations share: the rows that are stepped together. For several threads.

    Args:
        make: Makes a decoder over the graph that has read nothing.
        patience: Seconds; a conversation that lets others wait longer is stepped without until it comes again.
        seats: Rows at most.
    """

    def __init__(
        self, make: Callable[[], CausalDecoder], *, patience: float = PATIENCE, seats: int = SEATS
    ) -> None:
        self._make, self._patience, self._most = make, patience, seats
        self._turn = threading.Condition()
        self._shared: CausalDecoder | None = None
        self._seated: list[Seat] = []
        self._awake: set[Seat] = set()
        self._wanted: dict[Seat, np.ndarray] = {}
        self._found: dict[Seat, np.ndarray | Exception] = {}
        self._deadline = 0.0

    def seat(self) -> Seat:
        """A decoder for one conversation."""
        return Seat(self, self._make())

    def step(self, seat: Seat, tokens: np.ndarray) -> np.ndarray:
        """One token more for each row of a seat, together with the others'.

        Raises:
            RunFailed: The run failed, for all whose step it was.
        """
        with self._turn:
            if self._sits(seat) or self._finds_room(seat):
                return self._together(seat, tokens)
            self._awake.discard(seat)
        found = seat.solo.step(tokens)
        self.wake(seat)
        return found

    def wake(self, seat: Seat) -> None:
        """A seat is about to step: the others' next step waits for it."""
        with self._turn:
            if not seat.alone:
                self._awake.add(seat)

    def leave(self, seat: Seat, *, keep: bool) -> None:
        """Take a seat's rows out of the table; they are its own again where they are kept."""
        with self._turn:
            self._awake.discard(seat)
            self._turn.notify_all()
            if not self._sits(seat):
                return
            shared, mine = self._table, self._places(seat)
            others = [row for row in range(len(shared.lengths)) if row not in mine]
            self._seated.remove(seat)
            if not others:
                self._shared = None
                seat.own = shared
                if not keep:
                    shared.close()
                return
            seat.own = shared.fork(mine) if keep else self._make()
            shared.pick(others)

    def keep(self, seat: Seat, rows: Sequence[int]) -> None:
        """Keep some of a seat's rows, in their order."""
        with self._turn:
            shared, mine = self._table, self._places(seat)
            dropped = {mine[row] for row in range(len(mine)) if row not in rows}
            shared.pick([row for row in range(len(shared.lengths)) if row not in dropped])
            seat.rows = len(rows)

    def lengths(self, seat: Seat) -> list[int] | None:
        """Tokens of each of a seat's rows; ``None`` where it does not sit."""
        with self._turn:
            return [self._table.lengths[row] for row in self._places(seat)] if self._sits(seat) else None

    @property
    def _table(self) -> CausalDecoder:
        assert self._shared is not None  # noqa: S101 - somebody sits
        return self._shared

    def _sits(self, seat: Seat) -> bool:
        return seat in self._seated

    def _rows(self) -> int:
        return len(self._shared.lengths) if self._shared else 0

    def _places(self, seat: Seat) -> list[int]:
        first = sum(one.rows for one in self._seated[: self._seated.index(seat)])
        return list(range(first, first + seat.rows))

    def _finds_room(self, seat: Seat) -> bool:
        """Sit down, where there is company and room."""
        company = self._awake - {seat} or self._seated
        if seat.alone or not company or self._rows() + len(seat.solo.lengths) > self._most:
            return False
        own, seat.own = seat.solo, None
        seat.rows = len(own.lengths)
        if self._shared is None:
            self._shared = own
        else:
            self._shared.join(own)
        self._seated.append(seat)
        return True

    def _together(self, seat: Seat, tokens: np.ndarray) -> np.ndarray:
        self._awake.add(seat)
        if not self._wanted:
            self._deadline = monotonic() + self._patience
        self._wanted[seat] = tokens
        while seat not in self._found:
            left = self._deadline - monotonic()
            if self._awake <= self._wanted.keys() or left <= 0:
                self._run()
            else:
                self._turn.wait(left)
        found = self._found.pop(seat)
        if isinstance(found, Exception):
            raise found
        return found

    def _run(self) -> None:
        """Step everybody who wants it; whoever was waited for in vain is not waited for again until it comes."""
        shared, wanted = self._table, self._wanted
        self._wanted, self._awake = {}, self._awake & wanted.keys()
        tokens, active = np.zeros(len(shared.lengths), np.int64), np.zeros(len(shared.lengths), bool)
        for seat, given in wanted.items():
            places = self._places(seat)
            tokens[places], active[places] = given, True
        try:
            logits = shared.step(tokens, active=active)
            self._found |= {seat: logits[self._places(seat)] for seat in wanted}
        except Exception as error:  # noqa: BLE001 - it is raised by each whose step it was
            self._found |= dict.fromkeys(wanted, error)
        self._turn.notify_all()


class Seat:
    """One conversation at a table; see :class:`gpux.generation.decoder.Decoder`.

    Attributes:
        own: The conversation's rows while they do not lie on the table.
        rows: How many of the table's rows are its own.
        alone: Whether it does what a table cannot do, and so steps by itself until its next prompt.
    """

    def __init__(self, table: Table, own: CausalDecoder) -> None:
        self._table = table
        self.own: CausalDecoder | None = own
        self.limit, self.part = own.limit, own.part
        self.rows = 0
        self.alone = False

    @property
    def lengths(self) -> list[int]:
        """Tokens that each row has come to."""
        told = self._table.lengths(self)
        return told if told is not None else self.solo.lengths

    @lengths.setter
    def lengths(self, lengths: list[int]) -> None:
        self._table.leave(self, keep=False)
        self.solo.lengths = lengths

    @property
    def solo(self) -> CausalDecoder:
        """The conversation's rows, which do not lie on the table."""
        assert self.own is not None  # noqa: S101 - it does not sit
        return self.own

    def prefill(self, rows: Sequence[Sequence[int]]) -> np.ndarray:
        """Read the prompts alone, while the others go on."""
        self._table.leave(self, keep=False)
        self.alone = False
        found = self.solo.prefill(rows)
        self._table.wake(self)
        return found

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """Add one token to each row, together with whoever else is at the table."""
        return self._table.step(self, tokens)

    def extend(self, tokens: Sequence[int], *, every: bool = True) -> np.ndarray:
        """Add several tokens to the only row, alone: who does so between steps goes on alone."""
        self._stand()
        self.alone = self.alone or every  # nobody waits for the next step of who guesses ahead
        found = self.solo.extend(tokens, every=every)
        self._table.wake(self)
        return found

    def rewind(self, length: int) -> None:
        """Forget what the only row has behind so many tokens."""
        self._stand()
        self.solo.rewind(length)

    def pick(self, rows: Sequence[int]) -> None:
        """Go on with these rows in this order."""
        seated = self._table.lengths(self)
        if seated is not None and list(rows) == sorted(set(rows)):
            if len(rows) < len(seated):
                self._table.keep(self, rows)
            return
        self._stand()
        self.solo.pick(rows)

    def rest(self) -> None:
        """The answer is written: nobody waits for the next step, and what was read is kept for the next turn."""
        self._table.leave(self, keep=True)
        self.alone = False

    def close(self) -> None:
        """Let go of the memory."""
        self._table.leave(self, keep=False)
        self.solo.close()

    def _stand(self) -> None:
        if self._table.lengths(self) is not None:
            self._table.leave(self, keep=True)
            self.alone = True
