"""The CoreML provider: ONNX Runtime's CoreMLExecutionProvider on Apple's processors, from the plain macOS distribution."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from gpux import hardware
from gpux.provider import Device, Opened, Options, Runtime, Setting, setting

from . import _shape_profile
from ._onnxruntime import OnnxRuntimeProvider
from ._onnxruntime_options import GRAPH

UNITS = Setting(
    "units",
    "The parts of the processor that CoreML may use; which of them it takes is its own choice.",
    default="ALL",
    values=("ALL", "CPUAndNeuralEngine", "CPUAndGPU", "CPUOnly"),
    race=("ALL", "CPUAndGPU"),
    numeric=True,
)


_PACKAGE_UNITS = {"ALL": "all", "CPUAndNeuralEngine": "ane", "CPUAndGPU": "gpu", "CPUOnly": "cpu"}


class CoreMl(OnnxRuntimeProvider):
    """Apple's processors: neural engine, graphics and cores."""

    name = "coreml"
    runtime = Runtime("onnxruntime", "CoreMLExecutionProvider", ("onnxruntime",))
    extra = "apple"
    rank = 60
    settings: tuple[Setting, ...] = (GRAPH, UNITS)
    systems: ClassVar[tuple[str, ...]] = ("darwin",)
    formats: ClassVar[tuple[str, ...]] = (".onnx", ".mlpackage")

    def open(self, graph: Path, options: Options, /) -> Opened:
        """Open an ONNX graph with ONNX Runtime, or a Core ML package with coremltools."""
        if graph.suffix == ".mlpackage":
            from ._mlpackage import open_package  # what one kind of graph needs must not cost every start

            return open_package(graph, options, _PACKAGE_UNITS[setting("units", options.extra, self)])
        return super().open(graph, options)

    def devices(self) -> tuple[Device, ...]:
        """The processor as a whole: its parts share their memory, and CoreML does not tell which it took."""
        return (Device(hardware.describe().processor, "npu", hardware.memory_allowed()),)

    def provider_options(self, options: Options) -> dict[str, str]:
        """Units, the newer of CoreML's two formats, and the cache of compiled models.

        https://onnxruntime.ai/docs/execution-providers/CoreML-ExecutionProvider.html
        """
        found = {"ModelFormat": "MLProgram", "MLComputeUnits": setting("units", options.extra, self)}
        if options.cache is not None:
            import onnxruntime

            # Compiled models are not known to survive another version of ONNX Runtime, and their names do not tell.
            folder = options.cache / f"onnxruntime-{onnxruntime.__version__}-coreml"
            folder.mkdir(parents=True, exist_ok=True)
            found["ModelCacheDirectory"] = str(folder)
        return found

    def graph_options(self, graph: Path | bytes, options: Options) -> dict[str, str]:
        """Nodes of one shape only, where the graph has no others: the neural engine takes nothing else."""
        return {"RequireStaticInputShapes": "1"} if _shape_profile.fixed(graph) else {}


provider = CoreMl()
