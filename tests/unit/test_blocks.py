"""Weights in blocks mean to ONNX Runtime what they mean to us, and a searched scale errs less than the spanning one."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from gpux.export.generators.blocks import Scheme, quantise, restore

SCHEMES = [Scheme(bits, symmetric=symmetric) for bits in (4, 8) for symmetric in (True, False)]


def weights(rows=24, width=100):
    made = np.random.default_rng(5).standard_normal((rows, width)).astype(np.float32)
    made[3, 32:64] = 0  # a block of nothing
    made[4] = np.abs(made[4])  # a row on one side of zero
    return made


def multiplied(blocks, width):
    """The identity times the matrix, by the runtime's own operator in full precision."""
    named = {"packed": blocks.packed, "scales": blocks.scales}
    if blocks.zeros is not None:
        named["zeros"] = blocks.zeros
    constants = [
        ir.Value(name=name, const_value=ir.tensor(array, name=name)) for name, array in named.items()
    ]
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([width, width]))
    attributes = {
        "K": width,
        "N": len(blocks.scales),
        "bits": blocks.scheme.bits,
        "block_size": blocks.scheme.block,
    }
    node = ir.node("MatMulNBits", [x, *constants], attributes, domain="com.microsoft")
    node.outputs[0].name = "y"
    node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    node.outputs[0].shape = ir.Shape([width, len(blocks.scales)])
    graph = ir.Graph(
        [x], node.outputs, nodes=[node], initializers=constants, opset_imports={"": 20, "com.microsoft": 1}
    )
    session = onnxruntime.InferenceSession(ir.to_proto(ir.Model(graph, ir_version=10)).SerializeToString())
    return session.run(None, {"x": np.eye(width, dtype=np.float32)})[0].T


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_the_runtime_reads_what_was_written(scheme):
    made = weights()
    blocks = quantise(made, scheme)
    assert np.abs(multiplied(blocks, 100) - restore(blocks, 100)).max() < 1e-5


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_no_number_is_farther_off_than_its_blocks_step(scheme):
    made = weights()
    plain = Scheme(scheme.bits, symmetric=scheme.symmetric, searched=False)
    blocks = quantise(made, plain)
    steps = np.abs(np.repeat(blocks.scales, 32, axis=1)[:, :100])
    # The end that has one step less is cut where a block's range is symmetric.
    assert (np.abs(restore(blocks, 100) - made) <= steps * (1.0 if scheme.symmetric else 0.51) + 1e-6).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_search_pays(symmetric):
    made = weights(200, 256)
    errors = [
        ((restore(quantise(made, Scheme(4, symmetric=symmetric, searched=searched)), 256) - made) ** 2).mean()
        for searched in (False, True)
    ]
    assert errors[1] < 0.97 * errors[0]
