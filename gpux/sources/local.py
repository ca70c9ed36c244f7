"""A directory or an ``.onnx`` file on this machine, read where it lies and never written to."""

from __future__ import annotations

import difflib
import hashlib
import posixpath
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gpux.errors import GpuxError, ModelNotFound, SourceError, UnsafePath
from gpux.events import Event, Progress
from gpux.reference import Reference
from gpux.sources import card, tree
from gpux.sources.gather import gather, summary
from gpux.sources.listing import Listed, Listing, Wants
from gpux.sources.paths import external_files
from gpux.sources.selection import is_relevant, is_text
from gpux.sources.snapshot import Snapshot, SourceFile


def look(reference: Reference, progress: Progress) -> Listing:
    """List and hash what a local path holds.

    Raises:
        ModelNotFound: The path does not exist, or holds no model.
        UnsafePath: It holds links that leave it, or something that is no plain file.
        AccessDenied: Something in it cannot be read.
    """
    root = Path(reference.name)
    _check_exists(reference, root)
    if reference.file:
        plain = _around(root, reference.file)
    else:
        found = list(tree.walk(root))
        chosen = {file.path for file in found if is_relevant(file)}
        chosen |= _external(root, chosen)
        plain = [file for file in found if file.path in chosen]
    files = _hashed(root, plain, progress)
    check_model(reference, root, files)
    return describe(Listing(reference, "sha256:" + digest(files), files, root, reference.file), root)


def fetch(listing: Listing, wants: Wants) -> Snapshot:
    """Choose from files that are already on this machine.

    Raises:
        SourceError: What is wanted is missing or unsafe.
    """
    directory = listing.directory
    if directory is None:
        raise SourceError(f"`{listing.reference}` has not been looked at on this machine")
    chosen = gather(listing, wants, directory, lambda _: None)
    return Snapshot(
        reference=listing.reference,
        directory=directory,
        resolved=listing.resolved,
        files=tuple(
            SourceFile(f.path, f.size or 0, f.sha256 or tree.digest(directory / f.path)) for f in chosen
        ),
        license=listing.license,
        pipeline_tag=listing.pipeline_tag,
        library=listing.library,
    )


def digest(files: Iterable[Listed]) -> str:
    """One sha256 over the sorted paths and digests of files."""
    lines = sorted(f"{file.path}\0{file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def describe(listing: Listing, directory: Path) -> Listing:
    """The listing with what the directory's own model card says, where nothing better is known."""
    try:
        said = card.read(directory / "README.md")
    except OSError as error:
        raise tree.unreadable(directory / "README.md", error) from error
    library = said.library or ("sentence-transformers" if listing.find("modules.json") else None)
    return replace(
        listing,
        license=said.license or listing.license,
        pipeline_tag=said.pipeline_tag or listing.pipeline_tag,
        library=library or listing.library,
    )


def check_model(reference: Reference, root: Path, files: Iterable[Listed]) -> None:
    """Make sure that files are a model's.

    Raises:
        ModelNotFound: Something is missing; the message names it.
    """
    paths = {file.path for file in files}
    graphs = any(path.endswith(".onnx") for path in paths)
    weights = any(is_relevant(f) and not is_text(f, code=True) for f in files)
    if graphs or (weights and paths & {"config.json", "modules.json", "model_index.json"}):
        return
    if "config.json" in paths:
        missing = "no weights: neither an .onnx file nor model.safetensors"
    else:
        missing = (
            "weights but no config.json"
            if weights
            else "no model: neither an .onnx file nor a config.json with model.safetensors"
        )
    inner = sorted(path.removesuffix("/config.json") for path in paths if path.endswith("/config.json"))
    raise ModelNotFound(
        f"`{root}` holds {missing}",
        hint=f"did you mean {root / inner[0]}"
        if inner
        else "name the directory that a model was saved to, or one .onnx file",
        reference=str(reference),
        path=root,
    )


def _check_exists(reference: Reference, root: Path) -> None:
    target = root / reference.file if reference.file else root
    try:
        if target.is_file() if reference.file else target.is_dir():
            return
        exists = target.exists()
    except OSError as error:
        raise tree.unreadable(target, error) from error
    if exists:
        what = "a directory" if reference.file else "neither a directory nor an .onnx file"
        raise ModelNotFound(
            f"`{target}` is {what}",
            hint="name a model directory or an .onnx file",
            reference=str(reference),
            path=target,
        )
    try:
        siblings = [entry.name for entry in target.parent.iterdir()]
    except OSError:
        siblings = []
    close = difflib.get_close_matches(target.name, siblings, n=1)
    raise ModelNotFound(
        f"`{target}` does not exist",
        hint=f"did you mean {target.parent / close[0]}"
        if close
        else "a Hub model is written org/name, without ./ before it",
        reference=str(reference),
        path=target,
    )


def _external(root: Path, paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for graph in (path for path in paths if path.endswith(".onnx")):
        try:
            found |= set(external_files(graph, summary(root, graph)))
        except GpuxError:  # one bad graph among several: whoever wants that one is told then
            continue
    return found


def _around(root: Path, graph: str) -> list[Listed]:
    """A graph, its external data, and the small files beside it; whatever else lies there is not looked at."""
    found = list(
        tree.walk(root, recursive=False, wanted=lambda path: path == graph or is_text(Listed(path, 0)))
    )
    external = set(external_files(graph, summary(root, graph))) - {file.path for file in found}
    for folder in sorted({posixpath.dirname(path) for path in external}):
        inner = root / folder
        if not inner.is_dir():
            continue  # whoever wants the graph is told which file is missing
        if not inner.resolve().is_relative_to(root.resolve()):
            raise UnsafePath(
                f"`{inner}` is a link that leaves its directory", hint="put plain files there", path=inner
            )
        names = {posixpath.basename(path) for path in external if posixpath.dirname(path) == folder}
        walked = tree.walk(inner, recursive=False, wanted=names.__contains__)
        found += [replace(file, path=posixpath.join(folder, file.path)) for file in walked]
    return found


def _hashed(root: Path, files: list[Listed], progress: Progress) -> tuple[Listed, ...]:
    total, done, hashed = sum(file.size or 0 for file in files), 0, []
    for file in files:
        progress(Event("hash", f"reading {file.path}", done, total))
        hashed.append(replace(file, sha256=tree.digest(root / file.path)))
        done += file.size or 0
    return tuple(hashed)
