"""Answers that follow a schema, a regular expression or a grammar, whatever the model would rather say."""

import importlib.util
import json
import re
import subprocess
import sys

import jsonschema
import numpy as np
import pytest
import tiny_tokenizers
from house import ROOT
from tiny_decoder import TorchDecoder

from gpux.errors import ExtraMissing, InvalidInput
from gpux.generation.beams import search
from gpux.generation.constraint import Constraints
from gpux.generation.sampling import Chooser, generators
from gpux.generation.settings import GenerationSettings

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("llguidance") is None, reason="llguidance is not installed here"
)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
    "required": ["name", "age"],
    "additionalProperties": False,
    "x-guidance": {"whitespace_flexible": False},
}  # fmt: skip
PADDED = 400
"""Scores of the model: more than its tokenizer has tokens, as is usual."""


def constraints(backend, *, ends=("</s>",), vocabulary=PADDED):
    ids = [backend.token_to_id(end) for end in ends]
    return Constraints(backend, vocabulary=vocabulary, eos_token_ids=ids), tuple(ids)


def write(backend, *, most=200, seed=0, ends=("</s>",), **given):
    """An answer of a model that says anything, and whether it came to its end."""
    maker, ids = constraints(backend, ends=ends)
    settings = GenerationSettings().with_given({"eos_token_ids": ids, **given})
    chooser = Chooser(
        settings, [5], vocabulary=PADDED, generator=generators(seed, 1)[0], constraint=maker.open(settings)
    )
    random, tokens = np.random.default_rng(seed), []
    while len(tokens) < most:
        token = chooser.choose((random.standard_normal(PADDED) * 3).astype(np.float32)).token
        if token in ids:
            return backend.decode(tokens), True
        tokens.append(token)
    return backend.decode(tokens), False


@needs_library
@pytest.mark.parametrize("make", [tiny_tokenizers.byte_level, tiny_tokenizers.unstripped])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_sample": True, "top_k": 0},
        {"do_sample": True, "top_k": 5, "top_p": 0.5},
        {"repetition_penalty": 1.3},
    ],
    ids=str,
)
def test_json_that_any_scores_end_in_is_valid(make, options):
    for seed in range(4):
        text, ended = write(make(), seed=seed, json_schema=SCHEMA, **options)
        assert ended, text
        jsonschema.validate(json.loads(text), SCHEMA)


@needs_library
def test_a_schema_may_be_text():
    text, ended = write(tiny_tokenizers.byte_level(), json_schema=json.dumps({"enum": ["the", "fox"]}))
    assert ended
    assert json.loads(text) in {"the", "fox"}


@needs_library
@pytest.mark.parametrize("regex", [r"(yes|no)", r"[0-9]{3}-[a-f]{2}", r"(日本|🙂){2}", r"fox( fox)*\."])
def test_a_regular_expression_is_matched_whole(regex):
    for seed in range(4):
        text, ended = write(tiny_tokenizers.byte_level(), seed=seed, regex=regex, most=400)
        assert ended, text
        assert re.fullmatch(regex, text)


@needs_library
@pytest.mark.parametrize(
    "grammar",
    ['start: "(" start ")" | "fox"\n', 'root ::= "(" root ")" | "fox"\n'],
    ids=["Lark", "GBNF"],
)
def test_a_grammar_is_followed(grammar):
    found = {write(tiny_tokenizers.byte_level(), seed=seed, grammar=grammar) for seed in range(8)}
    for text, ended in found:
        depth = text.count("(")
        assert text.startswith("(" * depth)
        assert not ended or text == "(" * depth + "fox" + ")" * depth
    assert any(ended for _, ended in found)


@needs_library
def test_any_of_the_models_ends_may_come():
    backend = tiny_tokenizers.byte_level()
    maker, ids = constraints(backend, ends=("</s>", "<end>"))
    constraint = maker.open(GenerationSettings(regex="a"))
    assert not any(map(constraint.allows, ids))
    constraint.accept(backend.token_to_id("a"))
    assert constraint.finished
    kept = np.flatnonzero(np.isfinite(constraint.masked(np.zeros(PADDED, dtype=np.float32))))
    assert kept.tolist() == sorted(ids)
    assert all(map(constraint.allows, ids))
    constraint.accept(ids[1])


@needs_library
def test_a_mask_and_single_answers_agree_and_forks_go_their_own_way():
    backend = tiny_tokenizers.byte_level()
    maker, _ = constraints(backend)
    constraint = maker.open(GenerationSettings(regex=r"\{(a|b)\}"))
    fork = constraint.fork()
    constraint.accept(backend.token_to_id("{"))
    scores = np.random.default_rng(0).standard_normal(PADDED).astype(np.float32)
    for each in (constraint, fork):
        masked = each.masked(scores)
        allowed = np.isfinite(masked)
        assert 0 < allowed.sum() < 5
        assert allowed.tolist() == [each.allows(token) for token in range(PADDED)]
        np.testing.assert_array_equal(masked[allowed], scores[allowed])
        assert not allowed[backend.get_vocab_size() :].any()
    assert fork.allows(backend.token_to_id("{"))
    assert not constraint.allows(backend.token_to_id("{"))


