"""A folder with a ``gpux.yml``, laid out as the repositories are that hold ONNX graphs, so that a pull needs to know no other form.

Files are linked where the system allows it; a graph whose inputs or outputs get other names is written anew.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from gpux import onnx_names
from gpux.blueprint import preparing, reading
from gpux.blueprint.reading import FILE, Written
from gpux.errors import InvalidBlueprint, UsageError
from gpux.export.inputs import AUDIO_INPUTS, IMAGE_INPUTS, TEXT_INPUTS
from gpux.head import AUDIO, IMAGE, TEXT, VIDEO, Head
from gpux.onnx_reader import OnnxError, read_graph
from gpux.registry import assembly
from gpux.sources.listing import Listed, Listing
from gpux.sources.paths import external_files
from gpux.sources.selection import is_text
from gpux.tensors import TensorSpec

_FULL = "fp32"
_MAKES = {
    TEXT: TEXT_INPUTS,
    IMAGE: IMAGE_INPUTS,
    VIDEO: IMAGE_INPUTS,
    AUDIO: (*AUDIO_INPUTS, "attention_mask"),
}


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
        raise _unknown(said, "task", task, list(heads), "a task")
    if requested not in {None, task}:
        raise UsageError(
            f"`{said.path}` says that the model answers {task}, and {requested} was asked for",
            hint=f"edit the file, or leave --task {requested} to a run of the stored model",
        )
    graphs = _graphs(said, listing)
    source = listing.directory or Path()
    specs: list[TensorSpec] = []
    for variant, path in graphs.items():
        specs = _graph(said, source, path, folder=directory / variant, variant=variant, head=heads[task])
    _small_files(source, listing, directory)

    def read(path: str) -> bytes | None:
        return (source / path).read_bytes() if listing.find(path) else None

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


def _graphs(said: Written, listing: Listing) -> dict[str, str]:
    """Precision → path in the folder."""
    model = said.blueprint.model
    graphs: dict[str, str] = {**({_FULL: model.source} if model.source else {}), **model.variants}
    if not graphs:
        if len(listing.graphs) != 1:
            have = ", ".join(listing.graphs[:5]) or "none"
            raise said.error(
                "model",
                f"the folder holds {len(listing.graphs)} ONNX files ({have}), and `model.source` names none",
                hint=f"model: {{source: {listing.graphs[0] if listing.graphs else 'model.onnx'}}}",
            )
        graphs = {_FULL: listing.graphs[0]}
    for variant, path in graphs.items():
        if path not in listing.graphs:
            key = "model.source" if path == model.source and variant == _FULL else f"model.variants.{variant}"
            raise _unknown(said, key, path, listing.graphs, "an ONNX file of this folder")
    wanted = said.blueprint.runtime.variant
    if wanted and wanted not in graphs:
        raise said.error(
            "runtime.variant",
            f"`runtime.variant` is {wanted}, and `model` has {', '.join(graphs)}",
            hint="name one of those",
        )
    return graphs


def _graph(
    said: Written, source: Path, path: str, *, folder: Path, variant: str, head: Head
) -> list[TensorSpec]:
    """Put one graph with its external data in place; its inputs as they are called from then on."""
    try:
        summary = read_graph(source / path)
        inputs = _renamed(said, "inputs", summary.inputs)
        outputs = _renamed(said, "outputs", summary.outputs)
        _check(said, path, head, inputs, outputs)
        folder.mkdir()
        target = folder / f"model{'' if variant == _FULL else f'_{variant}'}.onnx"
        changed = {
            part: {old: new for old, new in names.items() if old in {spec.name for spec in specs}}
            for part, names, specs in (
                ("inputs", said.blueprint.inputs, summary.inputs),
                ("outputs", said.blueprint.outputs, summary.outputs),
            )
        }
        if any(changed.values()):
            onnx_names.rename(source / path, target, inputs=changed["inputs"], outputs=changed["outputs"])
        else:
            _link(source / path, target)
        for external in external_files(path, summary):
            relative = Path(external).relative_to(Path(path).parent)
            if (source / external).is_file():  # the pull says which is missing
                _link(source / external, folder / relative)
    except OnnxError as error:
        raise said.error(
            "model", f"`{path}` is no ONNX graph that can be built: {error}", hint="export it again"
        ) from error
    return inputs


def _renamed(said: Written, part: str, specs: Sequence[TensorSpec]) -> list[TensorSpec]:
    names: Mapping[str, str] = getattr(said.blueprint, part)
    known = [spec.name for spec in specs]
    for name in names:
        if name not in known:
            raise _unknown(said, f"{part}.{name}", name, known, f"one of the graph's {part}")
    return [replace(spec, name=names.get(spec.name, spec.name)) for spec in specs]


def _check(
    said: Written, path: str, head: Head, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]
) -> None:
    """Hold a graph's names to what the task makes and reads, before anything is run."""
    makes = [name for kind in head.takes for name in _MAKES[kind]]
    strange = [spec.name for spec in inputs if spec.name not in makes]
    if makes and strange:
        raise said.error(
            "inputs",
            f"`{path}` takes `{strange[0]}`, and the task {said.blueprint.task} makes {', '.join(makes)}",
            hint=f"write which it is: inputs: {{{_quoted(strange[0])}: {makes[0]}}}",
        )
    given = {spec.name for spec in outputs} | {head.aliases.get(spec.name, "") for spec in outputs}
    lacking = [name for name in head.scores if name not in given]
    if lacking:
        raise said.error(
            "outputs",
            f"`{path}` gives {', '.join(spec.name for spec in outputs)}, and the task {said.blueprint.task} reads `{lacking[0]}`",
            hint=f"write which it is: outputs: {{{_quoted(outputs[0].name)}: {lacking[0]}}}"
            if outputs
            else None,
        )
    _check_labels(said, head, outputs)


def _check_labels(said: Written, head: Head, outputs: Sequence[TensorSpec]) -> None:
    given = said.blueprint.labels
    for spec in outputs:
        classes = spec.shape[-1] if spec.shape and spec.name in head.scores[:1] else None
        if (
            len(spec.shape) == 2
            and isinstance(classes, int)
            and isinstance(given, tuple)
            and len(given) != classes
        ):
            raise said.error(
                "labels",
                f"`labels` has {len(given)} names, and `{spec.name}` {classes} scores",
                hint="give one name for each score, in the graph's order",
            )


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


def _unknown(said: Written, key: str, value: str, known: Sequence[str], what: str) -> InvalidBlueprint:
    close = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
    listed = f"there are {', '.join(known)}" if known else "there is none"
    return said.error(
        key,
        f"`{value[:80]}` is not {what}" if key != "task" else f"GPUX has no task `{value[:80]}`",
        hint=f"did you mean `{close[0]}`" if close else listed,
    )


def _quoted(name: str) -> str:
    return name if name.replace("_", "").isalnum() and not name.isdigit() else json.dumps(name)
