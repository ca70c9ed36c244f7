"""Buffers of keys and values: they grow seldom, by copies that double, and hold what they held."""

import math

import numpy as np
import pytest
from decoder_graphs import VOCABULARY, decoder

from gpux.binding import Bindable
from gpux.discovery import discover
from gpux.errors import RunFailed
from gpux.generation.causal import CHUNK, CausalDecoder
from gpux.provider import Options

LIMIT = 5000
TOKENS = (np.arange(LIMIT) * 7919 % VOCABULARY).tolist()


class Counting:
    """A graph whose bound buffers tell when they grow, and can be told to fail at that."""

    def __init__(self, opened):
        self.opened, self.inputs, self.outputs = opened, opened.inputs, opened.outputs
        self.grown, self.runs, self.full = [], [], False

    def bind(self, *given, **named):
        bound = Bindable(self.opened).bind(*given, **named)
        grow, run = bound.grow, bound.run

        def growing(shapes):
            if self.full:
                raise RunFailed("the buffers cannot grow", hint="")
            self.grown.append({shape[2] for shape in shapes.values()}.pop())
            grow(shapes)

        def running(feeds, outputs):
            self.runs.append(feeds["input_ids"].shape[1])
            return run(feeds, outputs)

        bound.grow, bound.run = growing, running
        return bound


@pytest.fixture
def graph(tmp_path):
    opened = discover()["cpu"].open(
        decoder(tmp_path / "graph.onnx", local_window_size=16), Options(threads=1)
    )
    yield Counting(opened)
    opened.close()


def test_buffers_double_and_hold_what_they_held(graph):
    written = CausalDecoder(graph, limit=LIMIT)
    written.prefill([TOKENS[:3]])
    for place in range(3, 1100):
        found = written.step(np.array(TOKENS[place : place + 1]))
        if place in {20, 255, 256, 257, 511, 512, 513, 1099}:
            fresh = CausalDecoder(graph, limit=LIMIT).prefill([TOKENS[: place + 1]])
            np.testing.assert_allclose(found, fresh, atol=2e-5)
    assert graph.grown == [512, 1024, 2048]
    assert len(graph.grown) <= math.log2(1100 / 256) + 1


def test_buffers_grow_no_further_than_the_context(graph):
    written = CausalDecoder(graph, limit=600)
    written.prefill([TOKENS[:500]])
    for token in TOKENS[500:600]:
        written.step(np.array([token]))
    assert graph.grown == [768]


def test_a_long_prompt_is_read_in_parts_into_one_buffer(graph):
    whole = CausalDecoder(graph, limit=LIMIT)
    whole.prefill([TOKENS[: CHUNK + 90]])
    assert graph.runs == [CHUNK, 90]
    assert graph.grown == []
    turn = CausalDecoder(graph, limit=LIMIT)
    turn.prefill([TOKENS[:10]])
    graph.grown.clear()
    found = turn.extend(TOKENS[10 : 2 * CHUNK], every=False)
    assert found.shape == (1, VOCABULARY)
    assert len(graph.grown) == 1
    np.testing.assert_allclose(
        found, CausalDecoder(graph, limit=LIMIT).prefill([TOKENS[: 2 * CHUNK]]), atol=2e-5
    )


def test_buffers_that_cannot_grow_hold_what_they_held(graph):
    written = CausalDecoder(graph, limit=LIMIT)
    written.prefill([TOKENS[:255]])
    before = written.step(np.array([TOKENS[255]]))
    graph.full = True
    with pytest.raises(RunFailed):
        written.step(np.array([TOKENS[256]]))
    assert written.lengths == [256]
    written.rewind(255)
    np.testing.assert_array_equal(written.step(np.array([TOKENS[255]])), before)


def test_a_device_without_room_is_told_as_a_failed_run(tmp_path):
    """A device that this build of ONNX Runtime does not have refuses every tensor, as a full one does."""
    import onnxruntime
    from gpux_providers._onnxruntime_session import OnnxRuntimeSession

    path = decoder(tmp_path / "graph.onnx")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    elsewhere = OnnxRuntimeSession(session, "cann", "CANNExecutionProvider", "none", "fp32", memory="cann")
    with pytest.raises(RunFailed, match="CANNExecutionProvider failed"):
        CausalDecoder(Bindable(elsewhere), limit=LIMIT).prefill([TOKENS[:3]])
