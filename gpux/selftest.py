"""A graph of three nodes that every provider must compute before it counts as working.

``y = relu(x @ w + b)``, written as ONNX by hand (field numbers of onnx.proto3, ONNX 1.23) because the running
environment has no onnx package. Knows no runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_FLOAT, _IR_VERSION, _OPSET = 1, 8, 13


def graph() -> bytes:
    """The serialised ONNX model: input ``x`` float32 [batch, 4], output ``y`` float32 [batch, 3]."""
    w, b = _constants()
    nodes = [
        _field(1, _node("MatMul", ["x", "w"], "p")),
        _field(1, _node("Add", ["p", "b"], "s")),
        _field(1, _node("Relu", ["s"], "y")),
    ]
    weights = [_field(5, _tensor("w", w)), _field(5, _tensor("b", b))]
    ends = [_field(11, _value("x", 4)), _field(12, _value("y", 3))]
    body = b"".join(nodes) + _field(2, b"selftest") + b"".join(weights) + b"".join(ends)
    return _number(1, _IR_VERSION) + _field(7, body) + _field(8, _field(1, b"") + _number(2, _OPSET))


def feeds() -> dict[str, np.ndarray]:
    """Inputs: ``x`` float32 [2, 4]."""
    import numpy as np

    return {"x": np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)}


def matches(y: np.ndarray) -> bool:
    """Whether ``y`` [2, 3] is what numpy computes, to 1e-2 (half-precision providers included)."""
    import numpy as np

    w, b = _constants()
    expected = np.maximum(feeds()["x"] @ w + b, 0)
    return y.shape == expected.shape and bool(np.allclose(y, expected, rtol=1e-2, atol=1e-2))


def _constants() -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    w = np.linspace(-1.5, 2, 12, dtype=np.float32).reshape(4, 3)
    return w, np.array([0.5, -0.25, 0.125], dtype=np.float32)


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    return (
        b"".join(_field(1, name.encode()) for name in inputs)
        + _field(2, output.encode())
        + _field(4, kind.encode())
    )


def _tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(_number(1, size) for size in array.shape)
    return dims + _number(2, _FLOAT) + _field(8, name.encode()) + _field(9, array.astype("<f4").tobytes())


def _value(name: str, width: int) -> bytes:
    dims = _field(1, _field(2, b"batch")) + _field(1, _number(1, width))
    return _field(1, name.encode()) + _field(2, _field(1, _number(1, _FLOAT) + _field(2, dims)))


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
