"""Reads what an ONNX file declares, without a runtime: inputs, outputs, operators, external files; never the weights.

The running environment has no onnx package, and files from a source are not to be trusted, so this walks the protobuf
wire format over a memory map, in Python, with every length checked. Field numbers are those of onnx.proto3 (ONNX 1.23).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gpux.tensors import TensorSpec

Buffer = memoryview
_MAX_DEPTH = 64
_MAX_ELEMENTS = 1 << 63

# onnx.TensorProto.DataType → numpy's name (ml_dtypes' where numpy has none).
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "str", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
}  # fmt: skip


class OnnxError(Exception):
    """The bytes are no ONNX model."""


@dataclass(frozen=True, slots=True)
class GraphSummary:
    """What a file declares.

    Attributes:
        inputs: Graph inputs that are no initializers.
        outputs: Graph outputs.
        nodes: Number of nodes at the top level.
        operators: Every operator as ``domain::type`` (``::`` left out in the default domain), subgraphs included.
        external: Locations of external data, as written in the file: not yet checked.
        parameters: Elements of all initializers of a floating-point or quantised type, those for training left out.
        opset: Version of the default operator set.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    nodes: int
    operators: frozenset[str]
    external: frozenset[str]
    parameters: int
    opset: int


@dataclass(slots=True)
class _Walk:
    operators: set[str] = field(default_factory=set)
    external: set[str] = field(default_factory=set)
    parameters: int = 0
    opset: int = 0


