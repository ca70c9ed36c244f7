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
