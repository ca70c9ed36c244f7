"""A folder with a ``gpux.yml``, laid out as the repositories are that hold ONNX graphs, so that a pull needs to know no other form.

Files are linked where the system allows it; a graph whose inputs or outputs get other names is written anew.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gpux import onnx_names
from gpux.blueprint import preparing, reading
from gpux.blueprint.reading import FILE, Written
from gpux.errors import UsageError
from gpux.head import Head
from gpux.onnx_reader import OnnxError, read_graph
from gpux.registry import assembly, fitting
from gpux.sources.listing import Listed, Listing
from gpux.sources.paths import external_files
from gpux.sources.selection import is_text
from gpux.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Laid:
    """A folder as a repository.

    Attributes:
        listing: Its files, with the identity of the folder that they came from.
        task: The task that the blueprint names.
        variants: Its precisions.
        record: What the artifact keeps of the blueprint.
    """

    listing: Listing
    task: str
    variants: tuple[str, ...]
    record: bytes


def shown(directory: Path) -> str:
    """How messages name a folder's ``gpux.yml``: from where the user is, if it lies below."""
    path = Path(os.path.abspath(directory)) / FILE  # noqa: PTH100 - links stay as they were typed
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def written(listing: Listing) -> Written | None:
    """The blueprint of a folder on this machine, or ``None`` where there is none or one graph of it was named.

    Raises:
        InvalidBlueprint: There is one that cannot be followed.
    """
    if (
        listing.reference.scheme != "file"
        or listing.graph
        or listing.directory is None
        or not listing.find(FILE)
    ):
        return None
    return reading.read(listing.directory, shown=shown(listing.directory))


def lay_out(
    said: Written,
    listing: Listing,
    heads: Mapping[str, Head],
    directory: Path,
    *,
    requested: str | None = None,
) -> Laid:
    """Make the repository.

    Args:
        said: The blueprint.
        listing: What the folder holds.
        heads: Every task of this version with its head.
        directory: An empty one, which must stay until the model is stored.
        requested: The task that the user asked for, which can only be the blueprint's own.

    Raises:
        InvalidBlueprint: It contradicts the folder or a graph; the message names the line.
        UsageError: Another task was asked for.
    """
    task = said.blueprint.task
    if task not in heads:
        raise fitting.unknown(said, "task", task, list(heads), f"GPUX has no task `{task[:80]}`")
    if requested not in {None, task}:
        raise UsageError(
            f"`{said.path}` says that the model answers {task}, and {requested} was asked for",
            hint=f"edit the file, or leave --task {requested} to a run of the stored model",
        )
    source = listing.directory or Path()

    def read(path: str) -> bytes | None:
        return (source / path).read_bytes() if listing.find(path) else None

    graphs = fitting.graphs(said, listing.graphs)
    fitting.check(said, heads[task], tuple(graphs), [file.path for file in listing.files])
    placed = _Graphs(said, heads[task], preparing.labels(said, read), source)
    specs: list[TensorSpec] = []
    for variant, path in graphs.items():
        specs = placed.put(path, directory / variant, variant)
    _small_files(source, listing, directory)
    made = preparing.files(said, read, pixels=_pixels(specs))
    for path, content in made.items():
        (directory / path).unlink(missing_ok=True)
        (directory / path).write_bytes(content)
    files = tuple(
        Listed(path.relative_to(directory).as_posix(), path.stat().st_size)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    )
    record = (json.dumps(asdict(said.blueprint), indent=2, ensure_ascii=False) + "\n").encode()
    return Laid(replace(listing, files=files, directory=directory), task, tuple(graphs), record)


class _Graphs:
    """Puts graphs in place, one folder for each."""

    def __init__(self, said: Written, head: Head, labels: Mapping[int, str], source: Path) -> None:
        self._said = said
        self._head = head
        self._labels = labels
        self._source = source

    def put(self, path: str, folder: Path, variant: str) -> list[TensorSpec]:
        """Put one graph and its external data there; its inputs as they are called from then on."""
        try:
            summary = read_graph(self._source / path)
            inputs = fitting.renamed(self._said, "inputs", summary.inputs)
            outputs = fitting.renamed(self._said, "outputs", summary.outputs)
            fitting.check_graph(
                self._said, path, self._head, inputs=inputs, outputs=outputs, labels=self._labels
            )
            external = external_files(path, summary)
        except OnnxError as error:
            raise self._said.error(
                "model", f"`{path}` is no ONNX graph: {error}", hint="export it again"
            ) from error
        folder.mkdir()
        self._write(path, folder / f"model{'' if variant == fitting.FULL else f'_{variant}'}.onnx")
        for name in external:
            if (self._source / name).is_file():  # the pull says which is missing
                _link(self._source / name, folder / Path(name).relative_to(Path(path).parent))
        return inputs

    def _write(self, path: str, target: Path) -> None:
        said = self._said.blueprint
        inputs, outputs = (
            {a: b for a, b in names.items() if a != b} for names in (said.inputs, said.outputs)
        )
        if not inputs and not outputs:
            _link(self._source / path, target)
            return
        try:
            onnx_names.rename(self._source / path, target, inputs=inputs, outputs=outputs)
        except OnnxError as error:
            raise self._said.error(
                "inputs" if inputs else "outputs",
                f"`{path}` cannot have these names: {error}",
                hint="take other names, or export it with those that the task reads",
            ) from error


def _small_files(source: Path, listing: Listing, directory: Path) -> None:
    """Everything but graphs, weights and code: settings, tokenizers, modules, licences."""
    for file in listing.files:
        inside = "/" in file.path and file.path.endswith(".safetensors")  # of a sentence-transformers module
        if (
            (is_text(file) or inside)
            and file.path.partition("/")[0] not in assembly.TAKEN
            and file.path != FILE
        ):
            _link(source / file.path, directory / file.path)


def _pixels(specs: Sequence[TensorSpec]) -> tuple[int, int] | None:
    for spec in specs:
        if spec.name == "pixel_values" and len(spec.shape) >= 4:
            height, width = spec.shape[-2:]
            if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0:
                return height, width
    return None


def _link(source: Path, target: Path) -> None:
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError, NotImplementedError):
        target.symlink_to(source.resolve())
        return
    assembly.place(source, target, link=True)
