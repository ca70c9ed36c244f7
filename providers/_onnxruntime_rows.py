"""Bound tensors whose rows can go on in another binding, or come from one; knows no provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpux.tensors import stacked

from ._onnxruntime_bound import OnnxRuntimeBound


class OnnxRuntimeRows(OnnxRuntimeBound):
    """See :class:`gpux.provider.Bound`."""

    def fork(self, rows: Sequence[int]) -> OnnxRuntimeRows:
        """Another one, with copies of these rows."""
        order = list(rows)
        state, held = self.contents()
        made = OnnxRuntimeRows(
            self._session,
            self._device,
            pairs={},
            shapes={},
            dtypes={},
            held={name: array[order] for name, array in held.items()},
            moving=self._moving,
            failed=self._failed,
        )
        made.fill(self._pairs, {name: array[order] for name, array in state.items()})
        return made

    def join(self, other: Any) -> None:
        """Take another's rows."""
        state, held = self.contents()
        state2, held2 = other.contents()
        for name, array in held.items():
            self._held[name] = self._value(stacked(array, held2[name]))
            self._binding.bind_ortvalue_input(name, self._held[name])
        self.fill(self._pairs, {name: stacked(array, state2[name]) for name, array in state.items()})
        other.close()

    def fill(self, pairs: Mapping[str, str], state: Mapping[str, np.ndarray]) -> None:
        """Keep this from now on."""
        self._pairs = dict(pairs)
        self._state = {name: self._value(array) for name, array in state.items()}
        self._bind()
