"""Gives the inputs and outputs of an ONNX file other names or axes, without a runtime: an ``Identity`` stands between new name and old.

Every other byte is copied. Field numbers are those of onnx.proto3, as in :mod:`gpux.onnx_reader`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gpux.onnx_reader import Buffer, OnnxError, varint

Shape = tuple[int | str | None, ...]
_NODE, _INITIALIZER, _INPUT, _OUTPUT = 1, 5, 11, 12  # of GraphProto
_GRAPH = 7  # of ModelProto
_TYPE = 2  # of ValueInfoProto


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a message: its number, the whole of its bytes, and its content where it has a length."""

    number: int
    whole: Buffer
    content: Buffer | None


def rename(
    source: Path,
    target: Path,
    *,
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
    axes: Mapping[str, Shape] | None = None,
) -> None:
    """Write a graph whose inputs and outputs are called otherwise.

    Args:
        source: The file.
        target: The new file, in a folder that is there; external data is found beside it by the same names.
        inputs: Old name → new name.
        outputs: Old name → new name.
        axes: Old name → sizes and names of its axes, for those that shall have others.

    Raises:
        OnnxError: The file is none, or has another value of a new name.
    """
    with source.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    fields = list(_fields(memoryview(mapped)))
    graphs = [field.content for field in fields if field.number == _GRAPH and field.content is not None]
    if len(graphs) != 1:
        raise OnnxError(f"it holds {len(graphs)} graphs")
    parts = _graph(graphs[0], inputs, outputs, axes or {})
    with target.open("wb") as stream:
        for field in fields:
            if field.number != _GRAPH:
                stream.write(field.whole)
        stream.write(_head(_GRAPH, sum(map(len, parts))))
        for part in parts:
            stream.write(part)


def _graph(
    view: Buffer, inputs: Mapping[str, str], outputs: Mapping[str, str], axes: Mapping[str, Shape]
) -> list[Buffer | bytes]:
    fields = list(_fields(view))
    taken = _values(fields)
    for old, new in (*inputs.items(), *outputs.items()):
        if new in taken and new != old:
            raise OnnxError(f"`{old}` cannot become `{new}`, for the graph has another value of that name")
    parts: list[Buffer | bytes] = [_identity(new, old) for old, new in inputs.items() if new != old]
    for field in fields:
        names = {_INPUT: inputs, _OUTPUT: outputs}.get(field.number)
        parts.append(_named(field, names, axes) if names or (axes and names is not None) else field.whole)
    return [*parts, *(_identity(old, new) for old, new in outputs.items() if new != old)]


def _values(fields: list[_Field]) -> set[str]:
    """The names of every value at the graph's top level."""
    found = set()
    for field in fields:
        if field.content is None:
            continue
        if field.number in {_INPUT, _OUTPUT}:
            found.add(_name(field.content, 1))
        elif field.number == _INITIALIZER:
            found.add(_name(field.content, 8))
        elif field.number == _NODE:
            found |= {
                _decoded(f.content) for f in _fields(field.content) if f.number == 2 and f.content is not None
            }
    return found


def _named(field: _Field, names: Mapping[str, str], axes: Mapping[str, Shape]) -> bytes:
    """A ValueInfoProto under its new name and with its new axes, where it gets some."""
    content = field.content if field.content is not None else memoryview(b"")
    old = _name(content, 1)
    if old not in names and old not in axes:
        return bytes(field.whole)
    rest = b"".join(
        _shaped(inner, axes[old]) if inner.number == _TYPE and old in axes else bytes(inner.whole)
        for inner in _fields(content)
        if inner.number != 1
    )
    return _text(field.number, _text(1, names.get(old, old).encode()) + rest)


def _shaped(field: _Field, shape: Shape) -> bytes:
    """A TypeProto of a tensor, of the type that it has."""
    dims = b""
    for size in shape:
        dim = (
            b""
            if size is None
            else _text(2, size.encode())
            if isinstance(size, str)
            else b"\x08" + _number(size)
        )
        dims += _text(1, dim)
    tensor = next(
        (f.content for f in _fields(field.content or memoryview(b"")) if f.number == 1), memoryview(b"")
    )
    kind = b"".join(bytes(f.whole) for f in _fields(tensor or memoryview(b"")) if f.number == 1)
    return _text(field.number, _text(1, kind + _text(2, dims)))


def _identity(source: str, target: str) -> bytes:
    node = _text(1, source.encode()) + _text(2, target.encode()) + _text(3, f"gpux/{target}".encode())
    return _text(_NODE, node + _text(4, b"Identity"))


def _name(content: Buffer, number: int) -> str:
    return next(
        (_decoded(f.content) for f in _fields(content) if f.number == number and f.content is not None), ""
    )


def _decoded(content: Buffer) -> str:
    return bytes(content).decode("utf-8", "surrogateescape")


def _text(number: int, content: bytes) -> bytes:
    return _head(number, len(content)) + content


def _head(number: int, size: int) -> bytes:
    return _number(number << 3 | 2) + _number(size)


def _number(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _fields(view: Buffer) -> Iterator[_Field]:
    at, end = 0, len(view)
    while at < end:
        start = at
        tag, at = varint(view, at)
        content: Buffer | None = None
        wire = tag & 7
        if wire == 0:
            _, at = varint(view, at)
        elif wire == 2:
            size, at = varint(view, at)
            if size > end - at:
                raise OnnxError("a field runs past its end")
            content = view[at : at + size]
            at += size
        elif wire in {1, 5}:
            at += 8 if wire == 1 else 4
        else:
            raise OnnxError(f"wire type {wire}")
        if at > end:
            raise OnnxError("a field runs past its end")
        yield _Field(tag >> 3, view[start:at], content)
