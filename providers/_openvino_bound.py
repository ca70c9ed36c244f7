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
        growing: States that grow by what a run adds.
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
        self._rows = np.empty(0, np.int32)

    @property
    def slots(self) -> int:
        """Tokens that there is room taken for in each row, holes among them."""
        return int(self._slots.shape[1])

    def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Run once. Rows whose ``attention_mask`` says that they were shorter before this run have forgotten what stood behind."""
        if self._request is None:
            raise failed(self._device, RuntimeError("the session is closed"))
        seen, sequence = feeds[_MASK], self._sequence(feeds)
        lengths = seen.sum(1, keepdims=True)
        if seen.shape[1] == sequence:
            self._request.reset_state()
            self._slots, self._rows = np.empty((len(seen), 0), np.int64), np.arange(len(seen), dtype=np.int32)
            before = np.zeros_like(lengths)
        else:
            before = lengths - sequence
            self._forget(before)
        fresh = before + np.arange(sequence)
        self._slots = np.concatenate([self._slots, np.where(fresh < lengths, fresh, -1)], 1)
        given = {name: array for name, array in feeds.items() if name in self._takes}
        try:
            found = self._request.infer(
                {**self._held, **given, BEAMS: self._rows, SLOTS: self._slots}, share_inputs=True
            )
        except Exception as error:
            raise failed(self._device, error) from error
        self._rows = np.arange(len(seen), dtype=np.int32)
        arrays = dict(zip(self._names, found.values(), strict=True))
        return {name: arrays[name] for name in outputs}

    def grow(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Nothing: OpenVINO makes room by itself."""

    def pick(self, rows: Sequence[int]) -> None:
        """Put rows in this order; the next run's attention reads them so, and nothing is copied."""
        order = np.asarray(rows, np.int32)
        self._rows, self._slots = self._rows[order], self._slots[order]
        self._held = {name: array[order] for name, array in self._held.items()}

    def close(self) -> None:
        """Let go of the memory."""
        self._request = None

    def _sequence(self, feeds: Mapping[str, np.ndarray]) -> int:
        name = next(name for name in ("input_ids", "inputs_embeds") if name in feeds)
        return int(feeds[name].shape[1])

    def _forget(self, before: np.ndarray) -> None:
        if len(before) != len(self._slots):
            raise RunFailed(
                f"the run has {len(before)} rows, and the decoder remembers {len(self._slots)}",
                hint="pick rows first, or begin with a prompt",
                provider="openvino",
            )
        if not (self._slots >= before).any():
            return
        self._slots = np.where(self._slots >= before, -1, self._slots)
        used = np.flatnonzero((self._slots >= 0).any(0))
        slots = self._slots.shape[1]
        if slots - len(used) < max(_HOLES, slots // 3):
            return
        import openvino

        for state in self._request.query_state():
            if state.name in self._growing:
                state.state = openvino.Tensor(np.ascontiguousarray(state.state.data[:, :, used]))
        self._slots = np.ascontiguousarray(self._slots[:, used])