def read_graph(path: Path) -> GraphSummary:
    """Summarise an ONNX file.

    Raises:
        OnnxError: It is none.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        if stream.seek(0, 2) == 0:
            raise OnnxError("the file is empty")
        # Not closed by hand: an error's traceback still holds slices of the map, which goes with the last of them.
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    return _model(memoryview(mapped))


def _model(view: Buffer) -> GraphSummary:
    walk = _Walk()
    summary: tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...], int] | None = None
    for number, value in _fields(view):
        if number == 7 and isinstance(value, memoryview):
            summary = _graph(value, walk, 0)
        elif number == 8 and isinstance(value, memoryview):
            opset = dict(_fields(value))
            if not bytes(_bytes(opset.get(1, b""))):
                walk.opset = _integer(opset.get(2, 0))
        elif number == 25 and isinstance(value, memoryview):
            _function(value, walk)
        elif number == 20 and isinstance(value, memoryview):  # TrainingInfoProto: graphs 1 and 2
            before = walk.parameters
            for inner, graph in _fields(value):
                if inner in {1, 2}:
                    _graph(_bytes(graph), walk, 0)
            walk.parameters = before  # no runtime loads them
    if summary is None:
        raise OnnxError("it holds no graph")
    return GraphSummary(
        *summary, frozenset(walk.operators), frozenset(walk.external), walk.parameters, walk.opset
    )


def _graph(
    view: Buffer, walk: _Walk, depth: int
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...], int]:
    if depth > _MAX_DEPTH:
        raise OnnxError("its subgraphs are nested too deep")
    inputs: list[TensorSpec] = []
    outputs: list[TensorSpec] = []
    initialized: set[str] = set()
    nodes = 0
    for number, value in _fields(view):
        if number == 1:
            nodes += 1
            _node(_bytes(value), walk, depth)
        elif number == 5:
            initialized.add(_tensor(_bytes(value), walk))
        elif number == 15:  # SparseTensorProto: values 1, indices 2
            initialized.update(
                _tensor(_bytes(part), walk) for inner, part in _fields(_bytes(value)) if inner in {1, 2}
            )
        elif number in {11, 12}:
            (inputs if number == 11 else outputs).append(_value_info(_bytes(value)))
    return tuple(spec for spec in inputs if spec.name not in initialized), tuple(outputs), nodes


def _function(view: Buffer, walk: _Walk) -> None:
    for number, value in _fields(view):  # FunctionProto: node 7, attribute_proto 11
        if number == 7:
            _node(_bytes(value), walk, 0)
        elif number == 11:
            _attribute(_bytes(value), walk, 0)


def _node(view: Buffer, walk: _Walk, depth: int) -> None:
    kind = domain = ""
    for number, value in _fields(view):
        if number == 4:
            kind = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            _attribute(_bytes(value), walk, depth)
    walk.operators.add(f"{domain}::{kind}" if domain not in {"", "ai.onnx"} else kind)


def _attribute(view: Buffer, walk: _Walk, depth: int) -> None:
    for number, value in _fields(view):
        if number in {5, 10}:
            _tensor(_bytes(value), walk)
        elif number in {6, 11}:
            _graph(_bytes(value), walk, depth + 1)
        elif number in {22, 23}:
            for inner, tensor in _fields(_bytes(value)):
                if inner in {1, 2}:
                    _tensor(_bytes(tensor), walk)


def _tensor(view: Buffer, walk: _Walk) -> str:
    name, elements, dtype = "", 1, 0
    for number, value in _fields(view):
        if number == 1:
            for size in [value] if isinstance(value, int) else _packed(value):
                elements *= size
                if elements > _MAX_ELEMENTS:  # a negative size reads as one of 2⁶⁴
                    raise OnnxError("a tensor of more elements than any machine holds")
        elif number == 2:
            dtype = _integer(value)
        elif number == 8:
            name = _text(value)
        elif number == 13:  # StringStringEntryProto: key 1, value 2
            entry = {inner: _text(part) for inner, part in _fields(_bytes(value)) if inner in {1, 2}}
            if entry.get(1) == "location":
                walk.external.add(entry.get(2, ""))
    if dtype not in {6, 7, 9}:  # shapes and masks are no parameters
        walk.parameters += elements
        if walk.parameters > _MAX_ELEMENTS:
            raise OnnxError("more parameters than any machine holds")
    return name


def _value_info(view: Buffer) -> TensorSpec:
    name, dtype, shape = "", 0, []
    for number, value in _fields(view):
        if number == 1:
            name = _text(value)
        elif (
            number == 2
        ):  # TypeProto: tensor_type 1 {elem_type 1, shape 2 {dim 1 {dim_value 1, dim_param 2}}}
            tensor = dict(_fields(_bytes(value))).get(1, b"")
            for inner, part in _fields(_bytes(tensor)):
                if inner == 1:
                    dtype = _integer(part)
                elif inner == 2:
                    shape = [_dimension(_bytes(dim)) for n, dim in _fields(_bytes(part)) if n == 1]
    return TensorSpec(name, DTYPES.get(dtype, f"type{dtype}"), tuple(shape))


def _dimension(view: Buffer) -> int | str | None:
    for number, value in _fields(view):
        if number == 1:
            return _integer(value)
        if number == 2:
            return _text(value) or None
    return None


def _fields(view: Buffer) -> Iterator[tuple[int, int | Buffer]]:
    at, end = 0, len(view)
    while at < end:
        tag, at = varint(view, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise OnnxError("field number 0")
        if wire == 0:
            value, at = varint(view, at)
            yield number, value
            continue
        if wire == 2:
            size, at = varint(view, at)
        elif wire in {1, 5}:
            size = 8 if wire == 1 else 4
        else:
            raise OnnxError(f"wire type {wire}")
        if size > end - at:
            raise OnnxError("a field runs past its end")
        yield number, view[at : at + size]
        at += size


def varint(view: Buffer, at: int) -> tuple[int, int]:
    """The number that begins there, in protobuf's base of 128, and where the next field begins.

    Raises:
        OnnxError: It runs past the end.
    """
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise OnnxError("a number runs past its end")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _packed(view: Buffer) -> Iterator[int]:
    at = 0
    while at < len(view):
        value, at = varint(view, at)
        yield value


def _bytes(value: int | Buffer | bytes) -> Buffer:
    if isinstance(value, int):
        raise OnnxError("a number where a message should be")
    return memoryview(value)


def _integer(value: int | Buffer | bytes) -> int:
    if not isinstance(value, int):
        raise OnnxError("a message where a number should be")
    return value


def _text(value: int | Buffer) -> str:
    try:
        return bytes(_bytes(value)).decode("utf-8")
    except UnicodeDecodeError as error:
        raise OnnxError("a name that is no UTF-8") from error
