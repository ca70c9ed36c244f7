"""Evaluates a Core ML package's program with numpy, operation by operation, as Apple's MIL reference defines them.

Core ML predicts on macOS alone; this shows on any system what the program that was written down computes. It needs
coremltools to read the program, and runs in the environment of the ``coreml`` toolchain.

Usage: python ml_program.py PACKAGE FEEDS.npz OUTPUTS.npz
"""

from __future__ import annotations

import json
import math
import sys

import coremltools
import numpy as np
from coremltools.converters.mil.frontend.milproto.load import load

TYPES = {"fp16": np.float16, "fp32": np.float32, "int32": np.int32, "bool": np.bool_, "int16": np.int16}


def single(compute):
    """Half precision as hardware has it: computed in single precision, rounded once."""

    def rounded(x, *others, **named):
        if x.dtype != np.float16:
            return compute(x, *others, **named)
        return compute(x.astype(np.float32), *others, **named).astype(np.float16)

    return rounded


def axes_of(axes):
    return None if axes is None else tuple(int(axis) for axis in np.atleast_1d(axes))


@single
def layer_norm(x, axes, gamma=None, beta=None, epsilon=1e-5):
    centred = x - x.mean(axes_of(axes), keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(axes_of(axes), keepdims=True) + np.float32(epsilon))
    return normal * (1 if gamma is None else gamma.astype(np.float32)) + (
        0 if beta is None else beta.astype(np.float32)
    )


@single
def softmax(x, axis):
    powers = np.exp(x - x.max(int(axis), keepdims=True))
    return powers / powers.sum(int(axis), keepdims=True)


@single
def gelu(x, mode="EXACT"):
    if mode == "EXACT":
        return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    assert mode == "TANH_APPROXIMATION", mode
    return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


@single
def linear(x, weight, bias=None):
    return x @ weight.astype(np.float32).T + (0 if bias is None else bias.astype(np.float32))


@single
def matmul(x, y, transpose_x=False, transpose_y=False):
    y = y.astype(np.float32)
    return (x.swapaxes(-1, -2) if transpose_x else x) @ (y.swapaxes(-1, -2) if transpose_y else y)


@single
def reduce_mean(x, axes=None, keep_dims=False):
    return x.mean(axes_of(axes), keepdims=bool(keep_dims))


@single
def reduce_sum(x, axes=None, keep_dims=False):
    return x.sum(axes_of(axes), keepdims=bool(keep_dims))


def gather(x, indices, axis=0, batch_dims=0, validate_indices=False):
    assert not batch_dims
    return np.take(x, indices, axis=int(axis))


def gather_along_axis(x, indices, axis=0, validate_indices=False):
    return np.take_along_axis(x, indices, int(axis))


def gather_nd(x, indices, batch_dims=0, validate_indices=False):
    assert not batch_dims
    return x[tuple(np.moveaxis(indices, -1, 0))]


def slice_by_index(x, begin, end, stride=None, begin_mask=None, end_mask=None, squeeze_mask=None):
    def one(axis):
        if squeeze_mask is not None and squeeze_mask[axis]:
            return int(begin[axis])
        first = None if begin_mask is not None and begin_mask[axis] else int(begin[axis])
        last = None if end_mask is not None and end_mask[axis] else int(end[axis])
        return slice(first, last, 1 if stride is None else int(stride[axis]))

    begin, end = np.atleast_1d(begin), np.atleast_1d(end)
    return x[tuple(one(axis) for axis in range(x.ndim))]


def reshape(x, shape):
    return x.reshape([x.shape[i] if size == 0 else int(size) for i, size in enumerate(shape)])


def select(cond, a, b):
    return np.where(cond, a, b)


def split(x, axis, num_splits=None, split_sizes=None):
    return np.split(x, int(num_splits) if split_sizes is None else np.cumsum(split_sizes)[:-1], int(axis))


