"""The CUDA provider: ONNX Runtime's CUDAExecutionProvider on NVIDIA devices, from the onnxruntime-gpu distribution."""

from __future__ import annotations

from typing import Any, ClassVar

from gpux.provider import Opened, Options, Runtime, Setting, setting

from ._nvidia import DEVICE, NvidiaProvider
from ._onnxruntime_options import GRAPH, size

_MEMORY = Setting(
    "memory_limit", "The most device memory for tensors, such as 4GiB; all of it when not given."
)
_CUDA_GRAPH = Setting(
    "cuda_graph",
    "Whether runs of one shape are recorded and replayed as a whole: quicker where many small kernels follow each other.",
    default="off",
    values=("off", "on"),
)
_TF32 = Setting(
    "tf32",
    "Whether fp32 matrices may be multiplied with 10 bits of mantissa: quicker from Ampere on, and less exact.",
    default="off",
    values=("off", "on"),
    race=("off", "on"),
    numeric=True,
)


class Cuda(NvidiaProvider):
    """NVIDIA devices, kernel by kernel."""

    name = "cuda"
    runtime = Runtime("onnxruntime-gpu", "CUDAExecutionProvider", ("onnxruntime",))
    extra = "cuda"
    rank = 90
    settings: tuple[Setting, ...] = (GRAPH, DEVICE, _MEMORY, _CUDA_GRAPH, _TF32)
    library: ClassVar[str] = "cuda"
    memory: ClassVar[str] = "cuda"

    def provider_options(self, options: Options) -> dict[str, str]:
        """Device, memory, TF32 and CUDA graphs; the device is always named, so that one that is not there is an error.

        https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html
        """
        found = {
            "device_id": str(self.index(options)),
            "use_tf32": "1" if self._on("tf32", options) else "0",
        }
        if limit := setting("memory_limit", options.extra, self):
            found["gpu_mem_limit"] = str(size(limit, name="memory_limit", provider=self.name))
        if self._on("cuda_graph", options):
            found["enable_cuda_graph"] = "1"
        return found

    def precision(self, options: Options) -> str:
        """That of the graph, or ``tf32`` where its fp32 may be rounded to that."""
        return "tf32" if options.precision == "fp32" and self._on("tf32", options) else options.precision

    def wrap(self, session: Any, options: Options) -> Opened:
        """A session that records its runs, where that was asked for."""
        if not self._on("cuda_graph", options):
            return super().wrap(session, options)
        from ._cuda_graph import CudaGraphSession  # whoever records nothing does not pay for it

        device, precision = self.device(options), self.precision(options)
        return CudaGraphSession(
            session, self.name, self.native(), device, precision, index=self.index(options)
        )

    def _on(self, name: str, options: Options) -> bool:
        return setting(name, options.extra, self) == "on"


provider = Cuda()
