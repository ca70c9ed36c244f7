"""Directories and graphs on this machine: found, hashed, chosen from, and refused when they are not what they seem."""

from __future__ import annotations

import hashlib
import json
import os
import socket

import numpy as np
import onnx
import pytest
from safetensors.numpy import save

from gpux import sources
from gpux.errors import AccessDenied, ModelNotFound, SourceError, UnsafePath, UnsafeWeights
from gpux.reference import parse
from gpux.sources import Wants

WEIGHTS = save({"w": np.ones(4, dtype=np.float32)})


def graph(location: str | None = None) -> bytes:
    tensor = onnx.numpy_helper.from_array(np.ones(4, dtype=np.float32), "w")
    if location is not None:
        tensor = onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=location)
    spec = [onnx.helper.make_tensor_value_info(name, 1, [4]) for name in ("x", "y")]
    made = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", "w"], ["y"])], "g", spec[:1], spec[1:], [tensor]
    )
    return onnx.helper.make_model(made).SerializeToString()


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "README.md").write_text("---\nlicense: mit\npipeline_tag: fill-mask\n---\n")
    return folder


def pull(path, wants=None):
    return sources.fetch(sources.look(parse(str(path))), wants=wants or Wants(weights=True))


def test_a_directory(model):
    (model / "pytorch_model.bin").write_bytes(b"p")
    (model / "checkpoint-1").mkdir()
    (model / "checkpoint-1" / "model.safetensors").write_bytes(WEIGHTS)
    (model / ".git").mkdir()
    (model / ".git" / "config.json").write_text("{}")
    snapshot = pull(model)
    assert snapshot.directory == model
    assert [file.path for file in snapshot.files] == ["README.md", "config.json", "model.safetensors"]
    assert snapshot.find("model.safetensors").sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (snapshot.license, snapshot.pipeline_tag, snapshot.shared) == ("mit", "fill-mask", False)


def test_the_identity_is_that_of_the_content(model):
    first = pull(model).resolved
    assert first.startswith("sha256:")
    assert pull(model).resolved == first
    (model / "notes.csv").write_text("training left this here")
    assert pull(model).resolved == first
    (model / "config.json").write_text('{"changed": 1}')
    assert pull(model).resolved != first