OPERATIONS = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "real_div": lambda x, y: x // y if np.asarray(x).dtype.kind == "i" else x / y,
    "floor_div": lambda x, y: x // y,
    "pow": lambda x, y: x**y,
    "maximum": lambda x, y: np.where(x > y, x, y),
    "minimum": lambda x, y: np.where(x < y, x, y),
    "equal": lambda x, y: x == y,
    "not_equal": lambda x, y: x != y,
    "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y,
    "less": lambda x, y: x < y,
    "less_equal": lambda x, y: x <= y,
    "logical_and": lambda x, y: x & y,
    "logical_or": lambda x, y: x | y,
    "logical_not": lambda x: ~x,
    "cast": lambda x, dtype: np.asarray(x).astype(TYPES[dtype]),
    "cos": single(np.cos),
    "sin": single(np.sin),
    "exp": single(np.exp),
    "tanh": single(np.tanh),
    "sqrt": single(np.sqrt),
    "rsqrt": single(lambda x, epsilon=0: 1 / np.sqrt(x + np.float32(epsilon))),
    "log": single(lambda x, epsilon=0: np.log(x + np.float32(epsilon))),
    "sigmoid": single(lambda x: 1 / (1 + np.exp(-x))),
    "silu": single(lambda x: x / (1 + np.exp(-x))),
    "relu": lambda x: np.maximum(x, 0),
    "square": lambda x: x * x,
    "abs": lambda x: abs(x) + 0,
    "sign": lambda x: ((x > 0) * 1 - (x < 0) * 1).astype(x.dtype),
    "ceil": lambda x: -(-x // 1),
    "clip": lambda x, alpha, beta: x.clip(alpha, beta),
    "shape": lambda x: np.array(x.shape, np.int32),
    "concat": lambda values, axis, interleave=False: np.concatenate(
        [np.atleast_1d(v) for v in values], int(axis)
    ),
    "stack": lambda values, axis: np.stack(values, int(axis)),
    "expand_dims": lambda x, axes: np.expand_dims(x, axes_of(axes)),
    "squeeze": lambda x, axes=None: np.squeeze(x, axes_of(axes)),
    "tile": lambda x, reps: np.tile(x, [int(times) for times in reps]),
    "transpose": lambda x, perm: np.transpose(x, [int(axis) for axis in perm]),
    "range_1d": lambda start, end, step: np.arange(start, end, step, dtype=np.asarray(end).dtype),
    "fill": lambda shape, value: np.full([int(size) for size in shape], value),
    "fill_like": lambda ref_tensor, value: np.full(ref_tensor.shape, value),
    "cumsum": lambda x, axis, exclusive=False, reverse=False: np.cumsum(x, int(axis)).astype(x.dtype),
    "identity": lambda x: x,
    **{
        function.__name__: function
        for function in (gather, gather_along_axis, gather_nd, slice_by_index, reshape, select, split)
    },
    "layer_norm": layer_norm,
    "softmax": softmax,
    "gelu": gelu,
    "linear": linear,
    "matmul": matmul,
    "reduce_mean": reduce_mean,
    "reduce_sum": reduce_sum,
}


def evaluate(package, feeds):
    specification = coremltools.utils.load_spec(package)
    program = load(
        specification,
        specification_version=specification.specificationVersion,
        file_weights_dir=f"{package}/Data/com.apple.CoreML/weights",
    )
    main = program.functions["main"]
    known = {name: feeds[name].astype(np.int32) for name in main.inputs}

    def value(variable):
        if isinstance(variable, list | tuple):
            return [value(one) for one in variable]
        return known.get(variable.name, variable.val)

    for operation in main.operations:
        if operation.op_type == "const":
            known[operation.outputs[0].name] = operation.outputs[0].val
            continue
        arguments = {
            name: value(variable) for name, variable in operation.inputs.items() if variable is not None
        }
        made = OPERATIONS[operation.op_type](**arguments)
        for variable, array in zip(
            operation.outputs, made if isinstance(made, list) else [made], strict=True
        ):
            known[variable.name] = np.asarray(array)
    return {variable.name: known[variable.name] for variable in main.outputs}


def declared(package):
    """The specification's own words, as protobuf prints them."""
    from google.protobuf.json_format import MessageToDict

    specification = coremltools.utils.load_spec(package)
    return {
        "version": specification.specificationVersion,
        "kind": specification.WhichOneof("Type"),
        "description": MessageToDict(specification.description),
    }


if __name__ == "__main__":
    with np.load(sys.argv[2]) as stored:
        np.savez(sys.argv[3], **evaluate(sys.argv[1], dict(stored)))
    print(json.dumps(declared(sys.argv[1])))
