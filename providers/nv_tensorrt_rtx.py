"""The TensorRT for RTX provider: NVIDIA's plug-in for GeForce RTX cards, with its engines kept and sized by the task's shapes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from gpux.onnx_reader import OnnxError, read_graph
from gpux.provider import Options, Runtime, Setting, setting
from gpux.tensors import TensorSpec

from ._onnxruntime_options import GRAPH
from ._plugin import DEVICE, PluginProvider

_CUDA_GRAPH = Setting(
    "cuda_graph",
    "Whether runs are recorded and replayed as a CUDA graph, which needs inputs of one fixed shape.",
    default="off",
    values=("off", "on"),
)


class NvTensorRtRtx(PluginProvider):
    """Builds an engine on the card where it opens a graph; options by tensorrt_rtx_provider_options.h in the wheel."""

    name = "nv-tensorrt-rtx"
    runtime = Runtime(
        "onnxruntime-ep-nv-tensorrt-rtx",
        "NvTensorRTRTXExecutionProvider",
        ("onnxruntime_ep_nv_tensorrt_rtx",),
    )
    extra = "nv-tensorrt-rtx"
    rank = 70
    settings: tuple[Setting, ...] = (GRAPH, DEVICE, _CUDA_GRAPH)
    order: ClassVar[tuple[str, ...]] = ("gpu",)
    remedy = "an RTX card (Ampere or later) and NVIDIA's driver for CUDA 13 are needed: nvidia-smi tells both"

    def distributions(self) -> tuple[str, ...]:
        """The package that chooses a version of CUDA, and those of each."""
        name = self.runtime.distribution
        return (name, f"{name}-cu13", f"{name}-cu12")

    def provider_options(self, options: Options) -> dict[str, str]:
        """The cache of compiled kernels, and CUDA graphs."""
        found = {}
        if options.cache is not None:
            options.cache.mkdir(parents=True, exist_ok=True)
            found["nv_runtime_cache_path"] = str(options.cache)
        if setting(_CUDA_GRAPH.name, options.extra, self) == "on":
            found["enable_cuda_graph"] = "1"
        return found

    def options_for(self, graph: Path | bytes, options: Options) -> dict[str, str]:
        """With a profile from the task's shapes: without one, the engine is built for every shape there could be."""
        found = self.provider_options(options)
        if isinstance(graph, Path) and options.dimensions:
            with suppress(OnnxError, OSError):  # the runtime says what is wrong with the graph
                found |= profiles(read_graph(graph).inputs, options)
        return found


def profiles(inputs: tuple[TensorSpec, ...], options: Options) -> dict[str, str]:
    """Smallest, usual and largest shapes of all inputs as ``name:2x8,other:2x8``; nothing unless all sizes are known."""
    found = {}
    for place, name in enumerate(("min", "opt", "max")):
        shapes = []
        for spec in inputs:
            sizes: list[str] = []
            for dim in spec.shape:
                if isinstance(dim, int):
                    sizes.append(str(dim))
                elif dim is not None and dim in options.dimensions:
                    sizes.append(str(options.dimensions[dim][place]))
                else:
                    return {}
            shapes.append(f"{spec.name}:{'x'.join(sizes)}")
        found[f"nv_profile_{name}_shapes"] = ",".join(shapes)
    return found


provider = NvTensorRtRtx()
