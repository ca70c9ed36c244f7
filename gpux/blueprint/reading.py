"""A folder's ``gpux.yml`` → its record, with the lines that its keys stand in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpux.blueprint import nodes, values
from gpux.blueprint.nodes import LARGEST, Place
from gpux.blueprint.records import Blueprint, Lines, Preprocessing
from gpux.errors import InvalidBlueprint

FILE = "gpux.yml"

PICTURES = ("name", "size", "crop", "mean", "std", "scale", "resample")
TEXTS = ("tokenizer", "max_length")
SOUNDS = ("sampling_rate", "normalize")
"""The keys of preprocessing, by what they prepare."""


@dataclass(frozen=True, slots=True)
class Written:
    """A blueprint as it stands in a file.

    Attributes:
        blueprint: What it says.
        path: The file, as messages name it.
        lines: Where each key stands.
    """

    blueprint: Blueprint
    path: str
    lines: Lines

    def error(self, key: str, said: str, *, hint: str | None = None) -> InvalidBlueprint:
        """The error for what a key says; its line is that of the nearest key that is written."""
        parts = key.split(".")
        line = next(
            (
                self.lines[name]
                for end in range(len(parts), 0, -1)
                if (name := ".".join(parts[:end])) in self.lines
            ),
            0,
        )
        return Place(self.path, line).error(said, hint=hint, key=key)


def read(directory: Path, *, shown: str | None = None) -> Written:
    """The blueprint of a folder.

    Args:
        directory: The folder.
        shown: How messages name the file; by its path when ``None``.

    Raises:
        InvalidBlueprint: There is none, or it cannot be followed; the message names the line.
    """
    path = directory / FILE
    name = shown or str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST + 1)
    except FileNotFoundError as error:
        raise InvalidBlueprint(
            f"there is no {FILE} in `{directory}`",
            hint="gpux init GRAPH.onnx writes one",
            path=str(directory),
        ) from error
    except OSError as error:
        raise Place(name).error(
            f"it cannot be read ({error.strerror or error})", hint="check its permissions"
        ) from error
    return parse(data, name)


def parse(data: bytes, name: str = FILE) -> Written:
    """The blueprint in a file's bytes.

    Raises:
        InvalidBlueprint: It cannot be followed.
    """
    lines: dict[str, int] = {}
    written = Written(values.record(Blueprint, nodes.read(data, name), lines=lines), name, lines)
    _check_graphs(written)
    _check_runtime(written)
    _check_preparing(written)
    return written


def _check_graphs(written: Written) -> None:
    model = written.blueprint.model
    if model.source and "fp32" in model.variants:
        raise written.error(
            "model.variants.fp32",
            "`model.source` and `model.variants.fp32` both are the graph in full precision",
            hint="leave one of them",
        )
    for part in ("inputs", "outputs"):
        names: dict[str, str] = getattr(written.blueprint, part)
        for graph, task in names.items():
            twin = next((other for other, name in names.items() if name == task and other != graph), None)
            if twin is not None:
                raise written.error(
                    f"{part}.{graph}",
                    f"`{twin}` and `{graph}` both become `{task}`",
                    hint="give each a name of its own",
                )


def _check_runtime(written: Written) -> None:
    runtime = written.blueprint.runtime
    if runtime.options and not runtime.provider:
        raise written.error(
            "runtime.options",
            "`runtime.options` are a provider's, and none is named",
            hint="add `provider` under `runtime`",
        )


def _check_preparing(written: Written) -> None:
    """Pictures, texts and sound have settings apart; a file that has several was meant for another task."""
    given = written.blueprint.prepared
    picture, sound = first(given, PICTURES), first(given, SOUNDS)
    if picture and sound:
        raise written.error(
            f"preprocessing.{sound}",
            f"`{sound}` prepares sound, and `{picture}` pictures",
            hint="keep those of the one that the model is given",
        )
    if given.std and any(one == 0 for one in given.std):
        raise written.error("preprocessing.std", "`std` holds a 0", hint="nothing can be divided by it")


def first(given: Preprocessing, keys: tuple[str, ...]) -> str | None:
    """The first of some keys that is written."""
    return next((key for key in keys if getattr(given, key) is not None), None)
