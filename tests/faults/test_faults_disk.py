"""Full disks, read-only and foreign file systems, folders of other people: a clear error, and the store as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import small

import gpux
from gpux.errors import StoreUnwritable
from gpux.registry import disk

MODES = pytest.mark.skipif(
    os.name != "posix" or (os.geteuid() == 0 and not shutil.which("setpriv")),
    reason="file modes bind no root, and this machine has no setpriv to give that up",
)


@pytest.fixture
def home(monkeypatch):
    def choose(path):
        monkeypatch.setenv("GPUX_HOME", str(path))
        return path

    return choose


def fill(folder, *, leave: int) -> None:
    """Take all room of a file system but so many bytes."""
    free = os.statvfs(folder)
    with (folder / "ballast").open("wb") as stream:
        stream.write(b"x" * max(0, free.f_bavail * free.f_frsize - leave))


def powerless(*arguments, home):
    """The command line bound by file modes, which root is not; its user still owns the interpreter."""
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*drop, sys.executable, "-m", "gpux", *map(str, arguments)],
        capture_output=True, text=True, check=False, env=small.surroundings(home),
    )  # fmt: skip
    assert not any(sign in done.stderr for sign in ("Traceback", "unexpected way")), done.stderr
    return done


@pytest.mark.parametrize("leave", [0, 4096, 8192, 16384, 24576, 32768, 40960, 57344, 73728])
def test_a_disk_that_fills_at_any_point_of_a_pull(repo, mount, home, leave):
    full = home(mount("full", size="1m"))
    fill(full, leave=leave)
    told = small.gpux("pull", repo, home=full)
    if told.returncode:
        assert "the disk is full" in told.stderr or "MiB free" in told.stderr
        assert "hint: gpux prune" in told.stderr
        assert gpux.Store().entries() == []
    else:
        assert leave >= 40960
    small.whole(full)
    assert list((full / "tmp").glob("*")) == []
    (full / "ballast").unlink()
    gpux.pull(str(repo))
    assert small.whole(full) == 1


def test_a_full_disk_keeps_what_was_stored(repo, mount, home, tmp_path):
    full = home(mount("full", size="1m"))
    first = gpux.pull(str(repo))
    fill(full, leave=0)
    other = small.write(tmp_path / "other-model")
    told = small.gpux("pull", other, home=full)
    assert told.returncode == 1
    assert "the disk is full" in told.stderr or "has 0 MiB free" in told.stderr
    assert "hint: gpux prune" in told.stderr
    with gpux.load("small-model") as model:
        assert model.artifact.digest == first.digest
    small.gpux("rm", "small-model", home=full, check=True)  # removing must work on a full disk
    assert gpux.Store().digests() == []


def test_a_graph_larger_than_the_disk_is_refused_at_once(repo, mount, home):
    home(mount("full", size="1m"))
    with (repo / "onnx/model.onnx").open("ab") as stream:
        stream.truncate(3 << 20)
    with pytest.raises(StoreUnwritable, match="the graph alone needs about 3 MiB"):
        gpux.pull(str(repo))


def test_the_store_on_another_file_system_than_its_sources(repo, mount, home):
    away = home(mount("away"))
    assert away.stat().st_dev != repo.stat().st_dev
    artifact = gpux.pull(str(repo))
    with gpux.load(artifact) as model:
        assert model.encode("w2").shape == (small.HIDDEN,)
    assert artifact.path("fp32/model.onnx").stat().st_nlink == 1


def test_a_read_only_store_runs_and_refuses_to_change(repo, stored, mount, home, empty_store):
    stored.path("stamp.json").unlink()
    frozen = home(mount("frozen", bind=empty_store))
    with pytest.raises(OSError, match="Read-only"):
        (frozen / "x").touch()
    assert small.gpux("run", "small-model", "w2 w3", home=frozen, check=True).stdout
    for command in (["list"], ["show", "small-model"], ["verify"], ["df"], ["why", "small-model"], ["pull", repo],
                    ["prune", "--dry-run"], ["rm", "small-model", "--dry-run"]):  # fmt: skip
        small.gpux(*command, home=frozen, check=True)
    for command in (["rm", "small-model"], ["pull", repo, "--force"], ["cp", "small-model", "x"], ["prune"]):
        told = small.gpux(*command, home=frozen)
        assert told.returncode == 1, command
        assert "the file system is read-only" in told.stderr
        assert "hint: set GPUX_HOME to a writable folder" in told.stderr
    assert small.whole(frozen) == 1


@pytest.mark.parametrize("inside", ["", "below/it"])
def test_a_home_that_is_a_file(repo, home, tmp_path, inside):
    (tmp_path / "file").write_bytes(b"")
    place = home(tmp_path / "file" / inside)
    told = small.gpux("pull", repo, home=place)
    assert told.returncode == 1
    assert "part of the path is a file" in told.stderr
    assert "hint: set GPUX_HOME to a folder" in told.stderr
    for command in (["list"], ["verify"], ["df"], ["prune", "--dry-run"]):
        small.gpux(*command, home=place, check=True)
    assert small.gpux("run", "small-model", "x", "--provider", "cpu", home=place).returncode == 1
    assert small.gpux("rm", "small-model", home=place).returncode == 1
    assert (tmp_path / "file").read_bytes() == b""


@MODES
def test_a_store_that_may_only_be_read(repo, stored, empty_store):
    stored.path("stamp.json").unlink()
    folders = [empty_store, *(path for path in empty_store.rglob("*") if path.is_dir())]
    files = [path for path in empty_store.rglob("*") if path.is_file()]
    for path in (*folders, *files):
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        ran = powerless("run", "small-model", "w2", home=empty_store)
        assert (ran.returncode, ran.stderr) == (0, "")
        for command in (["list"], ["verify"], ["df"], ["pull", repo], ["prune", "--dry-run"]):
            assert powerless(*command, home=empty_store).returncode == 0
        for command in (["rm", "small-model"], ["pull", repo, "--force"], ["cp", "small-model", "x"]):
            told = powerless(*command, home=empty_store)
            assert told.returncode == 1
            assert "permission was denied" in told.stderr, told.stderr
            assert "hint: mend the folder's owner" in told.stderr
        assert small.whole(empty_store) == 1
        stored.path("fp32/model.onnx").chmod(0)
        told = powerless("run", "small-model", "w2", home=empty_store)
        assert told.returncode == 1
        assert "`fp32/model.onnx` cannot be read (Permission denied)" in told.stderr
    finally:
        for folder in folders:
            folder.chmod(0o755)


@MODES
def test_a_home_that_may_not_be_made(repo, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o555)
    told = powerless("pull", repo, home=tmp_path / "closed" / "home")
    assert told.returncode == 1
    assert "permission was denied" in told.stderr
    assert powerless("list", home=tmp_path / "closed" / "home").returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
def test_a_device_that_is_always_full():
    with pytest.raises(StoreUnwritable, match="the disk is full"), disk.guarded("/dev"):  # noqa: SIM117
        with open("/dev/full", "wb", buffering=0) as stream:  # noqa: PTH123
            stream.write(b"x")


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="this system's file names are all Unicode")
def test_a_folder_whose_name_is_no_utf8(empty_store, tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    small.write(folder)
    told = small.gpux("pull", folder, home=empty_store)
    assert told.returncode == 2
    assert "is no UTF-8" in told.stderr
    assert not (empty_store / "artifacts").exists()


def test_a_file_that_is_not_the_stores_is_told_by_its_own_name(tmp_path):
    with (
        pytest.raises(StoreUnwritable, match=r"`.*/theirs` cannot be used") as caught,
        disk.guarded(tmp_path / "home"),
    ):
        (tmp_path / "theirs").read_bytes()
    assert caught.value.hint.endswith("/theirs")


def test_a_replacement_that_fails_keeps_the_old_file(mount):
    folder = mount("full", size="64k")
    disk.write_json(folder / "entry.json", {"old": True})
    fill(folder, leave=0)
    with pytest.raises(OSError, match="No space"):
        disk.write_json(folder / "entry.json", {"new": "x" * 100_000})
    assert json.loads((folder / "entry.json").read_bytes()) == {"old": True}
    assert sorted(path.name for path in folder.iterdir()) == ["ballast", "entry.json"]
