"""Unpacks the model out of a wheel without running anything of it: every name, size and digest is checked first."""

from __future__ import annotations

import base64
import csv
import email.parser
import errno
import hashlib
import io
import lzma
import posixpath
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

from gpux.errors import SourceError, UnsafePath
from gpux.sources.listing import Listed
from gpux.sources.paths import safe
from gpux.sources.selection import is_relevant, is_text

_MOST = 50_000
_RATIO = 200  # text packs 10 : 1, zeros 1,000 : 1
_SLACK = 64 << 20
_CHUNK = 1 << 20
# What zipfile, its decompressors and csv raise at bytes that are not theirs.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    csv.Error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
)


def unpack(wheel: Path, directory: Path) -> tuple[Listed, ...]:
    """Write the wheel's model files into a new directory.

    Args:
        wheel: The wheel.
        directory: Where to write; must not exist.

    Raises:
        UnsafePath: Some entry's name or kind is not safe; nothing was written.
        SourceError: The wheel is damaged, or unpacks to far more than it should.
        OSError: The directory cannot be written.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            entries = _plain(archive, wheel)
            digests = _record(archive, entries, wheel)
            chosen = _model_files(entries)
            return tuple(_extract(archive, entries[name], directory, digests, wheel) for name in chosen)
    except _DAMAGE as error:
        raise _broken(wheel, str(error)) from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # a seek to a place that no file has
            raise
        raise _broken(wheel, str(error)) from error


def declared_license(wheel: Path) -> str | None:
    """The licence that the wheel's METADATA names."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(
            (n for n in archive.namelist() if n.count("/") == 1 and n.endswith(".dist-info/METADATA")), None
        )
        if name is None or archive.getinfo(name).file_size > _SLACK:
            return None
        said = email.parser.HeaderParser().parsestr(archive.read(name).decode("utf-8", "replace"))
    value = (said.get("License-Expression") or said.get("License") or "").strip()
    return value.splitlines()[0][:100] if value else None


def model_roots(files: Iterable[Listed]) -> list[str]:
    """The directories that hold a whole model, outermost first; ``""`` is the top."""
    paths = [file.path for file in files]
    weights = [
        path for path in paths if is_relevant(Listed(path, 0)) and not is_text(Listed(path, 0), code=True)
    ]
    heads = {posixpath.dirname(p) for p in paths if posixpath.basename(p) in {"config.json", "modules.json"}}
    roots = sorted(head for head in heads if any(_inside(path, head) for path in weights))
    return [root for root in roots if not any(other != root and _inside(root, other) for other in roots)]


def _inside(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")


def _plain(archive: zipfile.ZipFile, wheel: Path) -> dict[str, zipfile.ZipInfo]:
    entries: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    infos = archive.infolist()
    total, packed = sum(info.file_size for info in infos), wheel.stat().st_size
    if len(infos) > _MOST or total > packed * _RATIO + _SLACK:
        raise _broken(wheel, f"{len(infos)} entries unpack to {total >> 20} MiB out of {packed >> 20} MiB")
    for info in infos:
        name = safe(info.orig_filename.removesuffix("/"))
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise UnsafePath(
                f"`{name}` in `{wheel.name}` is a link or a device", hint="nothing of it was kept", path=name
            )
        if info.is_dir():
            continue
        if name.casefold() in folded:
            raise UnsafePath(f"`{wheel.name}` holds `{name}` twice", hint="nothing of it was kept", path=name)
        folded.add(name.casefold())
        entries[name] = info
    for name in folded:
        if any(parent in folded for parent in _parents(name)):
            raise UnsafePath(
                f"`{name}` in `{wheel.name}` lies inside a file", hint="nothing of it was kept", path=name
            )
    return entries


def _parents(name: str) -> Iterable[str]:
    parts = name.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts)))


def _record(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], wheel: Path) -> dict[str, bytes]:
    name = next((n for n in entries if n.count("/") == 1 and n.endswith(".dist-info/RECORD")), None)
    if name is None or entries[name].file_size > _SLACK:
        raise _broken(wheel, "it has no RECORD")
    digests = {}
    for row in csv.reader(io.StringIO(archive.read(entries[name]).decode("utf-8", "replace"))):
        if len(row) >= 2 and row[1].startswith("sha256="):
            encoded = row[1].removeprefix("sha256=")
            digests[row[0]] = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    return digests


def _model_files(entries: dict[str, zipfile.ZipInfo]) -> list[str]:
    files = [Listed(name, info.file_size) for name, info in entries.items() if ".dist-info/" not in name]
    folders = model_roots(files) or sorted(
        {posixpath.dirname(f.path) for f in files if f.path.endswith(".onnx")}
    )
    # External data may have any name, so all of a model's directory comes but what no model needs.
    return [f.path for f in files if any(_inside(f.path, folder) for folder in folders)]


def _extract(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, directory: Path, digests: dict[str, bytes], wheel: Path
) -> Listed:
    path = info.orig_filename
    target = directory / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(target.parent).free < info.file_size:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))
    digest, size = hashlib.sha256(), 0
    with archive.open(info) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
            file.write(chunk)
    if size != info.file_size:
        raise _broken(wheel, f"`{path}` has {size} bytes, not {info.file_size}")
    if digests.get(path) != digest.digest():
        raise _broken(wheel, f"`{path}` is not what its RECORD says")
    return Listed(path, size, sha256=digest.hexdigest())


def _broken(wheel: Path, why: str) -> SourceError:
    return SourceError(
        f"the wheel `{wheel.name}` is damaged or hostile: {why}",
        hint="nothing of it was kept",
        path=wheel.name,
    )
