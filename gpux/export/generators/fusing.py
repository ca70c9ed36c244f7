"""A traced decoder → the same with fewer, larger operators: what a step spends outside of its weights.

Every rewrite is exact but for the order in which numbers are added; what does not match stays as it was.
"""

from __future__ import annotations

import onnx_ir as ir

from gpux.export.generators import fusing_linear, fusing_norms, fusing_rotary
from gpux.export.generators.rewriting import Rewriting


def fuse(model: ir.Model, *, positions: int) -> dict[str, int]:
    """Rewrite a decoder in place; what was fused, by how often.

    Args:
        model: The graph, its values' shapes still noted.
        positions: How many positions the model has at most (``max_position_embeddings``).
    """
    rewriting = Rewriting(model, "fused")
    found = {
        "products": fusing_linear.fuse_products(rewriting),
        "norms": fusing_norms.fuse_norms(rewriting),
        "rotary": fusing_rotary.fuse_rotary(rewriting, positions),
        "attention": fusing_linear.fuse_attention(rewriting),
        "siblings": fusing_linear.fuse_siblings(rewriting),
        "gates": fusing_linear.fuse_gates(rewriting),
        "experts": fusing_linear.fuse_experts(rewriting),
        "skips": fusing_norms.fuse_skips(rewriting),
        "places": fusing_linear.fuse_places(rewriting),
        "head": fusing_linear.fuse_head(rewriting),
    }
    return {name: count for name, count in found.items() if count}
