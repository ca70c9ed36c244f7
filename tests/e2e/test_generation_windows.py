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
    """The scales are measured when the model is converted, and the proof is of the graph with them."""
    asked = {"max_new_tokens": 6, "min_new_tokens": 6}
    with gpux.load(str(folder / "calm"), provider="cpu", variant="q4kv8", quality="any") as model:
        report = model.benchmark("one two", runs=1, warmup=0, parameters=asked)
        texts = ["one two three", "four"]
        together, alone = model.generate(texts, **CALL), [model.generate(text, **CALL) for text in texts]
        certificate = model.artifact.variant("q4kv8").certificate
    # A byte for each number of 2 layers' keys and values, of one head of 16.
    assert report.memory.cache == 2 * 2 * 16 * (report.identity.workload.work["tokens"][0] + 6)
    assert all(0 < output.max_rel < 0.3 for output in certificate.outputs)
    assert [one.tokens for one in together] == [one.tokens for one in alone]
