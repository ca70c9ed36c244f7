"""OpenVINO's settings, and the properties that a graph is compiled with by them."""

from __future__ import annotations

from typing import Any

from gpux.provider import RUNTIME, Options, Provider, Setting, setting

# INFERENCE_PRECISION_HINT is never left to the runtime: on a CPU with bf16 its own choice is bf16, unasked and unsaid.
# https://docs.openvino.ai/2026/openvino-workflow/running-inference/optimize-inference/precision-control.html
_PRECISION = Setting(
    "precision",
    "What it may compute in: fp32, or half precision where the device has it.",
    default="fp32",
    values=("fp32", "fp16", "bf16"),
    race=("fp32", "bf16", "fp16"),
    numeric=True,
)
_HINTS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_DEVICE = Setting("device", "CPU, GPU, GPU.1, NPU or AUTO.", default="CPU", numeric=True)
CHOOSERS = {"AUTO", "MULTI", "HETERO"}
_SHAPES = Setting(
    "shapes",
    "fixed compiles the graph anew for every shape of its inputs, which pays where there are few.",
    default="dynamic",
    values=("dynamic", "fixed"),
)
_CACHE = Setting(
    "cache_precision",
    "What a decoder's keys and values are kept in; as precision says where it is not given.",
    values=("fp32", "fp16", "bf16", "int8"),
    numeric=True,
)
SETTINGS = (_PRECISION, _DEVICE, _SHAPES, _CACHE)
_KEPT = {**_HINTS, "int8": "u8"}
_KEEPS = ("CPU", "GPU")


def properties(device: str, options: Options, provider: Provider) -> dict[str, Any]:
    """What OpenVINO compiles a graph with for a device."""
    asked = setting("precision", options.extra, provider)
    found: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _HINTS[asked],
    }
    # Left to itself, the CPU device keeps keys and values in 8 bits.
    kept = {"KV_CACHE_PRECISION": _KEPT[setting("cache_precision", options.extra, provider) or asked]}
    if device.partition(".")[0] in _KEEPS:
        found |= kept
    if device == "CPU":
        found["INFERENCE_NUM_THREADS"] = options.threads
    elif device.partition(":")[0] in CHOOSERS:
        found["DEVICE_PROPERTIES"] = {"CPU": {"INFERENCE_NUM_THREADS": options.threads, **kept}}
    if (
        device != "CPU" and options.cache is not None
    ):  # the CPU device compiles faster than it reads a cache back
        found["CACHE_DIR"] = str(options.cache)
    raw = {
        name.removeprefix(RUNTIME): value for name, value in options.extra.items() if name.startswith(RUNTIME)
    }
    return {**found, **raw}
