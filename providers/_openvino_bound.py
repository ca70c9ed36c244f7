"""A decoder whose keys and values OpenVINO keeps: rows of unequal length, forgotten tokens and rows that move; knows no graph's names but the contract's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpux.errors import RunFailed

from ._openvino_stateful import BEAMS, SLOTS
from ._openvino_words import failed

_MASK = "attention_mask"
_HOLES = 128
"""Slots that no row uses are carried along until they are so many, and a third of all: to move what is kept costs more."""


class OpenVinoBound:
    """One conversation with a compiled stateful graph; see :class:`gpux.provider.Bound`.

    All rows' keys stand in the same slots. Where a row has none it has a hole, which the mask leaves out; so does a forgotten token.

    Args:
        compiled: The compiled graph.
        growing: States of attentions, which grow by what a run adds.
        held: Inputs that are the same in every run.
        device: For messages.
    """

    def __init__(
        self, compiled: Any, growing: frozenset[str], held: Mapping[str, np.ndarray], device: str
    ) -> None:
        self._request: Any = compiled.create_infer_request()
        self._names = [port.get_any_name() for port in compiled.outputs]
        self._takes = {port.get_any_name() for port in compiled.inputs}
        self._growing, self._device = growing, device
        self._held = {
            name: np.ascontiguousarray(array) for name, array in held.items() if name in self._takes
        }
        self._slots = np.empty((0, 0), np.int64)
        self._rows: np.ndarray | None = None

    @property
    def slots(self) -> int:
        """Tokens that there is room taken for in each row, holes among them."""
        return int(self._slots.shape[1])

    def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Run once. Rows whose ``attention_mask`` says that they were shorter before this run have forgotten what stood behind."""
        if self._request is None:
            raise failed(self._device, RuntimeError("the session is closed"))
        tokens = next(feeds[name] for name in ("input_ids", "inputs_embeds") if name in feeds)
        batch, sequence = tokens.shape[:2]
        if self._rows is None or feeds[_MASK].shape[1] == sequence:  # a first prompt
            self._request.reset_state()
            self._slots, self._rows = np.empty((batch, 0), np.int64), np.arange(batch, dtype=np.int32)
        elif batch != len(self._rows):
            raise RunFailed(
                f"the run has {batch} rows, and the decoder remembers {len(self._rows)}",
                hint="pick rows first, or begin with a prompt",
                provider="openvino",
            )
        given = {name: array for name, array in feeds.items() if name in self._takes}
        own = {BEAMS: self._rows}
        if SLOTS in self._takes:
            own[SLOTS] = self._place(feeds[_MASK], sequence)
        try:
            found = self._request.infer({**self._held, **given, **own}, share_inputs=True)
        except Exception as error:
            raise failed(self._device, error) from error
        self._rows = np.arange(batch, dtype=np.int32)
        arrays = dict(zip(self._names, found.values(), strict=True))
        return {name: arrays[name] for name in outputs}

    def grow(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Cut other states than attentions', or fill them up; OpenVINO makes room for attentions by itself."""
        if self._rows is None:
            return
        for state in self._request.query_state():
            if state.name in shapes and state.name not in self._growing:
                old = state.state.data
                new = np.zeros((len(old), *shapes[state.name][1:]), old.dtype)
                kept = tuple(slice(min(pair)) for pair in zip(old.shape, new.shape, strict=True))
                new[kept] = old[kept]
                _set(state, new)

    def pick(self, rows: Sequence[int]) -> None:
        """Put rows in this order; the next run's attention reads them so, and nothing is copied."""
        order = np.asarray(rows, np.int32)
        self._held = {name: array[order] for name, array in self._held.items()}
        if self._rows is not None:
            self._rows, self._slots = self._rows[order], self._slots[order]

    def close(self) -> None:
        """Let go of the memory."""
        self._request = None

    def _place(self, seen: np.ndarray, sequence: int) -> np.ndarray:
        """Where in its row each slot's token stands, those of this run at the end."""
        lengths = seen.sum(1, keepdims=True)
        before = lengths - sequence if self._slots.size else np.zeros_like(lengths)
        if (self._slots >= before).any():
            self._slots = np.where(self._slots >= before, -1, self._slots)
            self._close_up()
        fresh = before + np.arange(sequence)
        self._slots = np.concatenate([self._slots, np.where(fresh < lengths, fresh, -1)], 1)
        return self._slots

    def _close_up(self) -> None:
        """Move what is kept together, where there are many holes."""
        used = np.flatnonzero((self._slots >= 0).any(0))
        slots = self._slots.shape[1]
        if slots - len(used) < max(_HOLES, slots // 3):
            return
        for state in self._request.query_state():
            if state.name in self._growing:
                _set(state, state.state.data[:, :, used])
        self._slots = np.ascontiguousarray(self._slots[:, used])


def _set(state: Any, array: np.ndarray) -> None:
    import openvino

    state.state = openvino.Tensor(np.ascontiguousarray(array))
