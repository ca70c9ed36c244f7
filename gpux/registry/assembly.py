"""Puts an artifact's directory together: the model's small files at their own paths, graphs by variant, every file hashed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from gpux.artifact import MACHINES, Artifact, File, Variant
from gpux.reference import VARIANTS
from gpux.sources.paths import safe
from gpux.sources.snapshot import Snapshot

PROOF = "proof"
"""The folder with the probes and the reference outputs, kept for the proof of providers that come later."""

_NAMES = re.compile(
    r"(config|generation_config|preprocessor_config|processor_config|video_preprocessor_config|modules|quantize_config)\.json"
    r"|sentence_\w+_config\.json|config_sentence_transformers\.json"
    r"|(tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json|vocab\.txt|merges\.txt|.*\.model"
    r"|chat_template\.\w+|LICENSE(\.\w+)?|artifact\.metadata"
)
_TEMPLATE = re.compile(r"additional_chat_templates/[^/]+\.jinja")
_OF_A_MODULE = ("config.json", "model.safetensors", "sentence_bert_config.json")
TAKEN = {PROOF, MACHINES, *VARIANTS}
"""Folders that are the artifact's own."""


def copy_small_files(snapshot: Snapshot, directory: Path) -> None:
    """Copy what a task may read at run time: configuration, tokenizer, processor, sentence-transformers modules.

    A ``tokenizer.json`` that the exporter made stays.

    Raises:
        UnsafePath: ``modules.json`` names a folder outside the model.
    """
    of_modules = {f"{folder}/{name}" for folder in _module_folders(snapshot) for name in _OF_A_MODULE}
    for file in snapshot.files:
        own = "/" not in file.path and _NAMES.fullmatch(file.path)
        wanted = own or file.path in of_modules or _TEMPLATE.fullmatch(file.path)
        if wanted and not (directory / file.path).exists():
            place(snapshot.directory / file.path, directory / file.path, link=False)


def _module_folders(snapshot: Snapshot) -> set[str]:
    """The folders that ``modules.json`` names; a list that is none is told when the task reads it."""
    try:
        listed = json.loads((snapshot.directory / "modules.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return set()
    named = (
        [module.get("path") for module in listed if isinstance(module, dict)]
        if isinstance(listed, list)
        else []
    )
    folders = {safe(path.strip("/")) for path in named if isinstance(path, str) and path.strip("/")}
    return {
        folder for folder in folders if not folder.endswith(".json") and folder.partition("/")[0] not in TAKEN
    }


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
    # A graph in the root has no folder to itself, and its external data begins like it.
    stems = tuple(f"{path.rpartition('/')[0]}/" if "/" in path else path for path in variant.graphs.values())
    for file in artifact.manifest.files:
        if file.path.startswith(stems):
            place(artifact.path(file.path), directory / file.path, link=True)


def hash_files(directory: Path) -> tuple[File, ...]:
    """Every file below a directory, sorted by path, with its size and sha256."""
    files = []
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        files.append(File(path.relative_to(directory).as_posix(), path.stat().st_size, digest))
    return tuple(files)
