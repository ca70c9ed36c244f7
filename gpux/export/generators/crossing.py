"""The attention of decoders that read an encoder, for as long as they are traced.

Cross attention reads tensors that were projected once, self attention is :mod:`gpux.export.generators.attending`'s node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MethodType, SimpleNamespace
from typing import Any

import torch
from transformers.cache_utils import EncoderDecoderCache

from gpux.export.generators.attending import PassThrough, Scene, attend, attending, scene

Pair = tuple[Any, Any]

_MASKED = (
    -65_504.0
)  # the lowest number that float16 holds too: what it is added to is nothing after a softmax


class Kept(PassThrough):
    """A cache that remembers what came through.

    Attributes:
        pairs: Layer → its keys and values [batch, heads, positions, size].
    """

    def __init__(self) -> None:
        super().__init__()
        self.pairs: dict[int, Pair] = {}

    def update(self, key_states: Any, value_states: Any, layer_idx: int, *_: Any, **__: Any) -> Pair:
        """The same keys and values."""
        self.pairs[layer_idx] = (key_states, value_states)
        return key_states, value_states


@dataclass(slots=True)
class Crossing:
    """One traced run of a decoder over what it has read.

    Attributes:
        past: Per layer the buffers [batch, kv_heads, capacity, size].
        cross: Per layer the encoder's keys and values [batch, heads, source, size].
        attention_mask: [batch, total]; the sum of a row is its length after this run.
        sequence: How many tokens of each row come.
        source_mask: [batch, source], where the encoder's rows are padded.
        scene: The run as self attention sees it.
        looked: Layer → how much each of its heads looked at each position, [batch, heads, sequence, source].
    """

    past: Sequence[Pair]
    cross: Sequence[Pair]
    attention_mask: Any
    sequence: Any
    source_mask: Any = None
    scene: Scene = field(init=False)
    looked: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scene = Scene(
            lengths=(self.attention_mask.sum(1) - 1).to(torch.int32),
            total=torch.scalar_tensor(self.attention_mask.shape[1], dtype=torch.int32),
            past=self.past,
        )

    @property
    def positions(self) -> Any:
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
        self, module: Any, query: Any, key: Any, value: Any, attention_mask: Any = None, **told: Any
    ) -> tuple[Any, None]:
        """An attention function of transformers: [batch, heads, sequence, size] → [batch, sequence, heads, size]."""
        if any(key is crossed for crossed, _ in self.cross):
            return self._cross(module, (query, key, value), told.get("scaling")), None
        return attend(module, query, key, value, attention_mask, **told)

    def _cross(self, module: Any, states: tuple[Any, Any, Any], scaling: float | None) -> Any:
        query, key, value = states
        # Plain operators: every runtime has them, and none copies the keys, whose transposition is folded into the product.
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        scores = torch.matmul(query * scale, key.transpose(2, 3))
        if self.source_mask is not None:
            unread = torch.where(self.source_mask > 0, 0.0, _MASKED).to(scores.dtype)
            scores = scores + unread[:, None, None, :]
        weights = self.looked[module.layer_idx] = torch.softmax(scores, dim=-1)
        return torch.matmul(weights, value).transpose(1, 2)


@contextmanager
def crossing(model: Any, current: Crossing) -> Iterator[None]:
    """Let a decoder attend as one run has it, and know its positions by it, for as long as the block lasts."""
    changed: list[tuple[Any, str]] = []
    with attending(model, current.attend), scene(current.scene):
        try:
            for part in model.get_decoder().modules():
                name, method = _standing_in(part, current)
                if name:
                    setattr(part, name, MethodType(method, part))
                    changed.append((part, name))
            yield
        finally:
            for part, name in changed:
                delattr(part, name)


def _standing_in(part: Any, current: Crossing) -> tuple[str, Any]:
    """The method of a module that cannot be traced as it is, or would count positions from a cache's length; what stands in."""
    name = type(part).__name__
    if getattr(part, "has_relative_attention_bias", False):
        return "compute_bias", lambda self, *_, **__: _relative_bias(self, current)
    if name.endswith("PositionalEmbedding"):
        return "forward", lambda self, *_, **__: _embedded(self, current.positions)
    if name == "TrOCRAttention":
        return "forward", lambda self, hidden_states, **told: _trocr(self, hidden_states, current, **told)
    if name == "BlipTextSelfAttention":
        return "forward", lambda self, hidden_states, **told: _blip(self, hidden_states, current, **told)
    return "", None


def _trocr(
    part: Any, states: Any, current: Crossing, *, key_value_states: Any = None, **_: Any
) -> tuple[Any, None]:
    """The attention of TrOCR's decoder, which transformers 5.24 does not send through its attention interface.

    Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/trocr/modeling_trocr.py
    """

    def heads(projected: Any) -> Any:
        return projected.unflatten(2, (part.num_heads, part.head_dim)).transpose(1, 2)

    if key_value_states is None:
        key, value = heads(part.k_proj(states)), heads(part.v_proj(states))
    else:
        key, value = current.cross[part.layer_idx]
    out, _weights = current.attend(part, heads(part.q_proj(states)), key, value, scaling=part.scaling)
    return part.out_proj(out.flatten(2)), None


def _blip(
    part: Any, states: Any, current: Crossing, *, encoder_hidden_states: Any = None, **_: Any
) -> tuple[Any, None]:
    """The attention of BLIP's decoder, which transformers 5.24 does not send through its attention interface.

    Source: https://github.com/huggingface/transformers/blob/v5.24.0/src/transformers/models/blip/modeling_blip_text.py
    """

    def heads(projected: Any) -> Any:
        return projected.unflatten(2, (part.num_attention_heads, part.attention_head_size)).transpose(1, 2)

    if encoder_hidden_states is None:
        key, value = heads(part.key(states)), heads(part.value(states))
    else:
        key, value = current.cross[part.layer_idx]
    out, _weights = current.attend(part, heads(part.query(states)), key, value)
    return out.flatten(2), None


def _embedded(part: Any, positions: Any) -> Any:
    """A table's rows; of tables with a row for padding, the first position stands behind it."""
    if isinstance(part, torch.nn.Embedding):
        return torch.nn.functional.embedding(positions + getattr(part, "offset", 0), part.weight)
    return torch.nn.functional.embedding(positions + part.padding_idx + 1, part.weights)


def _relative_bias(part: Any, current: Crossing) -> Any:
    """T5's bias for distances, [batch, heads, sequence, total], each row counted from its own length."""
    read = torch.arange(current.attention_mask.shape[1], device=part.relative_attention_bias.weight.device)
    distance = read[None, None, :] - current.positions[:, :, None]
    told = {"bidirectional": False, "num_buckets": part.relative_attention_num_buckets}
    known = part._relative_position_bucket.__code__.co_varnames  # noqa: SLF001 - the family's own arithmetic
    if "bidirectional" in known:
        bucket = part._relative_position_bucket(  # noqa: SLF001
            distance, **told, max_distance=part.relative_attention_max_distance
        )
    else:
        bucket = part._relative_position_bucket(distance)  # noqa: SLF001
    return part.relative_attention_bias(bucket).permute(0, 3, 1, 2)
