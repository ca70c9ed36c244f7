"""Stamps: what is hashed, what is trusted, and that a change is never stamped as right."""

from __future__ import annotations

import contextlib
import json
import os
import threading

import pytest
from stored_models import put, variant

from gpux import integrity
from gpux.artifact import Artifact, Manifest, read, verify
from gpux.errors import CorruptArtifact
from gpux.registry.store import Store


@pytest.fixture
def artifact(tmp_path) -> Artifact:
    return put(Store(tmp_path), "org/model", variant("fp32"), variant("fp16"))


def marks(artifact):
    return json.loads(artifact.path(integrity.STAMP).read_bytes())


def test_a_stamp_holds_size_times_and_inode_of_every_file(artifact):
    for path, mark in marks(artifact).items():
        status = os.stat(artifact.path(path))  # noqa: PTH116
        assert mark == [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
    assert set(marks(artifact)) == {file.path for file in artifact.manifest.files}


def test_a_stamp_that_fits_is_trusted_and_nothing_is_read(artifact):
    path = artifact.path("fp32/model.onnx")
    path.write_bytes(b"grapH")
    status = path.stat()
    forged = {
        **marks(artifact),
        "fp32/model.onnx": [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino],
    }
    artifact.path(integrity.STAMP).write_text(json.dumps(forged))
    integrity.check(artifact)  # the price of not hashing: whoever can write stamps could write manifests too
    assert list(verify(artifact))


def test_only_the_asked_files_are_checked(artifact):
    artifact.path("fp16/model.onnx").write_bytes(b"grapH")
    integrity.check(artifact, ["fp32/model.onnx"])
    with pytest.raises(CorruptArtifact, match=r"fp16/model\.onnx"):
        integrity.check(artifact)


def test_touching_a_file_costs_one_hash_and_no_error(artifact):
    path = artifact.path("fp32/model.onnx")
    before = marks(artifact)
    os.utime(path, ns=(1, 1))
    integrity.check(artifact)
    after = marks(artifact)
    assert after["fp16/model.onnx"] == before["fp16/model.onnx"]
    assert after["fp32/model.onnx"] != before["fp32/model.onnx"]
    assert after["fp32/model.onnx"][1] == 1


def test_a_failed_check_stamps_nothing(artifact):
    before = marks(artifact)
    artifact.path("fp32/model.onnx").write_bytes(b"grapH")
    for _ in range(2):
        with pytest.raises(CorruptArtifact):
            integrity.check(artifact)
    assert marks(artifact) == before


def test_a_missing_file_is_never_taken_for_stamped(artifact):
    artifact.path("fp32/model.onnx").unlink()
    artifact.path(integrity.STAMP).write_text('{"fp32/model.onnx": []}')
    with pytest.raises(CorruptArtifact, match="cannot be read"):
        integrity.check(artifact)


def test_what_changes_while_it_is_checked_is_never_stamped_as_right(tmp_path):
    """A writer flips one byte to and fro while checks run: a stamp that fits must mean the right content."""
    artifact = put(Store(tmp_path), "org/model", content=b"g" * 2_000_000)
    path, stop = artifact.path("fp32/model.onnx"), threading.Event()

    def flip():
        with path.open("r+b", buffering=0) as stream:
            while not stop.is_set():
                for byte in (b"!", b"g"):
                    stream.seek(1_999_999)
                    stream.write(byte)

    writer = threading.Thread(target=flip)
    writer.start()
    try:
        for _ in range(60):
            with contextlib.suppress(CorruptArtifact):
                integrity.check(artifact)
    finally:
        stop.set()
        writer.join()
    path.write_bytes(b"g" * 1_999_999 + b"!")
    with pytest.raises(CorruptArtifact):
        integrity.check(artifact)


def test_a_manifest_survives_its_bytes(artifact):
    data = artifact.manifest.to_json()
    assert Manifest.from_json(data) == artifact.manifest
    assert Manifest.from_json(data).to_json() == data
    assert read(artifact.directory) == artifact


@pytest.mark.parametrize("content", [b"", b"nul", b"[" * 100_000, b"\xff", b'"text"', b"3"])
def test_a_json_file_that_is_none(tmp_path, content):
    artifact = put(Store(tmp_path), "org/model", content=content)
    with pytest.raises(CorruptArtifact, match=r"`fp32/model\.onnx`") as caught:
        artifact.read_json("fp32/model.onnx")
    assert caught.value.hint == "gpux pull org/model --force"
    assert artifact.read_json("absent.json") == {}
