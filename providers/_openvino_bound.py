"""A decoder whose keys and values OpenVINO keeps: rows of unequal length, forgotten tokens and rows that move; knows no graph's names but the contract's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpux.errors import RunFailed
from gpux.tensors import stacked

from ._openvino_slots import Slots
from ._openvino_stateful import BEAMS, SLOTS
from ._openvino_words import failed

_MASK = "attention_mask"


class OpenVinoBound:
    """One conversation with a compiled stateful graph; see :class:`gpux.provider.Bound`.

    Args:
        compiled: The compiled graph.
        growing: States of attentions, which grow by what a run adds.
        held: Inputs that are the same in every run.
        device: For messages.
    """

    def __init__(
        self, compiled: Any, growing: frozenset[str], held: Mapping[str, np.ndarray], device: str
    ) -> None:
        self._compiled, self._growing, self._device = compiled, growing, device
        self._request: Any = compiled.create_infer_request()
        # An output may go by several: what adds nothing is left out, and its name passes on to what it was added to.
        self._names = [port.get_names() for port in compiled.outputs]
        self._takes = {port.get_any_name() for port in compiled.inputs}
        self._held = {
            name: np.ascontiguousarray(array) for name, array in held.items() if name in self._takes
        }
        self._slots = Slots()
        self._rows: np.ndarray | None = None

    @property
    def slots(self) -> int:
        """Tokens that there is room taken for in each row, holes among them."""
        return int(self._slots.places.shape[1])

    def run(self, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """Run once. Rows whose ``attention_mask`` says that they were shorter before this run have forgotten what stood behind."""
        if self._request is None:
            raise failed(self._device, RuntimeError("the session is closed"))
        tokens = next(feeds[name] for name in ("input_ids", "inputs_embeds") if name in feeds)
        batch, sequence = tokens.shape[:2]
        if self._rows is None or feeds[_MASK].shape[1] == sequence:  # a first prompt
            self._request.reset_state()
            self._slots, self._rows = Slots(batch), np.arange(batch, dtype=np.int32)
        elif batch != len(self._rows):
            raise RunFailed(
                f"the run has {batch} rows, and the decoder remembers {len(self._rows)}",
                hint="pick rows first, or begin with a prompt",
                provider="openvino",
            )
        given = {name: array for name, array in feeds.items() if name in self._takes}
        own = {BEAMS: self._rows}
        if SLOTS in self._takes:
            self._close_up()
            self._slots.add(feeds[_MASK], sequence)
            own[SLOTS] = self._slots.places
        try:
            found = self._request.infer({**self._held, **given, **own}, share_inputs=True)
        except Exception as error:
            raise failed(self._device, error) from error
        self._rows = np.arange(batch, dtype=np.int32)
        named = zip(self._names, found.values(), strict=True)
        arrays = {name: array for names, array in named for name in names}
        return {name: arrays[name] for name in outputs}

    def grow(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Cut other states than attentions', or fill them up; OpenVINO makes room for attentions by itself."""
        for name, state in self._states().items():
            if name in shapes and name not in self._growing and self._rows is not None:
                old = state.state.data
                new = np.zeros((len(old), *shapes[name][1:]), old.dtype)
                kept = tuple(slice(min(pair)) for pair in zip(old.shape, new.shape, strict=True))
                new[kept] = old[kept]
                _set(state, new)

    def pick(self, rows: Sequence[int], *, held: bool = True) -> None:
        """Put rows in this order; the next run's attention reads them so, and nothing is copied."""
        order = np.asarray(rows, np.int32)
        if held:
            self._held = {name: array[order] for name, array in self._held.items()}
        if self._rows is not None:
            self._rows, self._slots = self._rows[order], self._slots.picked(order)

    def fork(self, rows: Sequence[int]) -> OpenVinoBound:
        """Another one, with copies of these rows."""
        state, held, slots = self.contents()
        order = list(rows)
        made = OpenVinoBound(self._compiled, self._growing, held, self._device)
        made.fill({name: array[order] for name, array in state.items()}, slots.picked(order), len(order))
        made._held = {name: array[order] for name, array in held.items()}
        return made

    def join(self, other: Any) -> None:
        """Take another's rows, in slots that end where its own do."""
        state, held, slots = self.contents()
        state2, held2, slots2 = other.contents()
        self._held = {name: stacked(array, held2[name]) for name, array in held.items()}
        slots.join(slots2)
        both = {name: stacked(array, state2[name]) for name, array in state.items()}
        self.fill(both, slots, len(next(iter(both.values()))))
        other.close()

    def close(self) -> None:
        """Let go of the memory."""
        self._request = None

    def contents(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Slots]:
        """What is kept, in the rows' order: states, held inputs, slots."""
        state = {name: one.state.data[self._rows] for name, one in self._states().items()}
        return state, self._held, self._slots

    def fill(self, state: Mapping[str, np.ndarray], slots: Slots, rows: int) -> None:
        """Keep this from now on."""
        for name, one in self._states().items():
            _set(one, state[name])
        self._slots, self._rows = slots, np.arange(rows, dtype=np.int32)

    def _states(self) -> dict[str, Any]:
        return {one.name: one for one in self._request.query_state()}

    def _close_up(self) -> None:
        """Move what is kept together, where there are many holes."""
        used = self._slots.worth_keeping()
        if used is not None:
            for name, one in self._states().items():
                if name in self._growing:
                    _set(one, one.state.data[:, :, used])
            self._slots.keep(used)


def _set(state: Any, array: np.ndarray) -> None:
    import openvino

    state.state = openvino.Tensor(np.ascontiguousarray(array))
