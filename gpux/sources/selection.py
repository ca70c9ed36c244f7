"""Decides from names and sizes alone which files of a model are needed; opens none and knows no source."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from gpux.sources.listing import Listed

_TEXT = (".json", ".txt", ".model", ".jinja", ".spm", ".tiktoken")
_CARDS = {"gpux.yml", "README.md", "LICENSE", "LICENSE.md", "LICENSE.txt", "artifact.metadata"}
# What training leaves behind, indices of other frameworks' weights, and what only a Hub page needs.
_LEFT_OUT = re.compile(
    r"(?:trainer_state|training_args|(?:all|train|eval|test|predict)_results|requirements.*|.*tfevents.*|openvino.*"
    r"|tf_model\..*|flax_model\..*|rust_model\..*|.*\.msgpack\.index)\.(?:json|txt)"
)
_TEMPLATES = "additional_chat_templates"  # a model's named templates, beside its chat_template.jinja
_MODULE = re.compile(r"[0-9]+_[A-Za-z]\w*")  # sentence-transformers: 1_Pooling, 2_Dense …
_CHECKPOINT = re.compile(r"checkpoint-[0-9]+")
_OTHERS = re.compile("openvino|coreml|tf|flax|runs|logs|__pycache__")
_PICKLED = re.compile(r"(?:pytorch_model.*|model|adapter_model)\.bin|.*\.(?:pt|pth|ckpt|pkl|pickle)")
_SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}\.")
_LARGEST_TEXT = 256 << 20


def texts(files: Iterable[Listed], *, folders: Iterable[str] = (), code: bool = False) -> list[str]:
    """The small files: configuration, tokenizer, processor, chat templates, model card.

    Args:
        files: What the source holds.
        folders: Folders to look into besides the top one and those of sentence-transformers modules.
        code: Take Python files too.
    """
    wanted = {*folders, _TEMPLATES}
    return [
        file.path
        for file in files
        if is_text(file, code=code)
        and ((folder := posixpath.dirname(file.path)) in wanted or not folder or _MODULE.fullmatch(folder))
    ]


def is_text(file: Listed, *, code: bool = False) -> bool:
    """Whether a file is one of the small ones, wherever it lies."""
    name = posixpath.basename(file.path)
    if (file.size or 0) > _LARGEST_TEXT or _LEFT_OUT.fullmatch(name):
        return False
    return name.endswith(_TEXT) or name in _CARDS or (code and name.endswith(".py"))


def weight_files(
    files: Iterable[Listed], folder: str, *, pickle: bool = False
) -> tuple[list[str], str | None]:
    """The weights that lie in one folder, and the index that names their shards where there is one.

    One set only: ``model.safetensors``, else its shards, else other safetensors, else (``pickle``) PyTorch's own.
    """
    here = sorted(file.path for file in files if posixpath.dirname(file.path) == folder)
    for stem, suffix in (("model", ".safetensors"), ("pytorch_model", ".bin"))[: 2 if pickle else 1]:
        single, index = (
            posixpath.join(folder, stem + suffix),
            posixpath.join(folder, f"{stem}{suffix}.index.json"),
        )
        if single in here:
            return [single], None
        if index in here:
            return [], index
        loose = [path for path in here if path.endswith(suffix) and (suffix != ".bin" or is_pickled(path))]
        shards = [path for path in loose if posixpath.basename(path).startswith(stem) and _SHARD.search(path)]
        if shards or loose:
            return shards or loose, None
    return [], None


def is_pickled(path: str) -> bool:
    """Whether a name is that of pickled weights."""
    return bool(_PICKLED.fullmatch(posixpath.basename(path)))


def is_relevant(file: Listed) -> bool:
    """Whether any caller could want a file, its external data aside; other frameworks' and training's files are not."""
    folders = posixpath.dirname(file.path).split("/")
    if any(
        _OTHERS.fullmatch(part) or part.startswith(".") or _CHECKPOINT.fullmatch(part) for part in folders
    ):
        return False
    return file.path.endswith((".onnx", ".safetensors")) or is_text(file, code=True) or is_pickled(file.path)
