"""What a model will take is told, and refused where the process may not have it."""

from __future__ import annotations

import numpy as np
import pytest
import stored_models

import gpux
from gpux.errors import MemoryRefused
from gpux.forecasting import check
from gpux.registry.store import Store


@pytest.fixture
def artifact(tmp_path, monkeypatch):
    monkeypatch.setenv("GPUX_HOME", str(tmp_path))
    content = b"\0" * (3 << 20)
    return stored_models.put(
        Store(), "hf:some/model", stored_models.variant("fp32"), stored_models.variant("q4"), content=content
    )


def test_weights_are_counted_twice_unless_they_stay_mapped(artifact):
    fast, low = gpux.forecast(artifact, "fp32"), gpux.forecast(artifact, "fp32", memory="low")
    assert fast.weights == fast.packed == fast.needed - low.needed == 3 << 20
    assert low.total == low.needed + (3 << 20)


def test_what_cannot_be_had_is_refused_with_what_takes_less(artifact, monkeypatch):
    fast, low = gpux.forecast(artifact, "fp32"), gpux.forecast(artifact, "fp32", memory="low")
    smaller = gpux.forecast(artifact, "q4", memory="low")
    monkeypatch.setenv("GPUX_MEMORY", str((fast.needed >> 20) - 1))
    with pytest.raises(MemoryRefused, match="as fp32 takes") as caught:
        check(fast, "some/model", [smaller])
    assert caught.value.hint.startswith("gpux run some/model:q4 takes")
    with pytest.raises(MemoryRefused) as caught:
        check(fast, "some/model")
    assert caught.value.hint.startswith("--option memory=low takes")
    check(low, "some/model", low=True)
    monkeypatch.setenv("GPUX_MEMORY", "1")
    with pytest.raises(MemoryRefused) as caught:
        check(low, "some/model", low=True)
    assert "GPUX_MEMORY" in caught.value.hint


def test_a_load_is_refused_and_a_mapped_one_answers_alike(minilm, monkeypatch):
    with (
        gpux.load(minilm, provider="cpu") as fast,
        gpux.load(minilm, provider="cpu", options={"memory": "low"}) as low,
    ):
        assert low.plan.options["memory"] == "low"
        assert np.abs(fast.encode(["a text"]) - low.encode(["a text"])).max() < 1e-5
    monkeypatch.setenv("GPUX_MEMORY", "1")
    with pytest.raises(MemoryRefused, match="and this process may have 1 MiB"):
        gpux.load(minilm, provider="cpu")
