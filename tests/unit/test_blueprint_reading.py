"""gpux.yml: everything that it may say, and every mistake with the line that it stands in."""

from __future__ import annotations

import json
from dataclasses import fields

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gpux.blueprint import reading, schema
from gpux.blueprint.records import Blueprint, Preprocessing
from gpux.errors import InvalidBlueprint

WHOLE = """\
name: my-model
version: 1.0
task: image-classification
model:
  source: model.onnx
  variants: {int8: quantised/model.onnx}
inputs: {input.1: pixel_values}
outputs:
  "495": logits
labels: [cat, dog, no]
preprocessing:
  name: imagenet
  size: [300, 200]
  crop: false
  std: [1, 2.5, 0.01]
  resample: bicubic
runtime: {provider: cpu, variant: int8, threads: 2, options: {graph: all}}
serving: {port: 8080, max_batch_size: 8, max_delay_ms: 2.5, timeout_s: 30}
"""


def test_everything_that_a_file_may_say():
    said = reading.parse(WHOLE.encode()).blueprint
    assert (said.name, said.version, said.task) == ("my-model", "1.0", "image-classification")
    assert said.model.source == "model.onnx"
    assert said.model.variants == {"int8": "quantised/model.onnx"}
    assert (said.inputs, said.outputs) == ({"input.1": "pixel_values"}, {"495": "logits"})
    # YAML 1.1 would read `no` as false; a label is what is written.
    assert said.labels == ("cat", "dog", "no")
    assert said.prepared == Preprocessing(
        name="imagenet", size=(300, 200), crop=False, std=(1, 2.5, 0.01), resample="bicubic"
    )
    assert (said.runtime.provider, said.runtime.threads) == ("cpu", 2)
    assert said.runtime.options == {"graph": "all"}
    assert (said.serving.port, said.serving.max_delay_ms, said.serving.timeout_s) == (8080, 2.5, 30)


def test_a_key_without_a_value_is_as_if_it_were_not_there():
    assert reading.parse(b"name:\nmodel:\nlabels: ~\nruntime:\n  threads:\n").blueprint == Blueprint()
    assert reading.parse(b"").blueprint == Blueprint()
    assert reading.parse(b"\xef\xbb\xbf# only a remark\r\n").blueprint == Blueprint()


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("labels: {0: cat, 2: dog}", {0: "cat", 2: "dog"}),
        ("labels: names.txt", "names.txt"),
        ("labels: []", ()),
    ],
)
def test_labels_come_in_three_forms(text, labels):
    assert reading.parse(text.encode()).blueprint.labels == labels


def test_a_number_may_be_written_as_people_write_it():
    # YAML 1.1 reads the first as text.
    assert reading.parse(b"preprocessing: {scale: 1e-2}").blueprint.prepared.scale == 0.01
    assert reading.parse(b"preprocessing: {mean: [.5, +1, -2.]}").blueprint.prepared.mean == (0.5, 1, -2)


def test_preprocessing_may_be_a_name_alone():
    assert reading.parse(b"preprocessing: clip").blueprint.prepared == Preprocessing(name="clip")


WRONG = [
    # text, line, what is said, hint
    ("task: raw\nlables: [a]\n", 2, "unknown key `lables`", "did you mean `labels`"),
    ("serving:\n  prot: 1\n", 2, "unknown key `prot` under `serving`", "did you mean `port`"),
    ("zzzzzz: 1\n", 1, "unknown key `zzzzzz`", "keys are name, version, task"),
    ("model:\n  variants:\n    fp61: a.onnx\n", 3, "unknown key `fp61`", "did you mean `fp16`"),
    ("task: raw\n\ntask: raw\n", 3, "the key `task` stands twice, first in line 1", "leave one"),
    ("model: {source: a.onnx, source: b.onnx}\n", 1, "stands twice", "leave one"),
    ("<<: {task: raw}\n", 1, "unknown key `<<`", "keys are"),
    ("inputs: [a]\n", 1, "`inputs` is a list", "give a mapping"),
    ("model: model.onnx\n", 1, "`model` is `model.onnx`", "give keys and values"),
    ("- a\n", 1, "`the file` is a list", "give keys and values"),
    ("task: [raw]\n", 1, "`task` is a list", "give a text"),
    ("runtime:\n  threads: two\n", 2, "`runtime.threads` is `two`", "give a whole number"),
    ("runtime:\n  threads: 1.5\n", 2, "`runtime.threads` is `1.5`", "give a whole number"),
    ("runtime:\n  threads: 0\n", 2, "`runtime.threads` is 0", "from 1 to 4096"),
    ("serving: {port: 65536}\n", 1, "`serving.port` is 65536", "from 1 to 65535"),
    ("serving: {timeout_s: .inf}\n", 1, "`serving.timeout_s` is `.inf`", "give a number"),
    ("labels: {a: b}\n", 1, "`labels.a` is `a`", "whole number"),
    ("labels:\n- a\n- [b]\n", 3, "`labels[1]` is a list", "give a text"),
    ("preprocessing:\n  name: imagnet\n", 2, "is `imagnet`", "did you mean `imagenet`"),
    ("preprocessing:\n  size: [1, 2, 3]\n", 2, "has 3 entries", "give 2"),
    ("preprocessing:\n  size: big\n", 2, "`preprocessing.size` is `big`", "a whole number or a list"),
    ("preprocessing:\n  normalize: maybe\n", 2, "is `maybe`", "true or false"),
    ("preprocessing:\n  std: [1, 0]\n", 2, "`std` holds a 0", "divided"),
    ("preprocessing:\n  size: 4\n  sampling_rate: 8000\n", 3, "prepares sound, and `size` pictures", "keep"),
    ("name: a b\n", 1, "`name` is `a b`", "letters, digits"),
    ("model: {source: /etc/passwd}\n", 1, "`/etc/passwd`", "in this folder"),
    ("model: {source: 'a\\b.onnx'}\n", 1, "is `a\\b.onnx`", "forward slashes"),
    ("model:\n  source: a.onnx\n  variants: {fp32: b.onnx}\n", 3, "both are the graph in full", "leave one"),
    ("inputs:\n  a: x\n  b: x\n", 2, "both become `x`", "a name of its own"),
    ("runtime:\n  options: {a: b}\n", 2, "and none is named", "add `provider`"),
    # YAML itself
    ("a: &x 1\nb: *x\n", 1, "anchors and aliases are not read", "write the value out"),
    ("inputs:\n  a: *x\n", 2, "anchors and aliases are not read", "write the value out"),
    ("task: !!python/name:os.system\n", 1, "tags such as", "leave it out"),
    ("task: !!str raw\n", 1, "tags such as", "leave it out"),
    ("task: raw\n---\ntask: raw\n", 2, "a second document", "keep one"),
    ("model:\n\tsource: x\n", 2, "it is no YAML", "indent with spaces"),
    ("model: [\n", 2, "it is no YAML", "indent with spaces"),
    ("a: b: c\n", 1, "it is no YAML", "quotes"),
    ("? [a, b]\n: c\n", 1, "a key is a list or a mapping", "a name before the colon"),
    ("task: raw\nname: \x01\n", 2, "a character that no YAML may", "plain text"),
    ("a: " + "[" * 5000 + "\n", 1, "nested deeper than 16", "no key"),
]


