"""A repository's own decoder graph: which cache works in place, and what its proof asks it."""

import dataclasses

import numpy as np
import pytest
from decoder_graphs import SIZE, VOCABULARY, decoder

from gpux.export import probes
from gpux.export.generators.answers import ANSWER, BATCHES
from gpux.onnx_reader import read_graph
from gpux.registry import decoder_graph


@pytest.fixture
def published(tmp_path):
    """A graph as onnxruntime-genai's builder names its axes."""
    cache = {
        f"{kind}.0.{part}": ("batch_size", 2, length, "kv_cache_dim")
        for kind, length in (
            ("past_key_values", "past_sequence_length"),
            ("present", "total_sequence_length"),
        )
        for part in ("key", "value")
    }
    decoder_graph.place(decoder(tmp_path / "a.onnx"), tmp_path / "b.onnx", cache)
    return tmp_path / "b.onnx"


@pytest.mark.parametrize(
    "config", [{"head_dim": SIZE}, {"hidden_size": 4 * SIZE, "num_attention_heads": 4}], ids=str
)
def test_a_cache_that_attention_keeps_in_place_is_called_so(published, tmp_path, config):
    axes = decoder_graph.renamed(read_graph(published), config)
    assert len(axes) == 4
    decoder_graph.place(published, tmp_path / "made" / "c.onnx", axes)
    found = read_graph(tmp_path / "made" / "c.onnx")
    caches = [spec for spec in (*found.inputs, *found.outputs) if ".0." in spec.name]
    assert {spec.shape for spec in caches} == {("batch_size", 2, "capacity", SIZE)}


def test_a_graph_of_our_own_and_a_cache_that_grows_stay_as_they_are(tmp_path):
    ours = read_graph(decoder(tmp_path / "a.onnx"))
    assert decoder_graph.renamed(ours, {"head_dim": SIZE}) == {}
    growing = read_graph(decoder(tmp_path / "b.onnx", growing=True))
    assert decoder_graph.renamed(growing, {"head_dim": SIZE}) == {}
    bare = dataclasses.replace(ours, inputs=ours.inputs[:2], outputs=ours.outputs[:1])
    assert decoder_graph.renamed(bare, {}) == {}


@pytest.mark.parametrize("broken", [None, b"{", b"[]"])
def test_without_a_tokenizer_the_probes_are_numbers_of_the_vocabulary(tmp_path, broken):
    if broken is not None:
        (tmp_path / "tokenizer.json").write_bytes(broken)
    decoder_graph.make_probes(tmp_path, read_graph(decoder(tmp_path / "a.onnx")), tmp_path / "p.npz")
    made = probes.read(tmp_path / "p.npz")
    assert [one["lengths"].tolist() for one in made] == [list(rows.values()) for rows in BATCHES]
    assert all(one["answer"].shape == (len(one["lengths"]), ANSWER) for one in made)
    assert all(0 <= one["input_ids"].min() <= one["input_ids"].max() < VOCABULARY for one in made)
    assert len(np.unique(made[0]["answer"])) > 3
