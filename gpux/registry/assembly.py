"""Puts an artifact's directory together: the model's small files at their own paths, graphs by variant, every file hashed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from pathlib import Path, PurePosixPath

from gpux.artifact import Artifact, File, Variant
from gpux.sources.snapshot import Snapshot, SourceFile

PROOF = "proof"
"""The folder with the probes and the reference outputs, kept for the proof of providers that come later."""

_NAMES = re.compile(
    r"(config|generation_config|preprocessor_config|processor_config|modules|quantize_config)\.json"
    r"|sentence_\w+_config\.json|config_sentence_transformers\.json"
    r"|(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json|vocab\.txt|merges\.txt|.*\.model"
    r"|chat_template\.\w+|LICENSE(\.\w+)?"
)
_MODULE = re.compile(r"\d+_\w+/(config\.json|model\.safetensors)")


def wanted(file: SourceFile) -> bool:
    """Whether a task may read the file at run time: configuration, tokenizer, processor, sentence-transformers modules."""
    path = PurePosixPath(file.path)
    return bool(_MODULE.fullmatch(file.path)) or (len(path.parts) == 1 and bool(_NAMES.fullmatch(path.name)))


def copy_small_files(snapshot: Snapshot, directory: Path) -> None:
    """Copy what the tasks read; a ``tokenizer.json`` that the exporter made stays."""
    for file in snapshot.files:
        if wanted(file) and not (directory / file.path).exists():
            place(snapshot.directory / file.path, directory / file.path, link=False)


def place(source: Path, target: Path, *, link: bool) -> None:
    """Put one file in place: as a hard link where its content is immutable and the file system allows it, else as a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        with contextlib.suppress(OSError):
            os.link(source.resolve(), target)
            return
    shutil.copyfile(source, target)


def carry_over(artifact: Artifact, variant: Variant, directory: Path) -> None:
    """Put a stored variant's files beside new ones; stored files never change, so they are linked."""
    folders = {path.rpartition("/")[0] for path in variant.graphs.values()}
    for file in artifact.manifest.files:
        if any(file.path.startswith(f"{folder}/") for folder in folders):
            place(artifact.path(file.path), directory / file.path, link=True)


def hash_files(directory: Path) -> tuple[File, ...]:
    """Every file below a directory, sorted by path, with its size and sha256."""
    files = []
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        files.append(File(path.relative_to(directory).as_posix(), path.stat().st_size, digest))
    return tuple(files)
