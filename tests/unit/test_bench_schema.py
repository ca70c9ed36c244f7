"""The published schemas: they are what the records say, real documents follow them, and the reader agrees with them."""

import copy
import json
import os
import subprocess
import sys

import jsonschema
import pytest
from bench_reports import GPU, OUT_OF_MEMORY, report, suite, times
from house import ROOT
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpux.bench import documents, schema
from gpux.bench.report import Report
from gpux.bench.suite import Suite
from gpux.errors import InvalidInput

RICH = report(
    times(n=8), devices=(GPU,), failures=2, parameters={"top_k": 2, "labels": ["a"]}, joules=1.0, top1=0.5
)
DOCUMENTS = {
    documents.REPORT: [RICH, report([]), report(times(n=8), concurrency=3), report(times(n=8), rate=5.0)],
    documents.SUITE: [suite([({"batch": 1}, RICH), ({"batch": 2}, OUT_OF_MEMORY)]), suite([])],
}
CHECKERS = {kind: jsonschema.Draft202012Validator(schema.schema(kind)) for kind in schema.KINDS}


def reads(raw):
    """Why the reader refuses a document, or ``None``."""
    try:
        documents.parse(json.dumps(raw), {documents.REPORT: Report, documents.SUITE: Suite})
    except InvalidInput as error:
        return error.message
    return None


@pytest.mark.parametrize("kind", schema.KINDS)
def test_a_schema_is_one(kind):
    jsonschema.Draft202012Validator.check_schema(schema.schema(kind))


@pytest.mark.parametrize(
    ("kind", "number"), [(kind, n) for kind in DOCUMENTS for n in range(len(DOCUMENTS[kind]))]
)
def test_real_documents_follow_the_published_schema(kind, number):
    published = json.loads((ROOT / "docs" / "schemas" / schema.file_name(kind)).read_text(encoding="utf-8"))
    raw = json.loads(DOCUMENTS[kind][number].to_json())
    jsonschema.Draft202012Validator(published).validate(raw)
    assert reads(raw) is None


def test_every_field_of_a_record_that_describes_its_fields_is_described():
    missing = [
        f"{name}.{field}"
        for kind in schema.KINDS
        for name, record in {**schema.schema(kind)["$defs"], kind: schema.schema(kind)}.items()
        for field, value in record["properties"].items()
        if field != "kind" and "description" not in value and name not in {"Machine", "Reason", "Caution"}
    ]
    assert not missing
    assert all(record["description"] for record in schema.schema(documents.SUITE)["$defs"].values())


def test_a_description_of_several_lines_is_one_line():
    text = schema.schema(documents.REPORT)["$defs"]["Series"]["properties"]["start"]["description"]
    assert text.startswith("Seconds from the beginning of the benchmark")
    assert text.endswith("free to answer it.")


def _paths(raw, way=()):
    yield way
    pairs = raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ()
    for key, value in pairs:
        yield from _paths(value, (*way, key))


RAW = {kind: json.loads(found[0].to_json()) for kind, found in DOCUMENTS.items()}
PATHS = {kind: [path for path in _paths(raw) if path] for kind, raw in RAW.items()}
VALUES = st.sampled_from(
    [
        None,
        True,
        0,
        -3,
        2,
        0.5,
        -1e-300,
        2**40,
        "",
        "text",
        [],
        {},
        [0.5],
        [None],
        ["a"],
        [[]],
        {"a": 1},
        {"a": None},
    ]
)


@st.composite
def damaged(draw):
    kind = draw(st.sampled_from(list(RAW)))
    path = draw(st.sampled_from(PATHS[kind]))
    raw = copy.deepcopy(RAW[kind])
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    act = draw(st.sampled_from(["replace", "remove", "add"]))
    # A pair's length is in the schema, and nothing that the reader counts.
    assume("intervals" not in path[:-1] or (act == "replace" and isinstance(inner, list)))
    if act == "remove":
        del inner[path[-1]]
    elif act == "add" and isinstance(inner, dict):
        inner["surprise"] = draw(VALUES)
    else:
        inner[path[-1]] = draw(VALUES)
    return kind, ".".join(map(str, path)), act, raw


@settings(max_examples=400, deadline=None)
@given(damaged())
def test_the_reader_and_the_schema_agree_about_a_damaged_document(case):
    kind, raw = case[0], case[-1]
    refusal = reads(raw)
    if refusal is not None and "differ in length" in refusal:
        return  # JSON Schema cannot compare the lengths of two arrays
    if raw.get("kind") != kind and raw.get("kind") in RAW:
        return
    wrong = [error.message for error in CHECKERS[kind].iter_errors(raw)]
    assert bool(wrong) == (refusal is not None), (*case[:3], [text[:200] for text in wrong[:1]], refusal)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 5),
        (("kind",), "gpux"),
        (("surprise",), 1),
        (("samples", "steady", "seconds", 0), "fast"),
        (("summaries", "intervals", "median"), [1.0]),
        (("identity", "machine", "cores"), None),
        (("settings", "runs"), 1.5),
    ],
)
def test_a_damaged_document_breaks_the_schema(path, value):
    raw = copy.deepcopy(RAW[documents.REPORT])
    inner = raw
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert not CHECKERS[documents.REPORT].is_valid(raw)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RICH.to_json().replace('"interrupted": false', '"interrupted": NaN'), "NaN"),
        (RICH.to_json().replace('"share":1.0', '"share":Infinity'), "Infinity"),
        (RICH.to_json().replace('"share":1.0', '"share":1e999'), "share"),
        (RICH.to_json().replace('"schema": 4', '"schema": 5'), "schema 5"),
        ('{"kind": "another tool", "schema": 2}', "lacks"),
        ("\x00", "no benchmark report"),
    ],
)
def test_not_a_number_a_newer_schema_and_foreign_files_are_refused_in_words(text, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        documents.parse(text, {documents.REPORT: Report, documents.SUITE: Suite})
    assert caught.value.hint
    assert ("upgrade" in caught.value.hint) == (said == "schema 5")


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "generate_schema"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )


def test_the_published_schemas_are_up_to_date():
    done = run("--check")
    assert done.returncode == 0, done.stderr


def test_the_script_writes_checks_and_sees_a_change(tmp_path):
    target = ["--target", str(tmp_path / "schemas")]
    assert run("--check", *target).returncode == 1
    assert run(*target).returncode == 0
    assert run("--check", *target).returncode == 0
    names = {path.name for path in (tmp_path / "schemas").iterdir()}
    assert names == {
        "benchmark-4.schema.json",
        "benchmark-suite-4.schema.json",
        "gpux-yml.schema.json",
    }
    path = tmp_path / "schemas" / "benchmark-4.schema.json"
    path.write_text(path.read_text(encoding="utf-8").replace("integer", "number", 1), encoding="utf-8")
    done = run("--check", *target)
    assert done.returncode == 1
    assert "hint: scripts/generate_schema" in done.stderr


def test_no_two_records_share_a_name():
    seen = {}

    def visit(record):
        from dataclasses import is_dataclass
        from typing import get_args, get_type_hints

        def inside(hint):
            if isinstance(hint, type) and is_dataclass(hint):
                assert seen.setdefault(hint.__name__, hint) is hint
                for inner in get_type_hints(hint).values():
                    inside(inner)
            for argument in get_args(hint):
                inside(argument)

        inside(record)

    for record in schema.KINDS.values():
        visit(record)
    assert len(seen) > 10
