"""The CPU provider: ONNX Runtime's CPUExecutionProvider, present in every onnxruntime distribution."""

from __future__ import annotations

from pathlib import Path

from gpux import hardware
from gpux.provider import Device, Opened, Options, Probe, Runtime

from . import _onnxruntime


class Cpu:
    """Runs everywhere; the reference for every proof."""

    name = "cpu"
    runtime = Runtime("onnxruntime", "CPUExecutionProvider")
    extra = "cpu"
    rank = 10

    def probe(self) -> Probe:
        """Compute the self-test's graph on one thread."""
        return _onnxruntime.probe(self.name, self.runtime, self.extra, (self._device(),))

    def open(self, graph: Path, options: Options, /) -> Opened:
        """Open a graph file on ``options.threads`` intra-op threads."""
        return _onnxruntime.open_graph(
            graph, options, name=self.name, runtime=self.runtime, device=self._device().name
        )

    @staticmethod
    def _device() -> Device:
        return Device("cpu", "cpu", hardware.memory_allowed())


provider = Cpu()
