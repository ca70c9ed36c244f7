"""PyTorch operators as Core ML needs them: the one that coremltools 9.0 lacks, and the one that half precision breaks.

Imported only inside the worker. Written and registered as its guide to composite operators says
(https://apple.github.io/coremltools/docs-guides/source/composite-operators.html).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil import Builder
from coremltools.converters.mil.frontend.torch import ops, register_torch_op
from coremltools.converters.mil.frontend.torch.utils import NUM_TO_DTYPE_STRING
from coremltools.converters.mil.mil import types

_NEVER = 3e4
"""What stands for infinity in half precision, whose largest number is 65504; coremltools masks its own attention with it."""

_BEFORE = ops.masked_fill


def register() -> None:
    """Put them in coremltools' own registry."""
    for operator in (new_ones, masked_fill):
        register_torch_op(operator, override=True)


def new_ones(context: Any, node: Any) -> None:
    """``tensor.new_ones(size, dtype=None, …)``; the masks of transformers 5 begin with one."""
    inputs = ops._get_inputs(context, node)  # noqa: SLF001 - what the guide itself uses
    tensor, size, dtype = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else None
    kind = NUM_TO_DTYPE_STRING[int(dtype.val)] if dtype is not None else None
    if isinstance(size, list):
        size = Builder.concat(values=size, axis=0) if size else np.array([], dtype=np.int32)
    known = getattr(size, "val", size)
    if known is not None and np.size(known) == 0:
        ones = Builder.const(val=np.float32(1))
    else:
        ones = Builder.fill(shape=size, value=1.0)
    context.add(Builder.cast(x=ones, dtype=kind or types.builtin_to_string(tensor.dtype), name=node.name))


def masked_fill(context: Any, node: Any) -> None:
    """``tensor.masked_fill(mask, value)``, the value within half precision: a row of nothing but -inf is NaN after a softmax."""
    tensor, mask, value = ops._get_inputs(context, node, expected=3)  # noqa: SLF001
    constant = value.val if value.val is not None and np.ndim(value.val) == 0 else None
    if constant is None or tensor.dtype != types.fp32 or abs(float(constant)) <= _NEVER:
        _BEFORE(context, node)
        return
    nearer = np.float32(np.clip(constant, -_NEVER, _NEVER))
    wanted = mask if mask.dtype == types.bool else Builder.cast(x=mask, dtype="bool")
    context.add(Builder.select(cond=wanted, a=nearer, b=tensor, name=node.name))
