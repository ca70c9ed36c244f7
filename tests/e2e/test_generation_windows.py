"""Models that see a window of their tokens: every answer is transformers', behind the window and behind the buffer's first size."""

from __future__ import annotations

import json

import models
import pytest
from references.windows import CALL, LENGTHS

import gpux

NAMES = ("mistral", "gemma2", "gemma3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    directory = tmp_path_factory.mktemp("windows") / "made"
    models.run("tiny_windows.py", directory)
    return directory


@pytest.mark.parametrize("name", NAMES)
def test_answers_are_those_of_transformers(folder, store, name):
    wanted = json.loads((folder / "answers.json").read_text(encoding="utf-8"))[name]
    with gpux.load(str(folder / name), provider="cpu") as model:
        asked = [wanted[str(length)] for length in LENGTHS]
        alone = [model.generate(one["text"], **CALL) for one in asked]
        together = model.generate([one["text"] for one in asked], **CALL)
    assert [one.prompt_tokens for one in alone] == list(LENGTHS)
    assert [list(one.tokens) for one in alone] == [one["tokens"] for one in asked]
    assert [one.tokens for one in together] == [one.tokens for one in alone]


def test_keys_and_values_of_8_bits_take_a_quarter_and_their_loss_is_measured(folder, store):
    """One model with a window: its scales are measured when it is converted, and the proof is of the graph with them."""
    with gpux.load(str(folder / "mistral"), provider="cpu", variant="q4kv8", quality="any") as narrow:
        with gpux.load(str(folder / "mistral"), provider="cpu", variant="fp32") as full:
            asked = {"max_new_tokens": 6, "min_new_tokens": 6}
            sizes = [
                model.benchmark("one two", runs=1, warmup=0, parameters=asked).memory.cache
                for model in (narrow, full)
            ]
        certificate = narrow.artifact.variant("q4kv8").certificate
        assert 4 * sizes[0] == sizes[1]
        assert all(0 < output.max_rel < 0.5 for output in certificate.outputs)
        answers = narrow.generate(["one two three", "four"], **CALL)
        assert [answer.tokens for answer in answers] == [
            narrow.generate(text, **CALL).tokens for text in ("one two three", "four")
        ]