@pytest.mark.parametrize(("text", "line", "said", "hint"), WRONG)
def test_a_mistake_is_told_with_its_line(text, line, said, hint):
    with pytest.raises(InvalidBlueprint) as caught:
        reading.parse(text.encode())
    assert caught.value.message.startswith(f"gpux.yml, line {line}: ")
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.line == line
    assert not caught.value.message.endswith(".")


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"task: raw\nname: \xff\n", 2, "byte 0xff is no UTF-8"),
        (b"task: raw\x00\n", 1, "a character that no YAML may"),
        (b"#" * (1 << 20) + b"#\n", 0, "more than 1048576"),
    ],
)
def test_bytes_that_are_no_text_are_refused(data, line, said):
    with pytest.raises(InvalidBlueprint, match=said) as caught:
        reading.parse(data)
    assert caught.value.line == line


def test_a_bomb_of_aliases_is_refused_before_it_grows():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(InvalidBlueprint, match="line 1: anchors"):
        reading.parse("\n".join(lines).encode())


def test_a_folder_without_the_file_says_how_to_begin(tmp_path):
    with pytest.raises(InvalidBlueprint, match=r"no gpux\.yml") as caught:
        reading.read(tmp_path)
    assert "gpux init" in caught.value.hint
    (tmp_path / "gpux.yml").mkdir()
    with pytest.raises(InvalidBlueprint, match="cannot be read"):
        reading.read(tmp_path)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_ends_in_one_sentence(data):
    text = bytearray(WHOLE.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from(
                [
                    b"",
                    b"\n",
                    b": ",
                    b"[",
                    b"}",
                    b"'",
                    b"\t",
                    b"&a ",
                    b"*a",
                    b"- ",
                    b"#",
                    b"\xff",
                    b"9e999",
                    b"~",
                    b"!x ",
                ]
            )
        )
    said = "gpux.yml"
    try:
        reading.parse(bytes(text))
    except InvalidBlueprint as error:
        said = error.message
    assert said.startswith("gpux.yml")
    assert "\n" not in said


# What only the reader can tell: YAML's own mistakes, and what one key asks of another.
BEYOND = {
    "stands twice", "both are", "both become", "none is named", "anchors", "tags", "second", "no YAML", "character", "a key is",
    "<<", "nested", "holds a 0", "prepares sound",
}  # fmt: skip


@pytest.fixture(scope="module")
def published():
    found = schema.schema()
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def _as_json(text):
    """What an editor makes of the file: keys are texts."""
    return json.loads(json.dumps(yaml.safe_load(text)))


def test_the_schema_takes_what_the_reader_takes(published):
    for text in (WHOLE, "", "name:\nmodel:\nlabels: ~\n", "labels: {0: cat}", "preprocessing: clip"):
        document = _as_json(text)
        published.validate({} if document is None else document)


@pytest.mark.parametrize(
    ("text", "said"), [(text, said) for text, _, said, _ in WRONG if not any(word in said for word in BEYOND)]
)
def test_the_schema_refuses_what_the_reader_refuses(published, text, said):
    assert not published.is_valid(_as_json(text)), said


def test_the_schema_has_every_key(published):
    assert set(published.schema["properties"]) == {one.name for one in fields(Blueprint)}
    assert all(one["description"] for one in published.schema["properties"].values())
