"""What an encoder is given: numbers of the graph's own type, whatever type they were prepared in."""

from __future__ import annotations

import numpy as np
import pytest

from gpux.generation.encoder_decoder import EncoderDecoder
from gpux.tensors import TensorSpec


class Reads:
    """An encoder that takes one type, as a runtime does, and says what it was given."""

    inputs = (TensorSpec("input_features", "float16", ("batch", 80, 3000)),)
    outputs = (TensorSpec("cross.0.key", "float16", ("batch", 2, 1500, 8)),)

    def run(self, feeds, outputs):
        (array,) = feeds.values()
        if array.dtype != np.float16:
            raise TypeError(array.dtype)
        return {name: np.zeros((len(array), 2, 4, 8), np.float16) for name in outputs}


class Writes:
    inputs = (
        TensorSpec("input_ids", "int64", ("batch", "sequence")),
        TensorSpec("past_key_values.0.key", "float16", ("batch", 2, "capacity", 8)),
        TensorSpec("cross.0.key", "float16", ("batch", 2, "source", 8)),
    )
    outputs = ()


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_sound_is_given_in_the_type_of_the_graph(kind):
    decoder = EncoderDecoder(Reads(), Writes(), limit=10, start=1)
    decoder.begin({"input_features": np.zeros((2, 80, 3000), kind), "attention_mask": np.ones((2, 3000))})
