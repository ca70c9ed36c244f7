"""One byte flipped, cut or gone anywhere in the store: told when the model is opened, found by verify, mended by pull."""

from __future__ import annotations

import hashlib
import json
import os
import sys

import pytest
import small

import gpux
from gpux import integrity
from gpux.errors import ArtifactNotFound, CorruptArtifact


def flip(path, at=None):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.write_bytes(bytes(data))


def index_file(home):
    (path,) = (home / "index").glob("*.json")
    return path


def mended(repo, home, digest):
    """A plain pull makes the store whole again."""
    assert gpux.pull(str(repo)).digest == digest
    assert small.whole(home) == 1
    store = gpux.Store()
    store.remove(store.plan_prune())
    assert store.digests() == [digest]
    with gpux.load("small-model") as model:
        assert model.encode("w2").shape == (small.HIDDEN,)


NAMES = ("fp32/model.onnx", "tokenizer.json", "config.json", "manifest.json")


@pytest.mark.parametrize(
    ("name", "how"),
    [*((name, how) for name in NAMES for how in ("flip", "gone")), (NAMES[0], "cut"), (NAMES[0], "empty"),
     (NAMES[1], "first"), (NAMES[1], "longer"), (NAMES[3], "last"), (NAMES[3], "cut")],
)  # fmt: skip
def test_a_damaged_file(repo, stored, empty_store, name, how):
    path = stored.path(name)
    data = path.read_bytes()
    changed = {
        "cut": data[:-1], "empty": b"", "longer": data + b" ", "first": bytes([data[0] ^ 1]) + data[1:],
        "last": data[:-1] + bytes([data[-1] ^ 128]),
    }  # fmt: skip
    if how == "gone":
        path.unlink()
    elif how == "flip":
        flip(path)
    else:
        path.write_bytes(changed[how])
    with pytest.raises(CorruptArtifact) as caught:
        gpux.load("small-model")
    assert ("manifest" if name == "manifest.json" else f"`{name}`") in caught.value.message
    assert caught.value.hint.startswith("gpux ")
    if how in {"flip", "gone"}:
        verified = small.gpux("verify", home=empty_store)
        assert verified.returncode == 1
        assert "damaged: " in verified.stdout
        listed = small.gpux("list", home=empty_store, check=True)
        assert "small-model" in listed.stdout
        assert ("damaged: " in listed.stdout) == (name == "manifest.json")
        told = small.gpux("run", "small-model", "w2", home=empty_store)
        assert (told.returncode, told.stdout) == (1, "")
        assert "\nhint: gpux " in told.stderr
    mended(repo, empty_store, stored.digest)


def test_every_byte_of_the_manifest_counts(stored):
    store, path = gpux.Store(), stored.path("manifest.json")
    data = path.read_bytes()
    for at in range(0, len(data), 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        with pytest.raises(CorruptArtifact, match="altered"):
            store.read(stored.digest)
        assert len(store.entries()) == 1
    path.write_bytes(data)
    assert store.read(stored.digest) == stored


def test_every_byte_of_the_index_file(repo, stored, empty_store):
    path, store = index_file(empty_store), gpux.Store()
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        found = store.entries()
        # A digit of the time, or white space, may change without harm; a name or a digest may not.
        assert [(entry.name, entry.digest) for entry in found] in ([(stored.reference, stored.digest)], [])
        assert bool(found) != bool(store.broken())
    mended(repo, empty_store, stored.digest)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"name": 1, "digest": [], "created": {}}',
     b'{"name": "x", "digest": "../../../../../../../../../../../../../../../../../../../../etc//.", "created": 1}',
     b'{"name": "NAME", "digest": "DIGEST", "created": 1' + b"0" * 400 + b"}",
     b'{"name": "NAME", "digest": "DIGEST", "created": NaN}',
     b'{"name": "other", "digest": "DIGEST", "created": 1}',
     b'{"name": "NAME", "digest": "' + b"0" * 64 + b'", "created": 1}'],
)  # fmt: skip
def test_an_index_file_that_is_garbage_or_points_at_nothing(repo, stored, empty_store, content):
    path = index_file(empty_store)
    path.write_bytes(
        content.replace(b"NAME", stored.reference.encode()).replace(b"DIGEST", stored.digest.encode())
    )
    store = gpux.Store()
    assert store.entries() == []
    assert store.broken() == [path]
    with pytest.raises(ArtifactNotFound):
        store.get("small-model")
    assert "broken or points at nothing" in small.gpux("verify", home=empty_store).stdout
    small.gpux("list", home=empty_store, check=True)
    plan = store.plan_prune()
    assert plan.leftovers == (str(path),)
    assert plan.digests == (stored.digest,)
    mended(repo, empty_store, stored.digest)


def test_an_index_entry_whose_artifact_is_gone(repo, stored, empty_store):
    stored.directory.rename(empty_store / "elsewhere")
    assert gpux.Store().entries() == []
    told = small.gpux("show", "small-model", home=empty_store)
    assert told.returncode == 1
    assert "hint:" in told.stderr
    mended(repo, empty_store, stored.digest)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"[" * 100_000, b'{"fp32/model.onnx": 1}', None])
def test_a_damaged_stamp_costs_time_and_nothing_else(stored, content):
    path = stored.path(integrity.STAMP)
    right = json.loads(path.read_bytes())
    if content is None:
        flip(path)
    else:
        path.write_bytes(content)
    gpux.load("small-model").close()
    integrity.check(stored)
    assert json.loads(path.read_bytes()) == right


@pytest.mark.skipif(sys.platform == "win32", reason="on Windows the change time is the creation time")
@pytest.mark.parametrize("name", ["fp32/model.onnx", "tokenizer.json"])
def test_a_change_that_hides_its_time_is_found(stored, name):
    path = stored.path(name)
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_size == before.st_size
    with pytest.raises(CorruptArtifact):
        gpux.load("small-model")


def test_a_file_that_is_replaced_by_a_link_or_a_folder(stored, tmp_path):
    path = stored.path("fp32/model.onnx")
    (tmp_path / "other").write_bytes(path.read_bytes()[:-1] + b"!")
    path.unlink()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(CorruptArtifact):
        gpux.load("small-model")
    path.unlink()
    path.mkdir()
    with pytest.raises(CorruptArtifact):
        gpux.load("small-model")


def test_a_manifest_of_another_schema_says_so(stored, empty_store):
    raw = json.loads(stored.path("manifest.json").read_bytes())
    for change in ({"schema": 99}, {"variants": 3}, {"source": {"x": 1}}):
        data = json.dumps({**raw, **change}).encode()
        digest = hashlib.sha256(data).hexdigest()
        folder = empty_store / "artifacts" / digest
        folder.mkdir()
        (folder / "manifest.json").write_bytes(data)
        gpux.Store().point("future", digest)
        with pytest.raises(CorruptArtifact, match="cannot be read by this version") as caught:
            gpux.load("future")
        assert "--force" in caught.value.hint
    small.gpux("list", home=empty_store, check=True)
    assert small.gpux("verify", home=empty_store).returncode == 1
    small.gpux("rm", "future", home=empty_store, check=True)
    assert small.whole(empty_store) == 1
