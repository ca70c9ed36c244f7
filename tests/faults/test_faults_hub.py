"""A small model from a Hub on loopback to its answers, and everything that can go wrong on the way to the store."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import small
from server import TOKEN, HubServer

import gpux
from gpux.errors import AccessDenied, GpuxError, ModelNotFound, OfflineMiss, UnsafePath

FILES = {
    **small.files(model=small.graph(), model_fp16=small.graph()),
    "README.md": b"---\nlicense: mit\n---\n",
}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with HubServer() as server:
        for name in list(os.environ):
            if name.startswith("HF_") or name.lower().endswith("_proxy"):
                monkeypatch.delenv(name)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("GPUX_NETWORK_TIMEOUT", "1")
        yield server


def empty() -> bool:
    store = gpux.Store()
    return store.digests() == store.entries() == [*store.temporary.glob("*")] == []


def test_a_pull_from_the_hub_and_a_second_without_it(hub, empty_store):
    commit = hub.add_repo("org/name", FILES, pipeline_tag="feature-extraction", card={"license": "mit"})
    artifact = gpux.pull("org/name")
    source = artifact.manifest.source
    assert (source.reference, source.resolved, source.license) == ("org/name", commit, "mit")
    with gpux.load("name") as model:
        ids = np.array([[2, 3, 4]])
        assert model.encode("w2 w3 w4") == pytest.approx(
            small.hidden(ids, np.ones_like(ids))[0].mean(0), abs=1e-6
        )
    hub.forget()
    assert gpux.pull("org/name") == artifact
    assert small.gpux("pull", "org/name", home=empty_store, check=True).stdout
    small.gpux("run", "org/name", "w2", home=empty_store, check=True)
    assert hub.requests == []


def test_a_second_pull_takes_no_time(hub, empty_store):
    hub.add_repo("org/name", FILES)
    gpux.pull("org/name")
    taken = []
    for _ in range(3):
        started = time.monotonic()
        small.gpux("pull", "org/name", home=empty_store, check=True)
        taken.append(time.monotonic() - started)
    assert min(taken) < 0.6


def test_the_graph_is_not_copied_where_it_can_be_linked(hub):
    hub.add_repo("org/name", {**FILES, "onnx/model.onnx": small.graph(table=np.tile(small.TABLE, (8, 1)))})
    artifact = gpux.pull("org/name")
    assert artifact.path("fp32/model.onnx").stat().st_nlink == 2


@pytest.mark.parametrize("way", ["cut", "stall"])
def test_a_connection_that_breaks_goes_on_where_it_stopped(hub, way):
    data = small.graph(table=np.tile(small.TABLE, (64, 1)))
    hub.add_repo("org/name", {**FILES, "onnx/model.onnx": data})
    hub.fail("onnx/model.onnx", **{way: 30_000})
    assert gpux.pull("org/name").certificate.quality == "exact"
    assert hub.downloads("onnx/model.onnx") == [None, "bytes=30000-"]


def test_a_pull_that_fails_stores_nothing_and_the_next_goes_on(hub):
    data = small.graph(table=np.tile(small.TABLE, (64, 1)))
    hub.add_repo("org/name", {**FILES, "onnx/model.onnx": data})
    hub.fail("onnx/model.onnx", cut=30_000)
    hub.fail("onnx/model.onnx", status=403, times=50)
    with pytest.raises(gpux.errors.SourceError) as caught:
        gpux.pull("org/name")
    assert caught.value.hint
    assert empty()
    hub.faults.clear()
    hub.forget()
    gpux.pull("org/name")
    assert hub.downloads("onnx/model.onnx") == ["bytes=30000-"]


def test_private_gated_and_unknown(hub, empty_store):
    hub.add_repo("org/gated", FILES, gated=True)
    hub.add_repo("org/private", FILES, private=True)
    for name, says, hint in (
        ("org/gated", "is gated", "hf auth login"),
        ("org/private", "no model `org/private`", "hf auth login"),
        ("org/unknown", "no model `org/unknown`", "hf auth login"),
        ("org/gated@v9", "v9", ""),
    ):
        told = small.gpux("pull", name, home=empty_store, HF_HUB_DISABLE_IMPLICIT_TOKEN="1")
        assert told.returncode == 1
        assert says in told.stderr
        assert hint in told.stderr.partition("hint: ")[2]
    with pytest.raises(AccessDenied):
        gpux.pull("org/private", token="hf_wrong")
    assert empty()
    artifact = gpux.pull("org/gated", token=TOKEN)
    assert TOKEN not in artifact.path("manifest.json").read_text()
    assert not [
        path for path in empty_store.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize(
    "name", ["../evil.json", "/tmp/evil.json", "a/../../evil.json", "con.json", "a\\evil.json"]
)
def test_hostile_file_names(hub, tmp_path, name):
    hub.add_repo("org/name", {**FILES, name: b"{}"})
    with pytest.raises(UnsafePath):
        gpux.pull("org/name")
    assert empty()
    assert not list(tmp_path.rglob("evil*"))
    assert not Path("/tmp/evil.json").exists()


@pytest.mark.parametrize("location", ["../../../secret.bin", "/etc/hostname", "aux"])
def test_hostile_external_data(hub, location):
    hub.add_repo("org/name", {**FILES, "onnx/model.onnx": small.graph(location=location)})
    with pytest.raises(UnsafePath):
        gpux.pull("org/name")
    assert empty()


@pytest.mark.parametrize(
    "config",
    [b"", b"[]", b"\xff", b"[" * 100_000, b'{"architectures": 5}', b'{"architectures": [[]], "vocab_size": "x"}',
     b'{"architectures": ["BertModel"], "vocab_size": -1, "pad_token_id": [1], "max_position_embeddings": 1e999}'],
)  # fmt: skip
def test_a_config_that_is_none(hub, config):
    hub.add_repo("org/name", {**FILES, "config.json": config})
    try:
        gpux.pull("org/name", task="feature-extraction")
    except GpuxError as error:
        assert error.hint  # noqa: PT017 - either outcome is right, a traceback is not
        assert empty()


@pytest.mark.parametrize(
    ("file", "content"),
    [("tokenizer.json", b"{}"), ("tokenizer.json", b"[" * 100_000), ("tokenizer_config.json", b"[" * 100_000),
     ("tokenizer_config.json", b"\xff"), ("modules.json", b"[" * 100_000), ("special_tokens_map.json", b'"x"')],
)  # fmt: skip
def test_a_broken_small_file_is_told_when_the_model_is_opened(hub, file, content):
    hub.add_repo("org/name", {**FILES, file: content})
    with pytest.raises(GpuxError) as caught:
        gpux.load("org/name")
    assert caught.value.hint


@pytest.mark.parametrize("bad", [b"nonsense", small.graph()[:300], small.graph(location="missing.bin")])
def test_a_first_bad_graph_gives_way_to_a_good_one(hub, bad):
    files = {**FILES, "onnx/model.onnx": bad, "model.onnx": small.graph()}
    hub.add_repo("org/name", files)
    assert gpux.pull("org/name").certificate.quality == "exact"


def test_variants_stay_when_another_is_pulled(hub):
    hub.add_repo("org/name", FILES)
    gpux.pull("org/name")
    both = gpux.pull("org/name", variants=["fp16"])
    assert [variant.name for variant in both.manifest.variants] == ["fp32", "fp16"]
    hub.forget()
    assert gpux.pull("org/name") == gpux.pull("org/name:fp16") == both
    assert hub.requests == []
    hub.add_repo("org/name", {**FILES, "README.md": b"# moved\n"})
    moved = gpux.pull("org/name", force=True)
    assert [variant.name for variant in moved.manifest.variants] == ["fp32"]
    assert len(gpux.Store().digests()) == 3
    store = gpux.Store()
    store.remove(store.plan_prune())
    assert store.digests() == [moved.digest]


def test_offline(hub, empty_store):
    hub.add_repo("org/name", FILES)
    with pytest.raises(OfflineMiss):
        gpux.pull("org/name", offline=True)
    assert hub.requests == []
    gpux.pull("org/name")
    store = gpux.Store()
    store.remove(store.plan_removal(["name"]))
    hub.forget()
    assert gpux.pull("org/name", offline=True).certificate.quality == "exact"  # from the Hub's own cache
    assert hub.requests == []


def test_damage_to_a_linked_graph_is_mended_by_fetching_it_anew(hub):
    hub.add_repo("org/name", {**FILES, "onnx/model.onnx": small.graph(table=np.tile(small.TABLE, (8, 1)))})
    artifact = gpux.pull("org/name")
    graph = artifact.path("fp32/model.onnx")
    with graph.open("r+b") as stream:  # the same bytes lie in the Hub's cache
        stream.seek(1000)
        stream.write(b"!!!!")
    with pytest.raises(gpux.errors.CorruptArtifact):
        gpux.load("org/name")
    assert gpux.pull("org/name") == artifact
    assert gpux.Store().verify(artifact.digest) == []


def test_a_bare_hub_name_is_not_taken_for_a_stored_short_name(hub):
    hub.add_repo("org/name", FILES)
    hub.add_repo("name", {**FILES, "README.md": b"# another\n"})
    first = gpux.pull("org/name")
    assert gpux.load("name").artifact == first  # to run, a short name means what is stored
    assert (
        gpux.pull("name").reference == "name"
    )  # to pull, a name is a source: somebody else's model may not answer for it
    assert gpux.pull("hf:name").reference == "name"
    assert gpux.pull("name", force=True).reference == "name"
    assert gpux.Store().get("org/name") == first


def test_an_unknown_revision_and_a_file_that_is_missing(hub):
    hub.add_repo("org/name", FILES)
    for text, kind in (
        ("org/name@v9", gpux.errors.RevisionNotFound),
        ("org/name/onnx/modl.onnx", ModelNotFound),
    ):
        with pytest.raises(kind) as caught:
            gpux.pull(text)
        assert caught.value.hint
    assert gpux.pull("org/name/onnx/model_fp16.onnx").manifest.variants[0].name == "fp16"


def test_the_record_of_a_failed_pull(hub, empty_store):
    hub.add_repo("org/name", {**FILES, "onnx/model.onnx": b"nonsense"})
    told = small.gpux("pull", "org/name", "--json", home=empty_store)
    assert told.returncode == 1
    record = json.loads(told.stderr[told.stderr.index("{") :] if "{" in told.stderr else told.stdout)
    assert "hint" in json.dumps(record)
