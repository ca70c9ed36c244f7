"""The grammar of references: every form of the design, its errors, and that text and record are the same thing."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpux.errors import InvalidReference, InvalidSetting, UnknownVariant
from gpux.reference import VARIANTS, Reference, default_variant, is_path, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bert-base-uncased", Reference("hf", "bert-base-uncased")),
        ("org/name", Reference("hf", "org/name")),
        ("  org/name\n", Reference("hf", "org/name")),
        ("hf:org/name", Reference("hf", "org/name")),
        ("HuggingFace:org/name", Reference("hf", "org/name")),
        ("org/name@main", Reference("hf", "org/name", revision="main")),
        ("org/name@refs/pr/3", Reference("hf", "org/name", revision="refs/pr/3")),
        ("org/name:fp16", Reference("hf", "org/name", variant="fp16")),
        ("org/name@v1.0:Q4F16", Reference("hf", "org/name", revision="v1.0", variant="q4f16")),
        ("name:int8", Reference("hf", "name", variant="int8")),
        ("org/name/onnx/model.onnx", Reference("hf", "org/name", file="onnx/model.onnx")),
        (
            "org/name/onnx/model.onnx@abc:q4",
            Reference("hf", "org/name", revision="abc", file="onnx/model.onnx", variant="q4"),
        ),
        ("pypi:some_Package", Reference("pypi", "some-package")),
        ("pypi:a.b__c==1.2.3+cpu", Reference("pypi", "a-b-c", revision="1.2.3+cpu")),
        ("pypi:pkg@1.2", Reference("pypi", "pkg", revision="1.2")),
        (
            "pypi:pkg==1.0/models/small:fp32",
            Reference("pypi", "pkg", revision="1.0", file="models/small", variant="fp32"),
        ),
        ("/abs/dir", Reference("file", "/abs/dir")),
        ("/abs/model.onnx", Reference("file", "/abs", file="model.onnx")),
        ("file:/abs/x/../model.ONNX", Reference("file", "/abs", file="model.ONNX")),
        ("/abs/dir:fp16", Reference("file", "/abs/dir", variant="fp16")),
        ("/abs/a:b", Reference("file", "/abs/a:b")),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths are written the POSIX way here")
def test_forms(text, expected):
    assert parse(text) == expected


def test_relative_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse("./dir") == parse("file:dir") == Reference("file", str(tmp_path / "dir"))
    assert parse("~/m.onnx") == Reference("file", str(Path.home()), file="m.onnx")
    assert parse("..").name == str(tmp_path.parent)


def test_a_path_means_a_place_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse(Path("org/name")) == Reference("file", str(tmp_path / "org" / "name"))
    assert parse(Path("model.onnx")) == Reference("file", str(tmp_path), file="model.onnx")
    assert parse(tmp_path) == parse(str(tmp_path))
    assert parse(Path("~x")).name == str(tmp_path / "~x")  # Path says what it means
    with pytest.raises(InvalidReference, match="has no revisions"):
        parse(Path("org/name"), revision="main")


@pytest.mark.parametrize("given", [5, None, b"org/name", ["org/name"], object()])
def test_what_is_neither_text_nor_a_path(given):
    with pytest.raises(InvalidReference, match="is text or a path, not") as caught:
        parse(given)
    assert "org/name" in caught.value.hint


@pytest.mark.parametrize(("value", "expected"), [("", None), ("fp16", "fp16"), ("Q4F16", "q4f16")])
def test_the_default_variant(monkeypatch, value, expected):
    monkeypatch.setenv("GPUX_VARIANT", value)
    assert default_variant() == expected


def test_a_default_variant_that_is_none(monkeypatch):
    monkeypatch.setenv("GPUX_VARIANT", "nope")
    with pytest.raises(InvalidSetting, match="`GPUX_VARIANT` is `nope`") as caught:
        default_variant()
    assert "fp32, fp16" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    ["", "  ", "a\nb", "org/", "/".join(["org", "name", ""]), "org//name", "-org/name", "org/na..me", "org/na--me", "org/name.git",
     "org/name@", "org/name@../x", "org/name@a b", "org/name/../x", "org/name/a\\b", "pypi:", "pypi:-x", "pypi:x==", "pypi:x== 1",
     "pypi:x/../y", "pypi:x==1;rm", "file:", "oci://host/x", "https://huggingface.co/org/name", "hg:org/name", "org/name\0"],
)  # fmt: skip
def test_what_is_no_reference(text):
    with pytest.raises(InvalidReference) as caught:
        parse(text)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_close_names_are_told():
    with pytest.raises(UnknownVariant) as caught:
        parse("org/name:fp61")
    assert "org/name:fp16" in caught.value.hint
    with pytest.raises(InvalidReference) as caught:
        parse("pipy:name/x")
    assert "pypi:name/x" in caught.value.hint


def test_a_revision_given_apart():
    assert parse("org/name:fp16", revision="v2") == Reference("hf", "org/name", revision="v2", variant="fp16")
    assert parse("pypi:pkg", revision="1.0").revision == "1.0"
    assert parse("org/name@v2", revision="v2").revision == "v2"
    for text, revision in (("org/name@v1", "v2"), ("/abs", "v2"), ("org/name", "a b"), ("pypi:x", "1;2")):
        with pytest.raises(InvalidReference):
            parse(text, revision=revision)


def test_short_names():
    assert parse("org/name@v1:fp16").short_name == "name"
    assert parse("/abs/dir/model.onnx").short_name == "model"
    assert parse("pypi:pkg==1.0/models/small").short_name == "pkg"
    assert parse("org/name:fp16").base == parse("org/name")


segment = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_.]{0,8}[A-Za-z0-9_])?", fullmatch=True).filter(
    lambda s: ".." not in s and not s.endswith(".git") and s.lower() not in VARIANTS
)
files = st.none() | st.lists(segment, min_size=1, max_size=3).map("/".join)
variants = st.none() | st.sampled_from(VARIANTS)
revisions = st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_]{0,12}", fullmatch=True)


@given(
    st.builds(Reference, st.just("hf"), st.tuples(segment, segment).map("/".join), revisions, files, variants)
)
def test_hub_references_survive_their_text(reference):
    assert parse(str(reference)) == reference


@given(
    st.builds(
        Reference,
        st.just("pypi"),
        st.from_regex(r"[a-z0-9]([a-z0-9]{0,8}-[a-z0-9]{1,8})?", fullmatch=True),
        revisions,
        files,
        variants,
    )
)
def test_package_references_survive_their_text(reference):
    assert parse(str(reference)) == reference


@pytest.mark.skipif(os.name == "nt", reason="paths are written the POSIX way here")
@given(st.lists(segment, min_size=1, max_size=4), st.booleans(), variants)
def test_local_references_survive_their_text(parts, graph, variant):
    text = "/" + "/".join(parts) + ("/model.onnx" if graph else "") + (f":{variant}" if variant else "")
    assert parse(str(parse(text))) == parse(text)


@given(st.text() | st.text(alphabet="ab/:@.=~\\-hfpyi"))
def test_any_text_gives_a_reference_or_a_clear_error(text):
    with contextlib.suppress(InvalidReference, UnknownVariant):
        reference = parse(text)
        assert parse(str(reference)).scheme == reference.scheme
    is_path(text)
