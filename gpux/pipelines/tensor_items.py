"""What a person has → the arrays that a graph takes: mappings, nested lists, ``.npz``, ``.npy`` and ``.json`` files.

Nothing is guessed: an array must have the graph's dtype, and a number that JSON wrote is converted where none is lost.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from gpux.errors import InvalidInput
from gpux.tensors import TensorSpec

FILES = (".npz", ".npy", ".json")
"""Endings of the files that hold tensors."""


class _Misfit(Exception):
    """Why a value cannot be an input; becomes part of one error for the whole item."""


def arrays(
    item: Any, specs: Sequence[TensorSpec], *, position: int, allow_nan: bool
) -> dict[str, np.ndarray]:
    """The graph's inputs, each of the graph's own dtype and rank.

    Args:
        item: A mapping of names, one array or nested list where the graph has one input, or the path of a file of either.
        specs: The graph's inputs.
        position: The item's place in the caller's list, for the error.
        allow_nan: Whether numbers may be infinite or none.

    Raises:
        InvalidInput: Something does not fit; the message says what, the hint lists the graph's inputs.
    """
    hint = f"the graph takes {', '.join(map(str, specs)) or 'no inputs'}"
    try:
        named = _named(_read(item) if isinstance(item, str | PathLike) else item, specs)
    except _Misfit as misfit:
        raise InvalidInput(f"input {position} {misfit}", hint=hint, position=position) from None
    wrong, feeds = _strange(named, specs), {}
    for spec in specs:
        if spec.name not in named:
            wrong.append(f"lacks `{spec.name}`")
            continue
        try:
            feeds[spec.name] = _array(named[spec.name], spec, allow_nan=allow_nan)
        except _Misfit as misfit:
            wrong.append(f"has `{spec.name}` {misfit}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InvalidInput(
            f"input {position} " + ", ".join(wrong[:3]) + more,
            hint=hint,
            position=position,
        )
    return feeds


def _strange(named: Mapping[Any, Any], specs: Sequence[TensorSpec]) -> list[str]:
    known = {spec.name for spec in specs}
    return [f"has `{str(name)[:80]}`, which the graph does not take" for name in named if name not in known]


def _named(value: Any, specs: Sequence[TensorSpec]) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, str | bytes) or not (
        isinstance(value, list | tuple | int | float) or hasattr(value, "__array__")
    ):
        raise _Misfit(f"is {type(value).__name__}, not tensors by name")
    if len(specs) != 1:
        raise _Misfit(f"is one tensor, and the graph takes {len(specs)}")
    return {specs[0].name: value}


def _read(item: str | PathLike[str]) -> Any:
    path = Path(item)
    shown = str(path)[:200]
    if path.suffix.lower() not in FILES:
        raise _Misfit(f"is `{shown}`, neither tensors nor a file of them ({', '.join(FILES)})")
    try:
        if path.suffix.lower() == ".json":
            return json.loads(path.read_bytes())
        with path.open("rb") as stream:  # numpy leaves its own open where the content is none
            loaded = np.load(stream, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            return {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise _Misfit(f"cannot be read from `{shown}`: {error.strerror or error}") from error
    except (
        ValueError,
        EOFError,
        RecursionError,
        MemoryError,
        zipfile.BadZipFile,
        NotImplementedError,
    ) as error:
        raise _Misfit(f"cannot be read from `{shown}`: {_first_line(error)}") from error


def _array(value: Any, spec: TensorSpec, *, allow_nan: bool) -> np.ndarray:
    wanted = np.dtype(spec.dtype)
    if isinstance(value, list | tuple | bool | int | float):
        array = _from_numbers(value, wanted)
    elif hasattr(value, "__array__"):
        try:
            array = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise _Misfit(f"as {type(value).__name__}: {_first_line(error)}") from error
        if array.dtype.newbyteorder("=") != wanted:
            raise _Misfit(f"as {array.dtype}")
        array = array.astype(wanted, copy=False)
    else:
        raise _Misfit(f"as {type(value).__name__}")
    fits = len(array.shape) == len(spec.shape) and all(
        not isinstance(want, int) or want < 0 or want == have
        for want, have in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        raise _Misfit(f"of shape [{', '.join(map(str, array.shape))}]")
    if not allow_nan and wanted.kind == "f" and not np.isfinite(array).all():
        raise _Misfit("with numbers that are infinite or none, which only the parameter `allow_nan` lets in")
    return np.asarray(array, order="C")


def _from_numbers(value: Any, wanted: np.dtype[Any]) -> np.ndarray:
    """Numbers as JSON holds them; rounded to a floating-point dtype, exact in every other."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise _Misfit("as lists of unequal lengths") from None
    if not array.size:
        return array.astype(wanted)
    if array.dtype.kind not in "biuf" and not _flat_numbers(array.tolist()):
        raise _Misfit("with something else than numbers")
    if wanted.kind == "b" or array.dtype.kind == "b":
        if wanted.kind != array.dtype.kind:
            raise _Misfit(
                "with numbers for true and false" if wanted.kind == "b" else "with true and false for numbers"
            )
        return array
    if wanted.kind == "f":
        return _to_floats(array, wanted)
    return _to_integers(array, wanted, value)


def _to_floats(array: np.ndarray, wanted: np.dtype[Any]) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            converted = array.astype(wanted)
    except OverflowError:  # a whole number that not even double precision reaches
        raise _Misfit(f"with numbers beyond {wanted}") from None
    if not np.isfinite(converted).all() and np.isfinite(array.astype(np.float64)).all():
        raise _Misfit(f"with numbers beyond {wanted}")
    return converted


def _to_integers(array: np.ndarray, wanted: np.dtype[Any], value: Any) -> np.ndarray:
    if (
        array.dtype.kind == "f"
    ):  # a whole number beyond 64 bits makes numpy take floating point for all of them
        array = np.asarray(value, dtype=object)
        if not all(isinstance(one, int) for one in array.ravel()):
            raise _Misfit("with fractions")
    limits = np.iinfo(wanted)
    if int(array.min()) < limits.min or int(array.max()) > limits.max:
        raise _Misfit(f"with numbers beyond {wanted}")
    return array.astype(wanted)


def _flat_numbers(value: Any) -> bool:
    """Whether nested lists hold numbers alone."""
    if isinstance(value, list | tuple):
        return all(map(_flat_numbers, value))
    return isinstance(value, int | float)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
