"""A model's own files as anybody may write them: what is no setting is refused by name when the model is opened."""

from __future__ import annotations

import json

import pytest

from gpux.errors import UnsafePath
from gpux.reference import parse
from gpux.registry import assembly
from gpux.sources.snapshot import Snapshot, SourceFile


@pytest.fixture
def assembled(tmp_path):
    """The files that an artifact gets of a source's."""

    def make(modules, *paths):
        source, made = tmp_path / "source", tmp_path / "made"
        made.mkdir()
        for path in ("modules.json", *paths):
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(json.dumps(modules) if path == "modules.json" else "{}")
        files = tuple(SourceFile(path, 2, "") for path in ("modules.json", *paths))
        assembly.copy_small_files(Snapshot(parse("org/model"), source, "sha256:0", files), made)
        return {file.relative_to(made).as_posix() for file in made.rglob("*") if file.is_file()}

    return make


def test_the_files_of_every_module_are_kept_wherever_they_lie(assembled):
    modules = [{"path": "0_T"}, {"path": "pooling"}, {"path": "deep/dense/"}, {"path": ""}]
    kept = [
        "config.json",
        "0_T/sentence_bert_config.json",
        "pooling/config.json",
        "deep/dense/config.json",
        "deep/dense/model.safetensors",
    ]
    others = ["other/config.json", "9_Left/config.json", "pooling/pytorch_model.bin", "deep/config.json"]
    assert assembled(modules, *kept, *others) == {"modules.json", *kept}


@pytest.mark.parametrize("folder", ["fp32", "proof", "manifest.json", "stamp.json"])
def test_a_module_takes_no_folder_of_the_artifacts_own(assembled, folder):
    assert assembled([{"path": folder}], f"{folder}/config.json") == {"modules.json"}


@pytest.mark.parametrize("modules", [5, "x", ["a"], [{"path": 5}], {"path": "a"}, [{}]])
def test_a_list_of_modules_that_is_none_copies_nothing(assembled, modules):
    assert assembled(modules, "a/config.json") == {"modules.json"}


def test_a_module_outside_the_model_is_unsafe(assembled):
    with pytest.raises(UnsafePath):
        assembled([{"path": "../.."}])