@needs_library
def test_beams_follow_a_constraint_each():
    class Any(TorchDecoder):
        def _scores(self):
            found = [np.random.default_rng(sum(row)).standard_normal(PADDED) for row in self.rows]
            return np.array(found, dtype=np.float32) * 3

    backend = tiny_tokenizers.byte_level()
    maker, ids = constraints(backend)
    settings = GenerationSettings(
        num_beams=3, num_return_sequences=3, regex="(fox|the)[0-9]{2}", max_new_tokens=12, eos_token_ids=ids
    )
    (beams,) = search(Any(None), [[5, 6]], settings, constraint=lambda _: maker.open(settings))
    texts = [backend.decode(beam.tokens) for beam in beams]
    assert len(set(texts)) > 1
    for beam, text in zip(beams, texts, strict=True):
        assert beam.ended
        assert re.fullmatch("(fox|the)[0-9]{2}", text)


@needs_library
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"json_schema": {"type": "objekt"}}, r"`json_schema` cannot be followed \(Invalid type: objekt\)"),
        ({"json_schema": "{bad"}, r"`json_schema` cannot be followed \(Expecting property name"),
        ({"json_schema": {"type": "array", "uniqueItems": True}}, r"uniqueItems"),
        ({"json_schema": {"allOf": [{"type": "string"}, {"type": "null"}]}}, r"Unsatisfiable schema"),
        ({"json_schema": {"const": {1, 2}}}, r"`json_schema` cannot be followed \(.*not JSON serializable\)"),
        ({"regex": "(ab"}, r"`regex` cannot be followed \(unclosed group\)"),
        ({"regex": "(?=a)b"}, r"`regex` cannot be followed \(look-around.*not supported\)"),
        ({"grammar": "start: foo"}, r"`grammar` cannot be followed \(.*unknown name: \"foo\"\)"),
        ({"grammar": "root ::= ("}, r"`grammar` cannot be followed \(.*Expected '\)'"),
    ],
)  # fmt: skip
def test_what_cannot_be_followed_is_refused_with_the_reason(given, message):
    maker, _ = constraints(tiny_tokenizers.byte_level())
    with pytest.raises(InvalidInput, match=message) as caught:
        maker.open(GenerationSettings().with_given(given))
    assert "http" in caught.value.hint
    assert not caught.value.message.endswith(".")


@needs_library
def test_a_tokenizer_that_llguidance_cannot_read_is_refused():
    maker, _ = constraints(tiny_tokenizers.word_piece(), ends=("[SEP]",))
    with pytest.raises(InvalidInput, match="cannot read the model's tokenizer"):
        maker.open(GenerationSettings(regex="a"))


@needs_library
def test_a_model_without_an_end_is_refused():
    maker = Constraints(tiny_tokenizers.byte_level(), vocabulary=PADDED, eos_token_ids=())
    with pytest.raises(InvalidInput, match="no token that ends an answer"):
        maker.open(GenerationSettings(regex="a"))


@needs_library
def test_settings_that_contradict_the_constraint_say_so():
    with pytest.raises(InvalidInput, match="forbid every token"):
        write(tiny_tokenizers.byte_level(), regex="a", min_new_tokens=5)


@needs_library
@pytest.mark.parametrize("sample", [False, True])
def test_forced_tokens_stand_outside_the_constraint(sample):
    backend = tiny_tokenizers.byte_level()
    maker, (end,) = constraints(backend)
    first = backend.token_to_id("<think>")
    settings = GenerationSettings(
        regex="a{9}",
        forced_bos_token_id=first,
        forced_eos_token_id=end,
        max_new_tokens=4,
        do_sample=sample,
    )
    chooser = Chooser(settings, [5], vocabulary=PADDED, constraint=maker.open(settings))
    scores = np.random.default_rng(0).standard_normal(PADDED).astype(np.float32)
    tokens = [chooser.choose(scores).token for _ in range(4)]
    assert (tokens[0], tokens[-1]) == (first, end)
    assert re.fullmatch("a+", backend.decode(tokens[1:-1]))


@needs_library
def test_padding_and_truncation_of_the_file_do_not_count():
    backend = type(tiny_tokenizers.byte_level()).from_str(tiny_tokenizers.byte_level().to_str())
    backend.enable_truncation(4)
    backend.enable_padding(length=8)
    text, ended = write(backend, regex="the quick brown fox jumps")
    assert (text, ended) == ("the quick brown fox jumps", True)
    assert backend.truncation
    assert backend.padding


def test_no_constraint_needs_no_library():
    maker = Constraints(tiny_tokenizers.byte_level(), vocabulary=PADDED, eos_token_ids=())
    assert maker.open(GenerationSettings()) is None


def test_without_the_library_the_line_that_installs_it_is_told():
    code = (
        "import sys; sys.modules['llguidance'] = None\n"
        "from gpux.generation.constraint import Constraints; from gpux.generation.settings import GenerationSettings\n"
        "try: Constraints(None, vocabulary=9, eos_token_ids=[1]).open(GenerationSettings(regex='a'))\n"
        "except Exception as error: print(type(error).__name__, error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{ExtraMissing.__name__} pip install 'gpux[constrain]'"
