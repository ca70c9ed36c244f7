"""Beams of a task that writes: what an answer must follow and what ends it hold for a search too."""

import importlib.util
import re
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_tokenizers

from gpux.errors import InvalidInput
from gpux.generation.conversations import Conversations
from gpux.generation.settings import GenerationSettings
from gpux.pipelines.drafting import Drafts
from gpux.pipelines.generating import GeneratingPipeline

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("llguidance") is None, reason="llguidance is not installed here"
)


class Chance:
    """A model that says anything, and the same after the same tokens."""

    limit = 64

    def __init__(self):
        self.rows = []
        self.lengths = []

    def prefill(self, rows):
        self.rows = [list(row) for row in rows]
        return self.scores()

    def step(self, tokens):
        self.rows = [[*row, token] for row, token in zip(self.rows, tokens.tolist(), strict=True)]
        return self.scores()

    def pick(self, rows):
        self.rows = [self.rows[row] for row in rows]

    def scores(self):
        found = [np.random.default_rng([len(row), *row]).standard_normal(400) * 3 for row in self.rows]
        return np.array(found, dtype=np.float32)

    def close(self):
        pass


class Writing(GeneratingPipeline):
    context = 64

    def __init__(self):
        self._tokenizer = SimpleNamespace(backend=tiny_tokenizers.byte_level())
        self.settings = GenerationSettings(eos_token_ids=(1,))
        self.session = SimpleNamespace(plan=SimpleNamespace(batch=None))
        self.conversations = Conversations(Chance)
        self._constraints, self._drafts = None, Drafts(self)

    def prompt(self, item, /, *, position, **_):
        return self._tokenizer.backend.encode(item).ids

    def is_item(self, inputs):
        return isinstance(inputs, str)

    def answer(self, items, clock, **parameters):
        return self.write(items, clock, **parameters)

    def parse(self, text):
        return text

    def table(self, items, answers):
        raise NotImplementedError

    def samples(self, length=None, **parameters):
        raise NotImplementedError


@needs_library
def test_beams_follow_a_constraint():
    for answers in Writing().write(
        ["fox", "the lazy"], num_beams=3, num_return_sequences=2, regex="(fox|dog)[0-9]{2}", max_new_tokens=12
    ):
        assert len({answer.text for answer in answers}) == 2
        for answer in answers:
            assert re.fullmatch("(fox|dog)[0-9]{2}", answer.text)
            assert answer.finish_reason == "stop"


def test_a_stop_text_ends_a_beam_and_is_not_shown():
    options = {"num_beams": 2, "max_new_tokens": 16, "num_return_sequences": 2, "early_stopping": True}
    stops = [*"aeiou"]
    ((first, second),) = Writing().write(["fox"], stop=stops, **options)
    for answer in (first, second):
        assert answer.finish_reason == "stop"
        assert len(answer.tokens) < 16
        whole = tiny_tokenizers.byte_level().decode(answer.tokens)
        place = next(place for place, character in enumerate(whole) if character in stops)
        assert answer.text == whole[:place]
        before = tiny_tokenizers.byte_level().decode(answer.tokens[:-1])
        assert not set(before) & set(stops), "it went on behind the stop text"


@needs_library
def test_an_empty_schema_is_any_json():
    import json

    ((answer,),) = Writing().write(["fox"], json_schema={}, max_new_tokens=60, temperature=1.0, seed=5)
    assert answer.finish_reason in {"stop", "length"}
    if answer.finish_reason == "stop":
        json.loads(answer.text)
    assert answer.text.lstrip()[:1] in {*'{["tfn-0123456789'}


def test_an_empty_schema_is_a_constraint_as_any_other():
    with pytest.raises(InvalidInput, match="one constraint, not json_schema and regex"):
        GenerationSettings().with_given({"json_schema": {}, "regex": "a"})
