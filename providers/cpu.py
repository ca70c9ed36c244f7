"""The CPU provider: ONNX Runtime's CPUExecutionProvider, present in every onnxruntime distribution."""

from __future__ import annotations

from typing import ClassVar

from gpux import hardware
from gpux.provider import Device, Options, Runtime, Setting, setting

from ._onnxruntime import OnnxRuntimeProvider
from ._onnxruntime_options import GRAPH

_RESTING = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
_MAPPED = {"session.disable_prepacking": "1"}
_SPINNING = Setting(
    "spinning",
    "Whether idle threads wait awake for the next run: quicker answers, or a processor that rests.",
    default="on",
    values=("on", "off"),
)

_MEMORY = Setting(
    "memory",
    "Whether weights are copied into the order in which they are multiplied, or stay mapped: slower, and far less memory.",
    default="fast",
    values=("fast", "low"),
)


class Cpu(OnnxRuntimeProvider):
    """Runs everywhere; the reference for every proof."""

    name = "cpu"
    runtime = Runtime("onnxruntime", "CPUExecutionProvider", ("onnxruntime",))
    extra = "cpu"
    rank = 10
    settings: tuple[Setting, ...] = (GRAPH, _SPINNING, _MEMORY)
    behind: ClassVar[tuple[str, ...]] = ()

    def devices(self) -> tuple[Device, ...]:
        """The processor, with the memory that this process may use."""
        return (Device("cpu", "cpu", hardware.memory_allowed()),)

    def session_options(self, options: Options) -> dict[str, str]:
        """Threads that rest between runs, where asked for."""
        spins = setting("spinning", options.extra, self) == "on"
        mapped = setting(_MEMORY.name, options.extra, self) == "low"
        return {**({} if spins else _RESTING), **(_MAPPED if mapped else {})}


provider = Cpu()