def test_a_graph_with_its_data_and_its_tokenizer(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").write_bytes(b"\0" * 16)
    (tmp_path / "data" / "private.bin").write_bytes(b"\0" * 16)
    (tmp_path / "model.onnx").write_bytes(graph("data/w.bin"))
    (tmp_path / "other.onnx").write_bytes(graph())
    listing = sources.look(parse(f"{tmp_path}/model.onnx"))
    assert listing.graph == "model.onnx"
    snapshot = sources.fetch(listing, wants=Wants(graphs=(listing.graph,)))
    assert [file.path for file in snapshot.files] == ["data/w.bin", "model.onnx", "tokenizer.json"]
    for file in snapshot.files:
        assert (snapshot.directory / file.path).stat().st_size == file.size


def test_a_graph_whose_data_folder_is_a_link(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(b"\0" * 16)
    (folder / "data").symlink_to(tmp_path)
    (folder / "model.onnx").write_bytes(graph("data/w.bin"))
    with pytest.raises(UnsafePath, match="leaves its directory"):
        sources.look(parse(f"{folder}/model.onnx"))


def test_what_lies_beside_a_graph_is_not_looked_at(tmp_path):
    (tmp_path / "model.onnx").write_bytes(graph())
    (tmp_path / "link.csv").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    assert pull(f"{tmp_path}/model.onnx", Wants(graphs=("model.onnx",))).has(".onnx")


@pytest.mark.parametrize("location", ["../secret", "/etc/passwd", "..\\secret"])
def test_a_graph_whose_data_lies_elsewhere(tmp_path, location):
    (tmp_path / "secret").write_bytes(b"\0" * 16)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(graph(location))
    with pytest.raises(UnsafePath):
        sources.look(parse(f"{folder}/model.onnx"))
    with pytest.raises(UnsafePath):
        pull(folder, Wants(graphs=None))


def test_a_graph_whose_data_is_missing(tmp_path):
    (tmp_path / "model.onnx").write_bytes(graph("w.bin"))
    with pytest.raises(ModelNotFound, match=r"lacks `w\.bin`, where `model\.onnx` keeps its weights"):
        pull(tmp_path, Wants(graphs=None))


def test_a_file_that_is_no_graph(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(SourceError, match="is no ONNX model"):
        sources.look(parse(f"{tmp_path}/model.onnx"))


def test_links(model, tmp_path):
    (model / "vocab.txt").symlink_to("config.json")
    assert "vocab.txt" in {file.path for file in pull(model).files}
    (tmp_path / "secret.json").write_text("{}")
    (model / "leak.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(UnsafePath, match=r"`leak\.json` .* leaves its directory"):
        pull(model)
    (model / "leak.json").unlink()
    (model / "gone.json").symlink_to("nowhere")
    with pytest.raises(UnsafePath, match="leads nowhere"):
        pull(model)
    (model / "gone.json").unlink()
    (model / "loop.json").symlink_to("loop.json")
    with pytest.raises(UnsafePath, match="leads nowhere"):
        pull(model)


def test_linked_folders_are_refused(model, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (model / "folder").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePath, match="leaves its directory"):
        pull(model)
    (model / "folder").unlink()
    (model / "folder").symlink_to(model)
    with pytest.raises(UnsafePath, match="is a link to a folder"):
        pull(model)


def test_the_layout_of_the_hubs_cache_is_no_escape(tmp_path):
    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "models--org--name"
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    for name, content in (("config.json", b"{}"), ("model.safetensors", WEIGHTS)):
        (repo / "blobs" / name[:5]).write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{name[:5]}")
    assert len(pull(snapshot).files) == 2
    (repo / "blobs" / "evil").symlink_to("/etc/passwd")
    (snapshot / "evil.txt").symlink_to("../../blobs/evil")
    with pytest.raises(UnsafePath):
        pull(snapshot)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_sockets(model, tmp_path, monkeypatch):
    os.mkfifo(model / "pipe.json")
    with pytest.raises(UnsafePath, match="no plain file"):
        pull(model)
    (model / "pipe.json").unlink()
    monkeypatch.chdir(model)  # a socket's address has to be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.json")
        with pytest.raises(UnsafePath, match="no plain file"):
            pull(model)


def test_what_does_not_exist(model, tmp_path):
    with pytest.raises(ModelNotFound, match="does not exist") as caught:
        pull(tmp_path / "modle")
    assert str(model) in caught.value.hint
    with pytest.raises(ModelNotFound, match="does not exist"):
        pull(tmp_path / "a" / "b" / "model.onnx")
    with pytest.raises(ModelNotFound, match="neither a directory nor"):
        pull(model / "config.json")


def test_what_is_no_model(tmp_path):
    with pytest.raises(ModelNotFound, match="no model"):
        pull(tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "config.json").write_text("{}")
    with pytest.raises(ModelNotFound) as caught:
        pull(tmp_path)
    assert str(tmp_path / "inner") in caught.value.hint
    with pytest.raises(ModelNotFound, match="no weights"):
        pull(tmp_path / "inner")
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    with pytest.raises(ModelNotFound, match=r"weights but no config\.json"):
        pull(tmp_path)


def test_only_pickled_weights(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"p")
    with pytest.raises(UnsafeWeights):
        pull(tmp_path)
    assert len(pull(tmp_path, Wants(weights=True, pickle=True)).files) == 2


@pytest.mark.parametrize(
    "config",
    [
        {"transformers_weights": "w.safetensors.index.json"},
        {"transformers_weights": "weights.txt"},
        {"text_config": [{"transformers_weights": "weights.txt"}]},
    ],
)
@pytest.mark.parametrize("name", ["config.json", "config.4.0.0.json"])
def test_a_configuration_that_leads_to_other_weights(model, config, name):
    (model / name).write_text(json.dumps(config))
    (model / "weights.txt").write_bytes(b"a pickle")
    with pytest.raises(UnsafeWeights, match=f"`{name}` of .* leads to the weights") as caught:
        pull(model)
    assert "--allow-pickle" in caught.value.hint
    assert pull(model, Wants(weights=True, pickle=True)).has("weights.txt")
    assert pull(model, Wants()).files  # a ready graph is never read by transformers


@pytest.mark.parametrize("target", ["weights.txt", "pytorch_model.bin", "w.SAFETENSORS", 5])
@pytest.mark.parametrize("name", ["w.safetensors.index.json", "model.safetensors.index.json"])
def test_an_index_that_names_other_weights(model, name, target):
    (model / name).write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": target}}))
    with pytest.raises(UnsafeWeights, match="leads to the weights"):
        pull(model)
    (model / "model.safetensors").rename(model / "other.safetensors")
    with pytest.raises(UnsafeWeights, match="leads to the weights"):
        pull(model)


def test_a_configuration_that_nobody_can_read(model):
    (model / "config.json").write_text("[" * 5000)
    with pytest.raises(SourceError, match="is no JSON"):
        pull(model)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read everything")
def test_unreadable_files(model):
    (model / "model.safetensors").chmod(0)
    with pytest.raises(AccessDenied, match="cannot be read"):
        pull(model)


def test_modules_that_leave_the_directory(model):
    (model / "modules.json").write_text(
        json.dumps([{"path": "../elsewhere", "type": "sentence_transformers.models.Dense"}])
    )
    with pytest.raises(UnsafePath):
        pull(model)


@pytest.mark.parametrize("content", ["[", "{}", "[1, null]", '[{"path": 3}]', '[{"type": null}]', "[" * 5000])
def test_broken_small_files_do_no_harm(model, content):
    (model / "modules.json").write_text(content)
    assert pull(model).files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\nlicense: mit\n---", "mit"),
        ("\ufeff---\r\nlicense: 'apache-2.0'  \r\n---\r\n", "apache-2.0"),
        ("---\nlicense:\n- mit\n- other\n---", "mit"),
        ("---\nlicense: mit # really\n---", "mit"),
        ("---\nlicense: [mit, bsd]\n---", "mit"),
        ("---\nnested:\n  license: gpl\n---", None),
        ("---\nlicense: mit\nnever closed", None),
        ("# No front matter\nlicense: mit", None),
        ("", None),
    ],
)
def test_model_cards(model, text, expected):
    (model / "README.md").write_text(text, encoding="utf-8")
    assert pull(model).license == expected
