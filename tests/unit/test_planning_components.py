"""Wishes for single components: what is read of a text, and what is said of one that means nothing."""

from __future__ import annotations

import pytest

from gpux.errors import UsageError
from gpux.planning import components


@pytest.mark.parametrize(
    ("text", "rest", "own"),
    [
        (None, None, {}),
        ("cpu", "cpu", {}),
        ("vision=cuda,decoder=cpu", None, {"vision": "cuda", "decoder": "cpu"}),
        ("cpu, vision = cuda", "cpu", {"vision": "cuda"}),
    ],
)
def test_what_is_wished(text, rest, own):
    found = components.read(text, what="provider")
    assert (found.rest, dict(found.own)) == (rest, own)


@pytest.mark.parametrize("text", ["vision=", "=cpu", "vision=a,vision=b", "cpu,cuda,vision=a", "vision=a,"])
def test_what_means_nothing(text):
    with pytest.raises(UsageError) as caught:
        components.read(text, what="variant")
    assert "--variant vision=fp32,decoder=q4" in caught.value.hint


def test_components_that_there_are_not():
    shared = components.read("visoin=cuda", what="provider")
    with pytest.raises(UsageError, match="no component `visoin`") as caught:
        shared.check(["vision", "decoder"], reference="m", what="provider")
    assert caught.value.hint == "did you mean `vision`? its components are vision, decoder"
    with pytest.raises(UsageError) as caught:
        shared.check(["model"], reference="m", what="provider")
    assert caught.value.hint == "it is one graph: --provider cuda"
