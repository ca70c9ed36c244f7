"""OpenVINO's devices, and where and in what it computes a compiled graph, as it tells itself; knows no session."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gpux.provider import Device, Placement

_NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "i8": "int8", "u8": "int8", "f64": "fp64"}
_ORDER = ("int8", "bf16", "fp16", "fp32", "fp64")
_CAPABLE = {"FP32": "fp32", "BF16": "bf16", "FP16": "fp16"}
_HEAVY = (
    "FullyConnected",
    "MatMul",
    "Gemm",
    "Convolution",
    "Deconvolution",
    "MHA",
    "ScaledAttn",
    "LSTMCell",
    "GRUCell",
    "RNNSeq",
)
_ENDS = ("Input", "Output", "Const", "Constant", "Parameter", "Result")


def described(core: Any, name: str) -> Device:
    """A device as it describes itself."""
    kind = name.partition(".")[0].lower()
    memory = None
    if kind == "gpu":
        memory = int(core.get_property(name, "GPU_DEVICE_TOTAL_MEM_SIZE"))
    able = core.get_property(name, "OPTIMIZATION_CAPABILITIES")
    precisions = tuple(ours for theirs, ours in _CAPABLE.items() if theirs in able)
    full = str(core.get_property(name, "FULL_DEVICE_NAME")).strip()
    return Device(f"{name}: {full}" if full else name, kind, memory, precisions)


def placement(compiled: Any) -> Placement:
    """Nodes, devices and the lowest precision in which anything heavy is computed; in which anything is, where nothing is heavy."""
    kinds: list[tuple[str, str]] = []
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        kinds.append((_told(info, "layerType"), _told(info, "runtimePrecision")))
    inner = [(kind, precision) for kind, precision in kinds if kind not in _ENDS]
    heavy = Counter(precision for kind, precision in inner if kind.startswith(_HEAVY))
    found = {_NAMES.get(name, name) for name in heavy or {precision for _, precision in inner}}
    precision = min((name for name in found if name in _ORDER), key=_ORDER.index, default="fp32")
    devices = ", ".join(compiled.get_property("EXECUTION_DEVICES"))
    return Placement("openvino", devices, precision, {"OpenVINO": len(inner)}, 1.0)


def _told(info: Any, key: str) -> str:
    if key not in info:
        return ""
    found = info[key]
    return str(getattr(found, "value", found))
