"""Chooses a model's files step by step, because small files name the large ones: modules, shards, external data.

Knows no source: whoever calls it says how a file gets onto this machine.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable
from pathlib import Path

from gpux.errors import AccessDenied, ModelNotFound, SourceError
from gpux.onnx_reader import GraphSummary, OnnxError, read_graph
from gpux.sources import safety
from gpux.sources.listing import Listed, Listing, Wants
from gpux.sources.paths import external_files, safe
from gpux.sources.selection import texts, weight_files

Obtain = Callable[[list[Listed]], None]
"""Brings files to the directory, or raises; nothing to do where they already lie there."""


def gather(listing: Listing, wants: Wants, directory: Path, obtain: Obtain) -> tuple[Listed, ...]:
    """Obtain everything that is wanted of a listing, small files first, checked before the next step.

    Raises:
        SourceError: Or one of its kinds: unsafe weights, code or names, files that the source lacks.
    """
    chosen: dict[str, Listed] = {}

    def take(paths: Iterable[str], why: str = "") -> None:
        new = {path: _find(listing, path, why) for path in paths if path not in chosen}
        obtain(list(new.values()))
        chosen.update(new)

    graphs = listing.graphs if wants.graphs is None else wants.graphs
    safety.check_weights(listing, wants)
    take(texts(listing.files, folders={posixpath.dirname(graph) for graph in graphs}, code=wants.code))
    modules = _modules(directory)
    take(texts(listing.files, folders=modules, code=wants.code))
    safety.check_code(listing, wants, directory)
    safety.check_redirects(listing, wants, directory, tuple(chosen))
    if wants.weights:
        safety.check_weights(listing, wants, ("", *modules))
    # What follows the encoder is computed with weights of its own, which are small, whoever made the encoder's graph.
    for folder in dict.fromkeys(("", *modules) if wants.weights else _modules(directory, behind=1)):
        files, index = weight_files(listing.files, folder, pickle=wants.pickle)
        take(files)
        if index:
            take([index])
            safety.check_redirects(listing, wants, directory, [index])
            take(_shards(listing, directory, index), f"which `{index}` names")
    take(graphs)
    for graph in graphs:
        take(external_files(graph, summary(directory, graph)), f"where `{graph}` keeps its weights")
    return tuple(chosen[path] for path in sorted(chosen))


def summary(directory: Path, graph: str) -> GraphSummary:
    """What an ONNX file declares.

    Raises:
        SourceError: It is no ONNX file.
        AccessDenied: It cannot be read.
    """
    try:
        return read_graph(directory / graph)
    except OnnxError as error:
        raise SourceError(
            f"`{graph}` is no ONNX model: {error}", hint="the file is damaged or something else", path=graph
        ) from error
    except OSError as error:
        raise AccessDenied(
            f"`{directory / graph}` cannot be read ({error.strerror or error})", path=graph
        ) from error


def _modules(directory: Path, *, behind: int = 0) -> list[str]:
    """The folders of the modules that come after so many."""
    listed = safety.read_json(directory / "modules.json")
    folders = (
        [m.get("path") for m in listed[behind:] if isinstance(m, dict)] if isinstance(listed, list) else []
    )
    return [safe(folder.strip("/")) for folder in folders if isinstance(folder, str) and folder.strip("/")]


def _shards(listing: Listing, directory: Path, index: str) -> list[str]:
    content = safety.read_json(directory / index)
    names = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        raise SourceError(
            f"`{index}` of `{listing.reference}` is no index of weights",
            hint="the repository is incomplete",
            path=index,
        )
    folder = posixpath.dirname(index)
    return sorted({posixpath.join(folder, safe(name)) for name in names.values()})


def _find(listing: Listing, path: str, why: str) -> Listed:
    file = listing.find(path)
    if file is None:
        raise ModelNotFound(
            f"`{listing.reference}` lacks `{path}`" + (f", {why}" if why else ""),
            hint="the source is incomplete; try another revision or repository",
            reference=str(listing.reference),
            path=path,
        )
    return file
