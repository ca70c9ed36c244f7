"""The graph of a generator in fp32 → its graph in another precision, written a tensor at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir

from gpux.export.generators.halving import halve
from gpux.export.generators.narrowing import narrow
from gpux.export.generators.precisions import NARROW
from gpux.export.generators.quantising import RECIPES, quantise_graph

_HALF = frozenset({"fp16", "q4f16"})
_ALIGNMENT = 4096  # bytes: where a runtime may map from


def write(source: Path, target: Path, variant: str, *, greatest: Mapping[str, float] | None = None) -> None:
    """Write one variant.

    Args:
        source: The fp32 graph, its weights beside it.
        target: Where to write; its weights go beside it, with ``.data`` behind the name.
        variant: One of :data:`gpux.export.generators.precisions.MADE`, but ``fp32``.
        greatest: How great the model's keys and values become, for a variant that keeps them in 8 bits; see
            :func:`gpux.export.generators.narrowing.measure`.

    Raises:
        UnsupportedModel: The variant keeps the cache in 8 bits, and the graph has none that could be.
    """
    model = ir.load(source)
    aliases: Sequence[tuple[ir.Value, ir.Value]] = ()
    bits = variant.removesuffix("f16").removesuffix(NARROW)
    if bits in RECIPES:
        aliases = quantise_graph(model, RECIPES[bits]).aliases
    if variant in _HALF:
        halve(model)
    if variant.endswith(NARROW):
        narrow(model, greatest or {})
    save(model, target, aliases=aliases)


def save(model: ir.Model, path: Path, *, aliases: Sequence[tuple[ir.Value, ir.Value]] = ()) -> None:
    """Write a graph, its weights beside it, where a runtime maps them.

    Args:
        model: The graph; afterwards its weights are those of the file.
        path: Where to write.
        aliases: Constants that name the bytes of others, in their own shape.
    """
    from onnx_ir import external_data

    path.parent.mkdir(parents=True, exist_ok=True)
    external_data.unload_from_model(
        model, path.parent, f"{path.name}.data", size_threshold_bytes=1024, alignment=_ALIGNMENT
    )
    for alias, stored in aliases:
        tensor = stored.const_value
        name = alias.name or ""
        if not isinstance(tensor, ir.ExternalTensor) or alias.shape is None:
            raise LookupError(f"`{name}` has no bytes of its own to share")
        alias.const_value = ir.ExternalTensor(
            tensor.location,
            tensor.offset,
            tensor.length,
            tensor.dtype,
            shape=alias.shape,
            name=name,
            base_dir=tensor.base_dir,
        )
        model.graph.initializers[name] = alias
    ir.save(model, path)
