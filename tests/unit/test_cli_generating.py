"""What the options of a model that writes come to, in an answer and in a benchmark."""

from __future__ import annotations

import pytest

from gpux.cli import generating, measuring
from gpux.errors import UsageError

NONE = {
    "max_tokens": None, "temperature": None, "top_p": None, "top_k": None, "stop": (), "json_schema": None,
    "truncate": False, "system": None, "raw": False,
}  # fmt: skip


def test_every_answer_of_a_benchmark_is_as_long_as_was_asked_for():
    wish = generating.read({**NONE, "max_tokens": 12}, {})
    assert measuring.alike(wish.parameters, wish.typed) == {"max_new_tokens": 12, "min_new_tokens": 12}
    assert wish.parameters == {"max_new_tokens": 12}  # an answer ends where the model ends it


def test_what_a_parameter_says_stands():
    free = generating.read(NONE, {"max_new_tokens": 12})
    assert measuring.alike(free.parameters, free.typed) == {"max_new_tokens": 12}
    both = generating.read({**NONE, "max_tokens": 12}, {"min_new_tokens": 3})
    assert measuring.alike(both.parameters, both.typed)["min_new_tokens"] == 3


def test_a_schema_that_is_none_is_told():
    with pytest.raises(UsageError, match="json-schema"):
        generating.read({**NONE, "json_schema": "{"}, {})
