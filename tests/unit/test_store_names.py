"""Names, digests, copies and removals in a real store on disk."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stored_models import put, variant

from gpux.errors import AmbiguousName, ArtifactNotFound, CorruptArtifact, GpuxError, InvalidReference
from gpux.registry.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


def state(store):
    return sorted(entry.name for entry in store.entries()), store.digests()


def test_a_store_that_is_not_there_is_empty_and_stays_so(store):
    assert store.entries() == store.broken() == store.digests() == store.strays() == []
    assert store.plan_prune().size == 0
    assert store.size_of("sources") == 0
    with pytest.raises(ArtifactNotFound):
        store.get("x")
    assert not store.root.exists()


def test_a_model_is_found_by_reference_short_name_and_digest(store):
    artifact = put(store, "org/Some-Model.v2@main")
    for text in ("org/Some-Model.v2@main", "hf:org/Some-Model.v2@main", "Some-Model.v2", artifact.digest, artifact.digest[:12],
                 "org/Some-Model.v2@main:fp32"):  # fmt: skip
        assert store.get(text) == artifact
    for text in ("org/Some-Model.v2", "some-model.v2", artifact.digest[:11], artifact.digest.upper(), "x" * 64, "", " ", "..",
                 "../../etc", "a\0b", "\udcff", "org/x:y", "\u202e", "x" * 100_000):  # fmt: skip
        with pytest.raises(ArtifactNotFound) as caught:
            store.get(text)
        assert caught.value.hint


def test_a_misspelt_name_is_answered_with_the_closest(store):
    put(store, "org/all-MiniLM-L6-v2")
    for text, close in (
        ("all-MiniLM-L6-v3", "all-MiniLM-L6-v2"),
        ("org/all-minilm-L6-v2", "org/all-MiniLM-L6-v2"),
    ):
        with pytest.raises(ArtifactNotFound) as caught:
            store.get(text)
        assert caught.value.hint == f"did you mean `{close}`"
    with pytest.raises(ArtifactNotFound) as caught:
        store.get("something-else")
    assert caught.value.hint == "gpux pull something-else, or gpux list for what is stored"


def test_a_short_name_that_fits_two_is_told_and_a_whole_one_is_not(store):
    first, second = put(store, "a/model"), put(store, "b/model")
    with pytest.raises(AmbiguousName, match="a/model, b/model") as caught:
        store.get("model")
    assert caught.value.hint == "write one of them whole, such as a/model"
    assert (store.get("a/model"), store.get("b/model")) == (first, second)
    assert (store.handle(first), store.handle(second)) == ("a/model", "b/model")
    third = put(store, "model")
    assert store.get("model") == third
    store.remove(store.plan_removal(["a/model", "model"]))
    assert store.get("model") == second
    assert store.handle(second) == "model"


def test_named_is_exact(store):
    put(store, "a/model")
    assert store.named("model") is None
    assert store.named("a/model").name == "a/model"


@pytest.mark.parametrize(
    "reference",
    ["file:/tmp/a b/ünï cödé", "file:/tmp/emoji 🦆", "file:/tmp/new\u2028line", "file:/tmp/" + "x" * 250,
     "pypi:some-model==1.0", "org/model@refs/pr/1", "file:/tmp/$(rm -rf)", "file:/tmp/..hidden", "file:/tmp/a:b"],
)  # fmt: skip
def test_odd_names(store, reference):
    artifact = put(store, reference)
    assert store.entries()[0].name == reference
    assert store.read(artifact.digest).reference == reference
    assert store.named(reference).digest == artifact.digest
    (file,) = store.index.iterdir()
    assert file.name.isascii()
    store.remove(store.plan_removal([reference]))
    assert state(store) == ([], [])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_any_text_is_found_or_told(store, text):
    with pytest.raises(GpuxError) as caught:
        store.get(text)
    assert caught.value.hint
    assert store.named(text) is None


def test_cp_gives_a_name_and_copies_nothing(store):
    artifact = put(store, "org/model")
    entry = store.copy("model", "mine")
    assert (entry.name, entry.digest) == ("mine", artifact.digest)
    assert store.get("mine") == artifact
    assert len(store.digests()) == 1
    for bad in ("a/b", "../x", "x:fp16", "x@main", "file:/x", "", "a b", "x.git", "-"):
        with pytest.raises(GpuxError) as caught:
            store.copy("model", bad)
        assert isinstance(caught.value, InvalidReference), bad
    with pytest.raises(ArtifactNotFound):
        store.copy("unknown", "x")


def test_cp_over_a_name_moves_it(store):
    put(store, "a/one")
    second = put(store, "a/two")
    store.copy("one", "mine")
    store.copy("two", "mine")
    assert store.get("mine") == second
    assert len(store.entries()) == 3


def test_rm_keeps_an_artifact_that_has_another_name(store):
    artifact = put(store, "org/model")
    store.copy("model", "mine")
    plan = store.plan_removal(["org/model"])
    assert (plan.digests, plan.size) == ((), 0)
    store.remove(plan)
    assert store.get("mine") == artifact
    plan = store.plan_removal(["mine"])
    assert plan.digests == (artifact.digest,)
    assert plan.size == sum(p.stat().st_size for p in artifact.directory.rglob("*") if p.is_file())
    store.remove(plan)
    assert state(store) == ([], [])
    assert list(store.temporary.iterdir()) == []


def test_a_plan_says_what_the_removal_does_and_does_nothing_itself(store):
    put(store, "a/one")
    two = put(store, "a/two")
    before = state(store)
    plan = store.plan_removal(["one", "a/one", "two"])
    assert state(store) == before
    assert sorted(entry.name for entry in plan.entries) == ["a/one", "a/two"]
    store.remove(plan)
    assert state(store) == ([], [])
    store.remove(plan)  # a second time is no error
    assert not two.directory.exists()
    with pytest.raises(ArtifactNotFound):
        store.plan_removal(["one"])


def test_what_is_written_anew_after_the_plan_stays(store):
    put(store, "org/model", content=b"old")
    plan, prune = store.plan_removal(["model"]), store.plan_prune(older_than=-1)
    new = put(store, "org/model", content=b"old")
    for removal in (plan, prune):
        store.remove(removal)
        assert store.get("model") == new
    assert store.verify(new.digest) == []


def test_prune_takes_what_no_name_points_at(store):
    old = put(store, "org/model", content=b"old")
    new = put(store, "org/model", content=b"new")
    assert set(store.digests()) == {old.digest, new.digest}
    assert store.plan_prune().digests == (old.digest,)
    store.remove(store.plan_prune())
    assert store.digests() == [new.digest]
    assert store.plan_prune() == type(store.plan_prune())((), (), (), 0)


def test_prune_older_than(store):
    put(store, "a/one")
    two = put(store, "a/two")
    path = next(p for p in store.index.iterdir() if b"a/one" in p.read_bytes())
    path.write_text(json.dumps({**json.loads(path.read_text()), "created": 1000.0}))
    assert [entry.name for entry in store.entries()] == ["a/one", "a/two"]
    now = store.named("a/two").created
    assert store.plan_prune(older_than=now - 999, now=now).entries == ()
    plan = store.plan_prune(older_than=3600, now=now)
    assert [entry.name for entry in plan.entries] == ["a/one"]
    assert len(plan.digests) == 1
    store.remove(plan)
    assert state(store) == (["a/two"], [two.digest])


def test_prune_takes_leftovers_of_the_dead_and_leaves_those_of_the_living(store):
    artifact = put(store, "org/model")
    dead = store.temporary / ("d" * 32)
    dead.mkdir()
    (dead / "half").write_bytes(b"xyz")
    (store.temporary / f"{'e' * 32}.owner.lock").touch()
    (store.index / ".abc.json.123").write_bytes(b"{")
    artifact.path("stamp.json.99999").write_bytes(b"{")
    with store.workspace() as living:
        plan = store.plan_prune()
        assert len(plan.leftovers) == 4
        assert plan.size >= 5
        store.remove(plan)
        assert living.exists()
        assert not dead.exists()
    assert list(store.temporary.iterdir()) == []
    assert store.strays() == []
    assert store.get("model") == artifact


def test_the_same_bytes_are_stored_once_and_damaged_ones_replaced(store):
    first = put(store, "org/model")
    inode = os.stat(first.path("fp32/model.onnx")).st_ino  # noqa: PTH116
    again = put(store, "org/model")
    assert again == first
    assert first.path("fp32/model.onnx").stat().st_ino == inode
    first.path("fp32/model.onnx").write_bytes(b"grapH")
    assert store.verify(first.digest)
    assert put(store, "org/model") == first
    assert store.verify(first.digest) == []


def test_an_artifact_with_several_variants(store):
    artifact = put(store, "org/model", variant("fp32"), variant("int8", "lossy"))
    assert artifact.variant().name == "fp32"
    assert artifact.variant("int8").certificate.quality == "lossy"
    with pytest.raises(GpuxError, match="stored as fp32, int8, not as `q4`") as caught:
        artifact.variant("q4")
    assert caught.value.hint == "gpux pull org/model --variant q4"


def test_a_commit_into_a_store_that_vanishes_leaves_nothing(store, tmp_path):
    artifact = put(store, "org/model")
    artifact.path("manifest.json").unlink()
    with pytest.raises(CorruptArtifact, match="no readable manifest"):
        store.get("model")
    assert put(store, "org/model") == artifact
