"""Refuses models that would run somebody else's code: pickled weights and Python files from the repository."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gpux.errors import ModelNotFound, RemoteCodeRefused, SourceError, UnsafeWeights
from gpux.sources.listing import Listing, Wants
from gpux.sources.selection import is_pickled, weight_files

_FOREIGN = (".h5", ".msgpack", ".ot", ".gguf", ".ckpt.index", ".tflite", ".mlpackage", ".npz")


def check_weights(listing: Listing, wants: Wants, folders: Iterable[str] = ("",)) -> None:
    """Make sure that there are weights, and that none of those that are needed is pickled unless that is allowed.

    Args:
        listing: What the source holds.
        wants: What the caller wants.
        folders: The model's folder and those of its modules.

    Raises:
        UnsafeWeights: A folder's only weights are pickled.
        ModelNotFound: There are no weights that GPUX reads.
    """
    if not wants.weights:
        return
    found = False
    for folder in folders:
        files, index = weight_files(listing.files, folder, pickle=wants.pickle)
        if files or index:
            found = True
            continue
        pickled = [
            f.path for f in listing.files if posixpath.dirname(f.path) == folder and is_pickled(f.path)
        ]
        if pickled and not wants.pickle:
            raise UnsafeWeights(
                f"`{listing.reference}` has only pickled weights (`{pickled[0]}`), which can run code when they are loaded",
                hint=f"gpux pull {listing.reference} --allow-pickle, if you trust its author",
                reference=str(listing.reference),
                files=pickled,
            )
    if not found:
        others = sorted(
            file.path for file in listing.files if file.path.endswith(_FOREIGN) or is_pickled(file.path)
        )
        raise ModelNotFound(
            f"`{listing.reference}` has no safetensors weights" + (f", only `{others[0]}`" if others else ""),
            hint="GPUX reads ONNX graphs and safetensors; look for a repository that has one of them",
            reference=str(listing.reference),
        )


def check_code(listing: Listing, wants: Wants, directory: Path) -> None:
    """Make sure that the model's classes come from its framework, unless its own code was allowed.

    Args:
        listing: What the source holds.
        wants: What the caller wants.
        directory: Where its configuration files are.

    Raises:
        RemoteCodeRefused: ``config.json`` or ``modules.json`` names a class in the repository.
    """
    if not wants.weights or wants.code:
        return
    for name in _own_classes(directory, wants.native):
        raise RemoteCodeRefused(
            f"`{listing.reference}` needs code from its own repository (`{name}`)",
            hint=f"read that code, then gpux pull {listing.reference} --trust-remote-code",
            reference=str(listing.reference),
            code=name,
        )


def check_redirects(listing: Listing, wants: Wants, directory: Path, obtained: Iterable[str]) -> None:
    """Make sure that no small file leads the framework to other weights than the ones that were checked.

    transformers opens what ``transformers_weights`` in a configuration names, and what an index names, and unpickles
    whatever does not end in ``.safetensors`` (``modeling_utils.py``, ``_get_resolved_checkpoint_files``).

    Args:
        listing: What the source holds.
        wants: What the caller wants.
        directory: Where the small files are.
        obtained: Which of them are there.

    Raises:
        UnsafeWeights: A configuration or an index names weights that may be pickled.
        SourceError: A configuration cannot be read, so nobody knows what it names.
    """
    if not wants.weights or wants.pickle:
        return
    for path in obtained:
        name = posixpath.basename(path)
        if name.endswith(".safetensors.index.json"):
            other = _no_safetensors(read_json(directory / path))
        elif name.startswith("config") and name.endswith(".json"):
            content = read_json(directory / path)
            if content is None:
                raise SourceError(
                    f"`{path}` of `{listing.reference}` is no JSON",
                    hint="the source is damaged; try another revision or repository",
                    reference=str(listing.reference),
                    path=path,
                )
            other = _redirect(content)
        else:
            continue
        if other is not None:
            raise UnsafeWeights(
                f"`{path}` of `{listing.reference}` leads to the weights `{other[:200]}`, which can run code when they are loaded",
                hint=f"gpux pull {listing.reference} --allow-pickle, if you trust its author",
                reference=str(listing.reference),
                files=[other[:200]],
            )


def read_json(path: Path) -> Any:
    """A JSON file's content, or ``None`` where it is missing or broken: whoever needs it says so better."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _no_safetensors(index: Any) -> str | None:
    names = index.get("weight_map") if isinstance(index, dict) else None
    values = names.values() if isinstance(names, dict) else ()
    return next((str(name) for name in values if not str(name).endswith(".safetensors")), None)


def _redirect(config: Any) -> str | None:
    left = [config]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if value.get("transformers_weights") is not None:
                return str(value["transformers_weights"])
            left += value.values()
        elif isinstance(value, list):
            left += value
    return None


def _own_classes(directory: Path, native: frozenset[str]) -> list[str]:
    found: list[str] = []
    config = read_json(directory / "config.json")
    if isinstance(config, dict) and config.get("model_type") not in native:
        classes = config.get("auto_map")
        for key, value in classes.items() if isinstance(classes, dict) else ():
            if str(key).startswith(("AutoModel", "AutoConfig")):
                found += [str(part) for part in (value if isinstance(value, list) else [value]) if part]
    modules = read_json(directory / "modules.json")
    for module in modules if isinstance(modules, list) else ():
        kind = module.get("type") if isinstance(module, dict) else None
        if isinstance(kind, str) and not kind.startswith("sentence_transformers."):
            found.append(kind)
    return found
