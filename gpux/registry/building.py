"""Build: a folder with a ``gpux.yml`` → a stored artifact under the name that the file gives; and a first file for a graph."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from gpux import tasks
from gpux.artifact import Artifact
from gpux.blueprint import reading, starting
from gpux.errors import GpuxError, ModelNotFound, UsageError
from gpux.events import Progress, silent
from gpux.onnx_reader import OnnxError, read_graph
from gpux.reference import parse
from gpux.registry import folder
from gpux.registry.pull import pull
from gpux.registry.store import Store


def build(
    directory: str | PathLike[str] = ".",
    *,
    force: bool = False,
    progress: Progress = silent,
    store: Store | None = None,
) -> Artifact:
    """Prove and store a model of one's own: a folder with a ``gpux.yml`` and ONNX files.

    A folder that is stored as it is now is not built again, unless ``force``.

    Args:
        directory: The folder.
        force: Prove and store again.
        progress: Receives every step.
        store: The store; the one in ``GPUX_HOME`` when ``None``.

    Raises:
        InvalidBlueprint: The file cannot be followed; the message names its line.
        GpuxError: What :func:`gpux.pull` raises.
    """
    store, path = store or Store(), Path(directory)
    written = reading.read(path, shown=folder.shown(path))
    name = written.blueprint.name
    if name:
        _check_name(written, name)
    artifact = pull(path, force=force, progress=progress, store=store)
    if name:
        store.point(str(parse(name)), artifact.digest)
    return artifact


def write_blueprint(graph: str | PathLike[str], *, task: str | None = None, force: bool = False) -> Path:
    """Write a commented ``gpux.yml`` beside an ONNX file, from what that declares.

    Args:
        graph: The ONNX file.
        task: The task that it answers; ``raw`` when ``None``.
        force: Replace a file that is there.

    Returns:
        The file.

    Raises:
        ModelNotFound: There is no ONNX file at that place.
        UsageError: There is a ``gpux.yml`` already, or it cannot be written.
        UnknownTask: GPUX has no such task.
    """
    path = Path(graph)
    if task is not None:
        tasks.find(task)
    try:
        summary = read_graph(path)
    except (OnnxError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ModelNotFound(
            f"`{path}` is no ONNX graph: {why}", hint="name one .onnx file: gpux init ./model.onnx", path=path
        ) from error
    target = path.parent / reading.FILE
    text = starting.text(path.name, summary, task=task, tasks=tasks.names())
    try:
        with target.open("w" if force else "x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"`{target}` is there already", hint=f"gpux init {path} --force replaces it", path=target
        ) from error
    except OSError as error:
        raise UsageError(
            f"`{target}` cannot be written: {error.strerror}",
            hint="check the folder's permissions",
            path=target,
        ) from error
    return target


def _check_name(written: reading.Written, name: str) -> None:
    try:
        plain = parse(name)
    except GpuxError as error:
        raise written.error("name", f"`name` is `{name}`: {error.message}", hint=error.hint) from error
    if plain.scheme != "hf" or "/" in plain.name or plain.revision or plain.variant:
        raise written.error("name", f"`{name}` is no plain name", hint="use letters, digits, dots and dashes")
