"""The attention of decoders that read an encoder, for as long as they are traced: self attention is one operator over a
buffer, cross attention reads tensors that were projected once. Knows no family and no file.

Operator: https://github.com/microsoft/onnxruntime/blob/v1.32.0/docs/ContribOperators.md#com.microsoft.GroupQueryAttention
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MethodType, SimpleNamespace
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache, EncoderDecoderCache
from transformers.masking_utils import AttentionMaskInterface

Pair = tuple[torch.Tensor, torch.Tensor]

_NAME = "gpux_crossing"
_MASKED = -65_504.0  # the lowest number that float16 holds too: what it is added to is nothing after a softmax


class PassThrough(Cache):
    """A cache that keeps nothing: what attention reads of the past is its operator's own business.

    Attributes:
        kept: Layer → the last keys and values that came through.
    """

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.kept: dict[int, Pair] = {}

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> Pair:
        """The same keys and values."""
        self.kept[layer_idx] = (key_states, value_states)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """None: positions are told to the model in other ways."""
        del layer_idx
        return 0

    def get_mask_sizes(self, query_length: Any, layer_idx: int = 0) -> tuple[Any, int]:
        """What is asked is all there is."""
        del layer_idx
        return query_length, 0

    @property
    def is_compileable(self) -> bool:
        """It has no tensors of its own."""
        return False


@dataclass(slots=True)
class Crossing:
    """One traced run of a decoder over what it has read.

    Attributes:
        past: Per layer the buffers [batch, kv_heads, capacity, head_dim].
        cross: Per layer the encoder's keys and values [batch, heads, source, head_dim].
        attention_mask: [batch, total]; the sum of a row is its length after this run.
        sequence: How many tokens of each row come.
        source_mask: [batch, source], where the encoder's rows are padded.
        present: Layer → its buffers after the run.
    """

    past: Sequence[Pair]
    cross: Sequence[Pair]
    attention_mask: torch.Tensor
    sequence: Any
    source_mask: torch.Tensor | None
    present: dict[int, Pair] = field(default_factory=dict)

    @property
    def positions(self) -> torch.Tensor:
        """[batch, sequence]: from a row's own length on; a first run begins at 0, its rows padded on the right."""
        first = (self.attention_mask.sum(1) - self.sequence).clamp(min=0)
        return first[:, None] + torch.arange(self.sequence, device=first.device)[None, :]

    def cache(self) -> EncoderDecoderCache:
        """What the model takes for its caches: cross attention's is filled."""
        crossed = PassThrough()
        crossed.layers = [SimpleNamespace(keys=key, values=value) for key, value in self.cross]
        both = EncoderDecoderCache(PassThrough(), crossed)
        both.is_updated = dict.fromkeys(range(len(self.cross)), True)
        return both

    def attend(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        *,
        scaling: float | None = None,
        position_bias: torch.Tensor | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, None]:
        """An attention function of transformers: [batch, heads, sequence, head_dim] → [batch, sequence, heads, head_dim]."""
        del attention_mask
        scale = float(query.shape[-1] ** -0.5 if scaling is None else scaling)
        layer = module.layer_idx
        if any(key is crossed for crossed, _ in self.cross):
            return self._cross(query, key, value, scale), None
        out, *present = _group_query_attention(
            (query, key, value), self.past[layer], self._sizes(), bias=position_bias, scale=scale
        )
        self.present[layer] = (present[0], present[1])
        return out.unflatten(2, (query.shape[1], query.shape[3])), None

    def _sizes(self) -> Pair:
        lengths = (self.attention_mask.sum(1) - 1).to(torch.int32)
        return lengths, torch.scalar_tensor(self.attention_mask.shape[1], dtype=torch.int32)

    def _cross(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        # Plain operators: every runtime has them, and none of them copies the keys, whose transposition is folded into the product.
        scores = torch.matmul(query * scale, key.transpose(2, 3))
        if self.source_mask is not None:
            unread = torch.where(self.source_mask > 0, 0.0, _MASKED)
            scores = scores + unread[:, None, None, :]
        return torch.matmul(torch.softmax(scores, dim=-1), value).transpose(1, 2)


def _group_query_attention(
    states: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    past: Pair,
    sizes: Pair,
    *,
    bias: torch.Tensor | None,
    scale: float,
) -> Sequence[torch.Tensor]:
    query, key, value = (state.transpose(1, 2).flatten(2) for state in states)
    optional = () if bias is None else (None, None, None, bias)  # no tables of cosines and sines, no positions
    return torch.onnx.ops.symbolic_multi_out(
        "com.microsoft::GroupQueryAttention",
        (query, key, value, *past, *sizes, *optional),
        attrs={
            "num_heads": states[0].shape[1],
            "kv_num_heads": states[1].shape[1],
            "scale": scale,
            "do_rotary": 0,
        },
        dtypes=(query.dtype, past[0].dtype, past[1].dtype),
        shapes=(query.shape, past[0].shape, past[1].shape),
        version=1,
    )


@contextmanager
def attention(model: Any, crossing: Crossing) -> Iterator[None]:
    """Let a decoder attend through ``crossing``, and know its positions by it."""
    AttentionInterface.register(_NAME, crossing.attend)
    AttentionMaskInterface.register(_NAME, lambda *_, **__: None)
    before = model.config._attn_implementation  # noqa: SLF001 - transformers names no other way to read it
    model.set_attn_implementation(_NAME)
    changed: list[tuple[Any, str]] = []
    try:
        for part in model.get_decoder().modules():
            name, method = _placing(part, crossing)
            if name:
                setattr(part, name, MethodType(method, part))
                changed.append((part, name))
        yield
    finally:
        for part, name in changed:
            delattr(part, name)
        model.set_attn_implementation(before)


def _placing(part: Any, crossing: Crossing) -> tuple[str, Any]:
    """The method of a module that would count positions from a cache's length, and what stands in for it."""
    if getattr(part, "has_relative_attention_bias", False):
        return "compute_bias", lambda self, *_, **__: _relative_bias(self, crossing)
    if type(part).__name__.endswith("PositionalEmbedding"):
        return "forward", lambda self, *_, **__: _embedded(self, crossing.positions)
    return "", None


def _embedded(part: Any, positions: torch.Tensor) -> torch.Tensor:
    """A table's rows; of tables with a row for padding, the first position stands behind it."""
    if isinstance(part, torch.nn.Embedding):
        return torch.nn.functional.embedding(positions + getattr(part, "offset", 0), part.weight)
    return torch.nn.functional.embedding(positions + part.padding_idx + 1, part.weights)


def _relative_bias(part: Any, crossing: Crossing) -> torch.Tensor:
    """T5's bias for distances, [batch, heads, sequence, total], each row counted from its own length."""
    read = torch.arange(crossing.attention_mask.shape[1], device=part.relative_attention_bias.weight.device)
    distance = read[None, None, :] - crossing.positions[:, :, None]
    told = {"bidirectional": False, "num_buckets": part.relative_attention_num_buckets}
    known = part._relative_position_bucket.__code__.co_varnames  # noqa: SLF001 - the family's own arithmetic
    if "bidirectional" in known:
        bucket = part._relative_position_bucket(  # noqa: SLF001
            distance, **told, max_distance=part.relative_attention_max_distance
        )
    else:
        bucket = part._relative_position_bucket(distance)  # noqa: SLF001
    return part.relative_attention_bias(bucket).permute(0, 3, 1, 2)
