"""A vocabulary without a ``tokenizer.json`` is converted at pull, and gives the ids that transformers gives with it."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import models
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from references import corpus

import gpux
from gpux.artifact import Artifact, File, Manifest, Source
from gpux.errors import ExporterMissing
from gpux.text.tokens import Tokenizer

LIMIT = 64
NAMES = (
    "bert", "bert-cased", "electra", "mpnet", "roberta", "longformer", "xlm-roberta", "camembert", "albert", "deberta-v2",
)  # fmt: skip


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("vocabularies") / "made"
    models.run("slow_tokenizers.py", directory)
    return directory


@pytest.fixture(scope="module")
def ids(vocabularies):
    return json.loads((vocabularies / "ids.json").read_text(encoding="utf-8"))


def stored(folder: Path) -> Artifact:
    """What a pull keeps of the repository, and the tokenizer that the exporter made of it."""
    shutil.copyfile(folder / "made/tokenizer.json", folder / "tokenizer.json")
    files = tuple(
        File(path.name, path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
        if path.is_file()
    )
    source = Source(f"file:{folder}", "sha256:0", None, None, None)
    return Artifact(folder, "0" * 64, Manifest(1, "0", source, "fill-mask", None, None, (), (), files))


@pytest.mark.parametrize("name", NAMES)
def test_the_ids_are_those_of_transformers(vocabularies, ids, name, tmp_path):
    shutil.copytree(vocabularies / name, tmp_path / name)
    tokenizer = Tokenizer(stored(tmp_path / name), max_length=LIMIT)
    pairs = [(pair["text"], pair["text_pair"] or "a") for pair in corpus.pairs()]
    found = [encoding.ids for encoding in tokenizer([*corpus.texts(), *pairs])]
    assert len(ids[name]) == len(found) > 300
    wrong = [i for i, (mine, theirs) in enumerate(zip(found, ids[name], strict=True)) if mine != theirs]
    assert not wrong
    assert max(map(len, found)) == LIMIT


def test_the_vocabularies_differ(ids):
    """Otherwise equal ids would prove nothing."""
    assert len({json.dumps(ids[name]) for name in NAMES}) >= len(NAMES) - 1


@pytest.fixture
def repository(vocabularies, tmp_path) -> Path:
    """A graph without weights beside it, and RoBERTa's vocabulary in two files."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in ("config.json", "vocab.json", "merges.txt"):
        shutil.copyfile(vocabularies / "roberta" / name, folder / name)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["RobertaModel"], "vocab_size": 600, "pad_token_id": 1}
    (folder / "config.json").write_text(json.dumps(config))
    table = np.random.default_rng(0).standard_normal((600, 8)).astype(np.float32)
    ids = helper.make_tensor_value_info("input_ids", onnx.TensorProto.INT64, ["batch", "sequence"])
    out = helper.make_tensor_value_info("last_hidden_state", onnx.TensorProto.FLOAT, ["batch", "sequence", 8])
    look = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    graph = helper.make_graph([look], "g", [ids], [out], [numpy_helper.from_array(table, "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    return folder


def test_a_repository_with_a_graph_and_a_vocabulary_runs(repository, ids, empty_store):
    artifact = gpux.pull(str(repository), task="feature-extraction")
    assert any(file.path == "tokenizer.json" for file in artifact.manifest.files)
    with gpux.load(artifact) as model:
        answer = model(corpus.texts()[60], return_tensors=True)
    assert answer.shape == (1, len(ids["roberta"][60]), 8)


def test_without_a_toolchain_it_is_said_what_is_missing(repository, empty_store, monkeypatch):
    monkeypatch.setenv("GPUX_EXPORTER_PYTHON", str(Path(sys.executable).resolve()))  # has no packages
    with pytest.raises(ExporterMissing, match="and its vocabulary") as caught:
        gpux.pull(str(repository), task="feature-extraction")
    assert "`merges.txt`, `vocab.json`" in caught.value.message
    assert "lacks `" in caught.value.message
    assert caught.value.hint == "gpux exporter install transformers"
    assert gpux.Store().entries() == []
