"""The WebGPU provider: any GPU that Vulkan, Direct3D 12 or Metal reaches, by ONNX Runtime's plug-in or a build with it inside."""

from __future__ import annotations

from gpux.provider import Options, Runtime, Setting

from ._onnxruntime_options import GRAPH
from ._plugin import PluginProvider

# Names and values of onnxruntime/core/providers/webgpu/webgpu_provider_options.h
_LAYOUT = Setting(
    "layout",
    "Order of an image's dimensions inside the graph; which is quicker depends on the model and the GPU.",
    values=("NHWC", "NCHW"),
    race=("NHWC", "NCHW"),
)
_POWER = Setting(
    "power",
    "Which GPU to take where there are two: the quick one, or the one that saves the battery.",
    values=("high-performance", "low-power"),
)
_NAMES = {"layout": "preferredLayout", "power": "powerPreference"}


class WebGpu(PluginProvider):
    """One device, behind which WebGPU itself picks the GPU."""

    name = "webgpu"
    runtime = Runtime(
        "onnxruntime-ep-webgpu", "WebGpuExecutionProvider", ("onnxruntime_ep_webgpu", "onnxruntime")
    )
    extra = "webgpu"
    rank = 30
    settings: tuple[Setting, ...] = (GRAPH, _LAYOUT, _POWER)
    remedy = (
        "a GPU and its driver are needed, on Linux also the Vulkan loader: vulkaninfo --summary lists GPUs"
    )

    def provider_options(self, options: Options) -> dict[str, str]:
        """Layout and power, where they were given."""
        return {native: options.extra[name] for name, native in _NAMES.items() if options.extra.get(name)}


provider = WebGpu()
