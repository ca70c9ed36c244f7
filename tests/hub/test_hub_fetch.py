"""The real huggingface_hub client against a Hub on loopback: what is asked for, what is fetched, what is kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download, try_to_load_from_cache
from server import TOKEN

from gpux import sources
from gpux.errors import (
    AccessDenied,
    ModelNotFound,
    NetworkFailed,
    OfflineMiss,
    RemoteCodeRefused,
    RevisionNotFound,
    UnsafePath,
    UnsafeWeights,
)
from gpux.reference import parse
from gpux.sources import Wants

WEIGHTS = bytes(range(256)) * 400
FILES = {
    "README.md": b"---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n# A model\n",
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b'{"version": "1.0"}' + b" " * 5000,
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"p" * 9000,
    "tf_model.h5": b"t" * 9000,
    "flax_model.msgpack": b"f" * 9000,
    "trainer_state.json": b"{}",
    "training_args.bin": b"z",
    "runs/events.out.tfevents": b"e",
    "onnx/model.onnx": b"o" * 9000,
    "openvino/openvino_model.xml": b"<x/>",
    "coreml/model.json": b"{}",
}
NEEDED = {"README.md", "config.json", "tokenizer.json", "vocab.txt", "model.safetensors"}
WEIGHTS_ONLY = Wants(weights=True)


def pull(text: str, wants: Wants = WEIGHTS_ONLY, **options):
    listing = sources.look(parse(text), **options)
    return sources.fetch(listing, wants=wants, token=options.get("token"))


def paths(snapshot) -> set[str]:
    return {file.path for file in snapshot.files}


def test_only_what_is_needed_is_downloaded_and_each_once(hub):
    commit = hub.add_repo("org/name", FILES, pipeline_tag="fill-mask", card={"license": "apache-2.0"})
    snapshot = pull("org/name")
    assert paths(snapshot) == NEEDED
    assert snapshot.resolved == commit
    assert snapshot.shared
    assert (snapshot.license, snapshot.pipeline_tag) == ("apache-2.0", "fill-mask")
    for file in snapshot.files:
        content = (snapshot.directory / file.path).read_bytes()
        assert content == FILES[file.path]
        assert (file.size, file.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    fetched = [r.path for r in hub.requests if r.status == 200 and "/api/" not in r.path]
    assert len(fetched) == len(set(fetched)) == len(NEEDED)


def test_a_second_fetch_asks_for_the_commit_and_nothing_else(hub):
    hub.add_repo("org/name", FILES)
    first = pull("org/name")
    hub.forget()
    assert pull("org/name") == first
    assert [r.path for r in hub.requests] == ["/api/models/org/name"]


def test_the_listing_downloads_nothing(hub, tmp_path):
    hub.add_repo("org/name", FILES, gated=True)
    listing = sources.look(parse("org/name"))
    assert listing.gated
    assert listing.graphs == ("onnx/model.onnx",)
    assert listing.safetensors == ("model.safetensors",)
    assert {file.path: file.size for file in listing.files} == {
        path: len(data) for path, data in FILES.items()
    }
    assert not (tmp_path / "hf").exists()
    assert not (tmp_path / "gpux").exists()


def test_the_cache_is_the_one_that_the_hubs_client_uses(hub, tmp_path):
    commit = hub.add_repo("org/name", FILES)
    snapshot = pull("org/name")
    cache = tmp_path / "hf" / "hub"
    found = try_to_load_from_cache("org/name", "model.safetensors", cache_dir=cache)
    assert Path(found) == snapshot.directory / "model.safetensors"
    hub.forget()
    theirs = snapshot_download(
        "org/name",
        cache_dir=cache,
        endpoint=hub.url,
        revision=commit,
        allow_patterns=sorted(NEEDED),
        token=False,
    )
    assert Path(theirs) == snapshot.directory
    assert not [r for r in hub.requests if r.method == "GET" and ("/resolve/" in r.path or "/lfs/" in r.path)]


def test_what_the_hubs_client_downloaded_is_not_fetched_again_and_serves_offline(hub, tmp_path):
    hub.add_repo("org/name", FILES)
    snapshot_download("org/name", cache_dir=tmp_path / "hf" / "hub", endpoint=hub.url, token=False)
    hub.forget()
    snapshot = pull("org/name", offline=True)
    assert not hub.requests
    assert paths(snapshot) == NEEDED
    assert (snapshot.license, snapshot.library) == ("apache-2.0", "transformers")
    assert pull("org/name").files == snapshot.files
    assert not hub.downloads("model.safetensors")


def test_a_branch_is_resolved_once(hub):
    first = hub.add_repo("org/name", FILES, revisions={"dev": {**FILES, "config.json": b'{"dev": 1}'}})
    listing = sources.look(parse("org/name"))
    second = hub.add_repo("org/name", {**FILES, "config.json": b'{"moved": 1}'})
    assert first != second
    snapshot = sources.fetch(listing, wants=Wants())
    assert snapshot.resolved == first
    assert (snapshot.directory / "config.json").read_bytes() == FILES["config.json"]
    assert (pull("org/name@dev").directory / "config.json").read_bytes() == b'{"dev": 1}'
    assert pull(f"org/name@{first}").resolved == first
    assert pull("org/name").resolved == second
    assert pull("org/name", offline=True).resolved == second
    assert pull("org/name@dev", offline=True).resolved == hub.repos["org/name"].refs["dev"]


def test_sharded_weights_come_by_their_index(hub):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    files = {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-00001-of-00002.safetensors": b"1" * 5000,
        "model-00002-of-00002.safetensors": b"2" * 5000,
        "consolidated.safetensors": b"c" * 5000,
    }
    hub.add_repo("org/name", files)
    assert paths(pull("org/name")) == set(files) - {"consolidated.safetensors"}
    hub.add_repo("org/half", {k: v for k, v in files.items() if "00002-of" not in k})
    with pytest.raises(ModelNotFound, match="lacks `model-00002-of-00002"):
        pull("org/half")
    index["weight_map"]["a"] = "../../../etc/passwd.safetensors"
    hub.add_repo("org/evil", {**files, "model.safetensors.index.json": json.dumps(index).encode()})
    with pytest.raises(UnsafePath):
        pull("org/evil")


def test_sentence_transformers_modules_come_along(hub):
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "head", "type": "sentence_transformers.models.Dense"},
    ]
    files = {
        "config.json": b"{}",
        "modules.json": json.dumps(modules).encode(),
        "model.safetensors": WEIGHTS,
        "1_Pooling/config.json": b"{}",
        "head/config.json": b"{}",
        "head/model.safetensors": b"d" * 100,
    }
    hub.add_repo("org/name", {**files, "elsewhere/config.json": b"{}"})
    assert paths(pull("org/name")) == set(files)
    pickled = {**files, "head/pytorch_model.bin": b"p"}
    del pickled["head/model.safetensors"]
    hub.add_repo("org/pickled", pickled)
    with pytest.raises(UnsafeWeights, match=r"head/pytorch_model\.bin"):
        pull("org/pickled")
    assert "head/pytorch_model.bin" in paths(pull("org/pickled", Wants(weights=True, pickle=True)))


def test_pickled_weights_are_refused_before_they_are_downloaded(hub):
    hub.add_repo("org/name", {"config.json": b"{}", "pytorch_model.bin": b"p" * 9000, "tf_model.h5": b"t"})
    with pytest.raises(UnsafeWeights) as caught:
        pull("org/name")
    assert "--allow-pickle" in caught.value.hint
    assert not hub.downloads("pytorch_model.bin")
    assert paths(pull("org/name", Wants(weights=True, pickle=True))) == {"config.json", "pytorch_model.bin"}
    hub.add_repo("org/flax", {"config.json": b"{}", "flax_model.msgpack": b"t"})
    with pytest.raises(ModelNotFound, match="only `flax_model"):
        pull("org/flax")


def test_pickled_weights_behind_a_configuration_are_refused_before_they_are_downloaded(hub):
    files = {
        "config.json": b'{"transformers_weights": "w.safetensors.index.json"}',
        "w.safetensors.index.json": b'{"weight_map": {"a": "weights.bin"}}',
        "model.safetensors": WEIGHTS,
        "weights.bin": b"a pickle",
    }
    hub.add_repo("org/name", files)
    with pytest.raises(UnsafeWeights, match="leads to the weights"):
        pull("org/name")
    hub.add_repo("org/index", {**files, "config.json": b"{}"})
    with pytest.raises(UnsafeWeights, match=r"leads to the weights `weights\.bin`"):
        pull("org/index")
    assert not hub.downloads("model.safetensors")
    assert not hub.downloads("weights.bin")


def test_code_from_the_repository_is_refused_before_the_weights_are_downloaded(hub):
    config = {"model_type": "own", "auto_map": {"AutoModel": "modeling_own.OwnModel"}}
    hub.add_repo(
        "org/name",
        {
            "config.json": json.dumps(config).encode(),
            "modeling_own.py": b"raise",
            "model.safetensors": WEIGHTS,
        },
    )
    with pytest.raises(RemoteCodeRefused, match=r"modeling_own\.OwnModel") as caught:
        pull("org/name")
    assert "--trust-remote-code" in caught.value.hint
    assert not hub.downloads("model.safetensors")
    assert not hub.downloads("modeling_own.py")
    assert paths(pull("org/name", Wants(weights=True, code=True))) == {
        "config.json",
        "modeling_own.py",
        "model.safetensors",
    }
    assert paths(pull("org/name", Wants(weights=True, native=frozenset({"own"})))) == {
        "config.json",
        "model.safetensors",
    }


def test_a_graph_comes_with_its_external_data(hub, graph_with_data):
    hub.add_repo(
        "org/name",
        {"config.json": b"{}", **graph_with_data("onnx/model.onnx", "weights.bin"), "onnx/other.onnx": b"x"},
    )
    snapshot = pull("org/name", Wants(graphs=("onnx/model.onnx",)))
    assert paths(snapshot) == {"config.json", "onnx/model.onnx", "onnx/weights.bin"}
    hub.add_repo("org/evil", {"config.json": b"{}", **graph_with_data("onnx/model.onnx", "../../secret")})
    with pytest.raises(UnsafePath, match="leaves its directory"):
        pull("org/evil", Wants(graphs=("onnx/model.onnx",)))


def test_a_file_that_is_named(hub):
    hub.add_repo("org/name", FILES)
    assert sources.look(parse("org/name/onnx/model.onnx")).graph == "onnx/model.onnx"
    with pytest.raises(ModelNotFound) as caught:
        sources.look(parse("org/name/onnx/modl.onnx"))
    assert "org/name/onnx/model.onnx" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["../evil.json", "/etc/evil.json", "a/../../evil.json", "C:/evil.json", "con.json", "a\\b.json", "x/NUL"],
)
def test_hostile_names_are_refused_before_anything_is_downloaded(hub, tmp_path, name):
    hub.add_repo("org/name", {**FILES, name: b"{}"})
    with pytest.raises(UnsafePath):
        pull("org/name")
    assert not [r for r in hub.requests if "/resolve/" in r.path]
    assert not list(tmp_path.rglob("evil*"))


def test_unknown_models_and_revisions(hub):
    hub.add_repo("org/name", FILES)
    with pytest.raises(ModelNotFound, match="no model `org/nam`") as caught:
        pull("org/nam")
    assert "hf auth login" in caught.value.hint
    with pytest.raises(RevisionNotFound, match="no revision `v9`"):
        pull("org/name@v9")


def test_private_and_gated(hub, monkeypatch, tmp_path):
    hub.add_repo("org/private", FILES, private=True)
    hub.add_repo("org/gated", FILES, gated=True)
    with pytest.raises(ModelNotFound, match="no model"):
        pull("org/private")
    with pytest.raises(AccessDenied, match="is gated") as caught:
        pull("org/gated")
    assert f"{hub.url}/org/gated" in caught.value.hint
    assert "hf auth login" in caught.value.hint
    with pytest.raises(AccessDenied, match="refused access") as caught:
        pull("org/private", token="hf_wrong")
    assert "wrong" in caught.value.hint
    assert paths(pull("org/private", token=TOKEN)) == NEEDED
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert paths(pull("org/gated")) == NEEDED
    monkeypatch.delenv("HF_TOKEN")
    (tmp_path / "token").write_text(TOKEN + "\n")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    assert pull("org/private").resolved


def test_the_token_goes_to_the_hub_and_nowhere_else(hub):
    hub.add_repo("org/private", FILES, private=True)
    pull("org/private", token=TOKEN)
    assert all(
        r.authorized == (not r.path.startswith("/lfs/")) for r in hub.requests if "harness" not in r.path
    )
    assert hub.downloads("model.safetensors")


def test_the_token_is_never_part_of_an_error(hub):
    hub.add_repo("org/private", FILES, private=True)
    with pytest.raises(AccessDenied) as caught:
        pull("org/private", token="hf_secret_value")
    assert "hf_secret_value" not in json.dumps(caught.value.as_dict())


def test_offline_without_a_copy(hub, monkeypatch):
    hub.add_repo("org/name", FILES)
    with pytest.raises(OfflineMiss) as caught:
        pull("org/name", offline=True)
    assert "gpux pull org/name" in caught.value.hint
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OfflineMiss):
        pull("org/name")
    assert not hub.requests


def test_offline_with_half_a_copy(hub):
    hub.add_repo("org/name", FILES)
    pull("org/name", Wants())
    with pytest.raises(OfflineMiss, match="only a part"):
        pull("org/name", offline=True)
    assert paths(pull("org/name")) == NEEDED
    assert paths(pull("org/name", offline=True)) == NEEDED


def test_an_altered_blob_in_the_cache_is_fetched_again(hub):
    hub.add_repo("org/name", FILES)
    snapshot = pull("org/name")
    blob = (snapshot.directory / "model.safetensors").resolve()
    blob.write_bytes(b"!" + WEIGHTS[1:])
    assert pull("org/name") == snapshot
    assert (snapshot.directory / "model.safetensors").read_bytes() == WEIGHTS
    assert len(hub.downloads("model.safetensors")) == 2


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_an_altered_small_file_in_the_cache_is_fetched_again(hub, name):
    """Files below the Hub's limit are known by git's blob id alone."""
    hub.add_repo("org/name", FILES)
    snapshot = pull("org/name")
    content = FILES[name]
    (snapshot.directory / name).resolve().write_bytes(b"[" + content[1:])
    assert pull("org/name") == snapshot
    assert (snapshot.directory / name).read_bytes() == content


def test_an_altered_blob_that_nothing_links_to_is_fetched_again(hub):
    hub.add_repo("org/name", FILES)
    snapshot = pull("org/name")
    pointer = snapshot.directory / "model.safetensors"
    pointer.resolve().write_bytes(b"!" + WEIGHTS[1:])
    pointer.unlink()
    assert pull("org/name") == snapshot
    assert pointer.read_bytes() == WEIGHTS


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("sizes", [True, False])
def test_a_link_out_of_the_cache_is_neither_followed_nor_is_its_target_touched(hub, tmp_path, same, sizes):
    hub.add_repo("org/name", FILES)
    hub.repos["org/name"].sizes = sizes
    snapshot = pull("org/name")
    secret = tmp_path / "secret"
    secret.write_bytes(WEIGHTS if same else b"!" + WEIGHTS[1:])
    before = secret.read_bytes()
    pointer = snapshot.directory / "model.safetensors"
    blob = pointer.resolve()
    pointer.unlink()
    pointer.symlink_to(secret)
    blob.unlink()
    blob.symlink_to(secret)
    blob.with_name(f"{blob.name}.gpux").symlink_to(secret)
    assert pull("org/name") == snapshot
    assert pointer.resolve() == blob
    assert not blob.is_symlink()
    assert pointer.read_bytes() == WEIGHTS
    assert secret.read_bytes() == before


def test_a_folder_of_a_snapshot_that_is_a_link_out_of_the_cache(hub, tmp_path):
    hub.add_repo("org/name", {**FILES, "1_Pooling/config.json": b"{}"})
    snapshot = pull("org/name")
    elsewhere = tmp_path / "elsewhere"
    (snapshot.directory / "1_Pooling").rename(elsewhere)
    (elsewhere / "config.json").unlink()
    (elsewhere / "config.json").write_bytes(b"[]")
    (snapshot.directory / "1_Pooling").symlink_to(elsewhere)
    assert pull("org/name") == snapshot
    assert (snapshot.directory / "1_Pooling" / "config.json").read_bytes() == b"{}"
    assert (elsewhere / "config.json").read_bytes() == b"[]"


def test_a_blob_may_be_a_link_into_the_store_that_repositories_share(hub, tmp_path):
    hub.add_repo("org/name", FILES)
    snapshot = pull("org/name")
    blob = (snapshot.directory / "model.safetensors").resolve()
    shared = tmp_path / "hf" / "hub" / "shared" / blob.name
    shared.parent.mkdir()
    blob.rename(shared)
    blob.symlink_to(shared)
    hub.forget()
    assert pull("org/name") == snapshot
    assert not hub.downloads("model.safetensors")
    shared.write_bytes(b"!" + WEIGHTS[1:])
    assert pull("org/name") == snapshot
    assert shared.read_bytes() == b"!" + WEIGHTS[1:]  # other repositories' too


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_offline_a_damaged_copy_is_told_and_the_next_pull_mends_it(hub, name):
    hub.add_repo("org/name", FILES)
    snapshot = pull("org/name")
    (snapshot.directory / name).resolve().write_bytes(b"[" + FILES[name][1:])
    with pytest.raises(OfflineMiss, match=f"the cached copy of `{name}` of `org/name` is damaged") as caught:
        pull("org/name", offline=True)
    assert caught.value.hint == "with a network: gpux pull org/name"
    assert pull("org/name") == snapshot
    assert pull("org/name", offline=True).files == snapshot.files


def test_a_name_that_is_a_folder_here(hub, tmp_path, monkeypatch):
    (tmp_path / "repos" / "tinyclf").mkdir(parents=True)
    (tmp_path / "repos" / "tinyclf" / "model.onnx").touch()
    monkeypatch.chdir(tmp_path)
    for text in ("repos/tinyclf", "repos/tinyclf/model.onnx", "repos/tinyclf:fp16"):
        with pytest.raises(ModelNotFound, match="no model `repos/tinyclf`") as caught:
            pull(text)
        assert caught.value.hint == f"did you mean ./{text}, which is here"
    with pytest.raises(OfflineMiss) as caught:
        pull("repos/tinyclf", offline=True)
    assert "./repos/tinyclf" in caught.value.hint
    hub.fail("/api/models/repos/tinyclf", status=429, headers={"Retry-After": "86400"})
    with pytest.raises(NetworkFailed, match="limiting") as caught:
        pull("repos/tinyclf")
    assert "./repos/tinyclf" in caught.value.hint
