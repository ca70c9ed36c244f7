"""The experts of a traced model as one node per layer, which reads the weights of those that the router chose and no others.

The node is ``com.microsoft::MoE``: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MoE
It takes a softmax of what it is given over the experts with the highest scores; given the logarithms of a router's own weights,
it gets these back, whatever the router made them of, but for their sum, which the result is multiplied by.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS, grouped_mm_experts_forward

NAME = "gpux"
_NEVER = 1e-30  # a weight of experts that were not chosen, whose logarithm is finite


@contextmanager
def mixing(model: Any) -> Iterator[None]:
    """Let a model's experts be the node, for as long as the block lasts; a model without experts stays as it is."""
    config = model.config.get_text_config(decoder=True)
    before = getattr(config, "_experts_implementation", None)
    if not any(hasattr(module, "has_post_expert_norm") for module in model.modules()):
        yield
        return
    ALL_EXPERTS_FUNCTIONS.register(NAME, _mix)
    model.set_experts_implementation(NAME)
    try:
        yield
    finally:
        model.set_experts_implementation(before or "grouped_mm")


def _mix(module: Any, hidden: Any, chosen: Any, weights: Any) -> Any:
    """The experts of one layer.

    Args:
        module: Their weights: ``gate_up_proj`` [experts, 2 · inner, hidden], ``down_proj`` [experts, hidden, inner].
        hidden: float [tokens, hidden].
        chosen: int64 [tokens, k]: the experts of each token.
        weights: float [tokens, k]: what each of them counts for.

    Returns:
        float [tokens, hidden].
    """
    if not _fits(module):
        return grouped_mm_experts_forward(module, hidden, chosen, weights)
    experts, double, width = module.gate_up_proj.shape
    dense = torch.zeros(hidden.shape[0], experts, dtype=weights.dtype).scatter(1, chosen, weights)
    # The node wants gate and up of each feature side by side.
    joined = (
        module.gate_up_proj.view(experts, 2, double // 2, width)
        .transpose(1, 2)
        .reshape(experts, double, width)
    )
    (mixed,) = torch.onnx.ops.symbolic_multi_out(
        "com.microsoft::MoE",
        (hidden, dense.clamp(min=_NEVER).log(), joined, None, module.down_proj),
        attrs={
            "k": chosen.shape[1],
            "activation_type": "swiglu",
            "swiglu_fusion": 1,
            "normalize_routing_weights": 1,
            "activation_alpha": 1.0,
            "activation_beta": 0.0,
        },
        dtypes=(hidden.dtype,),
        shapes=(hidden.shape,),
        version=1,
    )
    return mixed * weights.sum(1, keepdim=True)


def _fits(module: Any) -> bool:
    """Whether a layer's experts are what the node computes: silu(gate) · up, without biases."""
    plain = not (module.has_bias or module.is_transposed or module.has_post_expert_norm)
    silu = type(getattr(module, "act_fn", None)).__name__ in {"SiLU", "SiLUActivation"}
    return bool(plain and silu and module.has_gate and module.is_concatenated)
