"""Whether an answer has the sizes that its inputs ask for: without memory, OpenVINO may hand out the last run's answer without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gpux.tensors import TensorSpec


class Sizes:
    """Dimensions of the outputs that have the name of an input's, and so its size.

    Args:
        inputs: The graph's inputs.
        outputs: The graph's outputs.
    """

    def __init__(self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        asked = {
            size: (spec.name, axis)
            for spec in reversed(inputs)
            for axis, size in enumerate(spec.shape)
            if isinstance(size, str)
        }
        self._same = [
            (spec.name, axis, *asked[size])
            for spec in outputs
            for axis, size in enumerate(spec.shape)
            if isinstance(size, str) and size in asked
        ]
        self._seen = False

    def wrong(self, feeds: Mapping[str, np.ndarray], arrays: Mapping[str, np.ndarray]) -> str | None:
        """The output whose size is not that of its input, or ``None``.

        Names in a file are its author's word: those that do not hold in a session's first run are not held to later ones.
        """
        broken = [
            one
            for one in self._same
            if len(arrays[one[0]].shape) <= one[1]
            or arrays[one[0]].shape[one[1]] != feeds[one[2]].shape[one[3]]
        ]
        if broken and not self._seen and all(arrays[one[0]].size for one in broken):
            self._same = [one for one in self._same if one not in broken]
            broken = []
        self._seen = True
        return broken[0][0] if broken else None
