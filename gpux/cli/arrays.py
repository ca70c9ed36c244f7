"""Answers as a ``.npz`` file: stacked where they have one shape, one by one where they do not; memory holds one at a time."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from gpux.cli.items import Item
from gpux.cli.partial import Partial, writing
from gpux.cli.sinks import Sink
from gpux.errors import GpuxError, InvalidInput

OUTPUTS, POSITIONS = "outputs", "positions"


@dataclass(slots=True)
class _Column:
    """The arrays of one name, one behind the other in a file without a name."""

    bytes: IO[bytes]
    shapes: list[tuple[np.dtype[Any], tuple[int, ...]]] = field(default_factory=list)

    @property
    def alike(self) -> bool:
        return all(shape == self.shapes[0] for shape in self.shapes)


class Arrays(Sink):
    """A ``.npz`` file.

    An answer that is an array goes to ``outputs``; one that is a mapping of arrays, to an array of each name. Arrays of one shape are
    stacked, those of several are ``outputs.0``, ``outputs.1`` …; the arrays of a mapping that answers the only input stay as they are.
    Where an item failed, ``positions`` (int64) says which inputs the answers belong to.
    """

    def __init__(self, path: Path) -> None:
        self._file = Partial(path, binary=True)
        self._columns: dict[str, _Column] = {}
        self._positions: list[int] = []
        self._seen = 0
        self._named = False

    def add(self, item: Item, answer: Any) -> None:
        """Take an answer."""
        named = isinstance(answer, Mapping)
        if self._positions and (named != self._named or (named and set(answer) != set(self._columns))):
            raise _no_arrays(self._file.path)
        self._named = named
        for name, value in (answer if named else {OUTPUTS: answer}).items():
            self._append(str(name), self._array(value))
        self._positions.append(self._seen)
        self._seen += 1

    def fail(self, item: Item, error: GpuxError) -> None:
        """Take note of an item without an answer."""
        self._seen += 1

    def finish(self) -> str | None:
        """Put it in its place."""
        if self._seen and not self._positions:
            return None
        with writing(self._file.path):
            with zipfile.ZipFile(self._file.file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                for name, column in self._columns.items():
                    self._store(archive, name, column)
                if not self._seen:
                    _member(archive, OUTPUTS, np.zeros(0, np.float32))
                if len(self._positions) < self._seen:
                    _member(archive, POSITIONS, np.asarray(self._positions, np.int64))
            self._file.finish()
        self._close()
        return str(self._file.path)

    def abandon(self) -> None:
        """Keep what can be read, drop the rest."""
        self._close()
        self._file.drop()

    def _array(self, value: Any) -> np.ndarray:
        try:
            array = np.asarray(value)
        except ValueError as error:  # lists of different lengths
            raise _no_arrays(self._file.path) from error
        if array.dtype.kind not in "biufc":
            raise _no_arrays(self._file.path)
        plain_floats = not hasattr(value, "dtype") and array.dtype.kind == "f"
        return np.ascontiguousarray(array, np.float32 if plain_floats else None).reshape(array.shape)

    def _append(self, name: str, array: np.ndarray) -> None:
        with writing(self._file.path):
            if name not in self._columns:
                self._columns[name] = _Column(tempfile.TemporaryFile())  # noqa: SIM115 - closed in the end
            column = self._columns[name]
            column.shapes.append((array.dtype, array.shape))
            column.bytes.write(array.tobytes())

    def _store(self, archive: zipfile.ZipFile, name: str, column: _Column) -> None:
        column.bytes.seek(0)
        alone = self._named and self._seen == 1
        if column.alike and not alone:
            dtype, shape = column.shapes[0]
            _copy(archive, name, dtype, (len(column.shapes), *shape), column.bytes)
            return
        for number, (dtype, shape) in enumerate(column.shapes):
            _copy(archive, name if alone else f"{name}.{number}", dtype, shape, column.bytes)

    def _close(self) -> None:
        for column in self._columns.values():
            column.bytes.close()


def _no_arrays(path: Path) -> InvalidInput:
    return InvalidInput("these answers are no arrays", hint=f"write --output {path.stem}.json", path=path)


def _copy(
    archive: zipfile.ZipFile, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], source: IO[bytes]
) -> None:
    """A member in NumPy's own format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    left = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        while left:
            chunk = source.read(min(left, 1 << 20))
            member.write(chunk)
            left -= len(chunk)


def _member(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)
