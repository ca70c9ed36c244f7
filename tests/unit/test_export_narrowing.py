"""A cache in 8 bits: the graph answers almost as before, in a quarter of the memory, and other graphs are refused."""

import numpy as np
import onnx_ir
import pytest
from decoder_graphs import VOCABULARY, decoder

from gpux.binding import Bindable
from gpux.discovery import discover
from gpux.errors import UnsupportedModel
from gpux.export.generators.narrowing import measure, narrow
from gpux.generation.causal import CausalDecoder
from gpux.provider import Options

TOKENS = (np.arange(300) * 7919 % VOCABULARY).tolist()


def opened(path):
    return Bindable(discover()["cpu"].open(path, Options(threads=1)))


@pytest.mark.parametrize("form", [{}, {"packed": True, "rotary": "half"}, {"local_window_size": 16}], ids=str)
def test_answers_are_almost_the_same(tmp_path, form):
    path = decoder(tmp_path / "full.onnx", **form)
    most = (
        np.abs(np.random.default_rng(3).normal(size=1)).item() + 8.0
    )  # above any key or value of this graph
    model = onnx_ir.load(path)
    narrow(model, {"0.key": most, "0.value": most})
    onnx_ir.save(model, tmp_path / "narrow.onnx")
    full, narrowed = (
        CausalDecoder(opened(tmp_path / f"{name}.onnx"), limit=400) for name in ("full", "narrow")
    )
    for rows in ([TOKENS[:40]], [TOKENS[:5], TOKENS[9:40]]):
        scores = [each.prefill(rows) for each in (full, narrowed)]
        _close(*scores)
        for token in TOKENS[40:60]:
            _close(*(each.step(np.full(len(rows), token)) for each in (full, narrowed)))
    assert full.bytes_per_token == 4 * narrowed.bytes_per_token


def _close(full, narrowed):
    error = np.abs(full - narrowed).max() / np.abs(full).max()
    assert 0 < error < 0.1


def test_a_cache_of_another_kind_is_refused(tmp_path):
    model = onnx_ir.load(decoder(tmp_path / "graph.onnx", growing=True))
    with pytest.raises(UnsupportedModel, match="8 bits"):
        narrow(model, {"0.key": 1.0, "0.value": 1.0})


def test_what_is_measured_is_what_the_model_keeps():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.model.layers[1].self_attn.v_proj.weight.mul_(10)
    found = measure(model, [[1, 2, 3], [], [49, 60]])
    assert sorted(found) == ["0.key", "0.value", "1.key", "1.value"]
    assert found["1.value"] > 5 * found["0.value"] > 0
