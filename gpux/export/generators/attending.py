"""Every attention of a traced model as one node, whose keys and values are kept in one buffer that runs write in place.

The node is ``com.microsoft::GroupQueryAttention``: causal, grouped, with the length of each row, so that rows of a batch may
have read different numbers of tokens. Its past and present have the buffer's shape; bound to the same memory, nothing is copied.
Contract: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache
from transformers.masking_utils import AttentionMaskInterface

NAME = "gpux"


@dataclass(frozen=True, slots=True)
class Layer:
    """What a layer keeps of each token: keys and values for so many heads of a size."""

    heads: int
    size: int


@dataclass(slots=True)
class Scene:
    """One forward pass under trace, or a look at which layers attend.

    Attributes:
        lengths: int32 [batch]: each row's tokens after this pass, less one.
        total: int32 scalar: the most tokens of any row.
        past: Per layer, keys and values [batch, heads, capacity, size]; empty for a look.
        present: The same after the pass, by layer.
        seen: What each layer keeps, by layer.
    """

    lengths: Any = None
    total: Any = None
    past: Sequence[tuple[Any, Any]] = ()
    present: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    seen: dict[int, Layer] = field(default_factory=dict)


_scene: list[Scene] = []


class PassThrough(Cache):  # type: ignore[misc]
    """The cache as a model sees it: gives back what it is given, for the attention node keeps the rest."""

    def __init__(self) -> None:
        self.layers: list[Any] = []

    def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
        """The new keys and values alone."""
        return key_states, value_states

    def get_seq_length(self, *_: Any, **__: Any) -> int:
        """Nothing was read before, as far as the model's own code is concerned."""
        return 0

    def get_mask_sizes(self, query_length: Any, *_: Any, **__: Any) -> tuple[Any, int]:
        """The sizes of a mask that nobody makes."""
        return query_length, 0


@contextmanager
def attending(model: Any, function: Callable[..., Any] | None = None) -> Iterator[None]:
    """Let a model attend by the node, or by a function of one's own, for as long as the block lasts."""
    AttentionInterface.register(NAME, function or attend)
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)
    config = model.config.get_text_config(decoder=True)
    before = config._attn_implementation  # noqa: SLF001
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextmanager
def scene(current: Scene) -> Iterator[Scene]:
    """The pass that attentions belong to inside the block."""
    _scene.append(current)
    try:
        yield current
    finally:
        _scene.pop()


def attend(  # noqa: PLR0917 - transformers calls it so
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,  # noqa: ARG001
    scaling: float | None = None,
    dropout: float = 0.0,  # noqa: ARG001
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Any = None,
    position_bias: Any = None,
    **_: Any,
) -> tuple[Any, None]:
    """The attention of one layer.

    Args:
        module: The layer's attention, which knows its number.
        query: float [batch, heads, sequence, size], rotated already.
        key: float [batch, kept heads, sequence, size], rotated already.
        value: float [batch, kept heads, sequence, size of a value].
        attention_mask: None: the node masks.
        scaling: What scores are multiplied by; one over the root of the size when ``None``.
        dropout: Nothing at inference.
        sliding_window: Tokens that each one sees, itself among them.
        softcap: Where scores are bent by a tanh.
        s_aux: float [heads]: a score that takes its share of each softmax and gives nothing, as gpt-oss has.
        position_bias: float [batch or 1, heads or 1, sequence, total], which is added to scores, as T5 has.

    Returns:
        float [batch, sequence, heads, size of a value], and no weights.
    """
    current = _scene[-1]
    width, scale = value.shape[-1], float(query.shape[-1] ** -0.5 if scaling is None else scaling)
    # The node knows one size, a multiple of 8; MLA's values are smaller than its keys. Zeros change no product.
    size = -(-max(query.shape[-1], width) // 8) * 8
    query, key, value = (
        each if each.shape[-1] == size else torch.nn.functional.pad(each, (0, size - each.shape[-1]))
        for each in (query, key, value)
    )
    current.seen[module.layer_idx] = Layer(key.shape[1], size)
    if not current.past:
        return query.transpose(1, 2)[..., :width], None
    out, *present = _node(
        (query, key, value),
        current.past[module.layer_idx],
        (current.lengths, current.total, *_optional(position_bias, s_aux)),
        scale=scale,
        local_window_size=sliding_window or -1,
        softcap=float(softcap or 0.0),
    )
    current.present[module.layer_idx] = (present[0], present[1])
    return out.unflatten(2, (query.shape[1], size))[..., :width], None


def _node(
    states: tuple[Any, Any, Any], past: tuple[Any, Any], others: tuple[Any, ...], **attributes: Any
) -> Sequence[Any]:
    """The node: what is attended to, and both buffers."""
    query, key, _ = states
    found: Sequence[Any] = torch.onnx.ops.symbolic_multi_out(
        "com.microsoft::GroupQueryAttention",
        (
            *(each.transpose(1, 2).flatten(2) for each in states),
            *past,
            *(
                each.to(query.dtype) if each is not None and each.is_floating_point() else each
                for each in others
            ),
        ),
        attrs={"num_heads": query.shape[1], "kv_num_heads": key.shape[1], "do_rotary": 0, **attributes},
        dtypes=(query.dtype, query.dtype, query.dtype),
        shapes=(
            (query.shape[0], query.shape[2], query.shape[1] * query.shape[3]),
            past[0].shape,
            past[1].shape,
        ),
        version=1,
    )
    return found


def _optional(bias: Any, sink: Any) -> tuple[Any, ...]:
    """The node's last inputs, behind cosines, sines and positions, which it does without."""
    if bias is None and sink is None:
        return ()
    return (None, None, None, bias) if sink is None else (None, None, None, bias, sink)
