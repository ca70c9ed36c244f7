"""Embedders whose classes transformers has built in of late give sentence-transformers' embeddings."""

from __future__ import annotations

import models
import numpy as np
import pytest
from references import corpus

import gpux


@pytest.fixture(scope="module")
def embedders(tmp_path_factory):
    directory = tmp_path_factory.mktemp("embedders")
    models.run("embedders.py", directory)
    return directory


@pytest.mark.parametrize("name", ["gte", "nomic"])
def test_embeddings_equal_sentence_transformers(embedders, store, name):
    artifact = gpux.pull(str(embedders / name))
    assert artifact.task == "sentence-similarity"
    with np.load(embedders / "vectors.npz") as expected, gpux.load(artifact) as model:
        np.testing.assert_allclose(model.encode(corpus.texts()), expected[f"{name}/texts"], atol=1e-4)
        queries = model.encode(corpus.texts(), prompt_name="query")
        np.testing.assert_allclose(queries, expected[f"{name}/queries"], atol=1e-4)
        assert np.abs(expected[f"{name}/texts"] - expected[f"{name}/queries"]).max() > 0.1
    with gpux.load(artifact, task="feature-extraction") as model:
        assert model("the", return_tensors=True).shape == (1, 3, 32)
